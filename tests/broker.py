"""A broker of a test's own, as the hub starts it, that can be killed, forget everything and come back."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from hub.runtime.process import Process
from hub.runtime.servers import start_mosquitto
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from tests.processes import eventually


@dataclass(slots=True)
class OwnBroker:
    """The embedded broker of a home: same port, accounts and memory each time it starts."""

    settings: Settings
    process: Process | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings) -> AsyncIterator[Self]:
        """A broker for the block; it is stopped at its end."""
        broker = cls(settings)
        await broker.start()
        try:
            yield broker
        finally:
            if broker.process is not None:
                await broker.process.stop()

    @property
    def hub_url(self) -> str:
        return mqtt_url(self.settings, Secrets.of(self.settings.home))

    @property
    def simulator_url(self) -> str:
        return mqtt_url(self.settings, Secrets.of(self.settings.home), "simulator")

    @property
    def memory(self) -> Path:
        """The file that it writes every second or two."""
        return self.settings.home / "mosquitto" / "mosquitto.db"

    def remembered_at_s(self) -> float:
        """When it began to write what it remembers now, by the steady clock: it makes a new file each time.

        What it acknowledged before is in it; while it writes it acknowledges nothing.
        """
        told = subprocess.run(["stat", "--format=%w", self.memory], capture_output=True, text=True, check=True).stdout
        day, clock, zone = told.split()
        began = datetime.fromisoformat(f"{day}T{clock[:15]}{zone}").timestamp()
        return time.monotonic() - time.time() + began

    async def remembers(self) -> None:
        """Wait until it has written its memory once more."""
        written = self.memory.stat().st_mtime_ns if self.memory.exists() else 0
        await eventually(
            lambda: asyncio.sleep(0, self.memory.stat().st_mtime_ns if self.memory.exists() else 0),
            lambda now: now != written,
        )

    async def start(self) -> None:
        self.process = await start_mosquitto(self.settings, Secrets.of(self.settings.home))

    async def kill(self) -> float:
        """As `kill -9`; returns when that was, by the steady clock."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        at_s = time.monotonic()
        await self.process.wait()
        return at_s

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid
