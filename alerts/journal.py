"""What went out on which channel, in a file beside the database: known when that is away, and after a crash.

A call is written once its channel has taken it. A kill between the two makes it once more: twice is better than never.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from alerts.disk import append, replace_file
from alerts.ledger import Purpose
from alerts.scene import Incident
from hub.clock import to_us
from hub.errors import AlreadyRunning

logger = structlog.get_logger("telealert")


class Call(msgspec.Struct, frozen=True):
    """What somebody is called for: the beginning or the end of an incident, which may have no number yet."""

    cause_no: int
    code: str
    opened_us: int
    detected_us: int
    purpose: Purpose

    @classmethod
    def of(cls, incident: Incident, purpose: Purpose) -> Self:
        return cls(incident.cause_no, incident.code, incident.opened_us, incident.detected_us, purpose)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """A call from a row of the database."""
        opened_us, detected_us = to_us(row["opened_at"]), to_us(row["detected_at"])
        return cls(row["cause_no"], row["code"], opened_us, detected_us, row["purpose"])


class Sent(msgspec.Struct, frozen=True):
    """A call that a channel has taken."""

    call: Call
    channel: str
    title: str
    body: str
    sent_us: int
    reason: str
    """What the incident's story says of it."""
    offset: int = 0
    """How far the transitions were read when it was decided without the database; 0 when it was with it."""


Key = tuple[Call, str]


class Journal:
    """The file of one tele-alert. What the database knows is forgotten when the routing snapshot says so too."""

    def __init__(self, path: Path) -> None:
        """AlreadyRunning when another tele-alert has it."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._owner = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._owner)
            raise AlreadyRunning(f"another tele-alert works on {path.parent}; this one stops") from error
        self._sent = _read(path)
        self._writing = asyncio.Lock()

    @property
    def sent(self) -> Mapping[Key, Sent]:
        """What is remembered, the oldest first."""
        return self._sent

    def find(self, call: Call, channel: str) -> Sent | None:
        """When and how a call went out on a channel, if it did."""
        return self._sent.get((call, channel))

    async def add(self, sent: Sent) -> None:
        """Remember a call, on disk when this returns; on a disk that refuses, as long as this process lives."""
        self._sent[sent.call, sent.channel] = sent
        async with self._writing:
            try:
                await asyncio.to_thread(append, self._path, msgspec.json.encode(sent) + b"\n")
            except OSError as error:
                logger.error("a call that went out is not on disk; a restart may repeat it", error=error.strerror)

    async def forget(self, keys: Iterable[Key]) -> None:
        """Forget calls, all or nothing; on a disk that refuses they stay, which does no harm."""
        gone = set(keys)
        if not gone:
            return
        async with self._writing:
            left = {key: sent for key, sent in self._sent.items() if key not in gone}
            lines = b"".join(msgspec.json.encode(sent) + b"\n" for sent in left.values())
            try:
                await asyncio.to_thread(replace_file, self._path, lines)
            except OSError as error:
                logger.warning("the journal of calls cannot be shortened", error=error.strerror)
            else:
                for key in gone:
                    self._sent.pop(key, None)

    def close(self) -> None:
        os.close(self._owner)


def _read(path: Path) -> dict[Key, Sent]:
    """What the file holds; a line that a crash tore is left out and cut off."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    if lines and not lines[-1].endswith(b"\n"):
        os.truncate(path, sum(map(len, lines[:-1])))
        lines.pop()
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Sent))
        except msgspec.MsgspecError:
            logger.error("a line of the journal of calls cannot be read", file=str(path))
    return {(sent.call, sent.channel): sent for sent in found}
