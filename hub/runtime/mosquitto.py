"""The embedded broker: Mosquitto with the configuration of the repository and the accounts of the home."""

import asyncio
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

from hub.errors import BadFile, BrokerUnavailable
from hub.runtime.accounts import (
    access_list,
    new_account,
    own_accounts,
    password_file,
    read_accounts,
    write_accounts,
)
from hub.runtime.process import Process, Program, give_to_servers
from hub.secrets import Secrets, private_folder, write_private
from hub.settings import Settings

CONNECTIONS = 65_536
"""A city's devices all at once, some of them twice until the broker knows that their first connection is dead."""
CONFIGURATION = Path(__file__).parents[2] / "mosquitto.conf"


@dataclass(frozen=True, slots=True)
class Mosquitto:
    """Where the embedded broker's program and files are, and where it listens."""

    executable: Path
    """What is run; any path does for whom the files are enough."""
    home: Path
    """The hub's home, absolute."""
    host: str
    port: int

    @classmethod
    def of(cls, settings: Settings, executable: Path = Path("mosquitto")) -> "Mosquitto":
        return cls(executable, settings.home.resolve(), settings.mqtt_host, settings.mqtt_port)

    @property
    def folder(self) -> Path:
        return self.home / "mosquitto"

    @property
    def program(self) -> Program:
        return Program(
            name="mosquitto",
            argv=(self.executable, "-c", self.folder / "mosquitto.conf"),
            env={"PATH": "/usr/bin:/bin"},
            is_server=True,
            cwd=self.folder,
            open_files=CONNECTIONS,
        )

    def prepare(self, secrets: Secrets) -> None:
        """Write configuration, passwords and access list, afresh at each start."""
        give_to_servers(private_folder(self.folder))
        values = {
            "listener": f"{self.port} {self.host}",
            "password_file": str(self.folder / "passwords"),
            "acl_file": str(self.folder / "acl"),
            "persistence_location": f"{self.folder}/",
        }
        text = configure(CONFIGURATION.read_text(), values) + f"pid_file {self.folder / 'pid'}\n"
        self._write("mosquitto.conf", text)
        self.write_accounts(secrets)

    def write_accounts(self, secrets: Secrets) -> None:
        """Write the password file and the access list; a running broker reads them on SIGHUP."""
        accounts = (*own_accounts(secrets), *read_accounts(accounts_path(self.home)))
        self._write("passwords", password_file(accounts))
        self._write("acl", access_list(accounts))

    async def wait_ready(self, process: Process, limit_s: float = 20.0) -> None:
        """Return when it listens, which it does once its memory is read back; BrokerUnavailable otherwise."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        try:
            async with asyncio.timeout(limit_s):
                while process.exit_code is None:
                    try:
                        _, writer = await asyncio.open_connection(host, self.port)
                    except OSError:
                        await asyncio.sleep(0.02)
                        continue
                    writer.close()
                    return
        except TimeoutError:
            pass
        raise BrokerUnavailable(
            f"the embedded broker did not start: {process.last_words()} (all of it in {process.log})"
        )

    def running_pid(self) -> int | None:
        """The process that serves this folder, if one does."""
        try:
            pid = int((self.folder / "pid").read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.folder / "mosquitto.conf") in arguments else None

    def reload(self) -> bool:
        """Make a running broker read its accounts again; False when none runs."""
        pid = self.running_pid()
        if pid is not None:
            os.kill(pid, signal.SIGHUP)
        return pid is not None

    def _write(self, name: str, text: str) -> None:
        write_private(self.folder / name, text)
        give_to_servers(self.folder / name)


def accounts_path(home: Path) -> Path:
    """Where the named accounts of a home are kept."""
    return home / "accounts.json"


def add_account(settings: Settings, name: str, prefixes: Iterable[str]) -> str:
    """Make an account that publishes under its prefixes only, or replace it; the password is returned once.

    A running embedded broker knows it at once, a stopped one from its next start.
    """
    home = private_folder(settings.home.resolve())
    password = token_urlsafe(18)
    account = new_account(name, password, prefixes)
    others = (known for known in read_accounts(accounts_path(home)) if known.name != name)
    write_accounts(accounts_path(home), (*others, account))
    broker = Mosquitto.of(settings)
    if broker.folder.exists():
        broker.write_accounts(Secrets.of(home))
        broker.reload()
    return password


def configure(text: str, values: Mapping[str, str]) -> str:
    """The repository's configuration with some values replaced; BadFile when it does not have one of them."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        key = line.split(" ", 1)[0]
        lines.append(f"{key} {left.pop(key)}" if key in left else line)
    if left:
        raise BadFile(f"{CONFIGURATION} has no line for {', '.join(left)}; put it back")
    return "\n".join(lines) + "\n"
