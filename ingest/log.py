"""The log: an ordered, durable sequence of raw messages in append-only segment files.

A folder holds `id` (the log's own UUID), `head` (eight bytes that the writer sets after each fsync: the offset
after the last durable message; readers look at it through a memory map and read no further), and segments named by
their first offset (ingest/segment.py). A segment is a row of batches, each with a checksum.

A batch is written with one write and one fdatasync. After a crash the writer cuts what follows the last whole batch.
After a write or fdatasync that failed it cuts the segment back to what is durable and goes on in a new one: the page
cache may hold what the disk does not, and calls it clean (a second fdatasync of the same pages succeeds and proves
nothing). A batch that was durable and no longer has its checksum is damage: its messages keep their offsets and are
read as empty ones, flagged, so that they are counted and quarantined and the log goes on behind them.
A folder that is removed or replaced is noticed by whoever has it open, and at the next start by its mark (log_mark.py).
"""

import fcntl
import mmap
import os
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from hub.errors import AlreadyRunning, LogError, LogMoved
from ingest.log_mark import Mark
from ingest.segment import HEADER, Batch, Flag, Message, batches, is_whole, pack, place_of, tag_of, unpack

__all__ = ["Flag", "Head", "LogReader", "LogWriter", "Message", "segments", "trim"]
logger = structlog.get_logger("log")

HEAD = struct.Struct("<Q")
SEGMENT_BYTES = 64 << 20
READ_BYTES = 4 << 20
CHECK_S = 1.0
"""A reader at the end of its log looks so often whether it is still there."""
DAMAGED_AT_ONCE = 10_000
"""So many messages of a damaged stretch are told in one reading."""


