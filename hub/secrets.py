"""The hub's secrets: generated at first start into the home, readable by its owner only, never a default."""

import json
import os
import pwd
import secrets as random
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, Self

from hub.errors import BadFile, BadSetting
from hub.settings import Settings

Account = Literal["hub", "simulator"]

ANY_ADDRESS = ("0.0.0.0", "::", "")
READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that nobody mistakes for one another (no i, l, o, 0, 1)."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Every password and key of one home; not shown by repr, so that no log shows them."""

    postgres: str
    """Of the role that the hub uses."""
    postgres_admin: str
    """Of the embedded server's superuser."""
    mqtt_hub: str
    mqtt_simulator: str
    operator: str
    """Of the page's first person, `operator`; typed by hand, so in letters that are hard to confuse."""

    @classmethod
    def generate(cls) -> Self:
        """New secrets from the system's generator: at least 98 bits each."""
        others = {field.name: random.token_urlsafe(24) for field in fields(cls)}
        return cls(**{**others, "operator": typed_password()})

    @classmethod
    def of(cls, home: Path) -> Self:
        """The secrets of this home, made first when it has none: mode 600 in a folder of mode 700."""
        path = private_folder(home) / "secrets.json"
        if not path.exists():
            _publish(path, json.dumps(asdict(cls.generate()), indent=1))
        try:
            known = json.loads(path.read_text())
            return cls(**{field.name: str(known[field.name]) for field in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise BadFile(
                f"{path} is not a file of secrets ({error!r}); put its copy back, "
                f"or remove {home} to begin with an empty hub"
            ) from error


def typed_password() -> str:
    """A new password that a person types by hand."""
    return "-".join("".join(random.choice(READABLE) for _ in range(5)) for _ in range(4))


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can open; one that exists is closed to others."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(
            f"the folder {path} cannot be made: {error.strerror}; set BEFFROI_HOME to another folder"
        ) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise BadSetting(
            f"{path} belongs to the account {owner_of(path)}; start the hub as that account, "
            "or set BEFFROI_HOME to another folder"
        )
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def database_url(settings: Settings, secrets: Secrets) -> str:
    """Where the hub's database is: the one that the settings name, else the embedded one."""
    embedded = f"postgresql://beffroi:{secrets.postgres}@127.0.0.1:{settings.postgres_port}/beffroi"
    return settings.database_url or embedded


def mqtt_url(settings: Settings, secrets: Secrets, account: Account = "hub") -> str:
    """The broker for one of the hub's own accounts: the one that the settings name, else the embedded one."""
    password = {"hub": secrets.mqtt_hub, "simulator": secrets.mqtt_simulator}[account]
    host = "127.0.0.1" if settings.mqtt_host in ANY_ADDRESS else settings.mqtt_host
    return settings.mqtt_url or f"mqtt://{account}:{password}@{host}:{settings.mqtt_port}"


def owner_of(path: Path) -> str:
    """The account that a file or folder belongs to."""
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except KeyError:
        return str(path.stat().st_uid)


def _publish(path: Path, text: str) -> None:
    """Write a file that must not exist yet; when two processes try at once, the first wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    write_private(draft, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
