"""Sends what is in the outbox, each channel at its own pace; at least once, never forgotten.

A notification is locked while it is sent and marked in the same transaction. A crash between the two sends it again:
for an alert, twice is better than never.
"""

import asyncio
from datetime import timedelta

import structlog
from psycopg.rows import DictRow

from alerts.channels import Channel, NotSent
from hub.clock import Clock
from store import outbox
from store.database import Connection

logger = structlog.get_logger("telealert")
RETRY_AFTER_S = (10, 30, 60, 120, 300, 600, 900, 1800)
"""Real seconds before each further try: about an hour in all, then it is given up."""


async def deliver_next(connection: Connection, channel: Channel, clock: Clock) -> bool:
    """Send the channel's next due notification, if any; says whether there was one."""
    async with connection.transaction():
        notification = await outbox.next_due(connection, channel.name, clock.now())
        if notification is None:
            return False
        try:
            await asyncio.to_thread(channel.send, notification["title"], notification["body"])
        except NotSent as error:
            await _not_sent(connection, channel, clock, notification, str(error))
        else:
            await outbox.mark_sent(connection, notification, channel.name, clock.now())
            logger.info("notified", incident=notification["incident_no"], channel=channel.name)
        return True


async def _not_sent(connection: Connection, channel: Channel, clock: Clock, notification: DictRow, error: str) -> None:
    incident_no, tries = notification["incident_no"], notification["attempts"] + 1
    if tries > len(RETRY_AFTER_S):
        await outbox.mark_failed(connection, notification, channel.name, error, clock.now())
        logger.error("nobody was notified: given up", incident=incident_no, channel=channel.name, error=error)
        return
    wait_s = RETRY_AFTER_S[tries - 1]
    # Due times are hub time, but the outside world runs on real time.
    await outbox.mark_retry(connection, notification, error, clock.now() + timedelta(seconds=wait_s * clock.speed))
    logger.warning("not sent, tried again", incident=incident_no, channel=channel.name, error=error, wait_s=wait_s)
