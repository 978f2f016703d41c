"""What a home remembers of a log, outside of the log's own folder: whether what is there is what was written.

Beside the folder lies NAME.mark, with the log's id and the offset after its last durable message, which the writer
sets through a memory map after each fsync. It is never ahead of the log, so a log that ends before its mark is an older
copy or has lost its end, and must not give the same offsets out again. It also keeps the id of the first log: intake's
name at the brokers, whose sessions hold what was not acknowledged and outlive any log.
"""

import mmap
import os
import struct
import uuid
from pathlib import Path

MARK = struct.Struct("<16sQ16s")


class Mark:
    """The mark of one log, in the hands of its writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        descriptor = os.open(folder.with_name(f"{folder.name}.mark"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < MARK.size:
                os.pwrite(descriptor, bytes(MARK.size), 0)
            self._map = mmap.mmap(descriptor, MARK.size)
        finally:
            os.close(descriptor)

    def set(self, log_id: uuid.UUID, next_offset: int) -> None:
        """Remember how far the log goes."""
        first = self.first_id or log_id
        MARK.pack_into(self._map, 0, log_id.bytes, next_offset, first.bytes)

    @property
    def first_id(self) -> uuid.UUID | None:
        """The id of the first log of this name in this home."""
        _, _, first = MARK.unpack_from(self._map)
        return uuid.UUID(bytes=first) if any(first) else None

    def is_of(self, log_id: uuid.UUID) -> bool:
        """Is this the log that it remembers?"""
        known, _, _ = MARK.unpack_from(self._map)
        return bool(known == log_id.bytes)

    def surprise(self, log_id: uuid.UUID, next_offset: int, *, is_new: bool) -> str:
        """What is wrong with the log that is there, in a sentence; "" when it is the one that was written."""
        known, end, _ = MARK.unpack_from(self._map)
        if not any(known) or (known == log_id.bytes and next_offset >= end):
            return ""
        if known == log_id.bytes:
            return (
                f"the log in {self._folder} ends at {next_offset}, but {end} messages were written to it: it is an "
                "older copy, or its end is lost. It goes on under another id"
            )
        was = f"log {uuid.UUID(bytes=known)}, which had {end} messages"
        if is_new:
            return f"the log in {self._folder} is lost: {was}. A new one begins"
        return f"the log in {self._folder} was replaced: it was {was}, and is {log_id}"

    def close(self) -> None:
        self._map.close()
