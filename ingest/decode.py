"""Decoding: messages of the log become columns per kind, events, announcements and rejects. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.kind import Column, Field, Formula, Kind, Mask, kinds
from devices.quota import speaker
from devices.readings import UNKNOWN, Announced, Decoded, Excess, Happened, Key, Readings, Refuse, Rejected
from hub.clock import SECOND_US
from ingest.codecs.codec import WHOLE, Codec, Heard, Reject
from ingest.codecs.loose import BYTE_ORDER_MARK
from ingest.log import Flag, Message

EARLIEST_US = 946_684_800 * SECOND_US
"""2000-01-01: a device clock before it is unset."""
AHEAD_US = 86_400 * SECOND_US
"""A clock more than a day ahead is impossible; less is kept as told."""
OVER_QUOTA = "its topic had used up its quota; this is a sample of what came, at most its first 16 kB"
_PLACE = ("lat", "lon", "long", "latitude", "longitude")
_POSITION = re.compile(rb'("(?:%b)"\s*:\s*)(?:\[[^\]]*\]?|[^,}\]]+)' % "|".join(_PLACE).encode())


@dataclass(slots=True)
class Rows:
    """Readings of one kind while they are gathered."""

    messages: list[Message]
    heard: list[Heard]


Directory = Mapping[Key, int]
Codecs = Callable[[str], tuple[Codec, str] | None]
"""Source name to its codec and commune; None when the source is not in the settings."""


def decode(messages: Sequence[Message], codecs: Codecs, directory: Directory) -> Decoded:
    """Decode a stretch of the log, not empty; the flow is: codec, columns, checks, privacy."""
    rows: dict[str, Rows] = {}
    events: list[Happened] = []
    announcements: list[Announced] = []
    rejected: list[Rejected] = []
    refuse = refuser(messages, codecs)
    duplicates = whole = cut = 0
    over_quota: Excess = Counter()
    for message in messages:
        if message.flags & Flag.DUPLICATE:
            duplicates += 1
            continue
        if message.flags & Flag.OVER_QUOTA:
            over_quota[message.source, "over_quota", speaker(message.topic)] += 1
            if message.flags & Flag.SAMPLE:
                rejected.append(refuse(message.offset, WHOLE, "over_quota", OVER_QUOTA))
                whole += 1
            else:
                cut += 1
            continue
        for found in _decoded(message, codecs):
            if type(found) is Reject:
                rejected.append(refuse(message.offset, found.part, found.reason, found.detail))
                whole += found.part == WHOLE
            elif type(found) is Heard and _is_reading(message, found, events, announcements):
                gathered = rows.get(found.key[1]) or rows.setdefault(found.key[1], Rows([], []))
                gathered.messages.append(message)
                gathered.heard.append(found)
    readings: list[Readings] = []
    withheld: list[Readings] = []
    total = quarantined = sum(r.part != WHOLE for r in rejected)
    for name, gathered in rows.items():
        columns = _columns(kinds()[name], gathered, directory)
        total += len(columns)
        columns, bad = _in_range(columns, gathered, refuse)
        columns, hidden = _withhold(columns, gathered, events)
        rejected += bad
        quarantined += len(bad)
        readings += [columns] if len(columns) else []
        withheld += [hidden] if len(hidden) else []
    counts = {
        "messages": len(messages),
        "messages_decoded": len(messages) - whole - duplicates - cut,
        "messages_quarantined": whole,
        "messages_duplicate": duplicates,
        "messages_over_quota": cut,
        "readings": total,
        "readings_quarantined": quarantined,
        "readings_withheld": sum(map(len, withheld)),
    }
    next_offset = messages[-1].offset + 1
    return Decoded(
        messages[0].offset,
        next_offset,
        readings,
        withheld,
        events,
        announcements,
        rejected,
        refuse,
        counts,
        over_quota,
    )


def _decoded(message: Message, codecs: Codecs) -> Iterable[Heard | Reject]:
    if message.flags & Flag.DAMAGED:
        return (Reject(WHOLE, "damaged", f"the log's segment {message.source} is damaged here"),)
    source = codecs(message.source)
    if source is None:
        return (Reject(WHOLE, "unknown_source", f"{message.source}: no such source in the settings"),)
    codec, commune = source
    return codec.decode(message.topic, message.payload, commune)


def refuser(messages: Sequence[Message], codecs: Codecs) -> Refuse:
    """How these messages, which are not empty and follow each other, are refused: whole, or a part by itself."""
    first = messages[0].offset

    @lru_cache(maxsize=1)  # the refused parts of one message come one after the other
    def parts(offset: int) -> Sequence[bytes]:
        message = messages[offset - first]
        source = codecs(message.source)
        return source[0].parts(message.payload) if source else [message.payload]

    def refuse(offset: int, part: int, reason: str, detail: str) -> Rejected:
        message = messages[offset - first]
        payload = message.payload if part == WHOLE else parts(offset)[part]
        if _may_hold_positions(message, codecs):
            payload = _without_place(payload)
        topic = message.topic.encode()
        return Rejected(offset, part, message.received_us, message.source, topic, payload, reason, detail)

    return refuse


def _may_hold_positions(message: Message, codecs: Codecs) -> bool:
    """May it speak of something that moves, as far as its topic tells? The quarantine keeps no positions of those."""
    source = codecs(message.source)
    address = source[0].address(message.topic, source[1]) if source else None
    return address is None or kinds()[address[1]].is_mobile


def _without_place(payload: bytes) -> bytes:
    """A payload whose positions are null, however they are written; what is not JSON by its look."""
    try:
        found = msgspec.json.decode(payload.removeprefix(BYTE_ORDER_MARK))
        return msgspec.json.encode(_blanked(found)) if _has_place(found) else payload
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
        return _POSITION.sub(rb"\1null", payload)


def _has_place(found: object) -> bool:
    """Is one of the names there? Not: is it null, since a name may be there twice and only the last is decoded."""
    if isinstance(found, list):
        return any(map(_has_place, found))
    return isinstance(found, dict) and any(name in _PLACE or _has_place(value) for name, value in found.items())


def _blanked(found: object) -> object:
    if isinstance(found, list):
        return [_blanked(one) for one in found]
    if isinstance(found, dict):
        return {name: None if name in _PLACE else _blanked(value) for name, value in found.items()}
    return found


def _is_reading(message: Message, heard: Heard, events: list[Happened], announcements: list[Announced]) -> bool:
    """Does it measure something? An announcement does not; an event, which is kept here, may do so beside."""
    if heard.event is None and heard.announced is None:
        return True
    if heard.announced is not None:
        announcements.append(Announced(heard.key, message.received_us, heard.announced, message.offset, heard.part))
        return False
    assert heard.event is not None
    ts_us, flagged = _event_time(heard.ts_us, message.received_us)
    told = (heard.key, ts_us, message.received_us, heard.event, flagged, heard.rest)
    events.append(Happened(message.offset, heard.part, *told))
    return any(value is not None for value in heard.values)


def _event_time(ts_us: int | None, received_us: int) -> tuple[int, bool]:
    """The time of an event, and whether it is the time of reception because the device's was impossible."""
    if ts_us is None or not EARLIEST_US <= ts_us <= received_us + AHEAD_US:
        return received_us, True
    return ts_us, False


