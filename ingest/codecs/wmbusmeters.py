"""What the wmbusmeters program publishes for water and electricity meters: JSON, any topic, identity inside. Pure.

Names of members and words of status are those of the program's drivers (repository wmbusmeters/wmbusmeters,
folders drivers/src and src). `timestamp` is when the program heard the telegram; the meter's own
`meter_datetime` has no zone and tells minutes at best, so it is kept and not believed. Other media wait in the
quarantine.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from devices import energy_meter, water_meter
from devices.kind import Kind
from devices.registry import name_fault
from ingest.codecs import wmbusmeters_electricity as electricity
from ingest.codecs.codec import Heard, Reject, in_order, shown
from ingest.codecs.loose import RefusedError, instant_us, json_object, kept, number, text

Fields = dict[str, float | None]

WATER_MEDIA = ("water", "cold water", "warm water", "hot water")
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "total_m3": ("total_m3",),
    "backflow_m3": ("total_backward_m3", "total_backwards_m3", "total_backward_flow_m3", "backflow_m3"),
    "flow_m3h": ("flow_m3h", "volume_flow_m3h", "current_flow_m3h", "current_volume_flow_m3h"),
    "water_temp_c": ("flow_temperature_c", "temperature_c"),
    "ambient_temp_c": ("external_temperature_c", "ambient_temperature_c"),
    "battery_y": ("remaining_battery_life_y", "battery_y"),
    "rssi_dbm": ("rssi_dbm",),
}
"""The kind's fields by the several names that drivers give them; the first that is there counts."""

NO_SENSOR_C = -100.0
"""What a Q400 sends as temperature when it has none to tell."""

STATUS_MEMBERS = ("status", "current_status", "current_alarms", "error_flags", "error_code", "alarm_flags")
"""What is true now; `previous_alarms`, `historic_status` and the like are kept and raise nothing."""

_WORDS = {
    "leak": "LEAK LEAKAGE LEAKING LEAK_FLOW_HIGH LEAK_FLOW_LOW CONTINUOUS_FLOW",
    "burst": "BURST BURSTING BROKEN_PIPE",
    "dry": "DRY",
    "backflow": "REVERSE REVERSE_FLOW REVERSED BACKFLOW BACK_FLOW BACKFLOWING WRONG_FLOW_DIRECTION",
    "tamper": "TAMPER TAMPERING TAMPER_WHILE_REMOVED SABOTAGE SABOTAGE_ENCLOSURE SEAL_BROKEN MANIPULATION "
    "MAGNETIC_FIELD MAGNETIC_MANIPULATION MAGNETIC_FRAUD_ATTEMPT STRONG_LIGHT "
    "SENSOR_FRAUD SENSOR_FRAUD_ATTEMPT MECHANICAL_FRAUD "
    "REMOVED REMOVAL_DETECTED MODULE_REMOVED DEVICE_DISCONNECTED MBUS_DISCONNECTED",
    "blocked": "BLOCKED METER_BLOCKED",
    "flow_above_q4": "FLOW_ABOVE_Q4",
    "low_battery": "LOW_BATTERY BATTERY_LOW BATTERY BATTERY_EOL POWER_LOW BATTERY_VOLTAGE_ERROR "
    "BATTERY_LIFETIME_THRESHOLD_EXCEEDED",
}
WORDS: Mapping[str, frozenset[str]] = {flag: frozenset(words.split()) for flag, words in _WORDS.items()}
"""Flags of a water meter by the drivers' words for them; waterstarm's LEAKAGE_OR_NO_USAGE is not here: it is either."""

FINE = frozenset({"OK", "NO_ALARM", "NORMAL"})
FAULT = re.compile(r"ERROR|DEFECT|FAULT|FAIL|INTERRUPTED|SHORT_CIRCUIT|SENSOR_BREAK")
"""An unlisted word that holds one of these says that the meter itself is not well: CRC_ERROR, ERROR_FLAGS_800."""
PAST = re.compile(r"(WAS|PREV|P|HISTORIC|HISTORICAL)_.*|.*_(THIS|PREV)_MONTH")
"""Words for what was and need not be any more: WAS_LEAKING (minomess), PREV_LEAKAGE (izarv2), P_LEAK
(aptmbusna, "has been detected"), LEAK_PREV_MONTH (ultrimisv2)."""
DURATION = re.compile(r"\([^()]*\)")
"""Older Kamstrup drivers wrote DRY(dry 22-31 days). It stops at a bracket of either sort: a text of brackets that are
never closed would else be read to its end from each of them."""
SEPARATOR = re.compile(r"[\s,;|]+")

HEADER = frozenset({"_", "media", "id"})


@dataclass(frozen=True, slots=True)
class Medium:
    """How a meter of one medium is read."""

    kind: Kind
    measured: Callable[[Mapping[str, object]], tuple[Fields, frozenset[str]]]
    """The kind's measured fields, and the members that became one."""
    flags: Mapping[str, str]
    """The kind's flags by those of `status_flags`."""


