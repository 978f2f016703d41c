"""A sign of life: each of the hub's processes counts up in a file of its own, and its supervisor sees when it stops.

The file is written through a memory map, which costs no system call and works on a full or read-only disk. Who judges
counts its own looks: while it was stopped, or the whole machine slept, it did not look, and nobody is blamed.
"""

import asyncio
import mmap
import os
import struct
from pathlib import Path

from hub.secrets import private_folder

COUNT = struct.Struct("<Q")
BEAT_S = 1.0


def alive_file(home: Path, name: str) -> Path:
    """Where a process of a home gives its sign of life."""
    return home / "alive" / name


class Heartbeat:
    """A process's own; without the file, which a disk may refuse at the start, nobody watches it."""

    def __init__(self, home: Path, name: str) -> None:
        self._map: mmap.mmap | None = None
        try:
            path = alive_file(private_folder(home), name)
            descriptor = os.open(private_folder(path.parent) / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return
        try:
            if os.fstat(descriptor).st_size < COUNT.size:
                os.pwrite(descriptor, bytes(COUNT.size), 0)
            self._map = mmap.mmap(descriptor, COUNT.size)
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def beat(self) -> None:
        """I live; at least every second."""
        if self._map is not None:
            (count,) = COUNT.unpack_from(self._map)
            COUNT.pack_into(self._map, 0, count + 1)

    async def run(self) -> None:
        """Beat for ever: as long as the event loop turns."""
        while True:
            self.beat()
            await asyncio.sleep(BEAT_S)


class Watch:
    """What a supervisor sees of one process, from its start on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = self._read()
        self._looks_in_vain: int | None = None
        """None before its first beat: what does not beat at all is not judged."""

    def has_beaten(self) -> bool:
        """Was there a beat since the start, or the last look?"""
        return self._read() != self._count

    def look(self) -> int:
        """For how many looks in a row there was no beat."""
        if self.has_beaten():
            self._count, self._looks_in_vain = self._read(), 0
        elif self._looks_in_vain is not None:
            self._looks_in_vain += 1
        return self._looks_in_vain or 0

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError:
            return b""
