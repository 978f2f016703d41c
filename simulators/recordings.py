"""Formats of recordings that can be replayed: their lines, and their event times moved to now. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from hub.clock import EPOCH, to_datetime, to_us
from simulators import record
from simulators.record import End, Gap, Recorded, Start

MILLISECOND_US = 1000
OLDEST_US = to_us(datetime(2000, 1, 1, tzinfo=UTC))
"""A time before this is the placeholder of a device without a clock, and is left alone."""


Move = Callable[[int], int]
"""An event time of the recording to that of its replay, both in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A format: how to know it, and how to read a line (ValueError says why not)."""

    name: str
    is_line: Callable[[bytes], bool]
    parse: Callable[[bytes], Recorded | Start | Gap | End]


def recording_of(lines: Sequence[bytes]) -> Recording | None:
    """The format of a recording, from its first lines: the one that most of them look like."""
    votes = [(sum(map(recording.is_line, lines)), -place) for place, recording in enumerate(RECORDINGS)]
    best, place = max(votes)
    return RECORDINGS[-place] if best else None


def shifted(topic: str, payload: bytes, move: Move, now_us: int) -> bytes:
    """A payload with its event times moved, if its topic tells how it writes them; else byte for byte the same."""
    for prefix, shift in _SHIFTS:
        if topic.startswith(prefix):
            return shift(payload, move, now_us)
    return payload


# The hub's own topics: `ts` in milliseconds or seconds since 1970, or RFC 3339

_TS = re.compile(rb'(?<!\\)("ts"\s*:\s*)(?:(\d+)(\.\d+)?(?=[\s,}\]])|"([^"\\]*)")')
_SECONDS_END = 100_000_000_000


def _shift_native(payload: bytes, move: Move, now_us: int) -> bytes:
    """Move every `ts`; what is written in whole seconds gets milliseconds where a faster replay brings it closer."""

    def moved(match: re.Match[bytes]) -> bytes:
        name, whole, decimals, text = match.groups()
        try:
            if text is not None:
                old_us = _instant_us(text)
                return match[0] if old_us < OLDEST_US else name + b'"' + _like(move(old_us), text) + b'"'
        except ValueError:
            return match[0]
        unit_us = MILLISECOND_US if int(whole) >= _SECONDS_END else 1_000_000
        old_us = int(whole) * unit_us + round(float(decimals or 0) * unit_us)
        if old_us < OLDEST_US:
            return match[0]
        new_us = round(move(old_us) / MILLISECOND_US) * MILLISECOND_US if decimals is None else move(old_us)
        places = len(decimals) - 1 if decimals else 3 if new_us % unit_us else 0
        return name + (f"{new_us / unit_us:.{places}f}" if places else str(new_us // unit_us)).encode()

    return _TS.sub(moved, payload)


def _like(us: int, text: bytes) -> bytes:
    """A time written as another, with milliseconds when it needs them."""
    if b"." in text:
        return _rfc3339(us, like=text)
    ms_us = round(us / MILLISECOND_US) * MILLISECOND_US
    return _rfc3339(ms_us, like=b".000Z" if ms_us % 1_000_000 else b"Z")


# Messages with time and topic: `2024-05-13T05:46:06.504754Z /hfp/v2/journey/ongoing/vp/bus/... {"VP":{...}}`

_STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) (\S.*?) (\{.*)", re.DOTALL)
_TST = re.compile(rb'"tst":\s*"([^"]+)"')
_TSI = re.compile(rb'("tsi":\s*)(\d+)')


def _parse_stamped(line: bytes) -> Recorded:
    match = _STAMPED.fullmatch(line)
    if match is None:
        raise ValueError("expected a time (2024-05-13T05:46:06.504754Z), a topic and a payload that starts with {")
    received, topic, payload = match.groups()
    if b"#" in topic or b"+" in topic:
        raise ValueError(f"nobody can publish to topic {_text(topic)!r}: it holds a wildcard")
    return Recorded(_instant_us(received), _text(topic), _checked(payload))


def _shift_hfp(payload: bytes, move: Move, now_us: int) -> bytes:
    """Move `tst`, to whole milliseconds, and `tsi`, its whole seconds, along with it (Helsinki's vehicle feed)."""
    match = _TST.search(payload)
    if match is None:
        return payload
    try:
        old_us = _instant_us(match[1])
    except ValueError:
        return payload
    new_us = round(move(old_us) / MILLISECOND_US) * MILLISECOND_US
    seconds = new_us // 1_000_000 - old_us // 1_000_000
    moved = payload[: match.start(1)] + _rfc3339(new_us, like=match[1]) + payload[match.end(1) :]
    return _TSI.sub(lambda tsi: tsi[1] + str(int(tsi[2]) + seconds).encode(), moved, count=1)


# What the wmbusmeters program prints: one meter's telegram a line, without topic or time of reception

_TIMESTAMP = re.compile(rb'"timestamp":\s*"([^"]+)"')


def _parse_wmbusmeters(line: bytes) -> Recorded:
    telegram = msgspec.json.decode(_checked(line), type=dict[str, object])
    meter = telegram.get("id")
    if not isinstance(meter, str) or not re.fullmatch(r"[^/+#\x00-\x1f]{1,64}", meter):
        raise ValueError('the meter\'s "id" is missing or cannot be part of a topic')
    return Recorded(None, f"wmbusmeters/{meter}", line)


def _shift_wmbusmeters(payload: bytes, move: Move, now_us: int) -> bytes:
    """A true time of reception becomes now."""
    match = _TIMESTAMP.search(payload)
    try:
        if match is None or _instant_us(match[1]) < OLDEST_US:
            return payload
    except ValueError:
        return payload
    return payload[: match.start(1)] + _rfc3339(now_us, like=match[1]) + payload[match.end(1) :]


def _checked(payload: bytes) -> bytes:
    try:
        msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"the payload is no JSON object: {error}") from error
    return payload


def _text(topic: bytes) -> str:
    try:
        return topic.decode()
    except UnicodeDecodeError as error:
        raise ValueError("the topic is not UTF-8") from error


def _instant_us(text: bytes) -> int:
    moment = datetime.fromisoformat(text.decode("ascii", "replace").replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"time {text.decode()} names no zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


def _rfc3339(us: int, like: bytes) -> bytes:
    """A time in UTC with as many decimals as another, at most six."""
    decimals = min(len(re.split(rb"[Zz+-]", like.split(b".")[1])[0]), 6) if b"." in like else 0
    text = to_datetime(us).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text[: 19 + decimals + (decimals > 0)]}Z".encode()


RECORDINGS = (
    Recording("record", record.is_line, record.parse),
    Recording("hsl", lambda line: bool(_STAMPED.match(line)), _parse_stamped),
    Recording("wmbusmeters", lambda line: line.startswith(b"{"), _parse_wmbusmeters),
)
_SHIFTS = (("city/", _shift_native), ("/hfp/", _shift_hfp), ("wmbusmeters/", _shift_wmbusmeters))
