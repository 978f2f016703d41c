"""How the hub is doing: gathered from its files and its database, judged by fixed limits; changes nothing.

`Pulse.take` makes one `Health`, which the command, the page and /metrics all show; `faults` (pure) says what is wrong
with it. Times and lengths that judge the hub itself are in real time, because a hub whose time runs 60 times as fast
is not late 60 times as soon.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from psycopg import sql
from psycopg.rows import DictRow

from hub.clock import SECOND_US, Clock, to_datetime
from hub.errors import DatabaseUnavailable
from store import audit, quarantine
from store.accounts import BECAME, unaccounted
from store.audit import LastAudit
from store.broker_queue import BrokerQueue
from store.database import GONE, Connection, answering
from store.health_files import LOG_OF, Files, LogFiles, read_files
from store.quarantine import ReasonCount
from store.room import Disk
from store.sql import statements

SQL = statements("health")
UNACCOUNTED = {f"{what}_unaccounted": unaccounted(what) for what in BECAME}
STILL_S = 60.0
"""A reader that has something to read and did not move for so long is stuck."""
BEHIND_S = 60.0
"""A reader is behind when it has more to read than arrives in this time ..."""
BEHIND_MESSAGES = 10_000
"""... and more than this, which is read at once."""
CHECKPOINT_S = 120.0
"""The worker renews the rules' checkpoint every 30 s."""
SILENCE_S = 900.0
"""A city of any size says something in a quarter of an hour."""
DISK_SHARE, DISK_BYTES = 0.05, 20 << 30
"""Too little is free when both are gone below."""
WRITTEN_S = 60.0
"""Intake shows every second that it can write its log."""
CLOCK_OFF_S = 2.0
ROLLUPS_S = 900.0
"""Figures by the quarter of an hour that lag by more than one."""
OVERDUE = timedelta(minutes=5)
EXCESS_S = 600.0
"""Who was beyond a limit so lately is so now."""
EXCESS_SHOWN = 50
QUEUE_MESSAGES, QUEUE_BYTES = 100_000, 256_000_000
"""What may wait in the broker. Its own limits, if it has any, must lie above; where it has none, its memory does."""

ASK_S = 10.0
"""A database that takes longer to tell its figures does not answer."""
FRESH_S = 2.0
"""Whoever asks again so soon is told the same."""
SAMPLE_S, OLD_SAMPLE_S = 1.0, 60.0
"""A rate is measured over at least the first, and not from a sample older than the second."""

