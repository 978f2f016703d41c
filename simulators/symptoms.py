"""What faults make of the messages of their devices: other values, none, late, twice or unreadable. Pure.

Only faults that a row of the table describes in full are worked here (fault_table.py: `sets`, `event`, `stream`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import msgspec

from hub.clock import SECOND_US
from simulators.city import City
from simulators.fault_table import SORTS
from simulators.faults import NEVER_US, Fault
from simulators.ground import Ints
from simulators.wire import Message, encode

DRIFT_S_PER_H = 60
UPLOAD_S = 20
"""What was held is sent within this time, in no order."""
AGAIN_S = 2
WHOLE = ("silent", "gap", "repeat", "garble")
"""Happen to whole messages where the device speaks for itself."""


class Symptoms:
    """The faults of a city that show in messages only."""

    def __init__(self, faults: Sequence[Fault], city: City) -> None:
        self._by_speaker: dict[str, list[Fault]] = {}
        speakers = _speakers(city)
        for fault in faults:
            sort = SORTS[fault.name]
            if sort.sets or sort.event or sort.ended or sort.stream:
                ids, of_device = speakers.get((sort.kind, sort.type), ((), None))
                gateways = () if of_device is None else (ids[of_device[fault.row]],)
                for speaker in (fault.device, *gateways):
                    self._by_speaker.setdefault(f"city/{fault.commune}/{fault.kind}/{speaker}", []).append(fault)

    def shown(self, messages: Iterable[Message]) -> list[Message]:
        """The messages as they come out; what is held has a later `due_us`."""
        if not self._by_speaker:
            return list(messages)
        out: list[Message] = []
        for message in messages:
            faults = self._by_speaker.get(message.topic.rsplit("/", 1)[0], ())
            now = [fault for fault in faults if fault.start_us <= message.due_us <= fault.end_us]
            out += _struck(message, now) if now else [message]
        return out


def _struck(message: Message, faults: Sequence[Fault]) -> list[Message]:
    """One message under the faults of those it speaks of."""
    speaker = message.topic.split("/")[3]
    out = [message]
    for fault in faults:
        is_whole = SORTS[fault.name].stream in WHOLE and fault.device == speaker and message.due_us < fault.end_us
        out = [m for one in out for m in (_on_its_way(one, fault) if is_whole else _retold(one, fault, speaker))]
    return out


def _retold(message: Message, fault: Fault, speaker: str) -> list[Message]:
    """A message with other words of one device; none when nobody else has a word in it."""
    if message.topic.rsplit("/", 1)[1] not in ("telemetry", "batch"):
        return [message]
    said = msgspec.json.decode(message.payload)
    parts = said if isinstance(said, list) else [said]
    kept = []
    for part in parts:
        if part.get("id", speaker) == fault.device:
            if SORTS[fault.name].stream == "silent" and message.due_us < fault.end_us:
                continue
            kept.append(part | _words(fault, message.due_us, part))
        else:
            kept.append(part)
    return [replace(message, payload=encode(kept if isinstance(said, list) else kept[0]))] if kept else []


def _words(fault: Fault, at_us: int, part: Mapping[str, object]) -> dict[str, object]:
    """What a device says otherwise at a time."""
    sort, words = SORTS[fault.name], dict[str, object]()
    if at_us < fault.end_us:
        words |= sort.sets
        if sort.stream == "drift":
            ahead_ms = (at_us - fault.start_us) // 1000 * DRIFT_S_PER_H // 3600
            words["ts"] = int(str(part["ts"])) + ahead_ms
    event = {fault.start_us: sort.event, fault.end_us: sort.ended}.get(at_us)
    return words | ({"event": event} if event else {})


def _on_its_way(message: Message, fault: Fault) -> list[Message]:
    """What becomes of a message of a device whose messages suffer as a whole."""
    match SORTS[fault.name].stream:
        case "repeat":
            return [message, replace(message, due_us=message.due_us + AGAIN_S * SECOND_US)]
        case "garble":
            return [garbled(message)]
        case "gap" if fault.end_us < NEVER_US:
            return [replace(message, due_us=fault.end_us + shuffled_us(message, UPLOAD_S))]
    return []  # silent, or held for ever


def garbled(message: Message) -> Message:
    """A message cut short."""
    return replace(message, payload=message.payload[: max(1, 2 * len(message.payload) // 3)])


def shuffled_us(message: Message, within_s: int) -> int:
    """A delay that depends on nothing but the message."""
    return crc32(message.payload) % (within_s * SECOND_US)


def _speakers(city: City) -> Mapping[tuple[str, str], tuple[Sequence[str], Ints]]:
    """Who speaks for the devices of a type in batches: ids, and whose each device's is."""
    fixtures = city.fixtures
    return {
        ("street_lighting", "lamp"): (city.cabinets.id, city.feeder_cabinet[city.lamp_feeder]),
        ("street_lighting", "feeder"): (city.cabinets.id, city.feeder_cabinet),
        ("water_meter", "meter"): (city.gateway_id, city.meter_gateway),
        ("traffic_light", "detector"): (fixtures.junctions.id, fixtures.detector_junction),
        ("road_works", "barrier"): (fixtures.sites.id, fixtures.barrier_site),
        ("road_works", "temporary_light"): (fixtures.sites.id, fixtures.light_site),
    }
