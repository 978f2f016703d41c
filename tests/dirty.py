"""A fleet as fleets are: repeated, shuffled, late, off in time, cut; and an independent model of what must come of it.

The model is a plain dict by device and time, kept in the order in which the broker took the messages: it knows nothing
of the hub's code. All chance is in the Random given.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from simulators.packets import Publish

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
EACH_US = 5_000
"""From one message of the fleet to the next, by a clock that is right."""
FAULT: Mapping[str, Mapping[str, object]] = {
    "water_meter": {"tamper": True},
    "street_lighting": {"breaker_tripped": True},
    "fleet_vehicle": {"sos": True},
}
"""What calls somebody at once, P2 of a meter and P1 of the others, where it is live."""
WELL = {kind: dict.fromkeys(fault, False) for kind, fault in FAULT.items()}
TYPES = {"water_meter": "meter", "street_lighting": "feeder", "fleet_vehicle": "vehicle"}
STATUS = ("leak", "burst", "dry", "backflow", "tamper", "blocked", "flow_above_q4", "low_battery", "meter_fault")
"""What the status of a radio meter's telegram tells, all of it."""
DIED = (0, -5, 4_294_967_295, 915_148_800_000, 253_402_300_800_000, "2026-05-28T20:26:40", None)
"""Times of devices without a clock: none, 1970, 2106, 1999, the year 10000, no zone."""


@dataclass(frozen=True)
class Device:
    kind: str
    id: str
    off_us: int = 0
    """How far its clock is off."""


@dataclass(frozen=True)
class Told:
    """One reading: `ts_us` None is a time that cannot be."""

    device: Device
    ts_us: int | None
    values: Mapping[str, object]
    is_withheld: bool = False


@dataclass(frozen=True)
class Said:
    """One message: what is published, and what it means; where it is `refused`, what a release makes of it."""

    publish: Publish
    told: Sequence[Told] = ()
    refused: str = ""


