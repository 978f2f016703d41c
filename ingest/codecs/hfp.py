"""HFP version 2, the high-frequency positioning of Helsinki's public transport (HSL). Pure.

Topic: `/hfp/v2/{journey_type}/{temporal_type}/{event_type}/{mode}/{operator}/{vehicle}/...`; a dead run has
no more levels, and a headsign may hold spaces. Payload: an object of one member, named as the event type in
capitals. Source: Digitransit's page "High-frequency positioning". Two operators may use one vehicle number, so
a device's id is `{operator}-{vehicle}` as the topic writes them, for example `0012-01211`; buses, trams and
trains are all vehicles.

An event type other than a position becomes an event of the kind; how fast and how far the vehicle was goes into the
event's detail and not into a reading, since an event often bears the very instant of a position (door events do) and
differs from it by centimetres: a second reading of that instant would be a conflict. Where it was is told by the
positions, one a second, alone: they are forgotten in time, as the law asks, and an event would remember.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from devices.fleet_vehicle import KIND
from devices.registry import name_fault
from ingest.codecs.codec import Heard, Reject, in_order, shown
from ingest.codecs.loose import RefusedError, instant_us, json_object, kept, number

EVENTS: Mapping[str, str | None] = {
    "vp": None,  # a position, once a second
    "due": "stop_due",  # will soon arrive at a stop
    "arr": "stop_near",  # is inside the stop's radius
    "ars": "stop_arrived",  # has arrived at the stop
    "pde": "stop_ready",  # is ready to leave
    "dep": "stop_left",  # has left the stop's radius
    "pas": "stop_passed",  # passes without stopping
    "wait": "stop_waiting",  # waits at the stop
    "doo": "door_opened",
    "doc": "door_closed",
    "tlr": "priority_asked",  # asks traffic lights for priority
    "tla": "priority_answered",
    "da": "driver_on",  # driver signs in to the vehicle
    "dout": "driver_off",
    "ba": "block_on",  # driver selects the vehicle's block of journeys
    "bout": "block_off",
    "vja": "signed_on",  # vehicle signs in to a journey
    "vjout": "signed_off",
}
KMH_PER_MPS = 3.6
TOLD_BY_EVENTS = ("speed_kmh", "course_deg", "odometer_m", "doors_open")
LONGEST_TOPIC = 500
"""In characters; longer ones are not remembered: strangers could fill the memory with them."""
LATEST_S = 253_402_300_800.0
"""The year 10000; a `tsi` beyond it is no time."""
READ = frozenset({"tst", "tsi", "spd", "hdg", "lat", "long", "odo", "drst"})


class Address(NamedTuple):
    """What a topic tells."""

    journey: str
    temporal: str
    event: str
    mode: str
    id: str
    headsign: str | None


def parse_topic(topic: str) -> Address | Reject:
    """Whom a topic speaks of, and why; the leading slash is optional (some bridges remove it)."""
    return _parsed(topic) if len(topic) <= LONGEST_TOPIC else _parsed.__wrapped__(topic)


@lru_cache(maxsize=20_000)
def _parsed(topic: str) -> Address | Reject:
    levels = topic.removeprefix("/").split("/")
    try:
        if levels[:2] != ["hfp", "v2"] or len(levels) < 8:
            raise RefusedError(
                "wrong_topic", f"{shown(topic, 200)}: an HFP topic is /hfp/v2/ and at least six more levels"
            )
        journey, temporal, event, mode, operator, vehicle = levels[2:8]
        if event not in EVENTS:
            raise RefusedError(
                "unknown_event", f"{shown(event, 40)} is no HFP event type; known are {', '.join(EVENTS)}"
            )
        device_id = f"{operator}-{vehicle}"
        fault = name_fault(device_id)
        if fault or not operator or not vehicle:
            raise RefusedError(
                "no_identity", f"operator and vehicle {shown(device_id, 80)} {fault or 'are not both there'}"
            )
    except RefusedError as error:
        return error.reject()
    return Address(journey, temporal, event, mode, device_id, levels[10] if len(levels) > 10 else None)


class Hfp:
    """The codec of HSL's live feed and of recordings of it."""

    name = "hfp"

    def address(self, topic: str, commune: str) -> tuple[str, str] | None:
        return (commune, KIND.name) if isinstance(parse_topic(topic), Address) else None

    def carries_many(self, topic: str) -> bool:
        return False

    def decode(self, topic: str, payload: bytes, commune: str) -> list[Heard | Reject]:
        address = parse_topic(topic)
        if isinstance(address, Reject):
            return [address]
        try:
            return [_heard(address, _body(address, payload), commune)]
        except RefusedError as error:
            return [error.reject()]

    def parts(self, payload: bytes) -> list[bytes]:
        return [payload]

    def examples(self) -> list[tuple[str, bytes]]:
        return [
            (
                "/hfp/v2/journey/ongoing/vp/bus/0012/01211/4735/1/Mikkola/08:01/4820213/4/60;25/31/30/90",
                b'{"VP":{"desi":"735","dir":"1","oper":6,"veh":1211,"tst":"2024-05-13T05:51:38.280Z","tsi":1715579498,'
                b'"spd":12.5,"hdg":51,"lat":60.338,"long":25.119,"acc":-0.5,"dl":-60,"odo":3204,"drst":0,"stop":null}}',
            ),
            (
                "/hfp/v2/deadrun/ongoing/doo/bus/0012/01211",
                b'{"DOO":{"tst":"2024-05-13T05:51:38.280Z","tsi":1715579498,"lat":0,"long":0,"odo":3204,"drst":1}}',
            ),
        ]


