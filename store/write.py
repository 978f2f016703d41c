"""The store's write: a decoded stretch of the log becomes rows and a moved offset, in one transaction."""

import math
import time
from collections import ChainMap, Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import errors, sql
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from devices.kind import Kind
from devices.readings import UNKNOWN, Decoded, Excess, Key, Readings, Rejected
from hub.clock import to_datetime, to_us
from store import pgcopy, registry, rollup
from store.database import Connection
from store.jsonb import jsonb, storable
from store.merge import Merged, Outcome, Stored, fill_statement, keys_of, merge, stage, stage_ddl, stored_statement
from store.quarantine_room import Bounds, Room
from store.readers import advance
from store.schema import columns
from store.sql import statements
from store.strangers import turn_away

SQL = statements("write")
NEVER = np.iinfo(np.int64).min
WHOLE = -1
"""The part number of a message as a whole."""
NAMED_AT_ONCE = 100
"""So many of those who are beyond a limit are named by one write."""
COUNT_S = 2.0
"""How many devices wait to be commissioned is counted so often at most; it takes longer than a write."""
COPY_TYPE = {"real": ">f4", "double": ">f8", "flag": "u1"}


@dataclass(slots=True)
class Ends:
    """The newest stored time of each device, by device number, as far as this process knows it."""

    ts_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    known: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def reach(self, device_no: int) -> None:
        """Have room for a device number."""
        if (missing := device_no + 1 - len(self.ts_us)) > 0:
            missing = max(missing, len(self.ts_us))
            self.ts_us = np.concatenate([self.ts_us, np.full(missing, NEVER)])
            self.known = np.concatenate([self.known, np.zeros(missing, bool)])


@dataclass(frozen=True, slots=True)
class Added:
    """What became of what was decoded, before its transaction ends."""

    met: dict[Key, int]
    """Devices met for the first time."""
    numbers: Mapping[Key, int]
    """The registry's and theirs."""
    counts: Counter[str]
    """Columns of `reader`."""
    rejected: list[Rejected]
    """What could not be decoded, what conflicts with what is stored, and what strangers said that are too many."""
    excess: Excess
    stored: Sequence[Readings]
    """The readings, without those of strangers that are too many."""


