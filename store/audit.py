"""What the audit counts in the database, at one moment of it, and the memory of its results; see ingest/audit.py.

Nothing here trusts a counter: rows are counted, and held against what the table `reader` claims.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import DictRow

from devices.kind import kinds
from devices.readings import Happened, Key, Readings
from hub.clock import to_datetime, to_us
from store.accounts import BECAME
from store.database import Connection
from store.merge import as_stored
from store.retention import AUDIT_LOCK
from store.sql import statements
from store.write import stored_of

SQL = statements("audit")
KEPT_RESULTS = 1000
What = Literal["other_log", "log", "quarantine", "reading", "event", "transition", "sum"]
"""What may be missing: the log that a reader knows, messages of a log, what was refused, readings, events, what
tele-alert could not read, and rows or counts of a sum."""


Account = Literal["offsets", "messages", "readings", "messages_quarantined", "readings_quarantined", "readings_stored"]
"""What is added up: messages by the offsets that were read; messages, and readings, by what became of them; what is in
quarantine, whole and in parts; rows of readings."""


class Missing(msgspec.Struct, frozen=True):
    """Something that should be there and is not."""

    reader: str
    what: What
    amount: int
    named: list[str]
    """The first few, a sentence each."""


class Sum(msgspec.Struct, frozen=True):
    """Two numbers that must be equal: what the accounts claim, and what was counted."""

    reader: str
    what: Account
    claimed: int
    counted: int


class Recount(msgspec.Struct, frozen=True):
    """What a log was found to hold, between two offsets."""

    reader: str
    log_id: str
    first_offset: int
    """The first that is still kept; for what lies before, the sums must speak."""
    next_offset: int
    """Up to where its reader had read it."""
    counts: dict[str, int]
    """Messages and readings, and what became of them."""


class Audit(msgspec.Struct, frozen=True):
    """The result of an audit."""

    took_s: float
    logs: list[Recount]
    sums: list[Sum]
    missing: list[Missing]

    @property
    def amount(self) -> int:
        """How much is missing, or too much, in all; 0 is what it should be."""
        return sum(one.amount for one in self.missing)


@dataclass(frozen=True, slots=True)
class LastAudit:
    """The last result, as the database remembers it."""

    age_s: float
    """In real seconds."""
    missing: int
    result: Audit


@dataclass(frozen=True, slots=True)
class Removal:
    """Event times of a table that are gone because their time was over."""

    table: str
    from_us: int
    until_us: int
    next_offset: int
    """Messages before this one may have been among them."""


@asynccontextmanager
async def one_moment(conn: Connection) -> AsyncIterator[None]:
    """A connection in autocommit sees the database as it is now, and no chunk is dropped, until the end.

    What breaks it off must close the connection.
    """
    await conn.execute(SQL["hold_removals"], {"lock": AUDIT_LOCK})
    await conn.execute(SQL["begin"])
    await conn.execute(SQL["slowly"])
    yield
    await conn.execute(SQL["end"])
    await conn.execute(SQL["let_removals"], {"lock": AUDIT_LOCK})


async def readers(conn: Connection) -> dict[str, DictRow]:
    """What the readers claim, by name."""
    return {row["name"]: row for row in await _rows(conn, "readers")}


async def numbers(conn: Connection) -> dict[Key, int]:
    """The number of every device that ever spoke or was declared."""
    return {(row["commune"], row["kind"], row["id"]): row["device_no"] for row in await _rows(conn, "devices")}


async def removals(conn: Connection, log_id: UUID, from_offset: int) -> list[Removal]:
    """What retention may have removed of what a log holds from an offset on."""
    return [
        Removal(row["table_name"], to_us(row["from_ts"]), to_us(row["until_ts"]), row["next_offset"])
        for row in await _rows(conn, "removals", log_id=log_id, from_offset=from_offset)
    ]


async def sums(conn: Connection, claims: Mapping[str, DictRow]) -> list[Sum]:
    """Every sum that must hold. Counts all rows: on a large database it takes minutes."""
    held = {row["name"]: row for row in await _rows(conn, "quarantined")}
    found: list[Sum] = []
    for name, row in claims.items():
        waits: Mapping[str, int] = held.get(name, {"whole": 0, "parts": 0})
        found += claimed_sums(row)
        found.append(Sum(name, "messages_quarantined", row["messages_quarantined"], waits["whole"]))
        if name == "store":
            found.append(Sum(name, "readings_quarantined", row["readings_quarantined"], waits["parts"]))
            found.append(Sum(name, "readings_stored", row["readings_stored"], await _rows_ever(conn)))
    return found


def claimed_sums(row: Mapping[str, Any]) -> list[Sum]:
    """The sums of what one reader claims. Pure."""
    read = row["began_messages"] + row["next_offset"] - row["began_offset"]
    became = {what: sum(row[part] for part in parts) for what, parts in BECAME.items()}
    return [
        Sum(row["name"], "offsets", row["messages"], read),
        Sum(row["name"], "messages", row["messages"], became["messages"]),
        Sum(row["name"], "readings", row["readings"], became["readings"]),
    ]


async def _rows_ever(conn: Connection) -> int:
    """The readings in all tables, and those that were there until their time was over."""
    names = {row["kind"] for row in await _rows(conn, "kinds")} | set(kinds())
    total: int = 0
    for name in sorted(names):
        statement = sql.SQL(SQL["rows"]).format(table=sql.Identifier(name))
        for row in await (await conn.execute(statement)).fetchall():
            total += row["rows"]
    gone = {row["table_name"]: row["rows"] for row in await _rows(conn, "removed")}
    total += sum(gone.get(table, 0) for table in (*names, "before"))
    return total


async def alike(conn: Connection, readings: Readings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of readings, shape (n,): is there a row of the device and time, and does it say all that they told?"""
    stored = await stored_of(conn, readings.kind, readings.device_no, readings.ts_us)
    told = as_stored(readings)
    same: NDArray[np.bool_] = stored.exists & ((told == stored.values) | np.isnan(told)).all(axis=0)
    return stored.exists, same


