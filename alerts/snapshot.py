"""The routing snapshot: what is needed to decide on a P1 and to word it, in two files of the home.

`places.jsonl` is renewed when the registry changed, `faults.msgpack` when incidents did; each is written beside and
renamed. They may be some seconds old: the transitions since then are in their log, and what was called for since
then is in the journal, which forgets a call only once the snapshot knows it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from alerts.disk import replace_file
from alerts.journal import Call, Journal, Sent
from alerts.scene import Place, Scene, Standing
from devices.kind import Kind
from hub.clock import to_datetime
from store import routing
from store.database import Connection
from store.routing import CallRow, Progress

logger = structlog.get_logger("telealert")
URGENT = 1
"""Calls of this priority go out without the database; the others wait for it."""
LOOK_S = 1.0
FAULTS_EVERY_S, PLACES_EVERY_S = 5.0, 30.0
REST, LONGEST_REST_S = 20, 60.0
"""In a storm a snapshot is taken for one part in so many of the time, but no less often than this."""


class Pending(msgspec.Struct, frozen=True):
    """A call that the database has decided on and that did not go out yet."""

    call: Call
    channel: str
    title: str
    body: str


class Faults(msgspec.Struct, frozen=True):
    """The faults that are on, when tele-alert had read the transitions up to `next_offset`."""

    log_id: str
    next_offset: int
    taken_us: int
    standing: list[Standing]
    pending: list[Pending]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Both files, read."""

    places: Mapping[int, Place]
    faults: Faults

    def scene(self, kinds: Mapping[str, Kind]) -> Scene:
        """The scene to decide in."""
        return Scene.of(self.places, kinds, set(), self.faults.standing)


@dataclass(slots=True)
class Files:
    """The snapshot in a folder. Whoever needs files and journal to stay as they are holds `lock`."""

    folder: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def places(self) -> Path:
        return self.folder / "places.jsonl"

    @property
    def faults(self) -> Path:
        return self.folder / "faults.msgpack"

    def load(self) -> Snapshot | None:
        """The last snapshot; None when there is none that can be read."""
        try:
            places = msgspec.json.Decoder(Place).decode_lines(self.places.read_bytes())
            faults = msgspec.msgpack.decode(self.faults.read_bytes(), type=Faults)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            logger.error("the routing snapshot cannot be read", folder=str(self.folder), error=str(error))
            return None
        return Snapshot({place.device_no: place for place in places}, faults)


@dataclass(slots=True)
class Keeper:
    """Keeps the snapshot as the database is, enters what went out without it, and shortens the journal."""

    files: Files
    journal: Journal
    now_us: Callable[[], int]
    _known: Progress | None = None
    _faults_at_s: float = 0.0
    _places_at_s: float = 0.0

    async def look(self, connection: Connection) -> None:
        """Bring the files up to date, if something changed and it is time."""
        progress, now_s = await routing.progress(connection), time.monotonic()
        if progress is None:
            return
        known = self._known
        if (known is None or known.registry_version != progress.registry_version) and now_s >= self._places_at_s:
            if await self._renew_places(connection):
                self._known = known = progress._replace(next_offset=-1)
            self._places_at_s = _rested_at_s(now_s, PLACES_EVERY_S)
        if known and known[1:] != progress[1:] and now_s >= self._faults_at_s:
            await self._enter(connection)
            if await self._renew_faults(connection):
                self._known = progress._replace(registry_version=known.registry_version)
            self._faults_at_s = _rested_at_s(now_s, FAULTS_EVERY_S)

    async def _renew_places(self, connection: Connection) -> bool:
        encoder, lines = msgspec.json.Encoder(), bytearray()
        async for rows in routing.places(connection):
            lines += encoder.encode_lines(rows)
            await asyncio.sleep(0)
        async with self.files.lock:
            return await self._write(self.files.places, lines)

    async def _renew_faults(self, connection: Connection) -> bool:
        sent = list(self.journal.sent.values())
        async with routing.moment(connection):
            progress = await routing.progress(connection)
            assert progress is not None
            standing = [Standing(*row) async for rows in routing.faults(connection) for row in rows]
            rows = await routing.pending(connection, URGENT)
            over = await self._over(connection, sent, progress)
        pending = [Pending(Call.of_row(row), row["channel"], row["title"], row["body"]) for row in rows]
        faults = Faults(progress.log_id, progress.next_offset, self.now_us(), standing, pending)
        async with self.files.lock:
            if not await self._write(self.files.faults, msgspec.msgpack.encode(faults)):
                return False
            await self.journal.forget((one.call, one.channel) for one in over)
            return True

    async def _enter(self, connection: Connection) -> None:
        """Tell the database of calls that went out without it and that it would not have made itself."""
        alone = [call_row(sent) for sent in self.journal.sent.values() if sent.offset]
        if alone and (entered := await routing.enter(connection, alone)):
            logger.info("calls made while the database was away are in the stories of their incidents", count=entered)

    async def _over(self, connection: Connection, sent: Sequence[Sent], progress: Progress) -> list[Sent]:
        """Calls that the snapshot of this moment needs no word of."""
        if not sent:
            return []
        known = await routing.known(connection, [call_row(one) for one in sent])
        over = []
        for one, row in zip(sent, known, strict=True):
            is_stray = row["incident_no"] is None and one.offset <= progress.next_offset
            if is_stray and one.offset:
                logger.warning("somebody was called without the database for what it knows nothing of", title=one.title)
            if is_stray or row["is_over"]:
                over.append(one)
        return over

    async def _write(self, path: Path, content: bytes | bytearray) -> bool:
        try:
            await asyncio.to_thread(replace_file, path, content)
        except OSError as error:
            logger.error("the routing snapshot cannot be written; calls without the database use the last one",
                         file=str(path), error=error.strerror)  # fmt: skip
            return False
        return True


def _rested_at_s(began_s: float, least_s: float) -> float:
    """When what began then, and has ended now, may be done again."""
    now_s = time.monotonic()
    return now_s + max(least_s, min(LONGEST_REST_S, REST * (now_s - began_s)))


def call_row(sent: Sent) -> CallRow:
    """A call that went out, as the database is told."""
    call = sent.call
    return CallRow(
        cause_no=call.cause_no,
        code=call.code,
        opened_at=to_datetime(call.opened_us),
        detected_at=to_datetime(call.detected_us),
        purpose=call.purpose,
        channel=sent.channel,
        title=sent.title,
        body=sent.body,
        sent_at=to_datetime(sent.sent_us),
        reason=sent.reason,
    )
