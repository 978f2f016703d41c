"""The hub's own format: `city/{commune}/{kind}/{device}/telemetry`, JSON with the kind's field names. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Annotated, Any

import msgspec
from msgspec.structs import astuple

from devices.kind import Kind, kinds
from devices.readings import Key
from hub.clock import to_us
from ingest.codecs.codec import DEEPEST, WHOLE, Heard, Reject, is_too_deep, shown
from ingest.codecs.loose import BYTE_ORDER_MARK, leap_second, not_json

HEARD_SUFFIXES = ("telemetry", "batch", "state", "config")
COMMAND_SUFFIXES = ("cmd", "cmd_ack")
LONGEST_NAME = 64
IDENTITY = re.compile(r"[^/+#\x00-\x1f\x7f]{1,64}")
LONGEST_TOPIC = 256
"""In characters; no topic that names a device has more."""
SECONDS_END, MILLISECONDS_END, MICROSECONDS_END = 10**11, 10**14, 10**17
"""A number's size tells its unit: seconds until the year 5138, then milliseconds (March 1973 to 5138) and so on."""

Ts = int | float | datetime | None
FlagValue = bool | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | None
"""Bounded, because an integer of 400 digits is valid JSON and no float."""
MOST_PARTS = 20_000
"""Readings of one array; reading more of them at once would hold up what others say."""
TOO_DEEP = f"lists and objects are nested more than {DEEPEST} levels deep"
_MESSAGE = re.compile(
    r"Expected `([^`]+)`(?: [<>]= -?\d+)?(?:, got `([^`]+)`)?(?: - at `\$(?:\[\d*\.*\])?\.?([^`]*)`)?"
)
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_WORDS = {
    "float | null": "a number",
    "bool | int | null": "true or false",
    "int": "true or false",
    "str | null": "a text",
    "int | float | datetime | null": "a time",
}


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind's payloads are read: strictly and fast, or part by part."""

    kind: Kind
    events: frozenset[str]
    payload: msgspec.json.Decoder[Any]
    part: type[msgspec.Struct]
    known: frozenset[str]