async def events_there(conn: Connection, events: Sequence[Happened], device_no: Sequence[int]) -> NDArray[np.bool_]:
    """Which of some events, at least one, are stored; shape (n,)."""
    times = [to_datetime(event.ts_us) for event in events]
    codes = [event.code for event in events]
    asked = {"devices": list(device_no), "times": times, "codes": codes, "first": min(times), "last": max(times)}
    there = np.zeros(len(events), bool)
    there[[row["place"] - 1 for row in await _rows(conn, "events", **asked)]] = True
    return there


async def held(conn: Connection, log_id: UUID, places: Sequence[tuple[int, int]]) -> dict[int, bool]:
    """Which of some (offset, part) are in quarantine, by index; False: they were, and have been released."""
    if not places:
        return {}
    offsets, parts = ([place[i] for place in places] for i in (0, 1))
    rows = await _rows(conn, "held", log_id=log_id, offsets=offsets, parts=parts)
    return {row["place"] - 1: row["waits"] for row in rows}


async def keep(conn: Connection, audit: Audit) -> None:
    """Remember a result; the oldest are forgotten."""
    told = {"missing": audit.amount, "result": msgspec.json.encode(audit).decode(), "keep": KEPT_RESULTS}
    await conn.execute(SQL["keep"], told)


async def last(conn: Connection) -> LastAudit | None:
    """The last result; None before the first audit of this version."""
    for row in await _rows(conn, "last"):
        with suppress(msgspec.ValidationError):  # an older version wrote it
            return LastAudit(row["age_s"], row["missing"], msgspec.convert(row["result"], Audit))
    return None


async def _rows(conn: Connection, name: str, **values: object) -> list[DictRow]:
    return await (await conn.execute(SQL[name], values or None)).fetchall()
