"""Sends what is in the outbox, each channel at its own pace; at least once, never forgotten.

A notification is locked while it is sent and marked in the same transaction. What went out is in the journal, which is
asked first: neither a lost transaction nor a call that was made while the database was away sends it again. A crash
between channel and journal does: for an alert, twice is better than never.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from psycopg.rows import DictRow

from alerts.channels import Channel, NotSent
from alerts.journal import Call, Journal, Sent
from hub.clock import Clock, to_datetime
from store import outbox
from store.database import Connection

logger = structlog.get_logger("telealert")
RETRY_AFTER_S = (10, 30, 60, 120, 300, 600, 900, 1800)
"""Real seconds before each further try: about an hour in all, then it is given up."""


@dataclass(slots=True)
class Outlet:
    """A channel, and what it has taken. The one way out, for every line of tele-alert."""

    channel: Channel
    journal: Journal
    clock: Clock
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        return self.channel.name

    async def send_once(self, call: Call, title: str, body: str, *, reason: str, offset: int = 0) -> Sent:
        """Send a call unless it went out before, and say how it did; NotSent when the channel refuses."""
        async with self._turn:
            if (before := self.journal.find(call, self.name)) is not None:
                return before
            await asyncio.to_thread(self.channel.send, title, body)
            sent = Sent(call, self.name, title, body, self.clock.now_us(), reason, offset)
            await self.journal.add(sent)
            return sent

    async def say(self, title: str, body: str) -> None:
        """Send something that is no call; NotSent when the channel refuses."""
        async with self._turn:
            await asyncio.to_thread(self.channel.send, title, body)


async def deliver_next(connection: Connection, outlet: Outlet, clock: Clock) -> bool:
    """Send the channel's next due notification, if any; says whether there was one."""
    async with connection.transaction():
        row = await outbox.next_due(connection, outlet.name, clock.now())
        if row is None:
            return False
        call = Call.of_row(row)
        try:
            sent = await outlet.send_once(call, row["title"], row["body"], reason=row["title"])
        except NotSent as error:
            await _not_sent(connection, outlet, clock, row, str(error))
        else:
            await outbox.mark_sent(connection, row, outlet.name, to_datetime(sent.sent_us), reason=sent.reason)
            logger.info("notified", incident=row["incident_no"], channel=outlet.name)
        return True


async def _not_sent(connection: Connection, outlet: Outlet, clock: Clock, notification: DictRow, error: str) -> None:
    incident_no, tries = notification["incident_no"], notification["attempts"] + 1
    if tries > len(RETRY_AFTER_S):
        await outbox.mark_failed(connection, notification, outlet.name, error, clock.now())
        logger.error("nobody was notified: given up", incident=incident_no, channel=outlet.name, error=error)
        return
    wait_s = RETRY_AFTER_S[tries - 1]
    # Due times are hub time, but the outside world runs on real time.
    await outbox.mark_retry(connection, notification, error, clock.now() + timedelta(seconds=wait_s * clock.speed))
    logger.warning("not sent, tried again", incident=incident_no, channel=outlet.name, error=error, wait_s=wait_s)
