"""The survey of a log: every batch read again byte by byte, past whatever is damaged, while others write and trim."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.log import LogReader, segments
from ingest.segment import Message, batches, tag_of, unpack


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that the log should hold and does not; `next_offset` is the first after them."""

    first_offset: int
    next_offset: int
    why: str

    def __len__(self) -> int:
        return self.next_offset - self.first_offset


def survey(log: LogReader, until: int) -> Iterator[list[Message] | Gap]:
    """What is kept of a log before offset `until`, in order: whole batches, and the gaps between them.

    What is trimmed meanwhile is left out: a trim takes the oldest segments, and never leaves none.
    """
    kept = segments(log.folder)
    at = kept[0][0] if kept else 0
    while at < until:
        following = [(first, path) for first, path in segments(log.folder) if first >= at]
        if not following:
            yield Gap(at, until, "no segment of the log is there")
            return
        at, path = following[0]  # later than it was: what lay between was trimmed just now
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # trimmed just now
            continue
        end = min(until, following[1][0] if len(following) > 1 else until)
        try:
            yield from _segment(file, path.name, at, end, tag_of(log.log_id))
        finally:
            os.close(file)
        at = end


def _segment(file: int, name: str, at: int, end: int, tag: bytes) -> Iterator[list[Message] | Gap]:
    """The batches of a segment that holds the offsets from `at` to before `end`."""
    position, why = 0, ""
    try:
        for batch in batches(file, at, tag):
            if batch.first >= end:
                break
            if batch.first > at:
                yield Gap(at, batch.first, f"bytes {position} to {batch.start} of {name} are damaged")
            whole = unpack(batch, os.pread(file, batch.end - batch.start, batch.start))
            yield [message for message in whole if message.offset < end]
            at, position = batch.following, batch.end
    except OSError as error:
        why = f"the disk does not give them: {error.strerror}"
    if at < end and os.fstat(file).st_nlink:  # else it is being trimmed, and so may the next one be
        yield Gap(at, end, why or f"no whole batch follows byte {position} of {name}")
