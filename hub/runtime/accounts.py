"""Accounts on the broker, and their files as Mosquitto reads them; pure, but for the file of accounts."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

from hub.errors import BadFile, BadSetting
from hub.secrets import Secrets, write_private

ITERATIONS = 101
"""Mosquitto's own figure: the passwords are random, so a slow hash would only slow each connection."""
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
UPWARD = ("telemetry", "batch", "state", "config", "cmd_ack")
"""What a device or gateway says; `cmd` is the only leaf that it reads."""
CITY_DEPTH = 4
"""city/{commune}/{kind}/{device_id}"""

OWN_RULES = {
    "hub": (
        "read city/#",
        "read /hfp/#",
        "read wmbusmeters/#",
        "read $SYS/#",
        "readwrite beffroi/#",
        "write city/+/+/+/cmd",
    ),
    "simulator": (
        "write city/#",
        "write /hfp/#",
        "write wmbusmeters/#",
        "read beffroi/clock",
        "read city/+/+/+/cmd",
    ),
}
"""The hub's own two accounts, as lines of Mosquitto's access list."""


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """Somebody who may connect, with the prefixes under which they publish."""

    name: str
    password_hash: str
    prefixes: tuple[str, ...]

    def rules(self) -> tuple[str, ...]:
        """Its lines of the access list."""
        return OWN_RULES.get(self.name) or tuple(rule for prefix in self.prefixes for rule in _rules(prefix))


def own_accounts(secrets: Secrets) -> tuple[BrokerAccount, ...]:
    """The accounts of the hub and of the simulator."""
    passwords = {"hub": secrets.mqtt_hub, "simulator": secrets.mqtt_simulator}
    return tuple(BrokerAccount(name, hash_password(password), ()) for name, password in passwords.items())


def new_account(name: str, password: str, prefixes: Iterable[str]) -> BrokerAccount:
    """An account of a device, a gateway or a provider; BadSetting when a name or a prefix cannot be used."""
    if not NAME.fullmatch(name) or name in OWN_RULES:
        raise BadSetting(
            f"{name!r} cannot be an account's name; take small letters, digits, '.', '_' and '-', "
            f"and not {' or '.join(OWN_RULES)}"
        )
    checked = tuple(_check_prefix(prefix) for prefix in prefixes)
    if not checked:
        raise BadSetting(f"account {name} has no prefix; give at least one, such as city/dijon/street_lighting")
    return BrokerAccount(name, hash_password(password), checked)


def hash_password(password: str, salt: bytes | None = None) -> str:
    """A password as Mosquitto 2 stores it: `$7$iterations$salt$hash`, PBKDF2 with SHA-512."""
    salt = salt or token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def password_file(accounts: Iterable[BrokerAccount]) -> str:
    """Mosquitto's password file."""
    return "".join(f"{account.name}:{account.password_hash}\n" for account in accounts)


def access_list(accounts: Iterable[BrokerAccount]) -> str:
    """Mosquitto's access list; what is not listed is refused."""
    return "\n".join(
        f"user {account.name}\n" + "".join(f"topic {rule}\n" for rule in account.rules()) for account in accounts
    )


def read_accounts(path: Path) -> tuple[BrokerAccount, ...]:
    """The named accounts of a home; none when it has no such file."""
    if not path.exists():
        return ()
    try:
        return tuple(
            BrokerAccount(entry["name"], entry["password_hash"], tuple(entry["prefixes"]))
            for entry in json.loads(path.read_text())
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{path} is not a list of broker accounts ({error!r}); repair or remove it") from error


def write_accounts(path: Path, accounts: Iterable[BrokerAccount]) -> None:
    """Replace the file of named accounts; it holds hashes, no password."""
    entries = [
        {"name": account.name, "password_hash": account.password_hash, "prefixes": account.prefixes}
        for account in accounts
    ]
    write_private(path, json.dumps(entries, indent=1))


def _check_prefix(prefix: str) -> str:
    topic = prefix.rstrip("/")
    if not topic.strip("/") or topic.startswith(("$", "beffroi")) or re.search(r"[+#\x00-\x1f\x7f]", topic):
        raise BadSetting(
            f"{prefix!r} cannot be an account's prefix; give the beginning of a topic without wildcards, "
            "such as city/dijon/street_lighting/cabinet-17"
        )
    if topic.split("/")[0] == "city" and topic.count("/") >= CITY_DEPTH:
        raise BadSetting(f"prefix {prefix!r} is too long; it ends at the device: city/commune/kind/device")
    return topic


def _rules(prefix: str) -> list[str]:
    """Under city/ a device says what a device says, and never a command; elsewhere everything below."""
    levels = prefix.split("/")
    if levels[0] != "city":
        return [f"write {prefix}/#"]
    device = "/".join(levels + ["+"] * (CITY_DEPTH - len(levels)))
    return [*(f"write {device}/{leaf}" for leaf in UPWARD), f"read {device}/cmd"]