def _columns(kind: Kind, rows: Rows, directory: Directory) -> Readings:
    heard, messages = rows.heard, rows.messages
    keys = [h.key for h in heard]
    device_no = np.array([directory.get(key, UNKNOWN) for key in keys], np.int64)
    received_us = np.array([m.received_us for m in messages], np.int64)
    told_us = np.array([h.ts_us or 0 for h in heard], np.int64)
    time_flagged = (told_us < EARLIEST_US) | (told_us > received_us + AHEAD_US)
    values = np.array([h.values for h in heard], np.float64).T
    return Readings(
        kind=kind,
        offset=np.array([m.offset for m in messages], np.int64),
        part=np.array([h.part for h in heard], np.int32),
        device_no=device_no,
        ts_us=np.where(time_flagged, received_us, told_us),
        received_us=received_us,
        time_flagged=time_flagged,
        replayed=np.array([m.flags & Flag.REPLAY for m in messages], bool),
        values=np.ascontiguousarray(values),
        rest={row: h.rest for row, h in enumerate(heard) if h.rest},
        strangers={int(row): keys[row] for row in np.flatnonzero(device_no == UNKNOWN)},
    )


def _in_range(readings: Readings, rows: Rows, refuse: Refuse) -> tuple[Readings, list[Rejected]]:
    """The readings whose every value is possible, and the others, each with a sentence."""
    low = np.array([-np.inf if f.low is None else f.low for f in readings.kind.fields])[:, None]
    high = np.array([np.inf if f.high is None else f.high for f in readings.kind.fields])[:, None]
    wrong = (readings.values < low) | (readings.values > high) | np.isinf(readings.values)
    bad: Mask = np.logical_or.reduce(wrong, axis=0)
    if not bad.any():
        return readings, []
    rejected = [
        refuse(
            rows.messages[row].offset,
            rows.heard[row].part,
            "out_of_range",
            _beyond(readings.kind, rows.heard[row], wrong[:, row]),
        )
        for row in np.flatnonzero(bad)
    ]
    kept: Mask = ~bad
    rows.heard = [h for h, keep in zip(rows.heard, kept, strict=True) if keep]
    return readings.where(kept), rejected


def _beyond(kind: Kind, heard: Heard, wrong: NDArray[np.bool_]) -> str:
    index = int(np.flatnonzero(wrong)[0])
    field = kind.fields[index]
    return f"{field.name} is {heard.values[index]:g}, {_limits(field)}"


def _limits(field: Field) -> str:
    if field.low is None or field.high is None:
        return "not a finite number"
    return f"outside {field.low:g} to {field.high:g} {field.unit}".rstrip()


def _withhold(readings: Readings, rows: Rows, events: list[Happened]) -> tuple[Readings, Readings]:
    """Split off what privacy forbids to keep; only the event that says so stays of it, and the state for the rules."""
    kind = readings.kind
    if kind.withheld is None or not len(readings):
        return readings, readings.take(np.empty(0, np.intp))
    formula = Formula.of(kind.withheld)
    columns: dict[str, Column] = dict(zip(kind.field_names, readings.values, strict=True))
    hidden: Mask = formula(columns)
    for row in np.flatnonzero(hidden):
        key, flagged = rows.heard[row].key, bool(readings.time_flagged[row])
        ts_us, received_us = int(readings.ts_us[row]), int(readings.received_us[row])
        if kind.withheld_event:
            place = int(readings.offset[row]), int(readings.part[row])
            events.append(Happened(*place, key, ts_us, received_us, kind.withheld_event, flagged, None))
    said = np.isin(kind.field_names, formula.columns)
    bare = readings.take(np.flatnonzero(hidden))
    return readings.where(~hidden), replace(bare, values=np.where(said[:, None], bare.values, np.nan), rest={})
