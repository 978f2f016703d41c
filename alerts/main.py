"""The tele-alert process: follows the transitions, keeps the incidents, sends the notifications."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from alerts.batch import READER, Desk, Message, apply_batch
from alerts.channels import Channel, channels
from alerts.delivery import deliver_next
from alerts.text import Writer
from devices.kind import kinds
from hub.clock import Clock
from hub.errors import BadSetting, DatabaseUnavailable, LogGap, LogReplaced
from hub.settings import Settings
from store import outbox, readers
from store.database import Connection, connect

logger = structlog.get_logger("telealert")
BATCH = 5_000
IDLE_S = 0.2
LONGEST_WAIT_S = 5.0


class Transitions(Protocol):
    """The log of transitions, as its reader shows it."""

    @property
    def log_id(self) -> UUID:
        """Which log it is."""

    @property
    def first_offset(self) -> int:
        """The oldest offset that is still kept."""

    @property
    def next_offset(self) -> int:
        """The offset after the last message."""

    def read(self, offset: int, limit: int) -> Sequence[Message]:
        """Up to `limit` messages from an offset on, one per offset; empty at the end."""


class Database:
    """The database as a process that outlives its absences sees it: waits for it, and says so once."""

    def __init__(self, url: str, stop: asyncio.Event) -> None:
        self._url, self._stop, self._away = url, stop, False

    async def hold(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Run `work` on a connection until it returns, again on a new one after each loss."""
        wait_s = 0.5
        while not self._stop.is_set():
            try:
                async with connect(self._url, autocommit=True) as connection:
                    self._here()
                    wait_s = 0.5
                    await work(connection)
                    return
            except DatabaseUnavailable as error:
                self._gone(error)
                await pause(self._stop, wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _here(self) -> None:
        if self._away:
            logger.info("the database is back: tele-alert goes on where it was")
        self._away = False

    def _gone(self, error: DatabaseUnavailable) -> None:
        if not self._away:
            logger.error("tele-alert waits for the database; transitions wait in their log", error=str(error))
        self._away = True


async def run(
    *, transitions: Transitions, database_url: str, settings: Settings, clock: Clock, stop: asyncio.Event
) -> None:
    """Work until `stop` is set.

    BadSetting for a wrong address or time zone, LogError when another tele-alert works on the same database.
    """
    outlets = channels(settings, clock)
    desk = make_desk(settings, outlets)
    database = Database(database_url, stop)
    try:
        async with asyncio.TaskGroup() as tasks:
            follow = partial(_follow, transitions=transitions, desk=desk, clock=clock, stop=stop)
            tasks.create_task(database.hold(follow), name="follow")
            for outlet in outlets:
                deliver = partial(_deliver, outlet=outlet, clock=clock, stop=stop)
                tasks.create_task(database.hold(deliver), name=f"deliver {outlet.name}")
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


def make_desk(settings: Settings, outlets: Sequence[Channel]) -> Desk:
    """What the settings say of who is called and how; BadSetting for an unknown time zone."""
    try:
        zone = ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadSetting(
            f"BEFFROI_TIMEZONE: {settings.timezone} is no time zone of this machine; one is Europe/Paris"
        ) from error
    page_url = settings.page_url or f"http://{settings.host}:{settings.http_port}"
    writer = Writer(settings.language, zone, page_url, settings.notify_priority)
    return Desk(kinds(), settings.notify_priority, [outlet.name for outlet in outlets], writer)


async def _follow(
    connection: Connection, *, transitions: Transitions, desk: Desk, clock: Clock, stop: asyncio.Event
) -> None:
    """Apply transitions in order, from the offset that the database knows."""
    offset = await _claim(connection, transitions, stop)
    told_before = await readers.told_before(connection, READER)
    no_more = "the settings no longer have this channel"
    await outbox.give_up_orphans(connection, desk.channels, no_more, clock.now())
    while not stop.is_set():
        messages = transitions.read(offset, BATCH)
        if not messages:
            await pause(stop, IDLE_S)
            continue
        await apply_batch(
            connection,
            desk,
            clock.now(),
            log_id=transitions.log_id,
            offset=offset,
            messages=messages,
            told_before=told_before,
        )
        offset += len(messages)


async def _claim(connection: Connection, transitions: Transitions, stop: asyncio.Event) -> int:
    """Where to go on; waits while the log is not the one that the database knows, for an operator to say what is right.

    What is in the outbox goes out meanwhile.
    """
    unfit = ""
    while not stop.is_set():
        try:
            kept = range(transitions.first_offset, transitions.next_offset)
            return await readers.claim(connection, READER, transitions.log_id, kept)
        except (LogReplaced, LogGap) as error:
            if not unfit:
                logger.error("tele-alert stands still; transitions wait in their log", why=str(error))
            unfit = str(error)
            await pause(stop, LONGEST_WAIT_S)
    return 0


async def _deliver(connection: Connection, *, outlet: Channel, clock: Clock, stop: asyncio.Event) -> None:
    """Send what is due on one channel, so that a slow one does not hold up the others."""
    while not stop.is_set():
        if not await deliver_next(connection, outlet, clock):
            await pause(stop, IDLE_S)


async def pause(stop: asyncio.Event, real_s: float) -> None:
    """Wait, but not longer than until the stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), real_s)
