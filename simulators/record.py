"""The hub's own format of recordings: a line of JSON per message, that people can read and that loses no byte. Pure.

    {"beffroi":"record 1","at":"2026-11-24T18:00:00Z","topics":["city/#"],"speed":1}
    {"at":"2026-11-24T18:00:01.250000Z","topic":"city/dijon/water_meter/w1/telemetry","qos":1,"json":{"total_m3":12.3}}
    {"at":"2026-11-24T18:00:02Z","topic":"door","qos":0,"text":"open\nclosed"}
    {"at":"2026-11-24T18:00:02.5Z","topic":"camera","qos":1,"retain":true,"base64":"/9j/"}
    {"at":"2026-11-24T18:00:09Z","gap_s":4.5,"why":"Connection refused"}
    {"at":"2026-11-24T18:01:00Z","end":3}

A payload is `json` where it is JSON on one line (its very bytes), else `text` where it is UTF-8, else `base64`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from hub.clock import to_datetime, to_us

VERSION = "record 1"
DEEPEST = 200
"""JSON nested deeper is kept as text: readers of JSON give up at some depth."""

At = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording; `at_us` is when it was received, None when the recording does not tell."""

    at_us: int | None
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    is_replayed: bool = False
    """It carried the mark of replays when it was recorded."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first line of a record."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The recorder was cut off from the broker."""

    gap_s: float
    why: str


@dataclass(frozen=True, slots=True)
class End:
    """The last line; without it the record was cut off."""

    messages: int


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    beffroi: str | None = None
    at: At | None = None
    topics: list[str] | None = None
    speed: float | None = None
    topic: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    qos: Annotated[int, msgspec.Meta(ge=0, le=2)] | None = None
    retain: bool = False
    replayed: bool = False
    json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    base64: bytes | msgspec.UnsetType = msgspec.UNSET
    gap_s: float | None = None
    why: str | None = None
    end: int | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def first_line(at_us: int, topics: list[str], speed: float) -> bytes:
    return _line(_Line(VERSION, to_datetime(at_us), topics, speed))


def message_line(message: Recorded) -> bytes:
    """A message's line; its time is known."""
    assert message.at_us is not None
    line = _Line(None, to_datetime(message.at_us), topic=message.topic, qos=message.qos)
    line.retain, line.replayed = message.retain, message.is_replayed
    if _is_json_line(message.payload):
        line.json = msgspec.Raw(message.payload)
        return _line(line)
    try:
        line.text = message.payload.decode()
    except UnicodeDecodeError:
        line.base64 = message.payload
    return _line(line)


def gap_line(at_us: int, gap_s: float, why: str) -> bytes:
    return _line(_Line(None, to_datetime(at_us), gap_s=gap_s, why=why))


def last_line(at_us: int, messages: int) -> bytes:
    return _line(_Line(None, to_datetime(at_us), end=messages))


def is_line(line: bytes) -> bool:
    """Does it look like a line of this format?"""
    return line.startswith((b'{"at":"', b'{"beffroi":"'))


def parse(line: bytes) -> Recorded | Start | Gap | End:
    """Read a line; ValueError says what is wrong with it."""
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no line of a record: {error}") from error
    if found.beffroi is not None:
        if found.beffroi != VERSION:
            raise ValueError(f"this hub reads {VERSION!r}, and this is {found.beffroi[:40]!r}")
        return Start()
    if found.at is None:
        raise ValueError('no line of a record: "at", the time of reception, is missing')
    if found.gap_s is not None:
        return Gap(found.gap_s, found.why or "")
    if found.end is not None:
        return End(found.end)
    return _message(found, to_us(found.at))


def _message(line: _Line, at_us: int) -> Recorded:
    if line.topic is None or line.qos is None:
        raise ValueError('a message needs its "topic" and its "qos"')
    if any(sign in line.topic for sign in "#+\0"):
        raise ValueError(f"nobody can publish to topic {line.topic[:200]!r}: it holds a wildcard")
    if isinstance(line.json, msgspec.Raw):
        payload = bytes(line.json)
    elif isinstance(line.text, str):
        payload = line.text.encode()
    elif isinstance(line.base64, bytes):
        payload = line.base64
    else:
        raise ValueError('a message needs its payload: "json", "text" or "base64"')
    return Recorded(at_us, line.topic, payload, line.qos, line.retain, line.replayed)


def _is_json_line(payload: bytes) -> bool:
    """Can the bytes stand in a line as they are, and be found again?"""
    if not payload or payload[0] <= 0x20 or payload[-1] <= 0x20 or b"\n" in payload or b"\r" in payload:
        return False
    if payload.count(b"[") + payload.count(b"{") > DEEPEST and not _is_flat(payload):
        return False
    try:
        msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _is_flat(payload: bytes) -> bool:
    """Is nothing nested deeper than DEEPEST? Brackets in texts count too: a few readable lines less do no harm."""
    depth = 0
    for byte in payload:
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > DEEPEST:
            return False
    return True


def _line(line: _Line) -> bytes:
    return _encode(line) + b"\n"