Code = Literal[
    "no_database",
    "no_broker",
    "no_log",
    "other_log",
    "log_gap",
    "stuck",
    "behind",
    "unaccounted",
    "no_rules",
    "silence",
    "disk",
    "disk_full",
    "disk_readonly",
    "database_full",
    "unwritten",
    "clock",
    "notifications",
    "rollups",
    "audit",
    "over_quota",
    "too_many_strangers",
    "quarantine_full",
    "oversized",
    "broker_queue",
    "broker_dropped",
    "archive",
]
REFUSE = ("disk_full", "disk_readonly")
"""Faults of a disk that say by themselves why nothing is acknowledged."""
LIMITS: tuple[Code, ...] = ("over_quota", "too_many_strangers", "quarantine_full")
"""Faults for which somebody is beyond a limit."""
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Reader:
    """How far a reader has come, and whether its accounts add up."""

    name: str
    next_offset: int
    head: int | None
    """The offset after the last message of its log; None when the log cannot be seen."""
    lag: int | None
    """Messages that it has not read."""
    still_s: float
    """Since it last moved, in real seconds."""
    messages_per_s: float | None
    is_of_other_log: bool
    messages_unaccounted: int
    """Read - (decoded + quarantined whole + duplicates + over quota); 0 or the hub has lost count."""
    readings_unaccounted: int
    """Decoded - (stored + merged + duplicates + quarantined + withheld + over quota); 0 likewise."""
    messages_over_quota: int = 0
    """Counted and not kept."""
    readings_over_quota: int = 0
    is_outside_log: bool = False
    """The log does not hold the place where it is to go on."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Who is beyond a limit now."""

    source: str
    reason: str
    """over_quota, too_many_strangers or quarantine_full"""
    name: str
    """The topic; the kind of the strangers; the reason whose quarantine is full."""
    messages: int
    """So many since `first_at`, the few that are kept as samples included."""
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database tells."""

    readers: tuple[Reader, ...]
    quarantine: tuple[ReasonCount, ...]
    open_incidents: Mapping[int, int]
    """By priority, 1 to 3."""
    to_commission: int
    notifications_overdue: int
    size_bytes: int
    rollups_behind_s: float
    """Since the oldest readings that are not rolled up were stored, in real seconds; 0 when all are."""
    clock_ahead_s: float
    """This machine's clock minus the database's, in seconds."""
    audit: LastAudit | None
    """The last one; None before the first."""
    beyond: tuple[Beyond, ...] = ()
    """The worst first."""
    archive_fails_s: float | None = None
    """Since the database last archived its write-ahead log, in real seconds, when it has failed since."""


@dataclass(frozen=True, slots=True)
class Health:
    """The hub at one moment. Rates are per real second over the last interval, None when not measured."""

    at: datetime
    """Hub time."""
    clock: Clock
    hub_ahead_s: float
    """Hub time minus real time, in seconds."""
    files: Files
    arrivals_per_s: Mapping[str, float | None]
    """Appended to each log."""
    stored: Stored | None
    """None when the database does not answer."""
    has_broker: bool
    queue: BrokerQueue | None = None
    """What waits in the broker; None when it does not tell."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong; dashboard/health_words.py says it in a sentence."""

    code: Code
    name: str = ""
    """Of the reader or the disk, where one is concerned."""
    amount: float = 0.0
    """Messages, bytes or seconds, as the code says."""
    for_s: float = 0.0
    who: tuple[str, ...] = ()
    """Topics, kinds or reasons, where some are concerned; the worst first."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Offsets at one moment, by log and reader."""

    at_s: float
    offsets: Mapping[str, int]

    def rate(self, name: str, later: "_Sample") -> float | None:
        """How fast an offset rose, per second."""
        if name not in self.offsets or name not in later.offsets or later.at_s <= self.at_s:
            return None
        return max(0, later.offsets[name] - self.offsets[name]) / (later.at_s - self.at_s)


@dataclass(slots=True)
class Pulse:
    """Takes the hub's health, and remembers the offsets of the last time, which the rates need."""

    home: Path
    clock: Clock
    _before: _Sample | None = None
    _last: tuple[float, Health] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, connect: Connect, *, has_broker: bool, queue: BrokerQueue | None = None) -> Health:
        """The hub's health; takes a second more when the last time is long ago. Asks one at a time."""
        async with self._lock:
            if self._last and time.monotonic() - self._last[0] < FRESH_S:
                return self._last[1]
            if self._before is None or time.monotonic() - self._before.at_s > OLD_SAMPLE_S:
                _, _, self._before = await self._look(connect)
                await asyncio.sleep(SAMPLE_S)
            files, found, sample = await self._look(connect)
            health = replace(self._health(files, found, self._before, sample, has_broker=has_broker), queue=queue)
            self._before, self._last = sample, (sample.at_s, health)
            return health

    async def _look(self, connect: Connect) -> tuple[Files, "_Found | None", _Sample]:
        files = await asyncio.to_thread(read_files, self.home)
        try:
            async with answering(ASK_S), connect() as conn:
                found = await _ask(conn, self.clock)
        except (DatabaseUnavailable, *GONE):
            found = None
        heads = {folder: log.head for folder, log in files.logs.items()}
        read = {row["name"]: row["next_offset"] for row in found.readers} if found else {}
        return files, found, _Sample(time.monotonic(), heads | read)

    def _health(
        self, files: Files, found: "_Found | None", before: _Sample, now: _Sample, *, has_broker: bool
    ) -> Health:
        real_us = time.time_ns() // 1000
        hub_us = self.clock.at_us(real_us)
        at = to_datetime(hub_us)
        stored = (
            None
            if found is None
            else Stored(
                tuple(
                    _reader(row, files, before.rate(row["name"], now), at, self.clock.speed) for row in found.readers
                ),
                tuple(found.quarantine),
                {priority: found.open_incidents.get(priority, 0) for priority in (1, 2, 3)},
                found.to_commission,
                found.notifications_overdue,
                found.size_bytes,
                _passed_s(found.rollups_since or at, at, self.clock.speed),
                found.clock_ahead_s,
                found.audit,
                tuple(found.beyond),
                found.archive_fails_s,
            )
        )
        arrivals = {folder: before.rate(folder, now) for folder in files.logs}
        return Health(at, self.clock, (hub_us - real_us) / SECOND_US, files, arrivals, stored, has_broker)


