"""Messages that are nearly what a codec reads: its own examples, changed. Pure; all chance is in the Random given."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from devices.kind import kinds
from hub.clock import SECOND_US
from ingest.codecs.codec import Codec
from ingest.log import Flag, Message
from tests.readings import NOW_US

LONGEST_TOPIC = 65_535
_NUMBERS = """
0 -0 1 -1 0.1 1e-400 5e-324 1e15 1.7976931348623157e308 1e309 -1e999 NaN Infinity -Infinity 2147483648 4294967295
9007199254740993 9223372036854775807 9223372036854775808 18446744073709551616 00 01 .5 1. +1 0x10 1_000 1e 1e+ --1
"""
_TIMES = """
0 1 -5 978307200 1780000000 1780000000.25 1780000000000 1780000000000000 1780000000000000000 4294967295 4102444800000
"2026-10-25T02:30:00+02:00" "2026-10-25T02:30:00+01:00" "2026-05-28T20:26:40" "2016-12-31T23:59:60Z" ""
"9999-12-31T23:59:60Z" "2026-05-28T20:26:40.123456789Z" "2026-02-30T00:00:00Z" "2026-05-28T24:00:00Z" "soon"
"0001-01-01T00:00:00+23:59" "9999-12-31T23:59:59-23:59" "1111-11-11T11:11:11Z" "20260528T202640Z" "2026-W22-4"
"28/05/2026" "2026-05-28T20:26:40+0200" "2026-05-28T20:26:40Z[Europe/Paris]" "2026-05-28t20:26:40z" "20:26:40"
"""
TEXTS = (
    "",
    " ",
    "\x00",
    "\x7f",
    "a\nb\r\n",
    "'; DROP TABLE device; --",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "+33",
    "@SUM(A1)",
    "{{7*7}}%s{0}${x}",
    "\u202egnol",
    "\ufeff",
    "\ufffd",
    "é" * 64,
    "x" * 65,
    "\U0001f6b0",
    "../../etc/passwd",
    "null",
    "NaN",
    "$SYS",
    "+",
    "#",
    "(" * 50,
    '"' * 9,
    "\\" * 9,
)
RAW = (
    *_NUMBERS.split(),
    *_TIMES.split(),
    *map(json.dumps, TEXTS),
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    '{"":{}}',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\x"',
    "9" * 400,
    "9" * 5_000,
    "0." + "3" * 400,
    "[" * 30 + "]" * 30,
    "[" * 70 + "]" * 70,
    "[" * 1_200 + "]" * 1_200,
    '{"a":' * 70 + "1" + "}" * 70,
    "[" + "{}," * 99 + "{}]",
)
"""Values as they are written: some are not JSON at all."""
LEVELS = (
    *TEXTS,
    *("city", "dijon", "telemetry", "batch", "state", "config", "cmd", "cmd_ack", "hfp", "v2", "vp", "doo", "cow"),
    *sorted(kinds()),
)

Seed = tuple[str, bytes]


class Fuzz:
    """Changed messages of one codec, without end."""

    def __init__(self, codec: Codec, chance: Random) -> None:
        self.chance = chance
        self.seeds: Sequence[Seed] = codec.examples()
        self.names = sorted({name for _, payload in self.seeds for name in _names(json.loads(payload))})

    def message(self) -> Seed:
        """A topic and a payload; one in four has a topic of its own kind of wrongness, most a changed payload."""
        topic, payload = self.chance.choice(self.seeds)
        if self.chance.random() < 0.25:
            topic = self.topic(topic)
        if self.chance.random() < 0.9:
            payload = self.payload(payload)
        return topic, payload

    def stretch(self, count: int, *, first_offset: int = 0, source: str = "city") -> list[Message]:
        """Messages as a log holds them: some late, some replayed, some delivered twice."""
        flags = (0, 0, 0, Flag.DUP, Flag.RETAINED, Flag.REPLAY, Flag.DUP | Flag.DUPLICATE)
        return [
            Message(
                first_offset + place, NOW_US + place * SECOND_US, source, *self.message(), self.chance.choice(flags)
            )
            for place in range(count)
        ]

    def topic(self, topic: str) -> str:
        """A topic that MQTT allows, near to this one."""
        levels = topic.split("/")
        place = self.chance.randrange(len(levels))
        match self.chance.randrange(6):
            case 0:
                levels[place] = self.chance.choice(LEVELS)
            case 1:
                del levels[place]
            case 2:
                levels.insert(place, self.chance.choice(LEVELS))
            case 3:
                levels[place] = "".join(chr(self.chance.choice((0x20, 0x3B, 0xE9, 0x4E2D, 0x1F6B0, 0xFEFF)))
                                        for _ in range(self.chance.randrange(70)))  # fmt: skip
            case 4:
                levels[place] = self.chance.choice("xé\U0001f6b0") * self.chance.choice((64, 65, 300, 20_000))
            case _:
                levels = ["" for _ in range(self.chance.randrange(1, 9))]
        allowed = "/".join(levels).replace("\x00", "").replace("+", "").replace("#", "") or "/"
        return allowed.encode()[:LONGEST_TOPIC].decode(errors="ignore")

    def payload(self, payload: bytes) -> bytes:
        """A payload near to this one: first what it says is changed, then, of some, how it is written."""
        if self.chance.random() < 0.8:
            payload = self._said(json.loads(payload))
        if self.chance.random() < 0.3:
            payload = self.chance.choice(_WRITTEN)(self.chance, payload)
        return payload

    def _said(self, value: Any) -> bytes:
        """The value with one to three changes; what is no value of Python's is put in as text."""
        raw: list[str] = []
        for _ in range(self.chance.randint(1, 3)):
            value = self._changed(value, raw)
        written = json.dumps(value, ensure_ascii=self.chance.random() < 0.5, separators=self.chance.choice(_SEPARATORS))
        for place, text in enumerate(raw):
            written = written.replace(f'"@{place}@"', text)
        return written.encode(errors="surrogatepass")

    def _changed(self, value: Any, raw: list[str]) -> Any:
        if isinstance(value, dict) and value and self.chance.random() < 0.9:
            return self._changed_object(dict(value), raw)
        if isinstance(value, list) and value and self.chance.random() < 0.8:
            place = self.chance.randrange(len(value))
            return [*value[:place], self._changed(value[place], raw), *value[place + 1 :]]
        match self.chance.randrange(6):
            case 0:
                return [value] * self.chance.choice((0, 1, 2, 30))
            case 1:
                return {self._name(): value}
            case _:
                return self._odd(raw)

    def _changed_object(self, value: dict[str, Any], raw: list[str]) -> dict[str, Any]:
        name = self.chance.choice(list(value))
        match self.chance.randrange(7):
            case 0:
                del value[name]
            case 1:
                value[self._name()] = value.pop(name)
            case 2:
                value[self._name()] = self._odd(raw)
            case 3:
                value[name] = self._odd(raw)
            case 4:
                raw.append(f"{self.chance.choice(RAW)}, {json.dumps(name)}: {json.dumps(value[name])}")
                value[name] = f"@{len(raw) - 1}@"  # the same name twice
            case _:
                value[name] = self._changed(value[name], raw)
        return value

    def _name(self) -> str:
        return self.chance.choice(self.names if self.chance.random() < 0.7 else TEXTS)

    def _odd(self, raw: list[str]) -> Any:
        if self.chance.random() < 0.3:
            return self.chance.choice((self.chance.uniform(-1e6, 1e6), self.chance.getrandbits(70), "x" * 2_000))
        raw.append(self.chance.choice(RAW))
        return f"@{len(raw) - 1}@"