@dataclass
class Model:
    """What must be stored of a row of messages."""

    rows: dict[tuple[str, int], dict[str, object]] = field(default_factory=dict)
    """By device and time."""
    flagged: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Device and values of those whose time could not be."""
    refused: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    duplicates: int = 0
    withheld: int = 0

    def hear(self, said: Said) -> None:
        if said.refused:
            self.refused[said.refused] += 1
        else:
            self.take(said.told)

    def take(self, all_told: Sequence[Told]) -> None:
        for told in all_told:
            self._take(told)

    def _take(self, told: Told) -> None:
        if told.is_withheld:
            self.withheld += 1
        elif told.ts_us is None:
            self.flagged[told.device.id, as_text(told.values)] += 1
        elif (row := self.rows.get((told.device.id, told.ts_us))) is None:
            self.rows[told.device.id, told.ts_us] = dict(told.values)
        elif any(row.get(name, value) != value for name, value in told.values.items()):
            self.refused["conflict"] += 1
        elif told.values.keys() <= row.keys():
            self.duplicates += 1
        else:
            self.merged += 1
            row |= told.values


def as_text(values: Mapping[str, object]) -> str:
    return json.dumps({name: float(value) for name, value in sorted(values.items()) if value is not None})


@dataclass
class Fleet:
    """Devices that speak once a second each, and everything that happens to what they say."""

    run: str
    chance: Random
    start_us: int
    devices: list[Device] = field(default_factory=list)
    live: list[Device] = field(default_factory=list)
    """At fault from some moment on, on time: each calls once."""
    late_only: list[Device] = field(default_factory=list)
    """Of them nothing is known but faults of a month ago: they call nobody."""
    replayed_only: list[Device] = field(default_factory=list)
    clockless: Device = field(init=False)
    """At fault now, and its clock died: calls once."""
    is_autumn: bool = False
    """Has the hour of summer ended? It does in the middle."""
    radio: list[Device] = field(default_factory=list)
    """At fault now, but their telegrams are refused, and released later: they call nobody."""

    def __post_init__(self) -> None:
        for kind, count in (("water_meter", 90), ("street_lighting", 40), ("fleet_vehicle", 40)):
            self.devices += [self._device(kind, n, self._off()) for n in range(count)]
            self.live.append(self._device(kind, "live"))
            self.late_only += [self._device(kind, f"late{n}") for n in range(3)]
            self.replayed_only.append(self._device(kind, "replayed"))
        self.clockless = self._device("water_meter", "clockless")
        self.radio = [self._device("water_meter", f"radio{n}") for n in range(5)]

    def _device(self, kind: str, name: object, off_us: int = 0) -> Device:
        return Device(kind, f"{self.run}-{kind[0]}{name}", off_us)

    def _off(self) -> int:
        """A tenth of the clocks is off, by up to a day."""
        return self.chance.randrange(-23 * HOUR, 23 * HOUR, SECOND) if self.chance.random() < 0.1 else 0

    @property
    def all(self) -> list[Device]:
        return [*self.devices, *self.live, *self.late_only, *self.replayed_only, self.clockless, *self.radio]

    def devices_of(self, kind: str) -> list[Device]:
        return [device for device in self.all if device.kind == kind]

    def registry(self) -> str:
        """The file for `beffroi devices import`."""
        return "".join(f"- {{commune: dijon, kind: {d.kind}, id: {d.id}, type: {TYPES[d.kind]}}}\n" for d in self.all)

    def messages(self, count: int) -> list[Said]:
        """So many messages, in the order in which they are published."""
        said: list[Said] = []
        while len(said) < count:
            self.is_autumn = len(said) > count // 2
            said += self._next(Moment(len(said), self.chance.choice(self.devices), self.is_autumn, said))
        return self._shuffled(said[:count])

    def _shuffled(self, said: list[Said]) -> list[Said]:
        """One in ten comes up to a second of the stream later than it should."""
        places = [n + (self.chance.randrange(3_000) if self.chance.random() < 0.1 else 0) for n in range(len(said))]
        return [said[n] for n in sorted(range(len(said)), key=places.__getitem__)]

    def _next(self, at: Moment) -> list[Said]:
        """What is said next, in one of these ways, each so often in a hundred."""
        ways: Mapping[Callable[[Moment], list[Said]], float] = {
            self._well: 78,
            self._again: 5,
            self._month_late: 4,
            self._replayed: 2,
            self._without_a_time: 2,
            self._refused: 2,
            self._halves: 2,
            self._live_fault: 2,
            self._buffer_again: 1,
            self._contrary: 1,
            self._telegram: 0.5,
            self._clockless_fault: 0.5,
        }
        (way,) = self.chance.choices(list(ways), list(ways.values()))
        return way(at)

    def _well(self, at: Moment) -> list[Said]:
        return [self._one(at.device, self._now(at.device, at.number), self._values(at.device, at.number))]

    def _again(self, at: Moment) -> list[Said]:
        """Byte for byte what was said before."""
        return [self.chance.choice(at.before[-5_000:])] if at.before else []

    def _live_fault(self, at: Moment) -> list[Said]:
        """Of those that are at fault from the middle on."""
        device = self.chance.choice(self.live)
        values = self._values(device, at.number, is_at_fault=at.is_late_half)
        return [self._one(device, self._now(device, at.number), values)]

    def _without_a_time(self, at: Moment) -> list[Said]:
        return [self._timeless(at.device, self._values(at.device, at.number))]

    def _clockless_fault(self, at: Moment) -> list[Said]:
        return [self._timeless(self.clockless, self._values(self.clockless, at.number, is_at_fault=True))]

    def _now(self, device: Device, number: int) -> int:
        """By the device's clock; some clocks forget the hour of summer half-way, and say some times twice."""
        jumps = self.is_autumn and device.id.endswith("7")
        return self.start_us + number * EACH_US + device.off_us - (HOUR if jumps else 0)

    def _values(self, device: Device, number: int, *, is_at_fault: bool = False) -> dict[str, object]:
        """A meter counts, and begins again; a vehicle may be off duty."""
        state = FAULT[device.kind] if is_at_fault else WELL[device.kind]
        match device.kind:
            case "water_meter":
                return {"total_m3": number % 5_000, **state}
            case "street_lighting":
                return {"current_a": number % 900, **state}
        return {"odometer_m": number, "lat": 47.25, "lon": 5.0, "on_duty": self.chance.random() < 0.9, **state}

    def _one(self, device: Device, ts_us: int, values: Mapping[str, object], *, replayed: bool = False) -> Said:
        payload = self._written({"ts": self._time(ts_us), **values})
        if self.chance.random() < 0.2:  # the same through a gateway
            payload = self._written([{"id": device.id, "ts": self._time(ts_us), **values}])
            topic = f"city/dijon/{device.kind}/gateway/batch"
        else:
            topic = f"city/dijon/{device.kind}/{device.id}/telemetry"
        return Said(Publish(topic, payload, is_replayed=replayed), [told(device, ts_us, values)])

    def _time(self, ts_us: int) -> object:
        """One moment, as several makers write it."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts_us)
        return self.chance.choice(
            (
                ts_us // 1_000,
                ts_us // 1_000,
                ts_us,
                ts_us * 1_000,
                ts_us / 1e6,
                moment.isoformat().replace("+00:00", "Z"),
                moment.astimezone(timezone(timedelta(hours=2))).isoformat(),
            )
        )

    def _written(self, value: object) -> bytes:
        payload = json.dumps(value)
        way: Callable[[str], str] = self.chance.choice(
            (
                str,
                str,
                lambda text: "\ufeff" + text,
                lambda text: text.replace(", ", ",\r\n") + "\r\n",
                lambda text: text.replace('"ts"', '"ts": 1, "firmware": "é", "ts"'),
            )
        )
        return way(payload).encode()

    def _month_late(self, at: Moment) -> list[Said]:
        device = self.chance.choice(self.chance.choice((self.late_only, self.devices)))
        ts_us = self.start_us - self.chance.choice((2, 9, 31)) * DAY + at.number * EACH_US
        return [self._one(device, ts_us, self._values(device, at.number, is_at_fault=True))]

    def _replayed(self, at: Moment) -> list[Said]:
        device = self.chance.choice([*self.replayed_only, *self.devices])
        values = self._values(device, at.number, is_at_fault=True)
        return [self._one(device, self._now(device, at.number), values, replayed=True)]

    def _timeless(self, device: Device, values: Mapping[str, object]) -> Said:
        payload = json.dumps({"ts": self.chance.choice(DIED), **values}).encode()
        topic = f"city/dijon/{device.kind}/{device.id}/telemetry"
        return Said(Publish(topic, payload), [replace(told(device, 0, values), ts_us=None)])

    def _refused(self, at: Moment) -> list[Said]:
        device = at.device
        whole = json.dumps({"ts": 1_780_000_000, **FAULT[device.kind]})
        payload, why = self.chance.choice(
            (
                (whole.replace("true", "NaN").encode(), "invalid_json"),
                (whole.replace("true", "1e999").encode(), "invalid_json"),
                (whole.encode("utf-16"), "invalid_json"),
                (gzip.compress(whole.encode()), "invalid_json"),
                (whole.encode()[:-2], "invalid_json"),
                ((whole + "\r\n" + whole).encode(), "invalid_json"),
                (whole.replace("1780000000", '"soon"').encode(), "wrong_type"),
                (whole.replace("true", "1" + "0" * 400).encode(), "wrong_type"),
                (whole.replace("true", "7").encode(), "out_of_range"),
            )
        )
        return [Said(Publish(f"city/dijon/{device.kind}/{device.id}/telemetry", payload), refused=why)]

    def _telegram(self, at: Moment) -> list[Said]:
        """A radio meter's, of a source whose codec is set wrongly until the release."""
        number, device = at.number, self.chance.choice(self.radio)
        ts_us = self.start_us + number * EACH_US
        moment = datetime.fromtimestamp(ts_us / 1e6, UTC).isoformat()
        body = {"media": "water", "id": device.id, "total_m3": number, "status": "TAMPER", "timestamp": moment}
        values = {"total_m3": number, **dict.fromkeys(STATUS, False), "tamper": True}
        publish = Publish(f"wmbusmeters/{device.id}", json.dumps(body).encode())
        return [Said(publish, [told(device, ts_us, values)], "wrong_topic")]

    def _buffer_again(self, at: Moment) -> list[Said]:
        """A gateway sends its buffer once more, live and in whatever order."""
        kind = at.device.kind
        known = [one for said in at.before[-800:] for one in said.told if not said.refused]
        sent = [one for one in known if one.device.kind == kind and one.ts_us and self._is_harmless(one)][-20:]
        self.chance.shuffle(sent)
        elements = [{"id": one.device.id, "ts": one.ts_us, **one.values} for one in sent]
        return [Said(Publish(f"city/dijon/{kind}/gateway/batch", json.dumps(elements).encode()), sent)]

    def _is_harmless(self, told: Told) -> bool:
        """Not a fault that only a replay told: said live, it would rightly call."""
        return told.device in self.live or not any(told.values.get(name) for name in FAULT[told.device.kind])

    def _halves(self, at: Moment) -> list[Said]:
        """One moment in two messages, in one stretch or in two."""
        device, number = at.device, at.number
        ts_us, values = self._now(device, number), self._values(device, number) | {"on_duty": True}
        if device.kind != "fleet_vehicle":
            del values["on_duty"]
        first, *rest = values.items()
        keep = {"on_duty": True} if device.kind == "fleet_vehicle" else {}
        return [self._one(device, ts_us, dict([first]) | keep), self._one(device, ts_us, dict(rest))]

    def _contrary(self, at: Moment) -> list[Said]:
        """The time of a reading that was told, with another value."""
        known = [one for said in at.before[-500:] for one in said.told if one.device == at.device and one.ts_us]
        ts_us = known[-1].ts_us if known else None
        return [self._one(at.device, ts_us or self._now(at.device, at.number), self._values(at.device, at.number))]


@dataclass(frozen=True)
class Moment:
    """Where the stream is: the number of the next message, whose turn it is, and what was said."""

    number: int
    device: Device
    is_late_half: bool
    before: Sequence[Said]


def told(device: Device, ts_us: int, values: Mapping[str, object]) -> Told:
    return Told(device, ts_us, values, is_withheld=values.get("on_duty") is False)