class Wmbusmeters:
    """The codec of wmbusmeters' MQTT output, in its default JSON format."""

    name = "wmbusmeters"

    def address(self, topic: str, commune: str) -> tuple[str, str] | None:
        """Nobody: the topic is whatever wmbusmeters' user chose."""
        return None

    def carries_many(self, topic: str) -> bool:
        """Yes: all telegrams that one receiver hears may be sent to one topic."""
        return True

    def decode(self, topic: str, payload: bytes, commune: str) -> list[Heard | Reject]:
        try:
            return [_heard(json_object(payload), commune)]
        except RefusedError as error:
            return [error.reject()]

    def parts(self, payload: bytes) -> list[bytes]:
        return [payload]

    def examples(self) -> list[tuple[str, bytes]]:
        return [
            (
                "wmbusmeters/cave",
                b'{"_":"telegram","media":"cold water","meter":"flowiq3100","name":"Cave","id":"44556677",'
                b'"total_m3":123.456,"flow_m3h":0.012,"flow_temperature_c":11,"external_temperature_c":-100,'
                b'"status":"DRY(dry 22-31 days) LEAK","meter_datetime":"2026-11-23 08:00",'
                b'"timestamp":"2026-11-23T08:00:03Z","rssi_dbm":-71}',
            ),
            (
                "wmbusmeters/maison",
                b'{"_":"telegram","media":"electricity","meter":"amiplus","name":"Maison","id":"00254358",'
                b'"total_energy_consumption_tariff_1_kwh":10.5,"total_energy_consumption_tariff_2_kwh":4,'
                b'"current_power_consumption_kw":1.2,"current_power_production_kw":0,"voltage_at_phase_1_v":231,'
                b'"voltage_at_phase_2_v":229,"power_factor":1.03,"timestamp":"2026-11-23T08:00:03Z"}',
            ),
        ]


def _heard(telegram: Mapping[str, object], commune: str) -> Heard:
    media = text(telegram, "media")
    if media is None:
        raise RefusedError("wrong_type", "media is missing: not a telegram of wmbusmeters")
    medium = MEDIA.get(media.lower())
    if medium is None:
        raise RefusedError("unsupported", f"media {shown(media, 40)}: the hub has no kind of device for it yet")
    meter_id = text(telegram, "id") or ""
    fault = name_fault(meter_id)
    if fault:
        raise RefusedError("no_identity", f"id {shown(meter_id, 80)} {fault}")
    fields, used = medium.measured(telegram)
    told = status_flags(telegram)
    flags = {flag: told[word] for flag, word in medium.flags.items() if word in told}
    ts_us = instant_us(telegram.get("timestamp"))
    if ts_us is not None and ts_us <= 0:
        ts_us = None  # 1111-11-11, the placeholder of a telegram without a time
    return Heard(
        part=0,
        key=(commune, medium.kind.name, meter_id),
        ts_us=ts_us,
        values=in_order(medium.kind, fields | flags),
        rest=kept(telegram, without=used | HEADER | ({"timestamp"} if ts_us is not None else set())),
    )


def _water(telegram: Mapping[str, object]) -> tuple[Fields, frozenset[str]]:
    """What a water meter measures, and the members that became one."""
    fields: Fields = {}
    used = set()
    for field, members in MEMBERS.items():
        for member in members:
            value = number(telegram, member)
            if value is None or (field.endswith("_temp_c") and value == NO_SENSOR_C):
                continue
            fields[field] = value
            used.add(member)
            break
    return fields, frozenset(used)


def status_flags(telegram: Mapping[str, object]) -> Fields:
    """What a status says, as 1 or 0; none at all when the telegram has no status: then nothing is known."""
    told = [value for name in STATUS_MEMBERS if isinstance(value := telegram.get(name), str)]
    if not told:
        return {}
    words = set(_words(told))
    flags: Fields = {flag: float(not known.isdisjoint(words)) for flag, known in WORDS.items()}
    unlisted = words - FINE - frozenset[str]().union(*WORDS.values())
    flags["meter_fault"] = float(any(FAULT.search(word) for word in unlisted))
    return flags


def _words(statuses: list[str]) -> Iterator[str]:
    for status in statuses:
        for word in SEPARATOR.split(DURATION.sub(" ", status.upper())):
            if word and not PAST.fullmatch(word):
                yield word


WATER = Medium(water_meter.KIND, _water, {flag: flag for flag in (*WORDS, "meter_fault")})
ELECTRICITY = Medium(energy_meter.KIND, electricity.measured, {"cover_open": "tamper"})
MEDIA: Mapping[str, Medium] = {**dict.fromkeys(WATER_MEDIA, WATER), "electricity": ELECTRICITY}

CODEC = Wmbusmeters()
