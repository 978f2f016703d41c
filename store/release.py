"""Release from the quarantine: asked for by a person, done by the worker; runs store/queries/release.sql.

The worker takes the quarantined messages in batches, reads them again with the codecs that it has, stores what it can
and marks them, moves the accounts of the store's reader and the release's own place, all in one transaction. So each
is released exactly once, also when the worker is killed in between: what is not committed is done again.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from devices.readings import Decoded, Key, Rejected
from hub.clock import to_datetime, to_us
from hub.errors import LogError
from store.database import Connection
from store.jsonb import storable
from store.quarantine import CHOSEN, Choice
from store.readers import advance
from store.sql import statements
from store.write import Writer

SQL = statements("release")
BATCH, BATCH_BYTES = 1000, 4 << 20
WHOLE = -1
"""The part number of a message as a whole."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release, and how far it has come."""

    release_no: int
    asked_at: datetime
    asked_by: str
    choice: Choice
    up_to_no: int
    wanted: int
    after_no: int
    tried: int
    released: int
    readings_stored: int
    readings_merged: int
    readings_duplicate: int
    readings_withheld: int
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """A message in quarantine, or a part of one as a message of its own."""

    quarantine_no: int
    log_id: UUID
    log_offset: int
    part: int
    received_us: int
    source: str
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a release would concern."""

    by_reason: Mapping[str, int]
    up_to_no: int

    @property
    def total(self) -> int:
        return sum(self.by_reason.values())


ReadAgain = Callable[[Sequence[Held]], Awaitable[Decoded]]
"""Held messages, decoded with their places in the sequence as offsets."""


async def waiting(conn: Connection, choice: Choice, *, up_to_no: int | None = None) -> Waiting:
    """How many messages a release of this choice would try, up to a number of the quarantine or to its end."""
    parameters = {**asdict(choice), "up_to_no": up_to_no}
    rows = await (await conn.execute(_chosen("waiting"), parameters)).fetchall()
    return Waiting({row["reason"]: row["waiting"] for row in rows}, max((row["last_no"] for row in rows), default=0))


async def ask(conn: Connection, choice: Choice, found: Waiting, *, by: str, now: datetime) -> int:
    """Ask the worker to release what was found; returns the release's number."""
    parameters = {**asdict(choice), "up_to_no": found.up_to_no, "wanted": found.total, "by": by, "now": now}
    row = await (await conn.execute(SQL["ask"], parameters)).fetchone()
    assert row is not None
    return int(row["release_no"])


async def release(conn: Connection, release_no: int) -> Release:
    """A release that was asked for."""
    row = await (await conn.execute(SQL["release"], {"release_no": release_no})).fetchone()
    assert row is not None
    return _release(row)


async def last_releases(conn: Connection, limit: int) -> list[Release]:
    """The last ones, the newest first."""
    return [_release(row) for row in await (await conn.execute(SQL["last"], {"limit": limit})).fetchall()]


async def refused_again(conn: Connection, release_no: int) -> dict[str, int]:
    """What a release could not read, by reason."""
    rows = await (await conn.execute(SQL["refused_again"], {"release_no": release_no})).fetchall()
    return {row["reason"]: row["waiting"] for row in rows}


async def held(conn: Connection, choice: Choice, *, after_no: int, up_to_no: int) -> list[Held]:
    """The next batch of messages of a choice, in the order in which they came; locked until the transaction ends."""
    bounds = {"after_no": after_no, "up_to_no": up_to_no, "limit": BATCH, "limit_bytes": BATCH_BYTES}
    rows = await (await conn.execute(_chosen("held"), {**asdict(choice), **bounds})).fetchall()
    return [
        Held(
            row["quarantine_no"],
            row["log_id"],
            row["log_offset"],
            row["part"],
            to_us(row["received_at"]),
            row["source"],
            row["topic"].decode("utf-8", "replace"),
            row["payload"],
        )
        for row in rows
    ]


