"""Rollups: the buckets that readings touched are made again from the readings themselves, so that late ones count.

    readings ─▶ quarters of an hour, latest ─▶ hours, days (the city's) ─▶ quarters and hours per commune

The store's write remembers what it touched in its own transaction; a round takes that, and what it made is committed
together with having taken it. So a round that breaks off has done nothing, and nothing is forgotten.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import tuple_row

from devices.kind import Kind, kinds
from devices.readings import Readings
from hub.clock import SECOND_US, to_datetime
from store import rollup_ddl as ddl
from store import rollup_statements
from store.database import Connection, refused
from store.rollup_ddl import Table
from store.sql import statements

SQL = statements("rollup")
QUARTER_US = 900 * SECOND_US
QUARTERS_MOST = 1 << 31
"""More quarters than there will be: one number holds a device and a quarter."""
HOUR, DAY = 4, 96
"""In quarters."""
ROUND_WRITES, ROUND_QUARTERS = 500, 20_000
"""One round takes so many writes of the store, or as many as touch so many quarters."""
LOOK_BACK = timedelta(days=2)
"""A counter's value before a quarter is nearly always this near; else all its history is searched."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Touched:
    """Buckets of devices, each once: device numbers, and where each begins and ends in quarters since 1970 (UTC)."""

    device_no: Ints
    start: Ints
    end: Ints

    @classmethod
    def quarters(cls, device_no: Ints, quarter: Ints) -> "Touched":
        """Each (device, quarter) once."""
        device_no, quarter = np.divmod(np.unique(device_no * QUARTERS_MOST + quarter), QUARTERS_MOST)
        return cls(device_no, quarter, quarter + 1)

    def __len__(self) -> int:
        return len(self.device_no)

    def since(self, first: int) -> "Touched":
        """Those that begin at a quarter or later."""
        return self._of(self.start >= first)

    def hours(self) -> "Touched":
        """The hours that they lie in."""
        found = Touched.quarters(self.device_no, self.start // HOUR)
        return Touched(found.device_no, found.start * HOUR, found.end * HOUR)

    def days(self, zone: ZoneInfo) -> "Touched":
        """The days of a time zone that they lie in; such a day has 23 to 25 hours."""
        quarters, place = np.unique(self.start, return_inverse=True)
        bounds = np.array([_day(int(quarter), zone) for quarter in quarters], np.int64).reshape(-1, 2)
        found = Touched.quarters(self.device_no, bounds[place, 0])
        starts, first = np.unique(bounds[:, 0], return_index=True)
        return Touched(found.device_no, found.start, bounds[first, 1][np.searchsorted(starts, found.start)])

    def by_day(self) -> Iterator["Touched"]:
        """Parts of which each begins within one day (UTC)."""
        day = self.start // DAY
        for one in np.unique(day):
            yield self._of(day == one)

    def parameters(self) -> dict[str, object]:
        """What the statements ask of them."""
        since, until = at(int(self.start.min())), at(int(self.end.max()))
        return {
            "devices": self.device_no.tolist(),
            "quarters": self.start.tolist(),
            "starts": self.start.tolist(),
            "ends": self.end.tolist(),
            "since": since,
            "until": until,
            "before": since - LOOK_BACK,
        }

    def _of(self, rows: NDArray[np.bool_]) -> "Touched":
        return Touched(self.device_no[rows], self.start[rows], self.end[rows])


def at(quarter: int) -> datetime:
    """When a quarter begins."""
    return to_datetime(quarter * QUARTER_US)


def quarter_of(ts: datetime) -> int:
    """The quarter that a moment lies in."""
    return int(ts.timestamp() // 900)


def _day(quarter: int, zone: ZoneInfo) -> tuple[int, int]:
    """Where the day of a quarter begins and ends."""
    midnight = at(quarter).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return quarter_of(midnight), quarter_of(midnight + timedelta(days=1))  # wall time: the next midnight


async def remember(connection: Connection, kind: Kind, written: Iterable[Readings], now: datetime) -> None:
    """Note, in the transaction that writes them, which quarters readings of a kind fell into."""
    parts = list(written)
    device_no = np.concatenate([part.device_no for part in parts])
    if not len(device_no):
        return
    touched = Touched.quarters(device_no, np.concatenate([part.ts_us for part in parts]) // QUARTER_US)
    values = {"devices": touched.device_no.tolist(), "quarters": touched.start.tolist()}
    await connection.execute(SQL["remember"], {"kind": kind.name, "now": now, **values})


async def has_rollups(connection: Connection, kind: Kind) -> bool:
    """Were the rollup tables of a kind ever made?"""
    row = await (await connection.execute(SQL["has_table"], {"table": ddl.QUARTERS.name(kind)})).fetchone()
    return bool(row and row["has_table"])


async def remember_all(connection: Connection, kind: Kind) -> None:
    """Note all that is stored of a kind, for a database that has readings from before there were rollups."""
    await connection.execute(rollup_statements.remember_all(kind))


async def roll_up(connection: Connection, kind: Kind, zone: ZoneInfo, keep_since: datetime | None) -> int:
    """One round of a kind: the oldest writes that are due; returns how many buckets of a quarter it made.

    What lies before `keep_since` is left as it is: its readings are, or will soon be, no longer all there. When the
    database refuses (DatabaseRefused), what was due is still due.
    """
    with refused(f"the readings of {kind.name} cannot be rolled up"):
        return await _roll_up(connection, kind, zone, keep_since)


async def _roll_up(connection: Connection, kind: Kind, zone: ZoneInfo, keep_since: datetime | None) -> int:
    async with connection.transaction():
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(SQL["take"], {"kind": kind.name, "writes": ROUND_WRITES, "quarters": ROUND_QUARTERS})
        taken = await cursor.fetchall()
        if not taken:
            return 0
        touched = await _with_successors(connection, kind, _joined(taken))
        if keep_since is not None:
            touched = touched.since(quarter_of(keep_since) + 1)
        for part in touched.by_day():
            await connection.execute(rollup_statements.quarters(kind), part.parameters(), prepare=False)
        await _widen(connection, kind, ddl.QUARTERS, ddl.HOURS, touched.hours())
        days = touched.days(zone)
        # Where the offset from UTC is no whole hour, a day is no number of our hours.
        narrow = ddl.QUARTERS if (days.start % HOUR).any() or (days.end % HOUR).any() else ddl.HOURS
        await _widen(connection, kind, narrow, ddl.DAYS, days)
        if len(touched):
            await connection.execute(SQL["touch_areas"], {"kind": kind.name, **touched.parameters()})
        return len(touched)


async def roll_up_areas(connection: Connection, kind: Kind) -> int:
    """Make the figures per commune of a kind again where devices' figures changed; returns how many quarters."""
    with refused(f"the figures of communes of {kind.name} cannot be made"):
        return await _roll_up_areas(connection, kind)


async def _roll_up_areas(connection: Connection, kind: Kind) -> int:
    async with connection.transaction():
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(SQL["take_areas"], {"kind": kind.name})
        taken = await cursor.fetchall()
        hours = {(commune, quarter // HOUR * HOUR) for commune, quarter in taken}
        for table, buckets in ((ddl.AREA_QUARTERS, taken), (ddl.AREA_HOURS, list(hours))):
            for day, part in _by_day(buckets):
                bounds = {"since": at(day * DAY), "until": at((day + 1) * DAY)}
                communes, starts = [commune for commune, _ in part], [start for _, start in part]
                values = {"kind": kind.name, "communes": communes, "starts": starts, **bounds}
                await connection.execute(rollup_statements.areas(kind, table), values, prepare=False)
        return len(taken)


async def roll_up_everything(connection: Connection, zone: ZoneInfo, keep_since: datetime | None = None) -> None:
    """Rounds until nothing is due."""
    for kind in kinds().values():
        while await roll_up(connection, kind, zone, keep_since):
            pass
        await roll_up_areas(connection, kind)


async def _widen(connection: Connection, kind: Kind, narrow: Table, wide: Table, touched: Touched) -> None:
    statement = rollup_statements.widen(kind, narrow, wide)
    for part in touched.by_day():
        await connection.execute(statement, part.parameters(), prepare=False)


async def _with_successors(connection: Connection, kind: Kind, touched: Touched) -> Touched:
    """With the quarters of the next readings of counters, where late ones changed the rise to those."""
    cursor = connection.cursor(row_factory=tuple_row)
    found: list[tuple[int, int]] = []
    for field in kind.fields:
        if field.is_counter:
            await cursor.execute(rollup_statements.successors(kind, field), touched.parameters())
            found += await cursor.fetchall()
    more = np.array(found, np.int64).reshape(-1, 2)
    return Touched.quarters(
        np.concatenate([touched.device_no, more[:, 0]]), np.concatenate([touched.start, more[:, 1]])
    )


def _joined(taken: Sequence[tuple[list[int], list[int]]]) -> Touched:
    devices = np.fromiter(chain.from_iterable(devices for devices, _ in taken), np.int64)
    quarters = np.fromiter(chain.from_iterable(quarters for _, quarters in taken), np.int64)
    return Touched.quarters(devices, quarters)


def _by_day(buckets: Iterable[tuple[str, int]]) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    """(commune, quarter) by the day (UTC) that they begin in."""
    by_day: dict[int, list[tuple[str, int]]] = {}
    for bucket in buckets:
        by_day.setdefault(bucket[1] // DAY, []).append(bucket)
    yield from sorted(by_day.items())
