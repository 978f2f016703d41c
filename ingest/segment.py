"""A segment of the log: batches of messages, each with a checksum, one after the other. Reads files, writes none.

    tag crc body_len first_offset count names_len | (received_us payload_len topic_len source flags)[] names topics
    payloads

`tag` is four bytes of the log's id, so that no payload can look like a batch: behind damage the next whole batch is
found by it.
"""

import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

HEADER = struct.Struct("<4sIIQIH")
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
    OVER_QUOTA = 16
    """Its topic had used up its quota: logged without its payload, to be counted ..."""
    SAMPLE = 32
    """... or one of the few whose payload is kept, for the quarantine."""
    DAMAGED = 128
    """Was in the log and cannot be read any more: nothing of it is known but its offset. Never written."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message as it came, with its place in the log."""

    offset: int
    received_us: int
    source: str
    topic: str
    payload: bytes
    flags: int = 0


class Batch(NamedTuple):
    """A batch's place: in the log, and in its segment."""

    first: int
    messages: int
    names_len: int
    start: int
    end: int

    @property
    def following(self) -> int:
        return self.first + self.messages


def pack(tag: bytes, first_offset: int, messages: Sequence[Message]) -> bytes:
    """Messages, not empty, as a batch."""
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
    header = HEADER.pack(tag, 0, len(body), first_offset, len(messages), len(name_bytes))
    return header[:4] + struct.pack("<I", _crc(header, body)) + header[8:] + body


def unpack(batch: Batch, data: bytes) -> list[Message]:
    """The messages of a whole batch."""
    body = data[HEADER.size :]
    columns = np.frombuffer(body, COLUMNS, batch.messages)
    start = columns.nbytes + batch.names_len
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
            batch.first + i,
            received,
            names[source],
            body[t0:t1].decode("utf-8", "replace"),
            body[p0:p1],
            flags,
        )
        for i, (received, source, flags, t0, t1, p0, p1) in enumerate(rows)
    ]


def tag_of(log_id: uuid.UUID) -> bytes:
    """What the batches of a log begin with."""
    return log_id.bytes[-4:]


def _crc(header: bytes, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(header[8:]))


def is_whole(data: bytes) -> bool:
    """Does a batch have the checksum that its header tells?"""
    told: int = HEADER.unpack_from(data)[1]
    return _crc(data[: HEADER.size], memoryview(data)[HEADER.size :]) == told


def place_of(header: bytes, start: int) -> Batch:
    """What a header says of its batch, true or not."""
    _, _, body_len, first, count, names_len = HEADER.unpack(header)
    return Batch(first, count, names_len, start, start + HEADER.size + body_len)


def batches(file: int, expected: int, tag: bytes) -> Iterator[Batch]:
    """Every whole batch of a segment whose first offset is `expected`, leaving out what is damaged."""
    data, start = os.pread(file, os.fstat(file).st_size, 0), 0
    while 0 <= start <= len(data) - HEADER.size:
        batch = place_of(data[start : start + HEADER.size], start)
        is_next = batch.first == expected or (batch.first > expected and data[start : start + len(tag)] == tag)
        if is_next and batch.messages and batch.end <= len(data) and is_whole(data[start : batch.end]):
            yield batch
            start, expected = batch.end, batch.following
        else:
            start = data.find(tag, start + 1)