class _Head(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    id: str | None = None
    ts: Ts = None
    event: str | None = None


HEAD_FIELDS = len(_Head.__struct_fields__)


@cache
def format_of(kind: Kind) -> Format:
    """The decoder of a kind's declared fields."""
    fields = [(f.name, FlagValue if f.storage == "flag" else float | None, None) for f in kind.fields]
    part = msgspec.defstruct(
        kind.name, fields, bases=(_Head,), gc=False, forbid_unknown_fields=True, omit_defaults=True
    )
    return Format(
        kind=kind,
        events=frozenset(e.code for e in kind.events),
        payload=msgspec.json.Decoder(part | list[part]),  # type: ignore[valid-type]  # made at run time
        part=part,
        known=frozenset(part.__struct_fields__),
    )


@dataclass(frozen=True, slots=True)
class Address:
    key: Key
    kind: Kind
    suffix: str


def is_identity(device_id: str) -> bool:
    """May it name a device? What is too long is not remembered: strangers could fill the memory with it."""
    return len(device_id) <= LONGEST_NAME and _is_identity(device_id)


@lru_cache(maxsize=200_000)
def _is_identity(device_id: str) -> bool:
    return IDENTITY.fullmatch(device_id) is not None


def parse_topic(topic: str) -> Address | Reject | None:
    """Whom a topic speaks of; None for commands, which are not readings."""
    return _parsed(topic) if len(topic) <= LONGEST_TOPIC else _parsed.__wrapped__(topic)


@lru_cache(maxsize=200_000)
def _parsed(topic: str) -> Address | Reject | None:
    levels = topic.split("/")
    if len(levels) != 5 or levels[0] != "city":
        return Reject(WHOLE, "wrong_topic", f"{shown(topic, 200)}: a topic is city/commune/kind/device/telemetry")
    _, commune, kind_name, device_id, suffix = levels
    if suffix in COMMAND_SUFFIXES:
        return None
    if suffix not in HEARD_SUFFIXES:
        return Reject(
            WHOLE, "wrong_topic", f"{shown(suffix, 40)}: the last level is one of {', '.join(HEARD_SUFFIXES)}"
        )
    if not (is_identity(commune) and is_identity(device_id)):
        return Reject(WHOLE, "wrong_topic", "commune and device are 1 to 64 printable characters")
    kind = kinds().get(kind_name)
    if kind is None:
        return Reject(WHOLE, "unknown_kind", f"{shown(kind_name, 40)}: the kinds are {', '.join(sorted(kinds()))}")
    return Address((commune, kind_name, device_id), kind, suffix)


def event_time_us(ts: Ts) -> int | None:
    """A `ts` of RFC 3339, or seconds since 1970 or a thousandth, millionth, billionth of them, in microseconds."""
    if ts is None:
        return None
    if isinstance(ts, datetime):
        return to_us(ts) if ts.tzinfo else None
    size = abs(ts)
    if size >= MICROSECONDS_END:
        microseconds = ts // 1_000
    elif size >= MILLISECONDS_END:
        microseconds = ts
    else:
        microseconds = ts * (1_000 if size >= SECONDS_END else 1_000_000)
    return round(microseconds) if abs(microseconds) < 2**62 else None


class Native:
    """The codec of the hub's own topics."""

    name = "native"

    def address(self, topic: str, commune: str) -> tuple[str, str] | None:
        address = parse_topic(topic)
        return address.key[:2] if isinstance(address, Address) else None

    def carries_many(self, topic: str) -> bool:
        return topic.endswith("/batch")

    def decode(self, topic: str, payload: bytes, commune: str) -> list[Heard | Reject]:
        address = parse_topic(topic)
        if address is None or (isinstance(address, Address) and not payload):
            return []  # a command, or a retained message being cleared
        if isinstance(address, Reject):
            return [address]
        payload = payload.removeprefix(BYTE_ORDER_MARK)
        if address.suffix == "config":
            return [_announcement(address, payload)]
        format_ = format_of(address.kind)
        try:
            found = format_.payload.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _slowly(address, format_, payload)
        if type(found) is not list:
            return [_heard(address, format_, WHOLE, found, None)]
        return _too_many(found) or [_heard(address, format_, number, part, None) for number, part in enumerate(found)]

    def parts(self, payload: bytes) -> list[bytes]:
        payload = payload.removeprefix(BYTE_ORDER_MARK)
        if not payload.lstrip().startswith(b"["):
            return [payload]
        try:
            return [b"[%b]" % bytes(part) for part in msgspec.json.decode(payload, type=list[msgspec.Raw])]
        except RecursionError:
            return [b"[%b]" % part for part in elements(payload)]

    def examples(self) -> list[tuple[str, bytes]]:
        """Of every kind: each declared example, a batch of them, an event and an announcement."""
        found = []
        for kind in kinds().values():
            told = list(kind.examples.values())
            batch = [{"id": f"x{number}", **example} for number, example in enumerate(told)]
            said: list[tuple[str, object]] = [*(("telemetry", example) for example in told), ("batch", batch)]
            said += [("state", {"event": event.code, "ts": 1_780_000_000}) for event in kind.events[:1]]
            said.append(("config", {"type": kind.types[0].name}))
            found += [(f"city/dijon/{kind.name}/x/{end}", msgspec.json.encode(payload)) for end, payload in said]
        return found


def _heard(address: Address, format_: Format, number: int, part: Any, rest: dict[str, object] | None) -> Heard | Reject:
    key = address.key
    if address.suffix == "batch":
        if part.id is None or not is_identity(part.id):
            return Reject(number, "no_identity", 'an element of a batch needs its device in "id"')
        key = (key[0], key[1], part.id)
    if part.event is not None and part.event not in format_.events:
        return Reject(number, "unknown_event", f"{shown(part.event)} is not an event of {address.kind.name}")
    ts = part.ts
    ts_us = ts * 1_000 if type(ts) is int and SECONDS_END <= ts < MILLISECONDS_END else event_time_us(ts)
    return Heard(max(number, 0), key, ts_us, astuple(part)[HEAD_FIELDS:], part.event, rest)


def _announcement(address: Address, payload: bytes) -> Heard | Reject:
    try:
        announced = msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Reject(WHOLE, "invalid_json", f"config is a JSON object: {not_json(payload, error)}")
    if is_too_deep(announced):
        return Reject(WHOLE, "too_large", TOO_DEEP)
    nothing = (None,) * len(address.kind.fields)
    return Heard(0, address.key, None, nothing, announced=announced)


def _slowly(address: Address, format_: Format, payload: bytes) -> list[Heard | Reject]:
    """Part by part, so that one bad element disturbs no other and what is not declared is kept."""
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return [Reject(WHOLE, "invalid_json", not_json(payload, error))]
    if isinstance(found, list):
        return _too_many(found) or [_one(address, format_, number, part) for number, part in enumerate(found)]
    return [_one(address, format_, WHOLE, found)]


def _too_many(parts: list[Any]) -> list[Heard | Reject]:
    """An array that is refused whole; nothing for one that is not."""
    if len(parts) <= MOST_PARTS:
        return []
    return [Reject(WHOLE, "too_large", f"an array of {len(parts)} readings; a message holds at most {MOST_PARTS}")]


def _one(address: Address, format_: Format, number: int, found: object) -> Heard | Reject:
    if is_too_deep(found):
        return Reject(number, "too_large", TOO_DEEP)
    if not isinstance(found, Mapping):
        return Reject(number, "wrong_type", f"expected a JSON object, found {type(found).__name__}")
    rest = {name: value for name, value in found.items() if name not in format_.known}
    declared = {name: value for name, value in found.items() if name in format_.known}
    if isinstance(ts := declared.get("ts"), str) and (moment := leap_second(ts)) is not None:
        declared["ts"] = moment
    try:
        part = msgspec.convert(declared, format_.part)
    except msgspec.ValidationError as error:
        return Reject(number, "wrong_type", _explain(str(error)))
    return _heard(address, format_, number, part, rest or None)


def elements(array: bytes) -> Iterator[bytes]:
    """The elements of a JSON array, as they are written and however deep they are."""
    level, start = 0, array.index(b"[") + 1
    for token in _STRUCTURE.finditer(array):
        mark = token.group()
        level += (mark in (b"[", b"{")) - (mark in (b"]", b"}"))
        if level == 0 or (level == 1 and mark == b","):
            if element := array[start : token.start()].strip():
                yield element
            start = token.end()


def _explain(error: str) -> str:
    """msgspec's words in ours."""
    match = _MESSAGE.search(error)
    if not match:
        what, _, where = error.partition(" - at `$")
        return f"{where.strip('.`') or 'payload'}: {what[:1].lower()}{what[1:]}"
    expected, got, field = match.groups()
    return f"{field or 'payload'}: expected {_WORDS.get(expected, expected)}, found {got or 'something else'}"


CODEC = Native()