@dataclass(frozen=True, slots=True)
class _Found:
    """The database's answers as they came."""

    readers: list[DictRow]
    quarantine: list[ReasonCount]
    open_incidents: Mapping[int, int]
    to_commission: int
    notifications_overdue: int
    size_bytes: int
    rollups_since: datetime | None
    archive_fails_s: float | None
    clock_ahead_s: float
    audit: LastAudit | None
    beyond: list[Beyond]


def faults(health: Health) -> list[Fault]:
    """Everything that is wrong with the hub itself, the worst first; empty when it is well. Pure."""
    found: list[Fault] = []
    if health.stored is None:
        found.append(Fault("no_database"))
    if not health.has_broker:
        found.append(Fault("no_broker"))
    if LOG_OF["store"] not in health.files.logs:
        found.append(Fault("no_log"))
    for reader in health.stored.readers if health.stored else ():
        found += _reader_faults(reader, health.arrivals_per_s.get(LOG_OF.get(reader.name, "")) or 0.0)
    found += _queue_faults(health.queue) if health.queue else []
    found += _file_faults(health.files)
    if health.stored:
        found += _stored_faults(health.stored) + _beyond_faults(health.stored, health.at, health.clock.speed)
    return found


def _reader_faults(reader: Reader, arrivals_per_s: float) -> list[Fault]:
    found: list[Fault] = []
    if reader.is_of_other_log:
        found.append(Fault("other_log", reader.name))
    elif reader.is_outside_log:
        found.append(Fault("log_gap", reader.name))
    elif reader.lag and reader.still_s > STILL_S:
        found.append(Fault("stuck", reader.name, reader.lag, reader.still_s))
    elif (reader.lag or 0) > max(BEHIND_MESSAGES, BEHIND_S * arrivals_per_s):
        found.append(Fault("behind", reader.name, reader.lag or 0))
    if missing := reader.messages_unaccounted or reader.readings_unaccounted:
        found.append(Fault("unaccounted", reader.name, missing))
    return found


def _queue_faults(queue: BrokerQueue) -> list[Fault]:
    found: list[Fault] = []
    if queue.dropped_per_min > 0:
        found.append(Fault("broker_dropped", amount=queue.dropped))
    if queue.waiting > QUEUE_MESSAGES or queue.size_bytes > QUEUE_BYTES:
        found.append(Fault("broker_queue", amount=queue.waiting))
    return found


def _file_faults(files: Files) -> list[Fault]:
    found: list[Fault] = []
    log = files.logs.get(LOG_OF["store"])
    if files.checkpoint_s is None or files.checkpoint_s > CHECKPOINT_S:
        found.append(Fault("no_rules", for_s=files.checkpoint_s or 0.0))
    if log and log.still_s is not None and log.still_s > SILENCE_S:
        found.append(Fault("silence", for_s=log.still_s))
    if files.oversized:
        found.append(Fault("oversized", who=files.oversized))
    disks = [fault for disk in files.disks for fault in _disk_faults(disk)]
    if files.written_s is not None and files.written_s > WRITTEN_S and not any(f.code in REFUSE for f in disks):
        found.append(Fault("unwritten", for_s=files.written_s))
    return disks + found


