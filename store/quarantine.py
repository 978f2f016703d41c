"""The quarantine: what could not be stored, counted by reason and listed; runs store/queries/quarantine.sql."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from store.database import Connection
from store.sql import statements

SQL = statements("quarantine")
CHOSEN = sql.SQL(SQL["chosen"])
KEPT = timedelta(days=30)
"""So long what was released is still shown."""
EXCESS_KEPT = 10_000
SHOWN_BYTES = 1000
"""So much of a payload is read for a list; nobody reads more of it there."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages of the quarantine are meant; None does not choose."""

    reason: str | None = None
    source: str | None = None
    since: datetime | None = None
    """Received at or after."""
    until: datetime | None = None
    """Received before."""
    numbers: list[int] | None = None


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
    released_at: datetime | None
    """When it was released; None while it waits."""
    tried_at: datetime | None
    """When its last release was asked for; None when it never was."""
    tried_by: str | None


async def counts(conn: Connection, now: datetime) -> list[ReasonCount]:
    """Every reason for which something waits, the most frequent of the last day first. Reads the whole table."""
    rows = await (await conn.execute(SQL["counts"], {"since": now - timedelta(days=1)})).fetchall()
    return [ReasonCount(**row) for row in rows]


async def sources(conn: Connection) -> list[str]:
    """The sources of which something waits."""
    return [row["source"] for row in await (await conn.execute(SQL["sources"])).fetchall()]


async def newest(
    conn: Connection, choice: Choice, *, limit: int, before: int | None = None, released: bool = False
) -> list[Quarantined]:
    """The newest that wait, or that were released; those with a number under `before`, to leaf on."""
    asked = {**asdict(choice), "limit": limit, "before": before, "released": released, "limit_bytes": SHOWN_BYTES}
    statement = sql.SQL(SQL["newest"]).format(chosen=CHOSEN)
    return [_quarantined(row) for row in await (await conn.execute(statement, asked)).fetchall()]


async def forget_released(conn: Connection, now: datetime) -> int:
    """Remove what was released longer than KEPT ago: it is in the tables of readings. Returns how many."""
    return (await conn.execute(SQL["forget_released"], {"before": now - KEPT})).rowcount


async def discard(conn: Connection, choice: Choice, *, by: str, now: datetime) -> int:
    """Give up what waits: the payload is gone for good, and a row without it stays for the audit. Returns how many."""
    statement = sql.SQL(SQL["discard"]).format(chosen=CHOSEN)
    rows = await (await conn.execute(statement, {**asdict(choice), "by": by, "now": now})).fetchall()
    return sum(row["discarded"] for row in rows)


async def forget_excess(conn: Connection, now: datetime) -> None:
    """Forget who was beyond a limit longer than KEPT ago, and all but the last when they are many."""
    await conn.execute(SQL["forget_excess"], {"before": now - KEPT, "most": EXCESS_KEPT})


def _quarantined(row: dict[str, Any]) -> Quarantined:
    return Quarantined(
        row["quarantine_no"],
        row["received_at"],
        row["source"],
        readable(row["topic"]),
        readable(row["payload"]),
        row["payload_bytes"] > SHOWN_BYTES,
        None if row["part"] < 0 else row["part"],
        row["reason"],
        row["detail"],
        row["released_at"],
        row["tried_at"],
        row["tried_by"],
    )


def readable(said: bytes | str) -> str:
    """Text that cannot move a terminal's cursor or break a line: what is not printable is escaped."""
    text = said if isinstance(said, str) else said.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
