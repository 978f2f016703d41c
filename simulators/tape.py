"""Recordings as streams: a file of any known format, message by message, in constant memory."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from hub.errors import BadFile
from simulators.parquet import ParquetTape
from simulators.record import End, Gap, Recorded, Start
from simulators.recordings import RECORDINGS, Recording, recording_of

SAMPLE_LINES = 20
LONGEST_LINE = 64 << 20
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was left out, and why."""

    number: int
    reason: str


class Tape(Protocol):
    """A recording that can be played, once or more."""

    @property
    def length(self) -> int:
        """All of it, in steps of `place`."""

    @property
    def place(self) -> int:
        """How far it was played."""

    def items(self) -> Iterator[Recorded | Gap | BadLine]:
        """From its beginning to its end."""


def open_tape(path: Path) -> Tape:
    """A recording, its format told by its content; BadFile when it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise BadFile(f"{path}: the recording cannot be read: {error.strerror}") from error
    return ParquetTape(path) if begins == PARQUET else TextTape(path)


class TextTape:
    """A file of lines, plain or compressed with gzip."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.length = path.stat().st_size
        self._raw: BinaryIO | None = None
        self.recording = self._recognise()

    @property
    def place(self) -> int:
        return self._raw.tell() if self._raw and not self._raw.closed else self.length

    def items(self) -> Iterator[Recorded | Gap | BadLine]:
        is_open, number = False, 0
        try:
            for number, line in self._lines():
                try:
                    found = self.recording.parse(line)
                except ValueError as error:
                    yield BadLine(number, str(error))
                    continue
                if isinstance(found, Start | End):
                    is_open = isinstance(found, Start)
                else:
                    yield found
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield BadLine(number + 1, f"the compressed file is cut off or damaged here: {error}")
        else:
            if is_open:
                yield BadLine(number + 1, "the record ends without its last line: it was cut off here")

    def _recognise(self) -> Recording:
        sample: list[bytes] = []
        try:
            for _, line in self._lines():
                sample.append(line)
                if len(sample) == SAMPLE_LINES:
                    break
        except (EOFError, zlib.error, gzip.BadGzipFile):
            pass  # said where it is played
        recording = recording_of(sample)
        if recording is None:
            names = ", ".join(known.name for known in RECORDINGS)
            raise BadFile(
                f"{self._path}: no recording that can be replayed ({names} or parquet);"
                " see docs/simulating.md for the formats"
            )
        return recording

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not empty, by number."""
        with self._path.open("rb") as raw:
            self._raw = raw
            is_gzip = raw.read(2) == GZIP
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise BadFile(f"{self._path}, line {number}: over {LONGEST_LINE >> 20} MiB: this is no recording")
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
