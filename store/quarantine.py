"""The quarantine: what could not be stored, counted by reason and listed; runs store/queries/quarantine.sql."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from store.database import Connection
from store.sql import statements

SQL = statements("quarantine")
SHOWN_BYTES = 1000
"""So much of a payload is read for a list; nobody reads more of it there."""


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How often a reason was met."""

    reason: str
    last_day: int
    """In the last 24 hours of hub time."""
    in_all: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message, or one part of one, that could not be stored."""

    quarantine_no: int
    received_at: datetime
    source: str
    topic: str
    payload: str
    """Its beginning as one line of readable text."""
    is_cut: bool
    """Is the payload longer than what is shown?"""
    part: int | None
    """Place in the message's array from 0, None for the whole message."""
    reason: str
    detail: str


async def counts(conn: Connection, now: datetime) -> list[ReasonCount]:
    """Every reason ever met, the most frequent of the last day first. Reads the whole table."""
    rows = await (await conn.execute(SQL["counts"], {"since": now - timedelta(days=1)})).fetchall()
    return [ReasonCount(**row) for row in rows]


async def newest(
    conn: Connection, *, limit: int, reason: str | None = None, before: int | None = None
) -> list[Quarantined]:
    """The newest, of one reason if asked; those with a number under `before`, to leaf on."""
    asked = {"limit": limit, "reason": reason, "before": before, "limit_bytes": SHOWN_BYTES}
    rows = await (await conn.execute(SQL["newest"], asked)).fetchall()
    return [
        Quarantined(
            row["quarantine_no"],
            row["received_at"],
            row["source"],
            readable(row["topic"]),
            readable(row["payload"]),
            row["payload_bytes"] > SHOWN_BYTES,
            None if row["part"] < 0 else row["part"],
            row["reason"],
            row["detail"],
        )
        for row in rows
    ]


def readable(said: bytes | str) -> str:
    """Text that cannot move a terminal's cursor or break a line: what is not printable is escaped."""
    text = said if isinstance(said, str) else said.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
