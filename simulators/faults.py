"""Faults that are put into a simulated city on purpose, and the truth about them. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.clock import to_datetime
from hub.errors import BadSetting
from simulators.city import City
from simulators.ground import Places

NEVER_US = 2**62
UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_SPEC = re.compile(
    r"(?P<name>[a-z_]+)(:(?P<which>[^@]+))?(@(?P<start>-?\d+(\.\d+)?(s|min|h|d)?)(\+(?P<lasts>\d+(\.\d+)?(s|min|h|d)?))?)?"
)
DEMO_FAULTS = ("lamp_out:8@-3h", "burst@45s", "feeder_trip@90s+40min", "leak:6@-25h", "gateway_silent@5min+30min")
"""What `beffroi up` shows a newcomer: few enough that a normal night stays normal."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one device, from `start_us` to before `end_us` (`NEVER_US` when nobody repairs it)."""

    name: str
    kind: str
    row: int
    """The device's place in the city's table of its type."""
    device: str
    commune: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of fault: whom it befalls and the code of the rule that should notice."""

    kind: str
    type: str
    code: str | None
    """None while no rule can see it."""
    cause: str
    """What happened, for the truth file."""


SORTS: Mapping[str, Sort] = {
    "lamp_out": Sort("street_lighting", "lamp", "lamp_out", "the LED driver died; the controller still speaks"),
    "feeder_trip": Sort("street_lighting", "feeder", "feeder_out", "the breaker tripped; its lamps have no supply"),
    "gateway_silent": Sort("street_lighting", "cabinet", "cabinet_silent", "the cabinet's modem is dead"),
    "leak": Sort("water_meter", "meter", "leak", "water runs day and night behind the meter"),
    "burst": Sort("water_meter", "meter", "burst", "a pipe burst behind the meter"),
    "main_burst": Sort("water_meter", "zone", "zone_burst", "a main of the network burst"),
    "junction_dark": Sort("traffic_light", "junction", "signals_dark", "the signals lost power; the controller speaks"),
    "conflict_flash": Sort("traffic_light", "junction", "conflict_flash", "the controller fell back to yellow flash"),
    "detector_stuck": Sort("traffic_light", "detector", "detector_stuck", "the loop's wire is cut: always occupied"),
    "power_exceeded": Sort("energy_meter", "meter", "subscribed_power_exceeded", "heaters that nobody switched off"),
    "sensor_flatline": Sort(
        "environment_station", "station", None, "the sensors froze: the same values again and again"
    ),
    "sensor_dead": Sort("environment_station", "station", "sensor_error", "the fan of the station stands still"),
    "site_overrun": Sort("road_works", "site", "site_overrun", "the works were not finished in time"),
    "barrier_down": Sort("road_works", "barrier", "barrier_down", "a lorry knocked the barrier over"),
    "temporary_light_out": Sort("road_works", "temporary_light", "temporary_light_out", "the light's lamp is broken"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """A fault as ordered: `NAME[:COUNT or device][@START[+DURATION]]`."""

    name: str
    count: int
    device: str | None
    start_s: float
    lasts_s: float | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an order such as `feeder_trip:2@120s+30min`; BadSetting when it is none."""
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            raise BadSetting(
                f"fault {text!r}: write NAME[:COUNT][@START[+DURATION]], for example feeder_trip:1@120s+30min"
            )
        name, which = match["name"], match["which"]
        if name not in SORTS:
            raise BadSetting(f"fault {text!r}: there is no {name!r}; the faults are {', '.join(SORTS)}")
        count = int(which) if which and which.isdecimal() else 1
        if count < 1:
            raise BadSetting(f"fault {text!r}: the count is at least 1")
        device = which if which and not which.isdecimal() else None
        lasts = match["lasts"]
        return cls(name, count, device, _seconds(match["start"] or "0"), _seconds(lasts) if lasts else None)


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(-?[\d.]+)([a-z]*)", text).groups()  # type: ignore[union-attr]  # _SPEC matched
    return float(number) * UNITS_S[unit or "s"]


def plan_faults(orders: Iterable[str], city: City, start_us: int, seed: int) -> list[Fault]:
    """Choose the devices that fail; each has one fault at most. BadSetting when an order cannot be met."""
    rng = np.random.default_rng([seed, 17])
    planned: list[Fault] = []
    for order in map(Order.parse, orders):
        sort = SORTS[order.name]
        places = places_of(city, sort.kind, sort.type)
        taken = {fault.row for fault in planned if _befalls(fault) == (sort.kind, sort.type)}
        start = start_us + int(order.start_s * 1e6)
        end = NEVER_US if order.lasts_s is None else start + int(order.lasts_s * 1e6)
        for row in _rows(order, places, taken, rng):
            commune = city.communes[places.commune[row]].slug
            planned.append(Fault(order.name, sort.kind, row, places.id[row], commune, start, end))
    return sorted(planned, key=lambda fault: (fault.start_us, fault.device))


