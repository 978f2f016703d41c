"""How the embedded database hands its write-ahead log to an archive, and gets it back. Pure.

Both are lines of shell that PostgreSQL runs for each segment of 16 MB, made of programs that every Debian has. A
segment is written beside its place, flushed, and renamed; what is there already is never replaced by another content.
"""

import re
import shlex
from pathlib import Path

TIMEOUT_S = 60
"""So old is the oldest change that is in the database and not in the archive, when the archive works."""
UNREADABLE = 200
"""Over 125 PostgreSQL stops, instead of taking it for the end of the archive."""


def archive_command(folder: Path) -> str:
    """What puts the segment %p into the archive as %f; it fails, and is tried again, when it cannot be sure."""
    place, name = _quoted(folder), _quoted(folder / "%f.gz", keep="%f")
    return (
        f"if test -e {name}; then gzip -dc {name} | cmp - %p;"
        f" else gzip -c1 <%p >{name}.new && sync {name}.new && mv {name}.new {name} && sync {place}; fi"
    )


def restore_command(folder: Path) -> str:
    """What fetches %f from the archive to %p; a segment that is there and cannot be read ends the recovery."""
    place, name = _quoted(folder), _quoted(folder / "%f.gz", keep="%f")
    return f"test -d {place} || exit {UNREADABLE}; test -e {name} || exit 1; gzip -dc {name} >%p || exit {UNREADABLE}"


def as_value(text: str) -> str:
    """A text as a value of postgresql.conf."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def segment_of(timeline: int, position: str) -> str:
    """The name of the segment (of 16 MB) that holds a place such as 0/3000028."""
    high, low = (int(part, 16) for part in position.split("/"))
    return f"{timeline:08X}{high:08X}{low >> 24:08X}"


def number_of(segment: str) -> int:
    """Its place among the segments of its timeline."""
    return int(segment[8:16], 16) * 256 + int(segment[16:], 16)


def segment_in(name: str) -> str:
    """The segment that a file of the archive holds; empty when it is something else."""
    return name[:24] if re.fullmatch(r"[0-9A-F]{24}\.gz", name) else ""


def _quoted(path: Path, keep: str = "") -> str:
    """A path for the shell, with what PostgreSQL would take for its own %p and %f doubled."""
    folder = shlex.quote(str(path.parent if keep else path).replace("%", "%%"))
    return f"{folder}/{path.name}" if keep else folder
