"""Watches the hub itself, and tells people on every channel; needs neither the database nor the broker."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from alerts.alarms import Alarm, Alarms
from alerts.broker import Broker
from alerts.channels import NotSent
from alerts.database import Database, pause
from alerts.delivery import Outlet
from alerts.disk import replace_file
from alerts.text import Writer
from hub.clock import Clock, to_datetime
from store.health import Pulse, faults

logger = structlog.get_logger("telealert")
LOOK_S, LOOK_LIMIT_S = 5.0, 10.0
TELL_S, RETRY_S = 1.0, 30.0


@dataclass(slots=True)
class Watch:
    """The hub's health as tele-alert sees it, and who was told of it."""

    home: Path
    clock: Clock
    broker: Broker
    alarms: Alarms
    look_s: float = LOOK_S

    @property
    def file(self) -> Path:
        """The alarms that somebody was told of, for a restart."""
        return self.home / "telealert" / "alarms.json"

    async def run(self, database: Database, outlets: Sequence[Outlet], writer: Writer, stop: asyncio.Event) -> None:
        """Look and tell until the stop."""
        self.alarms.go_on(self._load(), time.monotonic())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.broker.run(stop))
            tasks.create_task(self._look(database, stop))
            for outlet in outlets:
                tasks.create_task(self._tell(outlet, writer, stop))

    async def _look(self, database: Database, stop: asyncio.Event) -> None:
        pulse = Pulse(self.home, self.clock)
        while not stop.is_set():
            await pause(stop, self.look_s)
            try:
                async with asyncio.timeout(LOOK_LIMIT_S):
                    health = await pulse.take(
                        database.once, has_broker=self.broker.is_connected, queue=self.broker.queue
                    )
            except (TimeoutError, OSError) as error:  # the database hangs, or the home cannot be read
                logger.warning("the hub's health was not to be had", error=str(error))
                continue
            self.alarms.see(faults(health), time.monotonic(), self.clock.now_us())

    async def _tell(self, outlet: Outlet, writer: Writer, stop: asyncio.Event) -> None:
        """Tell one channel what it does not know yet, in order."""
        while not stop.is_set():
            due = self.alarms.due(outlet.name, time.monotonic())
            if due is None:
                await pause(stop, TELL_S)
                continue
            alarm, turn = due
            at = to_datetime(alarm.since_us) if turn == "began" else self.clock.now()
            title, body = writer.alarm(alarm.sentence, turn, now=self.clock.now(), at=at)
            try:
                await outlet.say(title, body)
            except NotSent as error:
                logger.warning("an alarm of the hub was not sent, tried again", channel=outlet.name, error=str(error))
                await pause(stop, RETRY_S)
                continue
            self.alarms.tell(alarm, turn, outlet.name)
            logger.warning("alarm of the hub", what=alarm.sentence, turn=turn, channel=outlet.name)
            await asyncio.to_thread(self._save, msgspec.json.encode(self.alarms.told))

    def _load(self) -> list[Alarm]:
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=list[Alarm])
        except (OSError, msgspec.MsgspecError):
            return []

    def _save(self, content: bytes) -> None:
        try:
            replace_file(self.file, content)
        except OSError as error:
            logger.error("the hub's alarms are not on disk; a restart may repeat them", error=error.strerror)