def _befalls(fault: Fault) -> tuple[str, str]:
    return fault.kind, SORTS[fault.name].type


def places_of(city: City, kind: str, type_: str) -> Places:
    """The table of a type of device."""
    fixtures = city.fixtures
    tables = {
        ("street_lighting", "lamp"): city.lamps,
        ("street_lighting", "feeder"): city.feeders,
        ("street_lighting", "cabinet"): city.cabinets,
        ("water_meter", "meter"): city.meters,
        ("water_meter", "zone"): city.zones,
        ("traffic_light", "junction"): fixtures.junctions,
        ("traffic_light", "detector"): fixtures.detectors,
        ("energy_meter", "meter"): fixtures.energy,
        ("environment_station", "station"): fixtures.stations,
        ("road_works", "site"): fixtures.sites,
        ("road_works", "barrier"): fixtures.barriers,
        ("road_works", "temporary_light"): fixtures.lights,
    }
    return tables[kind, type_]


def _rows(order: Order, places: Places, taken: set[int], rng: np.random.Generator) -> list[int]:
    if order.device is not None:
        if order.device not in places.id:
            raise BadSetting(f"fault {order.name}: the city has no {SORTS[order.name].type} {order.device!r}")
        return [places.id.index(order.device)]
    free = np.setdiff1d(np.arange(len(places)), list(taken))
    if order.count > len(free):
        raise BadSetting(
            f"fault {order.name}:{order.count}: the city has only {len(free)} {SORTS[order.name].type}s left for it"
        )
    return [int(row) for row in rng.choice(free, order.count, replace=False)]


@dataclass(frozen=True, slots=True)
class Spans:
    """When each device of a table has one sort of fault."""

    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    rows: tuple[int, ...]
    """The devices that have it at some time."""

    @classmethod
    def of(cls, faults: Sequence[Fault], name: str, count: int) -> Self:
        """The spans of a table of `count` devices."""
        start, end = np.full(count, NEVER_US), np.full(count, NEVER_US)
        own = [fault for fault in faults if fault.name == name]
        for fault in own:
            start[fault.row], end[fault.row] = fault.start_us, fault.end_us
        return cls(start, end, tuple(fault.row for fault in own))

    def during(self, us: int | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which devices have the fault at a time, shape (count,)."""
        return (self.start_us <= us) & (us < self.end_us)

    def begins(self, after_us: int = 0) -> list[tuple[int, int]]:
        """(time, row) of each begin, `after_us` later."""
        return [(int(self.start_us[row]) + after_us, row) for row in self.rows]

    def ends(self, after_us: int = 0) -> list[tuple[int, int]]:
        """(time, row) of each repair, `after_us` later."""
        return [(int(self.end_us[row]) + after_us, row) for row in self.rows if self.end_us[row] < NEVER_US]


def truth_lines(faults: Sequence[Fault], city: City, since_us: int, until_us: int) -> bytes:
    """The truth about what began or ended after `since_us` and up to `until_us`, as JSON lines."""
    lines = []
    for fault in faults:
        for action, at in (("start", fault.start_us), ("end", fault.end_us)):
            if since_us < at <= until_us:
                lines.append((at, msgspec.json.encode(_truth(fault, action, at, city)) + b"\n"))
    return b"".join(line for _, line in sorted(lines, key=lambda line: line[0]))


def _truth(fault: Fault, action: str, at_us: int, city: City) -> dict[str, object]:
    sort = SORTS[fault.name]
    return {
        "at": to_datetime(at_us).isoformat(),
        "action": action,
        "fault": fault.name,
        "cause": sort.cause,
        "commune": fault.commune,
        "kind": fault.kind,
        "device": fault.device,
        "expected_code": sort.code,
        "start": to_datetime(fault.start_us).isoformat(),
        "end": None if fault.end_us >= NEVER_US else to_datetime(fault.end_us).isoformat(),
        "silenced": _silenced(fault, city),
    }


def _silenced(fault: Fault, city: City) -> list[str]:
    """Ids of the other devices that fall silent with it."""
    if fault.name == "feeder_trip":
        return [city.lamps.id[row] for row in np.flatnonzero(city.lamp_feeder == fault.row)]
    if fault.name == "gateway_silent":
        own = city.feeder_cabinet == fault.row
        lamps = np.flatnonzero(own[city.lamp_feeder])
        return [city.feeders.id[row] for row in np.flatnonzero(own)] + [city.lamps.id[row] for row in lamps]
    return []
