"""The worker: reads the log twice, once for the rules and once for the store.

    log ─▶ decode ─▶ boards ─▶ transitions log ─▶ tele-alert      (rules_line: never waits for the database)
      └──▶ (the same decoding) ─▶ COPY, offset in one transaction  (store_line: catches up from the log)
                                    └──▶ rollups, latest values      (ingest/history.py: behind the store)

Each line has its own offset. The store's is a row of the database; the rules' is in their checkpoint, and what they
told after it is in the transitions log, which is their commit record: after a crash the stretch between is read
again without telling anything twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from uuid import UUID

import structlog

from devices.readings import Decoded
from devices.registry import Registry
from devices.transition import Transition
from hub.clock import SECOND_US, Clock
from hub.errors import BadFile, DatabaseUnavailable, LogGap, LogMoved, LogReplaced
from ingest import checkpoint, known_devices
from ingest.again import messages_again
from ingest.city import DEVICES, City, Shared
from ingest.codecs.codec import Codec
from ingest.decode import decode
from ingest.expectations import Expectations
from ingest.fences import Fences
from ingest.history import History
from ingest.log import Flag, LogReader, Message, trim
from ingest.refusal import Refusal
from ingest.samples import Samples
from ingest.voice import Voice
from ingest.why import answer_questions
from rules.evaluate import apply, mark, see_again, tick
from rules.life import NEVER
from store import indicators
from store import registry as store_registry
from store.database import Absence, answering, connect
from store.forget import forget_batch
from store.readers import Place, offsets
from store.release import Held, release_batch
from store.room import database_disk_is_full
from store.write import Writer

logger = structlog.get_logger("worker")

STORE, TELEALERT = "store", "telealert"
BATCH_MESSAGES = 10_000
BEHIND_MESSAGES = 10_000
"""What the store decodes at once when it is behind: the rules and the live map wait for no more than that."""
HISTORY_REST = 9.0
"""While the store is behind by more, history works a tenth of the time: what it makes would soon be made again."""
IDLE_S = 0.1
TICK_S = 1.0
CHECKPOINT_S = 30.0
REGISTRY_S = 2.0
TRIM_S = 60.0
RELEASE_S = 1.0
DEAF_S = 5.0
"""Real time without the broker after which a device that is not heard may well have spoken."""
RETRY_S = 1.0
CANCEL_S = 3.0
UNSAVED = "the rules' checkpoint cannot be written; the log is kept meanwhile", "the rules' checkpoint is written again"
CROWDED = "the store waits; readings wait in the log", "the store goes on"
IDLE_IN_WRITE_S = 15
"""A store that says nothing for so long amid a write was stopped; another may take its place."""


@dataclass(slots=True)
class Worker:
    """The two lines and what they share. `database_url` names the store."""

    home: Path
    log: LogReader
    voice: Voice
    codecs: dict[str, tuple[Codec, str]]
    database_url: str
    clock: Clock
    city: City
    history: History
    strangers: int = 50_000
    """So many devices that nobody declared are taken in at most."""
    shared: Shared = field(default_factory=Shared)
    samples: Samples = field(default_factory=Samples)
    rules_offset: int = 0
    store_offset: int = 0
    checkpointed_offset: int = 0
    release_at: float = 0.0
    """When to look again whether somebody wants a release from the quarantine."""
    forget_at: float = 0.0
    """Likewise, whether devices are to be forgotten."""
    unsaved: Refusal = field(default_factory=lambda: Refusal(*UNSAVED))
    crowded: Refusal = field(default_factory=lambda: Refusal(*CROWDED))
    remembered: Registry | None = None
    """What of the registry is kept on disk."""
    is_watching: bool = False
    """Are the rules at the head of the log and is the broker there? Silence is counted from then."""
    backlog: LogReader = field(init=False)
    """The store's own place in the log: one reader for both would look for its place at every step."""

    def __post_init__(self) -> None:
        self.backlog = LogReader(self.log.folder)
        if self.backlog.log_id != self.log.log_id:
            raise LogMoved(f"the log in {self.log.folder} was replaced while it was opened")

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; whatever line fails stops the worker, as if it were killed."""
        fences = Fences(self.database_url, self.home, self.city)
        expectations = Expectations(self.database_url, self.clock, self.city, self.history.zone, self.home)
        fences.recall()
        expectations.recall()
        await self.restore()
        lines = (
            self.rules_line(),
            self.store_line(),
            self.history.run(),
            self.registry_line(),
            fences.run(),
            expectations.run(),
            self.voice.live.run(self.city.boards),
            answer_questions(self.voice.live.broker, self.city, self.clock),
        )
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(line) for line in lines]
        tasks.append(asyncio.create_task(stopping.wait()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(tasks)
        self.save()

    # Rules

    async def rules_line(self) -> None:
        """Straight from the log to the transitions."""
        loop = asyncio.get_running_loop()
        tick_at = checkpoint_at = loop.time()
        while True:
            messages = self.log.read(self.rules_offset, BATCH_MESSAGES)
            told: list[Transition] = []
            if messages:
                decoded = self.decode(messages)
                told += self.evaluate(decoded, self.clock.settled_us())
                self.rules_offset = decoded.next_offset
                self.shared.put(decoded)
            at_head = self.rules_offset >= self.log.next_offset
            if at_head and loop.time() >= tick_at:
                tick_at = loop.time() + TICK_S
                told += self.tick()
            await self.voice.tell(told, self.rules_offset)
            if loop.time() >= checkpoint_at:
                checkpoint_at = loop.time() + CHECKPOINT_S
                self.save()
            await asyncio.sleep(IDLE_S if at_head else 0)

    def decode(self, messages: Sequence[Message]) -> Decoded:
        return decode(messages, self.codecs.get, self.city.numbers)

    def evaluate(self, decoded: Decoded, now_us: int) -> list[Transition]:
        told: list[Transition] = []
        for readings in (*decoded.readings, *decoded.withheld):
            board = self.city.boards[readings.kind.name]
            told += apply(board, readings, now_us=now_us)
        return told

    def tick(self) -> list[Transition]:
        now_us = self.clock.settled_us()
        hears = self.voice.live.away_s() <= DEAF_S
        if hears and not self.is_watching:
            logger.info("the rules are at the head of the log", offset=self.rules_offset)
        elif self.is_watching and not hears:
            logger.warning("the broker is away: no device is taken for silent until it is back")
        for board in self.city.boards.values():
            if hears:
                board.watch(now_us, anew=not self.is_watching)
            else:
                board.watched_us[:] = NEVER
        self.is_watching = hears
        told = [told for board in self.city.boards.values() for told in tick(board, now_us=now_us)]
        self.samples.take(self.city.boards, now_us)
        return told

    def save(self) -> None:
        """Write the checkpoint; on a disk that refuses the one before stays, and the log is kept from there on."""
        self._remember_devices()
        if self.voice.waiting:  # the boards know of transitions that are not durable: their stretch must be read again
            return
        try:
            checkpoint.save(
                self.home / "rules.npz",
                self.city.boards,
                log_id=self.log.log_id,
                next_offset=self.rules_offset,
                next_transition=self.voice.transitions.next_offset,
            )
        except OSError as error:
            self.unsaved.began(f"{error.strerror} ({self.home})")
            return
        self.unsaved.ended()
        self.checkpointed_offset = self.rules_offset

    def _remember_devices(self) -> None:
        """Keep the registry for a start without the database, whenever it has changed."""
        if self.city.is_remembered or self.remembered is self.city.registry:
            return
        with suppress(OSError):  # later, then: the checkpoint says it
            known_devices.save(self.home / DEVICES, self.city.registry)
            self.remembered = self.city.registry

    async def restore(self) -> None:
        """Go on where the rules were: checkpoint, then the log up to where transitions were told, silently."""
        self.rules_offset = self.log.first_offset
        next_transition, is_same_log = 0, True
        if (saved := self._checkpoint()) is not None:
            for board in self.city.boards.values():
                saved.restore(board)
            if saved.next_transition <= self.voice.transitions.next_offset:
                next_transition = saved.next_transition
            is_same_log = self._is_of_this_log(saved)
            self.rules_offset = saved.next_offset if is_same_log else self.rules_offset
        before = {
            name: {code: life.copy() for code, life in board.lives.items()} for name, board in self.city.boards.items()
        }
        told = self._told_since(next_transition)
        read_to = min(max((t.read_to for t in told), default=0), self.log.next_offset) if is_same_log else 0
        while self.rules_offset < read_to:
            messages = self.log.read(self.rules_offset, BATCH_MESSAGES)[: read_to - self.rules_offset]
            self._read_in_silence(messages)
            self.rules_offset += len(messages)
            await asyncio.sleep(0)  # it may take long, and is not to be taken for hung
        for name, board in self.city.boards.items():
            told_here = [t for t in told if t.kind == name]
            see_again(board, told_here)
            mark(board, before[name], told_here)
            board.watched_us[:] = NEVER  # what was said while the hub was away is still in the log
        self.checkpointed_offset = self.rules_offset
        logger.info("the rules go on", offset=self.rules_offset, told_since_checkpoint=len(told))

    def _read_in_silence(self, messages: Sequence[Message]) -> None:
        """Let the boards see messages as they saw them when they came, second by second, and tell nobody."""
        for _, second in groupby(messages, key=lambda message: message.received_us // SECOND_US):
            came = list(second)
            now_us = max(message.received_us for message in came)
            self.evaluate(self.decode(came), now_us)
            for board in self.city.boards.values():
                tick(board, now_us=now_us)

    def _checkpoint(self) -> checkpoint.Checkpoint | None:
        """The last checkpoint; one that cannot be read is set aside, and the rules begin anew."""
        path = self.home / "rules.npz"
        try:
            return checkpoint.load(path)
        except BadFile as error:
            path.replace(path.with_suffix(".damaged"))
            logger.error("the rules begin with what the log still holds; what is on may be told again", why=str(error))
            return None

    def _is_of_this_log(self, saved: checkpoint.Checkpoint) -> bool:
        """Can the rules go on where a checkpoint says? Else they read all that the log holds, and say so."""
        if saved.log_id == self.log.log_id and self.log.first_offset <= saved.next_offset <= self.log.next_offset:
            return True
        why = "it is of another log" if saved.log_id != self.log.log_id else f"the log lacks {saved.next_offset}"
        logger.error("the rules cannot go on from their checkpoint and read all that the log holds", why=why)
        return False

    def _told_since(self, next_transition: int) -> list[Transition]:
        reader = LogReader(self.voice.transitions.folder)
        told: list[Transition] = []
        offset = max(next_transition, reader.first_offset)
        while messages := reader.read(offset, BATCH_MESSAGES):
            told += [Transition.decode(m.payload) for m in messages if not m.flags & Flag.DAMAGED]
            offset = messages[-1].offset + 1
        reader.close()
        return told

    # Store

    async def store_line(self) -> None:
        """From the log into the database; waits when the database is away, or knows another log than this one.

        The rules and their alerts go on meanwhile: only an operator can say which of two that do not fit is right.
        """
        away, is_refused = Absence(), False
        place = Place(STORE, self.log.log_id)
        while True:
            try:
                async with connect(self.database_url, idle_s=IDLE_IN_WRITE_S) as connection:
                    async with answering():
                        self.store_offset = await place.claim(
                            connection, lambda: range(self.log.first_offset, self.log.next_offset)
                        )
                    is_refused = False
                    logger.info("the store goes on", offset=self.store_offset)
                    writer = Writer(connection, STORE, self.log.log_id, self.strangers)
                    await self._store(writer, place, away)
            except DatabaseUnavailable as error:
                if away.begins():
                    logger.warning("the database is away; readings wait in the log", why=str(error))
            except (LogReplaced, LogGap) as error:
                if not is_refused:
                    logger.error("nothing is stored", why=str(error))
                is_refused = True
            await asyncio.sleep(RETRY_S)

    async def _store(self, writer: Writer, place: Place, away: Absence) -> None:
        while True:
            if not self._has_room():
                await asyncio.sleep(RETRY_S)
                continue
            decoded = self.shared.take(self.store_offset) or self._behind()
            if decoded is not None:
                async with answering():
                    with place.moving(decoded.next_offset):
                        met = await writer.write(decoded, self.city.numbers, self.clock.now())
                self.city.numbers.update(met)
                self.store_offset = place.offset
                is_behind = self.log.next_offset - self.store_offset > BEHIND_MESSAGES
                self.history.rest = HISTORY_REST if is_behind else 1.0
            elif not await self.forget(writer) and not await self.release(writer):
                await asyncio.sleep(IDLE_S / 2)
            if lasted := away.ends():
                waiting = self.log.next_offset - self.store_offset
                logger.info("the database is back", after=lasted, messages_waiting=waiting)

    def _has_room(self) -> bool:
        """May readings be written, or is what is left of the database's disk for others?"""
        if database_disk_is_full(self.history.database_home):
            self.crowded.began("the database's disk is full, and what is left is for others")
            return False
        self.crowded.ended()
        return True

    def _behind(self) -> Decoded | None:
        """What the store has to decode itself, None when it is where the rules are."""
        if self.store_offset >= self.rules_offset:
            return None
        messages = self.backlog.read(self.store_offset, BEHIND_MESSAGES)
        return self.decode(messages) if messages else None

    async def forget(self, writer: Writer) -> bool:
        """Forget devices that nobody declared if somebody wants that: in the registry, then here, in one breath."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.forget_at:
            return False
        forgotten = await forget_batch(writer.connection, self.clock.now())
        if forgotten is None:
            self.forget_at = loop.time() + RELEASE_S
            return False
        self.city.forget(forgotten)
        writer.recount()
        self.shared = Shared()  # it may hold readings with their numbers; the store decodes them again
        return True

    async def release(self, writer: Writer) -> bool:
        """Release a batch of the quarantine if somebody wants that; what is live goes first."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.release_at:
            return False
        met = await release_batch(writer, self.store_offset, self.read_again, self.city.numbers, self.clock.now())
        if met is None:
            self.release_at = loop.time() + RELEASE_S
            return False
        self.city.numbers.update(met)
        return True

    async def read_again(self, held: Sequence[Held]) -> Decoded:
        """Decode what was quarantined, and show it to the rules as replayed. They keep it before the store does:

        after a crash the store does it again, and what is not newer than the boards changes nothing.
        """
        decoded = self.decode(messages_again(held))
        await self.voice.tell(self.evaluate(decoded, self.clock.settled_us()), self.rules_offset)
        self.save()
        return decoded

    # Registry

    async def registry_line(self) -> None:
        """Follow the registry, write samples, and trim the logs behind their readers."""
        loop = asyncio.get_running_loop()
        trim_at = loop.time() + TRIM_S
        while True:
            try:
                async with connect(self.database_url, autocommit=True) as connection:
                    if self.city.is_remembered:
                        self.city.replace(await store_registry.load(connection))
                    while True:
                        await asyncio.sleep(REGISTRY_S)
                        known = self.city.registry.version
                        if await store_registry.version(connection) != known:
                            changes = await store_registry.load(connection, since=known)
                            self.city.renew(changes)
                            logger.info("the registry changed", changed=len(changes), devices=len(self.city.registry))
                        for ts, figures in self.samples.waiting():
                            await indicators.write(connection, ts, figures)
                            self.samples.written(figures)
                        if loop.time() >= trim_at:
                            trim_at = loop.time() + TRIM_S
                            self.trim(await offsets(connection))
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY_S)

    def trim(self, offsets: Mapping[str, tuple[UUID, int]]) -> None:
        """Forget what every reader has read; nothing while a reader's place is not in the log that is there."""
        transitions = self.voice.transitions
        for name, log, limit in (
            (STORE, self.log, self.checkpointed_offset),
            (TELEALERT, transitions, transitions.next_offset),
        ):
            log_id, offset = offsets.get(name, (None, 0))
            if log_id == log.log_id and offset <= log.next_offset:
                with suppress(OSError):  # later, then
                    trim(log.folder, min(offset, limit))


async def end(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Cancel tasks until they have ended: asyncio.wait_for of Python 3.11, in our libraries, may forget that it was."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def open_log(folder: Path) -> LogReader:
    """The log, once its writer has made it."""
    is_told = False
    while not (folder / "head").exists():
        if not is_told:
            logger.info("waiting for the process that makes the log", folder=str(folder))
        is_told = True
        await asyncio.sleep(RETRY_S)
    return LogReader(folder)
