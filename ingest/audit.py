"""The audit: recounts log and tables, trusts no counter, and names what is missing. Straight from top to bottom.

In one moment of the database it takes how far each reader has read its log, decodes again what the log still holds
before that, and looks for every message: its readings in their tables, with the values that they told, or in the
quarantine, or withheld, or removed because their time was over. Then it counts all rows and holds the sums against
what the table `reader` claims; of what is trimmed from the log these alone tell.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.readings import UNKNOWN, Decoded, Key, Readings
from hub.clock import to_datetime
from hub.errors import LogError
from ingest.codecs.codec import WHOLE
from ingest.decode import Codecs, decode
from ingest.log import LogReader, Message
from ingest.survey import Gap, survey
from store import audit as store
from store.audit import Audit, Missing, Recount, Removal, Sum, What
from store.database import Connection
from store.health_files import LOG_OF
from store.quarantine import readable

STRETCH_MESSAGES, STRETCH_BYTES = 2_000, 1 << 20
NAMED = 5
"""So many of each sort are told one by one."""

Look = Callable[[list[Message]], Awaitable[Counter[str]]]
"""Looks for a stretch of messages in the database; counts what became of them."""
IsReadable = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Pace:
    """How gently it works: it rests so many times as long as it worked, and tells how far it is."""

    rest: float = 0.0
    told: Callable[[str, int, int], None] = lambda reader, done, total: None


ALONE = Pace()


@dataclass(slots=True)
class Findings:
    """What is missing, so far."""

    amounts: Counter[tuple[str, What]] = field(default_factory=Counter)
    named: dict[tuple[str, What], list[str]] = field(default_factory=dict)

    def add(self, reader: str, what: What, sentence: str, amount: int = 1) -> None:
        self.amounts[reader, what] += amount
        named = self.named.setdefault((reader, what), [])
        if len(named) < NAMED:
            named.append(sentence)

    def all(self) -> list[Missing]:
        return [Missing(*key, amount, self.named[key]) for key, amount in self.amounts.items()]


async def audit(conn: Connection, home: Path, codecs: Codecs, is_transition: IsReadable, pace: Pace = ALONE) -> Audit:
    """Recount the logs of a home and a database; the connection is in autocommit.

    `codecs` are those of the settings' sources; `is_transition` tells whether tele-alert can read a payload.
    What breaks it off must close the connection.
    """
    began_s, missing, logs = time.monotonic(), Findings(), list[Recount]()
    async with store.one_moment(conn):
        claims = await store.readers(conn)
        for name, claim in claims.items():
            if name not in LOG_OF:
                continue
            log = _open(name, home / LOG_OF[name], claim, missing)
            if log is None:
                continue
            if name == "store":
                removals = await store.removals(conn, log.log_id, log.first_offset)
                beyond = claim["messages_over_quota"] + claim["readings_over_quota"]
                look = Stored(conn, log.log_id, codecs, await store.numbers(conn), removals, missing, beyond).look
            else:
                look = Transitions(conn, log.log_id, is_transition, missing).look
            logs.append(await _recount(name, log, claim["next_offset"], look, missing, pace))
            log.close()
        sums = await store.sums(conn, claims)
    for one in sums:
        if one.claimed != one.counted:
            missing.add(one.reader, "sum", _unequal(one), abs(one.claimed - one.counted))
    return Audit(time.monotonic() - began_s, logs, sums, missing.all())


def _unequal(one: Sum) -> str:
    return f"{one.what}: {one.claimed} claimed, {one.counted} counted"


# The log itself


def _open(name: str, folder: Path, claim: dict[str, Any], missing: Findings) -> LogReader | None:
    """The log that a reader has read; None, and said, when what is there is not that one."""
    try:
        log = LogReader(folder)
    except (LogError, OSError, ValueError):
        missing.add(name, "other_log", f"{folder} holds no log, but {claim['next_offset']} messages were read from it")
        return None
    if log.log_id != claim["log_id"]:
        missing.add(name, "other_log", f"{folder} is log {log.log_id}, but {claim['log_id']} was read")
    elif log.next_offset < claim["next_offset"]:
        told = f"{folder} ends at {log.next_offset}, but it was read up to {claim['next_offset']}: is it an older copy?"
        missing.add(name, "other_log", told)
    else:
        return log
    log.close()
    return None


async def _recount(name: str, log: LogReader, until: int, look: Look, missing: Findings, pace: Pace) -> Recount:
    """Read a log again to its end, and look for what its reader had read, up to offset `until`."""
    first, worked_s, counts = log.first_offset, time.monotonic(), Counter[str]()
    if first > until:
        missing.add(name, "log", f"offsets {until} to {first - 1} were never read and are gone", first - until)
    for stretch in _stretches(survey(log, log.next_offset), until):
        if isinstance(stretch, Gap):
            told = f"offsets {stretch.first_offset} to {stretch.next_offset - 1}: {stretch.why}"
            missing.add(name, "log", told, len(stretch))
        elif stretch:
            counts += await look(stretch)
            pace.told(name, stretch[-1].offset + 1 - first, until - first)
        await asyncio.sleep(pace.rest * (time.monotonic() - worked_s))
        worked_s = time.monotonic()
    return Recount(name, str(log.log_id), min(first, until), until, dict(counts))


def _stretches(found: Iterable[list[Message] | Gap], until: int) -> Iterator[list[Message] | Gap]:
    """Batches as stretches without a gap; empty ones for what is not read yet, from offset `until` on."""
    held: list[Message] = []
    size = 0
    for one in found:
        if isinstance(one, Gap):
            yield held
            yield one
            held, size = [], 0
            continue
        batch = [message for message in one if message.offset < until]
        held += batch
        size += sum(len(message.payload) for message in batch)
        if not batch or len(held) >= STRETCH_MESSAGES or size >= STRETCH_BYTES:
            yield held
            held, size = [], 0
    yield held


# What became of its messages


@dataclass(slots=True)
class Stored:
    """Looks for messages of devices: their readings and events in the tables, what was refused in the quarantine."""

    conn: Connection
    log_id: UUID
    codecs: Codecs
    numbers: dict[Key, int]
    removals: Sequence[Removal]
    missing: Findings
    beyond: int
    """So much is claimed to have been beyond a limit, and only counted: which ones is not known."""

    async def look(self, messages: list[Message]) -> Counter[str]:
        """What became of a stretch."""
        decoded = decode(messages, self.codecs, self.numbers)
        counts = Counter(decoded.counts)
        await self._look_for_refused(decoded, messages)
        await self._look_for_events(decoded, messages)
        for readings in decoded.readings:
            counts += await self._look_for_readings(readings, messages)
        return counts

    async def _look_for_refused(self, decoded: Decoded, messages: list[Message]) -> None:
        places = [(rejected.offset, rejected.part) for rejected in decoded.rejected]
        held = await store.held(self.conn, self.log_id, places)
        for i, rejected in enumerate(decoded.rejected):
            if i not in held and not self._is_beyond():
                told = f"refused as {rejected.reason} and not in the quarantine"
                self._miss("quarantine", rejected.offset, rejected.part, messages, told)

    async def _look_for_events(self, decoded: Decoded, messages: list[Message]) -> None:
        if not (events := decoded.events):
            return
        device_no = [self.numbers.get(event.key, UNKNOWN) for event in events]
        there = await store.events_there(self.conn, events, device_no)
        lost = [event for event, is_there in zip(events, there.tolist(), strict=True) if not is_there]
        held = await store.held(self.conn, self.log_id, [(event.offset, event.part) for event in lost])
        offset, ts_us = (np.array([getattr(event, of) for event in lost], np.int64) for of in ("offset", "ts_us"))
        gone = self._removed("event", offset, ts_us)
        for i, event in enumerate(lost):
            is_stranger = event.key not in self.numbers
            if not (held.get(i) or gone[i] or (is_stranger and self._is_beyond())):
                told = f"{event.code} of {event.key[2]} at {to_datetime(event.ts_us)} is not among the events"
                self._miss("event", event.offset, event.part, messages, told)

    async def _look_for_readings(self, readings: Readings, messages: list[Message]) -> Counter[str]:
        exists, same = await store.alike(self.conn, readings)
        unlike = np.flatnonzero(~same)
        lost, exists = readings.take(unlike), exists[unlike]
        places = list(zip(lost.offset.tolist(), lost.part.tolist(), strict=True))
        held = await store.held(self.conn, self.log_id, places)
        gone = self._removed(readings.kind.name, lost.offset, lost.ts_us)
        counts = Counter(readings_found=int(same.sum()))
        for i, (offset, part) in enumerate(places):
            if held.get(i):
                counts["readings_quarantined"] += 1
            elif i in held and exists[i]:  # released without what the quarantine does not keep
                counts["readings_found"] += 1
            elif gone[i]:
                counts["readings_removed"] += 1
            elif lost.device_no[i] == UNKNOWN and self._is_beyond():
                counts["readings_over_quota"] += 1
            else:
                counts["readings_missing"] += 1
                what = "has other values" if exists[i] else "is not there"
                told = f"the reading of {to_datetime(int(lost.ts_us[i]))} {what} in {readings.kind.name}"
                self._miss("reading", offset, part, messages, told)
        return counts

    def _is_beyond(self) -> bool:
        """May one that is nowhere be among those that were only counted?"""
        self.beyond -= 1
        return self.beyond >= 0

    def _removed(self, table: str, offset: NDArray[np.int64], ts_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which are gone because their time was over."""
        gone = np.zeros(len(offset), bool)
        for removal in self.removals:
            if removal.table == table:
                gone |= (ts_us >= removal.from_us) & (ts_us < removal.until_us) & (offset < removal.next_offset)
        return gone

    def _miss(self, what: What, offset: int, part: int, messages: list[Message], told: str) -> None:
        where = f"offset {offset}" if part == WHOLE else f"offset {offset}, part {part}"
        topic = readable(messages[offset - messages[0].offset].topic)
        self.missing.add("store", what, f"{where}, {topic}: {told}")


@dataclass(frozen=True, slots=True)
class Transitions:
    """Looks for what the rules told: what tele-alert cannot read must be in the quarantine."""

    conn: Connection
    log_id: UUID
    is_readable: IsReadable
    missing: Findings

    async def look(self, messages: list[Message]) -> Counter[str]:
        """What became of a stretch."""
        bad = [message for message in messages if not self.is_readable(message.payload)]
        held = await store.held(self.conn, self.log_id, [(message.offset, WHOLE) for message in bad])
        for i, message in enumerate(bad):
            if i not in held:
                told = f"offset {message.offset}, {readable(message.topic)}: unreadable and not in the quarantine"
                self.missing.add("telealert", "transition", told)
        total = len(messages)
        return Counter(messages=total, messages_decoded=total - len(bad), messages_quarantined=len(bad))
