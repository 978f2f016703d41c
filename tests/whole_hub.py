"""A whole hub as an operator runs it: `beffroi up` on a home of its own, stopped, killed and started again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings
from tests.conftest import hub_settings
from tests.processes import eventually
from tests.vitals import descendants

BEFFROI = Path(sys.executable).with_name("beffroi")
STARTS_WITHIN_S, STOPS_WITHIN_S = 120, 60
READY = "Stop it with Ctrl-C"


@dataclass(slots=True)
class WholeHub:
    """The processes of one home; start and stop as often as wanted."""

    settings: Settings
    arguments: tuple[str, ...] = ("--no-simulate",)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, home: Path, *arguments: str) -> "WholeHub":
        return cls(hub_settings(home), arguments or ("--no-simulate",))

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def database_url(self) -> str:
        return database_url(self.settings, Secrets.of(self.home))

    @property
    def simulator_url(self) -> str:
        return mqtt_url(self.settings, Secrets.of(self.home), "simulator")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def said(self) -> str:
        """What it has told its operator since its last start."""
        return (self.home / "up.txt").read_text()

    @property
    def environment(self) -> dict[str, str]:
        """What its processes and commands are told."""
        names = ("home", "http_port", "mqtt_port", "postgres_port")
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("BEFFROI_")},
            **{f"BEFFROI_{name.upper()}": str(getattr(self.settings, name)) for name in names},
            "BEFFROI_RUNTIME": str(self.settings.runtime_dir.resolve()),
        }

    async def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of `beffroi` that ends by itself."""
        return await asyncio.to_thread(
            subprocess.run, [BEFFROI, *arguments], env=self.environment, capture_output=True, text=True, timeout=60
        )

    async def start(self) -> float:
        """Start it and wait until it is ready; returns how long that took, in seconds."""
        began_s = time.monotonic()
        self._launch()
        await eventually(lambda: asyncio.sleep(0, self.said), lambda said: READY in said, STARTS_WITHIN_S)
        return time.monotonic() - began_s

    def _launch(self) -> None:
        with (self.home / "up.txt").open("wb") as said:
            self.process = subprocess.Popen(
                [BEFFROI, "up", *self.arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    async def interrupt(self) -> None:
        """As Ctrl-C: everything stops in order."""
        await self._end([self.pid], signal.SIGINT)

    async def kill_supervisor(self) -> None:
        """As `kill -9` of `beffroi up`: the kernel asks what it started to end."""
        await self._end([self.pid], signal.SIGKILL)

    async def kill_everything(self) -> float:
        """As when the machine's power fails, but for its disk; returns when that was, by the steady clock."""
        return await self._end([self.pid, *descendants(self.pid)], signal.SIGKILL)

    async def _end(self, pids: list[int], number: signal.Signals) -> float:
        everything = descendants(self.pid)
        for pid in pids:
            with suppress(ProcessLookupError):  # what its parent's death ended already
                os.kill(pid, number)
        at_s = time.monotonic()
        assert self.process is not None
        await asyncio.to_thread(self.process.wait, STOPS_WITHIN_S)
        await eventually(
            lambda: asyncio.sleep(0, [pid for pid in everything if Path(f"/proc/{pid}").exists()]),
            lambda left: not left,
            STOPS_WITHIN_S,
        )
        self.process = None
        return at_s
