"""The log: an ordered, durable sequence of raw messages in append-only segment files.

A folder holds `id` (the log's own UUID), `head` (eight bytes that the writer sets after each fsync: the offset
after the last durable message; readers look at it through a memory map and read no further), and segments named by
their first offset. A segment is a row of batches; a batch is a header with a CRC-32 and columns:

    magic crc body_len first_offset count names_len | (received_us payload_len topic_len source flags)[] names topics
    payloads

A batch is written with one write and one fdatasync. After a crash the writer cuts what follows the last whole batch.
"""

import fcntl
import mmap
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from hub.errors import AlreadyRunning, LogCorrupt, LogError

HEADER = struct.Struct("<4sIIQIH")
MAGIC = b"BFR1"
HEAD = struct.Struct("<Q")
SEGMENT_BYTES = 64 << 20
READ_BYTES = 4 << 20
COLUMNS = np.dtype(
    [("received_us", "<i8"), ("payload_len", "<u4"), ("topic_len", "<u2"), ("source", "u1"), ("flags", "u1")]
)


class Flag:
    """What MQTT and the intake know of a message. Plain numbers: an enum's `&` costs more than decoding a payload."""

    DUP = 1
    """The broker says that it delivers the message again."""
    RETAINED = 2
    REPLAY = 4
    """Marked by `beffroi replay`: updates history, pages nobody."""
    DUPLICATE = 8
    """Delivered again and already in the log."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message as it came, with its place in the log."""

    offset: int
    received_us: int
    source: str
    topic: str
    payload: bytes
    flags: int = 0


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
    head = Head(folder / "head", writable=True)
    head.set(offset)
    head.close()


def _pack(first_offset: int, messages: Sequence[Message]) -> bytes:
    names = list(dict.fromkeys(m.source for m in messages))
    number = {name: index for index, name in enumerate(names)}
    topics = [m.topic.encode() for m in messages]
    columns = np.empty(len(messages), COLUMNS)
    columns["received_us"] = [m.received_us for m in messages]
    columns["payload_len"] = [len(m.payload) for m in messages]
    columns["topic_len"] = [len(topic) for topic in topics]
    columns["source"] = [number[m.source] for m in messages]
    columns["flags"] = [m.flags for m in messages]
    name_bytes = "\n".join(names).encode()
    body = b"".join([columns.tobytes(), name_bytes, *topics, *(m.payload for m in messages)])
    header = HEADER.pack(MAGIC, 0, len(body), first_offset, len(messages), len(name_bytes))
    crc = zlib.crc32(body, zlib.crc32(header[8:]))
    return header[:4] + struct.pack("<I", crc) + header[8:] + body


def _unpack(first_offset: int, count: int, names_len: int, body: bytes) -> list[Message]:
    columns = np.frombuffer(body, COLUMNS, count)
    start = columns.nbytes + names_len
    names = body[columns.nbytes : start].decode().split("\n")
    topic_ends = (start + np.cumsum(columns["topic_len"], dtype=np.int64)).tolist()
    payload_ends = (topic_ends[-1] + np.cumsum(columns["payload_len"], dtype=np.int64)).tolist()
    topic_starts = [start, *topic_ends[:-1]]
    payload_starts = [topic_ends[-1], *payload_ends[:-1]]
    rows = zip(
        columns["received_us"].tolist(),
        columns["source"].tolist(),
        columns["flags"].tolist(),
        topic_starts,
        topic_ends,
        payload_starts,
        payload_ends,
        strict=True,
    )
    return [
        Message(
            first_offset + i,
            received,
            names[source],
            body[t0:t1].decode("utf-8", "replace"),
            body[p0:p1],
            flags,
        )
        for i, (received, source, flags, t0, t1, p0, p1) in enumerate(rows)
    ]


