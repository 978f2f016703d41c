"""What the home's files tell of the hub's health: logs, checkpoint, disk, and the errors of its processes."""

import os
import re
import shutil
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from store.quarantine import readable

LOG_OF = {"store": "log", "telealert": "transitions"}
"""The folder, in the home, of the log that a reader of the database reads."""
TAIL_BYTES = 256 << 10
"""So much of the end of a process's log is searched for an error."""
HEAD = struct.Struct("<Q")
ERROR = re.compile(
    r'\[(?:error|critical) *\]|"level": ?"(?:error|critical)"|\b(?:ERROR|FATAL|PANIC): |Error: |^beffroi: '
)
"""How structlog, PostgreSQL, Mosquitto, Python and the command line each tell of one."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class LogFiles:
    """A log as its folder shows it."""

    log_id: str
    head: int
    """The offset after the last durable message."""
    size_bytes: int
    still_s: float | None
    """Since something was appended, in real seconds; None while it is empty."""
    first: int = 0
    """The oldest offset that is still kept."""


@dataclass(frozen=True, slots=True)
class LastError:
    """The last line of a process's log that tells of an error."""

    process: str
    line: str


@dataclass(frozen=True, slots=True)
class Files:
    """What the home shows without asking anybody."""

    logs: Mapping[str, LogFiles]
    """By folder; those that are there."""
    checkpoint_s: float | None
    """Age of the rules' checkpoint in real seconds; None when there is none."""
    disk_free_bytes: int
    disk_bytes: int
    last_errors: tuple[LastError, ...]


def read_files(home: Path) -> Files:
    """What the home shows."""
    disk = shutil.disk_usage(home)
    logs = {folder: log for folder in LOG_OF.values() if (log := read_log(home / folder)) is not None}
    return Files(logs, _age_s(home / "rules.npz"), disk.free, disk.total, last_errors(home / "logs"))


def read_log(folder: Path) -> LogFiles | None:
    """A log's place and size; None when its writer has not made it yet.

    The eight bytes are read here rather than through ingest.log, which stands beside the page and above the store in
    the import law: the number is all that is wanted of it. A test holds this against the log's own writer.
    """
    try:
        (head,) = HEAD.unpack((folder / "head").read_bytes())
        log_id = (folder / "id").read_text(encoding="ascii").strip()
    except (OSError, struct.error):
        return None
    paths = sorted(folder.glob("*.log"))
    segments = [found for path in paths if (found := _stat(path)) and found.st_size]
    changed_s = max((found.st_mtime for found in segments), default=None)
    still_s = None if changed_s is None else max(0.0, time.time() - changed_s)
    return LogFiles(
        log_id, head, sum(found.st_size for found in segments), still_s, int(paths[0].stem) if paths else head
    )


def last_errors(folder: Path) -> tuple[LastError, ...]:
    """The last line that tells of an error, of every process that has one near the end of its log."""
    found = ((path.stem, _last_error(path)) for path in sorted(folder.glob("*.log")))
    return tuple(LastError(process, line) for process, line in found if line)


def _last_error(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = COLOUR.sub("", file.read().decode("utf-8", "replace")).splitlines()
    except OSError:  # rotated or removed just now
        return ""
    return next((readable(line.strip())[:300] for line in reversed(lines) if ERROR.search(line)), "")


def _age_s(path: Path) -> float | None:
    found = _stat(path)
    return max(0.0, time.time() - found.st_mtime) if found else None


def _stat(path: Path) -> os.stat_result | None:
    """None when it is not there: segments are trimmed while we look."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