@dataclass(slots=True)
class Writer:
    """What one store keeps between transactions; a transaction that fails leaves it as it was."""

    connection: Connection
    name: str
    log_id: UUID
    strangers: int = 50_000
    """So many devices that nobody declared are taken in at most."""
    bounds: Bounds = field(default_factory=Bounds)
    """Of the quarantine."""
    ends: Ends = field(default_factory=Ends)
    room: Room | None = None
    """What the quarantine holds, once it was asked."""
    places: int = 0
    """So many strangers can be taken in, ..."""
    counted_s: float = -math.inf
    """... as counted then: others are declared or forgotten meanwhile, never taken in by anybody else."""

    async def write(self, decoded: Decoded, numbers: dict[Key, int], now: datetime) -> dict[Key, int]:
        """Store a stretch of the log and move the reader past it; returns the devices met for the first time.

        `numbers` are the registry's. LogError when another process moved the reader meanwhile.
        """
        async with self.connection.transaction():
            added = await self.add(decoded, numbers, now)
            room = await self._quarantine(added)
            await self._write_excess(added.excess, now)
            await advance(
                self.connection,
                self.name,
                self.log_id,
                decoded.first_offset,
                decoded.next_offset,
                added.counts,
                now,
            )
        self.room = room
        self.remember(added)
        return added.met

    def recount(self) -> None:
        """Count the strangers anew before the next one is taken in: some were forgotten or commissioned."""
        self.counted_s = -math.inf

    async def add(self, decoded: Decoded, numbers: dict[Key, int], now: datetime) -> Added:
        """Store what was decoded, in the caller's transaction; what is refused is handed back."""
        met, refused = await self._register(decoded, numbers, now)
        all_numbers: Mapping[Key, int] = ChainMap(met, numbers) if met else numbers  # a copy of them all takes longer
        turned_away = turn_away(decoded, refused)
        decoded = turned_away.decoded
        counts = Counter(decoded.counts)
        conflicts: list[Rejected] = []
        for readings in decoded.readings:
            stored, rejected = await self._write_readings(_numbered(readings, all_numbers), decoded, now)
            counts.update(stored)
            conflicts += rejected
        counts["readings_quarantined"] += len(conflicts)
        await self._write_events(decoded, all_numbers)
        for told in decoded.announcements:
            await registry.announce(self.connection, told.key, told.announced, to_datetime(told.received_us))
        rejected = [*decoded.rejected, *conflicts, *turned_away.rejected]
        return Added(met, all_numbers, counts, rejected, decoded.over_quota + turned_away.excess, decoded.readings)

    def remember(self, added: Added) -> None:
        """Know the newest times of what was added, once its transaction has ended well."""
        for readings in added.stored:
            numbered = _numbered(readings, added.numbers)
            np.maximum.at(self.ends.ts_us, numbered.device_no, numbered.ts_us)

    async def _register(
        self, decoded: Decoded, numbers: dict[Key, int], now: datetime
    ) -> tuple[dict[Key, int], frozenset[Key]]:
        """Number the devices that speak without being known; those beyond the limit are refused.

        Of a new number it is known that nothing is stored; none is given twice, also when the transaction fails.
        """
        heard: set[Key] = set()
        for readings in decoded.readings:
            heard.update(readings.strangers.values())
        heard.update(event.key for event in decoded.events)
        heard.update(told.key for told in decoded.announcements)
        strangers = sorted(key for key in heard if key not in numbers)
        if not strangers:
            return {}, frozenset()
        if time.monotonic() - self.counted_s > COUNT_S:
            self.places = self.strangers - await registry.count_to_commission(self.connection)
            self.counted_s = time.monotonic()
        met = await registry.meet(self.connection, strangers, now, room=self.places)
        self.places -= len(met.new)
        if met.new:
            self.ends.reach(max(met.new))
            self.ends.known[met.new] = True
        return met.numbers, met.refused

    async def _write_readings(
        self, readings: Readings, decoded: Decoded, now: datetime
    ) -> tuple[Counter[str], list[Rejected]]:
        """COPY what is newer than its device's last row; merge the rest with what is stored."""
        readings = readings.take(np.lexsort((readings.ts_us, readings.device_no)))
        await self._learn_ends(readings, now)
        same = np.zeros(len(readings), bool)
        same[1:] = (np.diff(readings.device_no) == 0) & (np.diff(readings.ts_us) == 0)
        fresh = (readings.ts_us > self.ends.ts_us[readings.device_no]) & ~same
        late = readings.where(~fresh)
        try:
            async with self.connection.transaction():
                await self._copy(readings.where(fresh), sql.Identifier(readings.kind.name))
        except errors.UniqueViolation:  # somebody else wrote in between
            late, fresh = readings, np.zeros(len(readings), bool)
        counts = Counter(readings_stored=int(fresh.sum()))
        written, rejected = [readings.where(fresh)], list[Rejected]()
        if len(late):
            merged = await self._merge(late)
            counts += _counts(merged)
            written += [merged.new, merged.filled]
            conflicts = np.flatnonzero(merged.outcome == Outcome.CONFLICT)
            conflicts = conflicts[np.argsort(late.offset[conflicts], kind="stable")]
            rejected = [_conflict(late, row, decoded) for row in conflicts.tolist()]
        await rollup.remember(self.connection, readings.kind, written, now)
        return counts, rejected

    async def _learn_ends(self, readings: Readings, now: datetime) -> None:
        """Ask the database for the newest row of devices met for the first time since the start."""
        devices = np.unique(readings.device_no)
        self.ends.reach(int(devices[-1]))
        asked = devices[~self.ends.known[devices]]
        if not len(asked):
            return
        statement = sql.SQL(SQL["newest"]).format(table=sql.Identifier(readings.kind.name))
        rows = await (await self.connection.execute(statement, {"devices": asked.tolist()})).fetchall()
        for row in rows:
            self.ends.ts_us[row["device_no"]] = to_us(row["ts"])
        self.ends.known[asked] = True
        silent_before = asked[self.ends.ts_us[asked] == NEVER]
        if len(silent_before):
            await self.connection.execute(SQL["first_seen"], {"devices": silent_before.tolist(), "now": now})

    async def _copy(self, readings: Readings, table: sql.Identifier) -> None:
        """COPY into a table with the kind's columns."""
        if not len(readings):
            return
        names = sql.SQL(", ").join(columns(readings.kind))
        rest = {row: b"\x01" + jsonb(rest) for row, rest in readings.rest.items()}
        async with self.connection.cursor().copy(
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, names)
        ) as copy:
            await copy.write(pgcopy.copy_buffer(copy_columns(readings), rest))

    async def _merge(self, late: Readings) -> Merged:
        """Rows that may meet a stored one: stored, filling what was missing, duplicates or conflicts."""
        kind = late.kind
        first_row, _ = keys_of(late)
        ts_us = late.ts_us[first_row]
        merged = merge(late, await stored_of(self.connection, kind, late.device_no[first_row], ts_us))
        await self._copy(merged.new, sql.Identifier(kind.name))
        if len(merged.filled):
            await self.connection.execute(stage_ddl(kind))
            await self._copy(merged.filled, stage(kind))
            bounds = {"first": to_datetime(int(ts_us.min())), "last": to_datetime(int(ts_us.max()))}
            await self.connection.execute(fill_statement(kind), bounds)
            await self.connection.execute(sql.SQL("TRUNCATE {}").format(stage(kind)))
        return merged

    async def _write_events(self, decoded: Decoded, numbers: Mapping[Key, int]) -> None:
        rows = [
            (
                numbers[e.key],
                to_datetime(e.ts_us),
                to_datetime(e.received_us),
                e.code,
                e.time_flagged,
                Jsonb(storable(e.detail)) if e.detail else None,
            )
            for e in decoded.events
        ]
        if rows:
            await self.connection.cursor().executemany(SQL["event"], rows)

    async def _quarantine(self, added: Added) -> Room | None:
        """Write what was refused, as far as there is room, and move what is only counted to its own account."""
        if not added.rejected:
            return self.room
        room = deepcopy(self.room)
        if room is None or room.is_old:
            room = await Room.load(self.connection, self.bounds)
        shared = room.share(added.rejected, time.monotonic())
        await self._write_quarantine(shared.kept)
        parts = [one.part for one in shared.counted]
        for (source, reason), count in shared.too_many.items():
            asked = {"source": source, "reason": reason, "count": count}
            gone = await (await self.connection.execute(SQL["give_way"], asked)).fetchall()
            parts += [row["part"] for row in gone]
        whole = parts.count(WHOLE)
        for what, count in (("messages", whole), ("readings", len(parts) - whole)):
            added.counts[f"{what}_quarantined"] -= count
            added.counts[f"{what}_over_quota"] += count
        added.excess.update(shared.excess)
        return room

    async def _write_quarantine(self, kept: Sequence[Rejected]) -> None:
        rows = [
            (
                self.log_id,
                r.offset,
                r.part,
                to_datetime(r.received_us),
                r.source,
                r.topic,
                r.payload,
                r.reason,
                storable(r.detail),
            )
            for r in kept
        ]
        if rows:
            await self.connection.cursor().executemany(SQL["quarantine"], rows)

    async def _write_excess(self, excess: Excess, now: datetime) -> None:
        """Name who is beyond which limit; the worst when they are many."""
        rows = [
            {"source": source, "reason": reason, "name": storable(name), "messages": count, "now": now}
            for (source, reason, name), count in excess.most_common(NAMED_AT_ONCE)
        ]
        if rows:
            await self.connection.cursor().executemany(SQL["excess"], rows)