class LogWriter:
    """The one appender of a log. Appended is durable when `append` returns."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise AlreadyRunning(f"another process writes the log {folder}") from error
        self.log_id = _identity(folder)
        self._head = Head(folder / "head", writable=True)
        self.next_offset = self._recover()
        self._head.set(self.next_offset)

    def _recover(self) -> int:
        """Open the last segment, cut a torn end, and find the next offset."""
        known = segments(self.folder)
        first, path = known[-1] if known else (self._head.get(), self._path(self._head.get()))
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        _sync_folder(self.folder)
        next_offset, end = first, 0
        for offset, count, _, body_end in _walk(self._file, 0):
            next_offset, end = offset + count, body_end
        os.ftruncate(self._file, end)
        os.fsync(self._file)
        self._size = end
        return next_offset

    def _path(self, first_offset: int) -> Path:
        return self.folder / f"{first_offset:020d}.log"

    def append(self, messages: Sequence[Message]) -> int:
        """Write messages (their own offsets are ignored) and return the first one's offset.

        OSError when the disk refuses; the log is then as it was before.
        """
        if self._size >= self._segment_bytes:
            self.roll()
        batch = memoryview(_pack(self.next_offset, messages))
        try:
            position = self._size
            while position < self._size + len(batch):
                position += os.pwrite(self._file, batch[position - self._size :], position)
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        first, self.next_offset = self.next_offset, self.next_offset + len(messages)
        self._size += len(batch)
        self._head.set(self.next_offset)
        return first

    def roll(self) -> None:
        """Start a new segment, so that the old one can be trimmed."""
        if self._size == 0:
            return
        file = os.open(self._path(self.next_offset), os.O_RDWR | os.O_CREAT, 0o600)
        _sync_folder(self.folder)
        os.close(self._file)
        self._file, self._size = file, 0

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)
        self._head.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class LogReader:
    """Reads a log in order; any number of readers, in any process."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "head").exists() or not (folder / "id").exists():
            raise LogError(f"there is no log in {folder} yet; its writer makes it when it starts")
        self.folder = folder
        self.log_id = _identity(folder)
        self._head = Head(folder / "head", writable=False)
        self._file: int | None = None
        self._position = 0
        self._offset = -1
        """Offset of the batch at `_position`."""

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

        LogError when they were trimmed, LogCorrupt when their checksum fails.
        """
        messages: list[Message] = []
        end, size = self.next_offset, 0
        while (wanted := offset + len(messages)) < end and len(messages) < limit and size < limit_bytes:
            batch = self._batch_with(wanted)
            messages += batch[wanted - batch[0].offset :]
            size += sum(len(m.payload) for m in batch)
        return messages

    def _batch_with(self, offset: int) -> list[Message]:
        """The whole batch that holds `offset`; moves to the batch after it."""
        if self._file is None or offset < self._offset:
            self._open(offset)
        for _ in range(2):  # in this segment, else in the one that holds it now
            assert self._file is not None
            for first, count, names_len, end in _walk(self._file, self._position, check=False):
                start, self._position, self._offset = self._position, end, first + count
                if offset < first + count:
                    return self._unpacked(start, end, first, count, names_len)
            self._open(offset)
        raise LogCorrupt(f"{self.folder}: offset {offset} is said to be durable and is not there")

    def _unpacked(self, start: int, end: int, first: int, count: int, names_len: int) -> list[Message]:
        assert self._file is not None
        batch = os.pread(self._file, end - start, start)
        header, body = batch[: HEADER.size], batch[HEADER.size :]
        if _crc(header, body) != HEADER.unpack(header)[1]:
            raise LogCorrupt(f"{self.folder}: the batch at offset {first} fails its checksum")
        return _unpack(first, count, names_len, body)

    def _open(self, offset: int) -> None:
        """Open the segment that holds `offset`, at its start."""
        holding = [path for first, path in segments(self.folder) if first <= offset]
        if not holding:
            raise LogError(f"{self.folder}: offset {offset} was trimmed; the oldest is {self.first_offset}")
        if self._file is not None:
            os.close(self._file)
        self._file = os.open(holding[-1], os.O_RDONLY)
        self._position, self._offset = 0, int(holding[-1].stem)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._head.close()


def _crc(header: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(header[8:]))


def _walk(file: int, position: int, *, check: bool = True) -> Iterator[tuple[int, int, int, int]]:
    """(first offset, count, length of names, end position) of each whole batch from a position on."""
    size = os.fstat(file).st_size
    while position + HEADER.size <= size:
        header = os.pread(file, HEADER.size, position)
        magic, crc, body_len, first, count, names_len = HEADER.unpack(header)
        end = position + HEADER.size + body_len
        if magic != MAGIC or end > size:
            return
        if check and _crc(header, os.pread(file, body_len, position + HEADER.size)) != crc:
            return
        yield first, count, names_len, end
        position = end


def _identity(folder: Path) -> uuid.UUID:
    """The log's own id, made when the log is."""
    path = folder / "id"
    if not path.exists():
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