def damaged(chance: Random, payload: bytes) -> bytes:
    """Bytes near to these: flipped, cut, repeated, written in another way, or with an odd value put in."""
    for _ in range(chance.randint(1, 3)):
        if chance.random() < 0.5:
            payload = chance.choice(_WRITTEN)(chance, payload)
        else:
            place = chance.randrange(len(payload) + 1)
            odd = chance.choice(RAW).encode()
            payload = payload[:place] + odd + payload[place + chance.randrange(6) :]
    return payload


def _names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


_SEPARATORS = ((", ", ": "), (",", ":"), ("\r\n,\t", " : "))


def _flipped(chance: Random, payload: bytes) -> bytes:
    changed = bytearray(payload or b"\x00")
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] = chance.getrandbits(8)
    return bytes(changed)


def _cut(chance: Random, payload: bytes) -> bytes:
    return payload[: chance.randrange(len(payload) + 1)]


def _repeated(chance: Random, payload: bytes) -> bytes:
    start = chance.randrange(len(payload) + 1)
    end = chance.randrange(start, len(payload) + 1)
    return payload[:end] + payload[start:end] * chance.randint(1, 5) + payload[end:]


def _noise(chance: Random, payload: bytes) -> bytes:
    return chance.randbytes(chance.randrange(80))


_WRITTEN: Sequence[Callable[[Random, bytes], bytes]] = (
    _flipped,
    _cut,
    _repeated,
    _noise,
    lambda _, payload: b"\xef\xbb\xbf" + payload,
    lambda _, payload: payload + b"\r\n",
    lambda _, payload: payload + b"\r\n" + payload,
    lambda _, payload: b"[" + payload + b"," + payload + b"]",
    lambda _, payload: payload.decode(errors="replace").encode("utf-16"),
    lambda _, payload: payload.decode(errors="replace").encode("latin-1", "replace"),
    lambda _, payload: gzip.compress(payload, 1),
    lambda _, payload: b"",
    lambda _, payload: msgspec.msgpack.encode({"payload": payload}),
    lambda chance, payload: payload * chance.choice((2, 3)) + b"\x00",
)