def _disk_faults(disk: Disk) -> list[Fault]:
    if disk.is_readonly:
        return [Fault("disk_readonly", disk.name)]
    found: list[Fault] = []
    if "log" in disk.places and not disk.takes_messages:
        found.append(Fault("disk_full", disk.name, disk.free_bytes))
    if "postgres" in disk.places and not disk.takes_readings:
        found.append(Fault("database_full", disk.name, disk.free_bytes))
    if not found and disk.free_bytes < min(DISK_BYTES, DISK_SHARE * disk.size_bytes):
        found.append(Fault("disk", disk.name, disk.free_bytes))
    return found


def _stored_faults(stored: Stored) -> list[Fault]:
    found: list[Fault] = []
    if stored.audit and stored.audit.missing:
        found.append(Fault("audit", amount=stored.audit.missing))
    if abs(stored.clock_ahead_s) > CLOCK_OFF_S:
        found.append(Fault("clock", amount=stored.clock_ahead_s))
    if stored.notifications_overdue:
        found.append(Fault("notifications", amount=stored.notifications_overdue))
    if stored.rollups_behind_s > ROLLUPS_S:
        found.append(Fault("rollups", for_s=stored.rollups_behind_s))
    if stored.archive_fails_s is not None:
        found.append(Fault("archive", for_s=stored.archive_fails_s))
    return found


def _beyond_faults(stored: Stored, at: datetime, speed: float) -> list[Fault]:
    """One for each limit, however many are beyond it."""
    found: list[Fault] = []
    for code in LIMITS:
        if who := [one for one in stored.beyond if one.reason == code]:
            since = min(one.first_at for one in who)
            total = sum(one.messages for one in who)
            names = tuple(one.name for one in who)
            found.append(Fault(code, amount=total, for_s=_passed_s(since, at, speed), who=names))
    return found


# The database


async def _ask(conn: Connection, clock: Clock) -> _Found:
    now = clock.now()
    lately = now - timedelta(seconds=EXCESS_S) * clock.speed
    began_us = time.time_ns() // 1000
    database_now = (await _rows(conn, "clock"))[0]["now"]
    middle = to_datetime((began_us + time.time_ns() // 1000) // 2)
    (numbers,) = await _rows(conn, "numbers", overdue=now - OVERDUE)
    return _Found(
        await _rows(conn, "readers"),
        await quarantine.counts(conn, now),
        {row["priority"]: row["count"] for row in await _rows(conn, "incidents")},
        clock_ahead_s=(middle - database_now).total_seconds(),
        audit=await audit.last(conn),
        beyond=[Beyond(**row) for row in await _rows(conn, "excess", since=lately, limit=EXCESS_SHOWN)],
        **numbers,
    )


async def _rows(conn: Connection, name: str, **values: object) -> list[DictRow]:
    statement = sql.SQL(SQL[name]).format(**UNACCOUNTED)
    return await (await conn.execute(statement, values)).fetchall()


def _reader(row: DictRow, files: Files, rate: float | None, at: datetime, speed: float) -> Reader:
    log = files.logs.get(LOG_OF.get(row["name"], ""))
    is_other = log is not None and log.log_id != str(row["log_id"])
    still_s = _passed_s(row["moved_at"], at, speed)
    return Reader(
        name=row["name"],
        next_offset=row["next_offset"],
        head=log.head if log else None,
        lag=max(0, log.head - row["next_offset"]) if log and not is_other else None,
        still_s=still_s,
        messages_per_s=rate,
        is_of_other_log=is_other,
        messages_unaccounted=row["messages_unaccounted"],
        readings_unaccounted=row["readings_unaccounted"],
        messages_over_quota=row["messages_over_quota"],
        readings_over_quota=row["readings_over_quota"],
        is_outside_log=log is not None and not is_other and _is_outside(log, row["next_offset"], still_s),
    )


def _is_outside(log: LogFiles, offset: int, still_s: float) -> bool:
    """Trimmed, or past the end; the files were looked at before the reader, who may have moved on meanwhile."""
    return offset < log.first or (offset > log.head and still_s > STILL_S)


def _passed_s(since: datetime, at: datetime, speed: float) -> float:
    """Real seconds between two moments of hub time."""
    return max(0.0, (at - since).total_seconds() / speed)
