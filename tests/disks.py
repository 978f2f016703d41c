"""Small disks of a test's own, which can be filled, made to lie, and made read-only; needs the right to mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
MAY_MOUNT = (
    "this test mounts small disks of its own: run the tests as root; those with disks in memory only also run under "
    "`unshare --user --map-root-user --mount`"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted disk; `backing` is what holds it, where that is another one."""

    folder: Path
    backing: "Disk | None" = None
    image: Path | None = None

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Let others take what is free, but for so much."""
        with (self.folder / "others").open("ab", buffering=0) as file:
            while (size := min(MIB, self.free_bytes - leave_bytes)) > 0:
                try:
                    file.write(bytes(size))
                except OSError:
                    return

    def make_room(self) -> None:
        """Let the others go."""
        (self.folder / "others").unlink()

    def make_readonly(self) -> None:
        """As a disk that the kernel no longer trusts: also for files that are open for writing. Of ext4 only."""
        run("mount", "-o", "remount,abort", self.folder)

    def repair(self) -> None:
        """As an operator does with a disk that the kernel no longer trusts. Nobody may have files open on it."""
        assert self.image is not None
        run("umount", self.folder)
        run("e2fsck", "-f", "-y", self.image, may_end_with=(0, 1))
        run("mount", "-o", "loop", self.image, self.folder)

    def forget_memory(self) -> None:
        """Forget what memory holds of its files, as a power cut does; what was not written to the disk is gone."""
        for path in self.folder.rglob("*.log"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def tmpfs(folder: Path, size_bytes: int, **options: int) -> Iterator[Disk]:
    """A disk in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    more = "".join(f",{name}={value}" for name, value in options.items())
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755{more}", "tmpfs"):
        yield Disk(folder)


@contextmanager
def ext4(folder: Path, size_bytes: int, *, real_bytes: int | None = None) -> Iterator[Disk]:
    """A real file system on a file on a disk in memory.

    With fewer real bytes than it believes to have it lies as a failing disk does: it takes what is written, and
    tells of the failure once, at the fsync. It has no journal then, and goes on.
    """
    with tmpfs(folder.with_name(f"{folder.name}.disk"), real_bytes or size_bytes + 8 * MIB) as backing:
        image = backing.folder / "image"
        with image.open("wb") as file:
            file.truncate(size_bytes)
        lying = ("-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard") if real_bytes else ()
        run("mkfs.ext4", "-q", "-F", *lying, image)
        folder.mkdir(parents=True, exist_ok=True)
        with _mounted(folder, "-o", "loop,errors=continue" if real_bytes else "loop", image):
            yield Disk(folder, backing, image)


def remount(folder: Path, option: str) -> None:
    """`ro` or `rw`; refused for a disk that has files open for writing."""
    run("mount", "-o", f"remount,{option}", folder)


@contextmanager
def _mounted(folder: Path, *arguments: str | Path) -> Iterator[None]:
    done = _done("mount", *arguments, folder)
    assert done.returncode == 0, f"{MAY_MOUNT} ({done.stderr.strip()})"
    try:
        yield
    finally:
        run("umount", "--lazy", folder)  # also while a process that the test lost still has a file there


def run(*command: str | Path, may_end_with: tuple[int, ...] = (0,)) -> None:
    """A command that must succeed."""
    done = _done(*command)
    assert done.returncode in may_end_with, f"{' '.join(map(str, command))}: {done.stderr}"


def _done(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
