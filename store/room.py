"""Room on the disks of a home: who must stop when little is left, and a reserve that is given back to the others.

When a disk fills up, readings stop first: intake while the log's disk still has four reserves free, so that the store
can go on and the log shrinks; the store when others have filled the disk so far that the reserve is given back. What
is then free is for what must still be written: the database's own log, tele-alert's outbox, the audit. The reserve is
taken again when there is room, and readings go on. Intake keeps it (ingest/intake.py); everybody sees it.
"""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RESERVE_BYTES = 64 << 20
SMALL_DISK_SHARE = 16
"""Of a disk of less than a gigabyte, a 16th is the reserve."""
INTAKE_LEAVES = 4
"""Intake stops when so many reserves are left free."""
RESERVE = "reserve"
PLACES = (".", "log", "postgres")
"""In the home; those that are mounts of their own are other disks."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk, by the folders of the home that are on it."""

    places: tuple[str, ...]
    """Of PLACES; the reserve is in the first."""
    free_bytes: int
    size_bytes: int
    has_reserve: bool
    is_readonly: bool = False

    @property
    def name(self) -> str:
        return "home" if self.places[0] == "." else f"home/{self.places[0]}"

    @property
    def reserve_bytes(self) -> int:
        return min(RESERVE_BYTES, self.size_bytes // SMALL_DISK_SHARE)

    @property
    def takes_messages(self) -> bool:
        """May intake write to a log that is here?"""
        return self.free_bytes >= INTAKE_LEAVES * self.reserve_bytes

    @property
    def takes_readings(self) -> bool:
        """May the store write to a database that is here?"""
        return self.has_reserve or self.free_bytes >= 2 * self.reserve_bytes

    @property
    def is_usable(self) -> bool:
        """Can a server start here?"""
        return not self.is_readonly and self.free_bytes >= self.reserve_bytes


def disks(home: Path, *, probe: bool = False) -> list[Disk]:
    """The disks of a home, each once; a folder that is not there yet is on none.

    `probe`: also try whether they can be written, which a disk that has just failed does not tell by itself.
    """
    places: dict[int, list[str]] = {}
    for place in PLACES:
        with suppress(OSError):
            places.setdefault((home / place).stat().st_dev, []).append(place)
    return [_look(home, tuple(of), probe=probe) for of in places.values()]


def disk_of(home: Path, place: str) -> Disk | None:
    """The disk of a folder of the home; None when the folder is not there."""
    return next((disk for disk in disks(home) if place in disk.places), None)


def database_disk_is_full(home: Path | None) -> bool:
    """Is what is left of the disk of this home's database for others than readings? None: it is not on our disks."""
    disk = disk_of(home, "postgres") if home else None
    return disk is not None and not disk.takes_readings


def keep_reserve(home: Path) -> None:
    """Give back the reserve of each disk that is nearly full, take those that are missing where there is room."""
    for disk in disks(home):
        reserve = home / disk.places[0] / RESERVE
        with suppress(OSError):  # a disk that cannot be written is told by whoever writes to it
            if disk.has_reserve and disk.free_bytes < disk.reserve_bytes // 4:
                reserve.unlink()
            elif not disk.has_reserve and disk.free_bytes >= 2 * disk.reserve_bytes:
                _allocate(reserve, disk.reserve_bytes)


def _look(home: Path, places: tuple[str, ...], *, probe: bool) -> Disk:
    folder = home / places[0]
    found = os.statvfs(folder)
    return Disk(
        places,
        free_bytes=found.f_bavail * found.f_frsize,
        size_bytes=found.f_blocks * found.f_frsize,
        has_reserve=(folder / RESERVE).exists(),
        is_readonly=bool(found.f_flag & os.ST_RDONLY) or (probe and _refuses(folder)),
    )


def _refuses(folder: Path) -> bool:
    try:
        os.utime(folder)
    except OSError as error:
        return error.errno in (errno.EROFS, errno.EIO)
    return False


def _allocate(path: Path, size_bytes: int) -> None:
    made = path.with_suffix(".new")
    try:
        with made.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        made.rename(path)
    except OSError:
        made.unlink(missing_ok=True)
        raise