def _body(address: Address, payload: bytes) -> Mapping[str, object]:
    """The object under the event's name; a body of another name contradicts its topic."""
    message = json_object(payload)
    body = message.get(address.event.upper())
    if not isinstance(body, Mapping):
        found = ", ".join(map(repr, message))[:80] or "nothing"
        raise RefusedError("wrong_type", f"expected an object under {address.event.upper()!r}, found {found}")
    return body


def _heard(address: Address, body: Mapping[str, object], commune: str) -> Heard:
    fields = _fields(body)
    rest = kept(body, without=READ) or {}
    rest |= {"journey": address.journey, "temporal": address.temporal, "mode": address.mode}
    if address.headsign:
        rest["headsign"] = address.headsign
    event = EVENTS[address.event]
    if event is not None:
        rest |= {name: fields[name] for name in TOLD_BY_EVENTS if fields[name] is not None}
        fields = {}
    if body.get("lat") == 0 and body.get("long") == 0:
        rest["no_fix"] = True
    return Heard(0, (commune, KIND.name, address.id), _ts_us(body), in_order(KIND, fields), event, rest)


def _fields(body: Mapping[str, object]) -> dict[str, float | None]:
    """The kind's fields; HFP's speed is in m/s, its null position is a vehicle without a fix."""
    lat, lon = number(body, "lat"), number(body, "long")
    if lat == 0 and lon == 0:
        lat = lon = None  # a receiver's "no fix": nobody drives in the Gulf of Guinea
    speed_mps = number(body, "spd")
    return {
        "lat": lat,
        "lon": lon,
        "speed_kmh": None if speed_mps is None else round(speed_mps * KMH_PER_MPS, 3),
        "course_deg": number(body, "hdg"),
        "odometer_m": number(body, "odo"),
        "doors_open": number(body, "drst"),
    }


def _ts_us(body: Mapping[str, object]) -> int | None:
    """`tst` in milliseconds, else `tsi`, the same in whole seconds."""
    ts_us = instant_us(body.get("tst"))
    if ts_us is None:
        seconds = number(body, "tsi")
        ts_us = None if seconds is None or abs(seconds) > LATEST_S else round(seconds * 1_000_000)
    return ts_us


CODEC = Hfp()
