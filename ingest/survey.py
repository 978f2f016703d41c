"""The survey of a log: every batch read again byte by byte, past whatever is damaged, while others write and trim."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.errors import LogCorrupt
from ingest.log import MAGIC, Message, checked_batch, segments

SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that the log should hold and does not; `next_offset` is the first after them."""

    first_offset: int
    next_offset: int
    why: str

    def __len__(self) -> int:
        return self.next_offset - self.first_offset


def survey(folder: Path, until: int) -> Iterator[list[Message] | Gap]:
    """What is kept of a log before offset `until`, in order: whole batches, and the gaps between them.

    What is trimmed meanwhile is left out: a trim takes the oldest segments, and never leaves none.
    """
    kept = segments(folder)
    at = kept[0][0] if kept else 0
    while at < until:
        following = [(first, path) for first, path in segments(folder) if first >= at]
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
            yield from _segment(file, at, end)
        finally:
            os.close(file)
        at = end


def _segment(file: int, at: int, end: int) -> Iterator[list[Message] | Gap]:
    """The batches of a segment that holds the offsets from `at` to before `end`."""
    position, why = 0, ""
    while at < end and position >= 0:
        try:
            batch, following = checked_batch(file, position)
            if not at <= batch[0].offset < end:
                raise LogCorrupt("what stands there belongs elsewhere")
        except (LogCorrupt, OSError) as error:
            why = why or f"at byte {position}: {error}"
            position = _search(file, position + 1)
            continue
        if batch[0].offset > at:
            yield Gap(at, batch[0].offset, why or "no batch holds them")
        yield [message for message in batch if message.offset < end]
        at, position, why = batch[-1].offset + 1, following, ""
    if at < end and os.fstat(file).st_nlink:  # else it is being trimmed, and so may the next one be
        yield Gap(at, end, why)


def _search(file: int, position: int) -> int:
    """Where a batch may begin, from a position on; -1 when nowhere, also because the disk does not give it."""
    try:
        while len(block := os.pread(file, SEARCH_BYTES, position)) >= len(MAGIC):
            if (found := block.find(MAGIC)) >= 0:
                return position + found
            position += len(block) - len(MAGIC) + 1
    except OSError:
        pass
    return -1
