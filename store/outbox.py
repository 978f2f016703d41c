"""The transactional outbox: notifications are written with their incident and sent after.

A notification names its channel by the URL's position in the settings ("1", "2", ... or "file"): URLs hold secrets.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import DictRow

from store.database import Connection
from store.incident_batch import columns
from store.sql import statements

SQL = statements("outbox")


class NotificationRow(NamedTuple):
    """What one channel is to say of an incident."""

    incident_no: int
    purpose: str
    """opened, closed"""
    channel: str
    title: str
    body: str
    due_at: datetime


async def post(connection: Connection, notifications: Sequence[NotificationRow]) -> None:
    """Put notifications into the outbox; one that is there for the same incident, purpose and channel stays."""
    await connection.execute(SQL["post"], columns(NotificationRow, notifications))


async def withdraw(connection: Connection, incident_nos: Sequence[int]) -> None:
    """Take back what was not sent yet about these incidents."""
    await connection.execute(SQL["withdraw"], {"incident_nos": list(incident_nos)})


async def next_due(connection: Connection, channel: str, now: datetime) -> DictRow | None:
    """The next notification to send on a channel, locked until the caller's transaction ends; None when none is due.

    Keys: notification_no, incident_no, purpose, title, body, attempts, and cause_no, code, opened_at, detected_at of
    its incident.
    """
    return await (await connection.execute(SQL["next_due"], {"channel": channel, "now": now})).fetchone()


async def mark_sent(
    connection: Connection, notification: DictRow, channel: str, sent_at: datetime, *, reason: str
) -> None:
    """It went out, perhaps some time ago: recorded here and in the incident's story."""
    await connection.execute(SQL["sent"], {"notification_no": notification["notification_no"], "now": sent_at})
    await _note(connection, notification, sent_at, change="notified", channel=channel, reason=reason)


async def mark_retry(connection: Connection, notification: DictRow, error: str, due_at: datetime) -> None:
    """It did not go out and is due again later."""
    parameters = {"notification_no": notification["notification_no"], "error": error, "due_at": due_at}
    await connection.execute(SQL["retry"], parameters)


async def mark_failed(connection: Connection, notification: DictRow, channel: str, error: str, now: datetime) -> None:
    """It is given up: recorded here and in the incident's story."""
    parameters = {"notification_no": notification["notification_no"], "error": error, "now": now}
    await connection.execute(SQL["give_up"], parameters)
    await _note(connection, notification, now, change="not_notified", channel=channel, reason=error)


async def give_up_orphans(connection: Connection, channels: Sequence[str], error: str, now: datetime) -> int:
    """Give up what waits for a channel that is no more; returns how many."""
    parameters = {"channels": list(channels), "error": error, "now": now}
    return (await connection.execute(SQL["orphans"], parameters)).rowcount


async def _note(
    connection: Connection, notification: DictRow, now: datetime, *, change: str, channel: str, reason: str
) -> None:
    incident_no = notification["incident_no"]
    parameters = {"incident_no": incident_no, "change": change, "channel": channel, "reason": reason, "now": now}
    await connection.execute(SQL["note"], parameters)
    await connection.execute(SQL["tell"], {"incident_no": incident_no})