class Head:
    """The offset after the last durable message, shared through a memory map."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
        descriptor = os.open(path, flags, 0o600)
        try:
            if writable and os.fstat(descriptor).st_size < HEAD.size:
                os.pwrite(descriptor, HEAD.pack(0), 0)
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map = mmap.mmap(descriptor, HEAD.size, access=access)
        finally:
            os.close(descriptor)

    def get(self) -> int:
        offset: int = HEAD.unpack_from(self._map)[0]
        return offset

    def set(self, offset: int) -> None:
        HEAD.pack_into(self._map, 0, offset)

    def close(self) -> None:
        self._map.close()


def segments(folder: Path) -> list[tuple[int, Path]]:
    """(first offset, file) of every segment, in order."""
    return sorted((int(path.stem), path) for path in folder.glob("*.log"))


def trim(folder: Path, before: int) -> int:
    """Remove segments that hold nothing at or after offset `before`; returns how many.

    The last two stay: intake recognises a redelivered message by what the log still holds. None goes while somebody
    holds the log (`held`).
    """
    known = segments(folder)
    old = [path for (_, path), (following, _) in pairwise(known) if following <= before][:-1]
    hold = os.open(folder / "hold", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in old:
            path.unlink()
        return len(old)
    except BlockingIOError:
        return 0
    finally:
        os.close(hold)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nothing of this log is trimmed during the block, by whatever process; a killed holder holds nothing."""
    hold = os.open(folder / "hold", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(hold, fcntl.LOCK_SH)
        yield
    finally:
        os.close(hold)


def begin_at(folder: Path, log_id: uuid.UUID, offset: int) -> None:
    """Make the folder an empty log of this id that goes on at `offset`. Nobody may have it open."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _, path in segments(folder):
        path.unlink()
    (folder / "id").write_text(str(log_id), encoding="ascii")
    head, mark = Head(folder / "head", writable=True), Mark(folder)
    head.set(offset)
    mark.set(log_id, offset)
    head.close()
    mark.close()


class LogWriter:
    """The one appender of a log. Appended is durable when `append` returns."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open()
        except BlockingIOError as error:
            os.close(self._lock)
            raise AlreadyRunning(f"another process writes the log {folder}") from error
        except OSError:
            os.close(self._lock)
            raise

    def _open(self) -> None:
        is_new = not (self.folder / "id").exists()
        self.log_id = _identity(self.folder)
        self._tag = tag_of(self.log_id)
        self._head = Head(self.folder / "head", writable=True)
        self._recover()
        self._mark = Mark(self.folder)
        self.surprise = self._mark.surprise(self.log_id, self.next_offset, is_new=is_new)
        """In a sentence, when the log is not the one that this home has written; for its user to tell."""
        if self._mark.is_of(self.log_id) and self.surprise:
            self.log_id = _identity(self.folder, anew=True)  # readers know it by the offsets that would come again
            self._tag = tag_of(self.log_id)
        self._publish()
        self.first_id = self._mark.first_id or self.log_id
        """Of the first log here; stays when a log is lost."""

    def _recover(self) -> None:
        """Open the last segment, cut a torn end, and find the next offset."""
        known = segments(self.folder)
        self.next_offset, path = known[-1] if known else (self._head.get(), self._path(self._head.get()))
        self._file, self._segment = os.open(path, os.O_RDWR | os.O_CREAT, 0o600), path
        self._size, self._is_torn = 0, False
        try:
            self._find_end(path.name)
        except OSError:
            os.close(self._file)
            raise

    def _find_end(self, name: str) -> None:
        _sync_folder(self.folder)
        os.fsync(self._file)
        # Read the disk: memory may still hold what a write left there that failed before a kill.
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)
        for batch in batches(self._file, self.next_offset, self._tag):
            if batch.first != self.next_offset:
                logger.error(
                    "the log is damaged", segment=name, from_byte=self._size, to_byte=batch.start,
                    first_offset=self.next_offset, messages=batch.first - self.next_offset,
                )  # fmt: skip
            self.next_offset, self._size = batch.following, batch.end
        if torn := os.fstat(self._file).st_size - self._size:
            logger.warning("an unfinished batch was cut", segment=name, at_byte=self._size, bytes=torn)
        os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        if (missing := self._head.get() - self.next_offset) > 0:
            logger.error("the end of the log is gone", segment=name, first_offset=self.next_offset, messages=missing)
            self.next_offset += missing
            self._begin_segment()

    def _publish(self) -> None:
        """Tell readers, and the mark, how far the log goes."""
        self._head.set(self.next_offset)
        self._mark.set(self.log_id, self.next_offset)

    def _path(self, first_offset: int) -> Path:
        return self.folder / f"{first_offset:020d}.log"

    def check(self) -> None:
        """LogMoved when what is written here is no longer the log in its folder."""
        try:
            is_ours = os.path.samestat(os.stat(self._segment), os.fstat(self._file))  # noqa: PTH116
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise LogMoved(f"the log in {self.folder} was removed or replaced while it was written")

    def append(self, messages: Sequence[Message]) -> int:
        """Write messages (their own offsets are ignored) and return the first one's offset.

        OSError when the disk refuses; readers then see the log as it was before, and it can be tried again. LogMoved
        when the folder is gone: then nothing may be acknowledged.
        """
        if self._is_torn:
            self._cut()
        elif self._size >= self._segment_bytes:
            self.roll()
        batch = memoryview(pack(self._tag, self.next_offset, messages))
        self._is_torn = True
        position = self._size
        while position < self._size + len(batch):
            position += os.pwrite(self._file, batch[position - self._size :], position)
        os.fdatasync(self._file)
        self._is_torn = False
        self.check()
        first, self.next_offset = self.next_offset, self.next_offset + len(messages)
        self._size += len(batch)
        self._publish()
        return first

    def roll(self) -> None:
        """Start a new segment, so that the old one can be trimmed."""
        if self._size and not self._is_torn:
            self._begin_segment()

    def _cut(self) -> None:
        """After a failure: back to what is durable, and on in a new file, of which memory holds nothing yet."""
        os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        self._begin_segment()

    def _begin_segment(self) -> None:
        self.check()
        self._is_torn = True  # until the folder is sure to know the new file
        path = self._path(self.next_offset)
        fresh = path.with_suffix(".new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            fresh.rename(path)  # in place of one of an attempt that failed: nothing durable is in it
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self._segment, self._size = file, path, 0
        _sync_folder(self.folder)
        self._is_torn = False

    def touch(self) -> None:
        """Show everybody who looks that the log can be written: `head` is as old as that is long ago."""
        os.utime(self.folder / "head")

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)
        self._head.close()
        self._mark.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class LogReader:
    """Reads a log in order; any number of readers, in any process."""

    def __init__(self, folder: Path, *, check_s: float = CHECK_S) -> None:
        if not (folder / "head").exists() or not (folder / "id").exists():
            raise LogError(f"there is no log in {folder} yet; its writer makes it when it starts")
        self.folder = folder
        self._id_file = (folder / "id").stat()
        self.log_id = _identity(folder)
        self._tag = tag_of(self.log_id)
        self._head = Head(folder / "head", writable=False)
        self._check_s, self._checked_s = check_s, time.monotonic()
        self._file: int | None = None
        self._segment = Path()
        self._position = 0
        self._offset = -1
        """Offset of the batch at `_position`."""
        self._said = -1
        """End of the last damage that was said."""

    @property
    def next_offset(self) -> int:
        """The offset after the last durable message."""
        return self._head.get()

    @property
    def first_offset(self) -> int:
        """The oldest offset that is still kept."""
        known = segments(self.folder)
        return known[0][0] if known else self.next_offset

    def read(self, offset: int, limit: int, *, limit_bytes: int = READ_BYTES) -> list[Message]:
        """Durable messages from `offset` on, empty at the end; stops after the batch that reaches a limit.

        LogError when they were trimmed, LogMoved when the folder is no longer the one that was opened. Where they are
        damaged, empty ones with the flag DAMAGED.
        """
        messages: list[Message] = []
        end, size = self.next_offset, 0
        while (wanted := offset + len(messages)) < end and len(messages) < limit and size < limit_bytes:
            batch = self._batch_with(wanted)
            messages += batch[wanted - batch[0].offset :]
            size += sum(len(m.payload) for m in batch)
        if not messages and time.monotonic() >= self._checked_s + self._check_s:
            self._check()
        return messages

    def _check(self) -> None:
        """Is this log still the one in its folder? Without looking, a reader of a removed one would wait for ever."""
        self._checked_s = time.monotonic()
        try:
            is_ours = os.path.samestat((self.folder / "id").stat(), self._id_file)
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise LogMoved(f"the log in {self.folder} was removed or replaced while it was read")

    def _batch_with(self, offset: int) -> list[Message]:
        """The whole batch that holds `offset`, or what stands for it; moves to the batch after it."""
        if self._file is None or offset < self._offset:
            self._open(offset)
        found = self._find(offset)
        if not found:  # in another segment now, else damaged
            self._open(offset)
            found = self._find(offset)
        return found or self._past_damage(offset)

    def _find(self, offset: int) -> list[Message]:
        """The batch with `offset` by the chain of headers; empty where this segment ends or the chain is broken."""
        assert self._file is not None
        size = os.fstat(self._file).st_size
        while self._position + HEADER.size <= size:
            batch = place_of(os.pread(self._file, HEADER.size, self._position), self._position)
            if batch.first != self._offset or not batch.messages or batch.end > size:
                break
            if offset < batch.following:
                return self._unpacked(batch, os.pread(self._file, batch.end - batch.start, batch.start))
            self._position, self._offset = batch.end, batch.following
        return []

    def _unpacked(self, batch: Batch, data: bytes) -> list[Message]:
        """A batch's messages, none when its checksum fails; moves to the batch after it."""
        if not is_whole(data):
            return []
        self._position, self._offset = batch.end, batch.following
        return unpack(batch, data)

    def _past_damage(self, offset: int) -> list[Message]:
        """The batch with `offset` behind a damaged one, or an empty message for each offset that is damaged."""
        assert self._file is not None
        start, following = (
            0,
            min((first for first, _ in segments(self.folder) if first > offset), default=self.next_offset),
        )
        end_byte = os.fstat(self._file).st_size
        for batch in batches(self._file, int(self._segment.stem), self._tag):
            if batch.first <= offset < batch.following:
                return self._unpacked(batch, os.pread(self._file, batch.end - batch.start, batch.start))
            if batch.first > offset:
                following, end_byte = batch.first, batch.start
                break
            start = batch.end
        if following != self._said:
            self._said = following
            logger.error(
                "the log is damaged; what was lost is counted in the quarantine", segment=self._segment.name,
                from_byte=start, to_byte=end_byte, first_offset=offset, messages=following - offset,
            )  # fmt: skip
        about_us = int(os.fstat(self._file).st_mtime * 1e6)
        lost = range(offset, min(following, offset + DAMAGED_AT_ONCE))
        return [Message(number, about_us, self._segment.name, "", b"", Flag.DAMAGED) for number in lost]

    def _open(self, offset: int) -> None:
        """Open the segment that holds `offset`, at its start."""
        holding = [path for first, path in segments(self.folder) if first <= offset]
        if not holding:
            raise LogError(f"{self.folder}: offset {offset} was trimmed; the oldest is {self.first_offset}")
        if self._file is not None:
            os.close(self._file)
        self._file = os.open(holding[-1], os.O_RDONLY)
        self._segment, self._position, self._offset = holding[-1], 0, int(holding[-1].stem)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._head.close()


def _identity(folder: Path, *, anew: bool = False) -> uuid.UUID:
    """The log's own id, made when the log is."""
    path = folder / "id"
    if anew or not path.exists():
        made = folder / "id.new"
        made.write_text(str(uuid.uuid4()), encoding="ascii")
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.rename(path)
        _sync_folder(folder)
    return uuid.UUID(path.read_text(encoding="ascii").strip())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