def _numbered(readings: Readings, numbers: Mapping[Key, int]) -> Readings:
    """The readings with the numbers that their strangers were given, just now or since they were decoded."""
    if not readings.strangers:
        return readings
    device_no = readings.device_no.copy()
    for row, key in readings.strangers.items():
        if device_no[row] == UNKNOWN:
            device_no[row] = numbers[key]
    return replace(readings, device_no=device_no)


def copy_columns(readings: Readings) -> list[pgcopy.CopyColumn]:
    """The columns of a kind's table, in the order of store.schema.columns, without the last (rest)."""
    fields = zip(readings.kind.fields, readings.values, strict=True)
    return [
        pgcopy.integer(readings.device_no),
        pgcopy.timestamp(readings.ts_us),
        pgcopy.timestamp(readings.received_us),
        pgcopy.boolean(readings.time_flagged),
        *(pgcopy.number(values, COPY_TYPE[f.storage]) for f, values in fields),
    ]


async def stored_of(
    connection: Connection, kind: Kind, device_no: NDArray[np.int64], ts_us: NDArray[np.int64]
) -> Stored:
    """What the database holds of keys, at least one."""
    ts = [to_datetime(us) for us in ts_us.tolist()]
    parameters = {"devices": device_no.tolist(), "times": ts, "first": min(ts), "last": max(ts)}
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    return _stored(kind, len(ts), await (await cursor.execute(stored_statement(kind), parameters)).fetchall())


def _stored(kind: Kind, keys: int, rows: Sequence[Sequence[object]]) -> Stored:
    """Rows of (place from 1, fields ...) as columns by key."""
    values, exists = np.full((len(kind.fields), keys), np.nan), np.zeros(keys, bool)
    if rows:
        table = np.array(rows, np.float64)
        place = table[:, 0].astype(np.intp) - 1
        values[:, place], exists[place] = table[:, 1:].T, True
    return Stored(values, exists)


def _counts(merged: Merged) -> Counter[str]:
    count = np.bincount(merged.outcome, minlength=len(Outcome)).tolist()
    return Counter(
        readings_stored=count[Outcome.STORED],
        readings_merged=count[Outcome.MERGED],
        readings_duplicate=count[Outcome.DUPLICATE],
    )


def _conflict(readings: Readings, row: int, decoded: Decoded) -> Rejected:
    device_no, ts = readings.device_no[row], to_datetime(int(readings.ts_us[row]))
    detail = f"device {device_no} already has other values at {ts}"
    return decoded.refuse(int(readings.offset[row]), int(readings.part[row]), "conflict", detail)
