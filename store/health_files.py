"""What the home's files tell of the hub's health: logs, checkpoint, disk, and the errors of its processes."""

import os
import re
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from store.quarantine import readable
from store.room import Disk, disks

LOG_OF = {"store": "log", "telealert": "transitions"}
"""The folder, in the home, of the log that a reader of the database reads."""
TAIL_BYTES = 256 << 10
"""So much of the end of a process's log is searched for an error."""
HEAD = struct.Struct("<Q")
ERROR = re.compile(
    r'\[(?:error|critical) *\]|"level": ?"(?:error|critical)"|\b(?:ERROR|FATAL|PANIC): |Error: |^beffroi: '
)
"""How structlog, PostgreSQL, Mosquitto, Python and the command line each tell of one."""
OVERSIZED = re.compile(r"(\S+): Client (.+) disconnected due to oversize packet\.")
CONNECTED = re.compile(r"\S+: New client connected from \S+ as (.+) \(p\d.* u'(.+)'\)\.")
"""How the embedded Mosquitto tells of a packet that is too large, and whose account a client uses."""
OVERSIZED_S = 600.0
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
    written_s: float | None
    """Since intake showed last that it can write its log, in real seconds; None when there is no log."""
    disks: tuple[Disk, ...]
    last_errors: tuple[LastError, ...]
    oversized: tuple[str, ...] = ()
    """Clients of the embedded broker that sent a packet too large of late, with their accounts."""

    @property
    def fullest(self) -> Disk:
        """The disk with the least room."""
        return min(self.disks, key=lambda disk: disk.free_bytes)


def read_files(home: Path) -> Files:
    """What the home shows."""
    logs = {folder: log for folder in LOG_OF.values() if (log := read_log(home / folder)) is not None}
    return Files(
        logs,
        checkpoint_s=_age_s(home / "rules.npz"),
        written_s=_age_s(home / LOG_OF["store"] / "head"),
        disks=tuple(disks(home, probe=True)),
        last_errors=last_errors(home / "logs"),
        oversized=oversized(home / "logs" / "mosquitto.log", time.time()),
    )


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
    return next((readable(line.strip())[:300] for line in reversed(_tail(path)) if ERROR.search(line)), "")


def oversized(log: Path, now_s: float) -> tuple[str, ...]:
    """Clients whose packets the broker found too large in the last minutes, the last one first."""
    accounts: dict[str, str] = {}
    found: dict[str, None] = {}
    for line in _tail(log):
        if connected := CONNECTED.fullmatch(line):
            accounts[connected[1]] = connected[2]
        elif (ended := OVERSIZED.fullmatch(line)) and now_s - _told_s(ended[1]) < OVERSIZED_S:
            name = f"{ended[2]} ({accounts[ended[2]]})" if ended[2] in accounts else ended[2]
            found.pop(name, None)
            found[name] = None
    return tuple(reversed(found))


def _told_s(local: str) -> float:
    """A time of Mosquitto's log, which is this machine's; 0 for none."""
    try:
        return datetime.fromisoformat(local).timestamp()
    except ValueError:
        return 0.0


def _tail(path: Path) -> list[str]:
    """The last lines of a process's log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return COLOUR.sub("", file.read().decode("utf-8", "replace")).splitlines()
    except OSError:  # not there, rotated or removed just now
        return []


def _age_s(path: Path) -> float | None:
    found = _stat(path)
    return max(0.0, time.time() - found.st_mtime) if found else None


def _stat(path: Path) -> os.stat_result | None:
    """None when it is not there: segments are trimmed while we look."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