async def release_batch(
    writer: Writer, at_offset: int, read_again: ReadAgain, numbers: dict[Key, int], now: datetime
) -> dict[Key, int] | None:
    """Do the next batch of the oldest release; returns the devices met for the first time, None if nobody asks.

    `at_offset` is where the store's reader stands. LogError when another process works in its name.
    """
    async with writer.connection.transaction():
        row = await (await writer.connection.execute(SQL["open"])).fetchone()
        if row is None:
            return None
        asked = _release(row)
        batch = await held(writer.connection, asked.choice, after_no=asked.after_no, up_to_no=asked.up_to_no)
        if not batch:
            await writer.connection.execute(SQL["finish"], {"release_no": asked.release_no, "now": now})
            return {}
        decoded = await read_again(batch)
        added = await writer.add(decoded, numbers, now)
        settled = settle(batch, added.rejected)
        await _mark(writer.connection, asked, settled, now)
        await _move(writer.connection, asked, settled, added.counts)
        counts = accounts(batch, added.counts, added.rejected)
        await advance(writer.connection, writer.name, writer.log_id, at_offset, at_offset, counts, now)
    writer.remember(added)
    writer.room = None
    return added.met


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a batch."""

    released: Sequence[Held]
    again: Sequence[tuple[Held, Rejected]]
    """Refused again, for a reason that may be another."""
    parts: Sequence[tuple[Held, Rejected]]
    """Parts that are refused of messages that can now be read."""


def settle(batch: Sequence[Held], rejected: Sequence[Rejected]) -> Settled:
    """Tell the released from the refused. Pure; a reject's offset is the place in the batch.

    What was a part stays one: it is read as a message of its own, and may be refused as a whole.
    """
    again: dict[int, tuple[Held, Rejected]] = {}
    parts = []
    for reject in rejected:
        origin = batch[reject.offset]
        if origin.part != WHOLE or reject.part == WHOLE:
            again[reject.offset] = (origin, reject)
        else:
            parts.append((origin, reject))
    released = [one for place, one in enumerate(batch) if place not in again]
    return Settled(released, list(again.values()), parts)


def accounts(batch: Sequence[Held], counts: Mapping[str, int], rejected: Sequence[Rejected]) -> Counter[str]:
    """By how much the counts of `reader` change: what was quarantined leaves them and enters anew. Pure.

    `counts` are those of reading the batch again, in which each is a message. A part was counted as a reading, and
    its message long ago.
    """
    whole = sum(one.part == WHOLE for one in batch)
    parts = len(batch) - whole
    refused_parts = sum(reject.part == WHOLE and batch[reject.offset].part != WHOLE for reject in rejected)
    refused_whole = counts["messages_quarantined"] - refused_parts
    changed = Counter({name: n for name, n in counts.items() if name.startswith("readings")})
    changed["messages_quarantined"] = refused_whole - whole
    changed["messages_decoded"] = whole - refused_whole
    changed["readings"] += refused_parts - parts
    changed["readings_quarantined"] += refused_parts - parts
    return changed


async def _mark(conn: Connection, asked: Release, settled: Settled, now: datetime) -> None:
    numbers = [one.quarantine_no for one in settled.released]
    await conn.execute(SQL["release_held"], {"release_no": asked.release_no, "now": now, "numbers": numbers})
    again = [
        (reject.reason, storable(reject.detail), asked.release_no, one.quarantine_no) for one, reject in settled.again
    ]
    parts = [
        (
            one.log_id,
            one.log_offset,
            reject.part,
            to_datetime(one.received_us),
            reject.source,
            reject.topic,
            reject.payload,
            reject.reason,
            storable(reject.detail),
            asked.release_no,
        )
        for one, reject in settled.parts
    ]
    cursor = conn.cursor()
    if again:
        await cursor.executemany(SQL["refuse_again"], again)
    if parts:
        await cursor.executemany(SQL["refuse_part"], parts)


async def _move(conn: Connection, asked: Release, settled: Settled, counts: Mapping[str, int]) -> None:
    names = ("readings_stored", "readings_merged", "readings_duplicate", "readings_withheld")
    tried = [*settled.released, *(one for one, _ in settled.again)]
    parameters = {
        "release_no": asked.release_no,
        "from_no": asked.after_no,
        "to_no": max(one.quarantine_no for one in tried),
        "tried": len(tried),
        "released": len(settled.released),
        **{name: counts.get(name, 0) for name in names},
    }
    moved = await conn.execute(SQL["move"], parameters)
    if moved.rowcount != 1:
        raise LogError(f"release {asked.release_no} was moved by another process; this one stops")


def _chosen(name: str) -> sql.Composed:
    return sql.SQL(SQL[name]).format(chosen=CHOSEN)


def _release(row: dict[str, Any]) -> Release:
    choice = Choice(**{field.name: row.pop(field.name) for field in fields(Choice)})
    return Release(choice=choice, **row)
