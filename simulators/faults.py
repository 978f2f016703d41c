"""Faults that are put into a simulated city on purpose: how they are ordered, whom they befall, when. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from hub.errors import BadSetting
from simulators.city import City
from simulators.fault_table import SORTS
from simulators.ground import Places
from simulators.moments import Moment, length_us

NEVER_US = 2**62
_ORDER = re.compile(r"(?P<name>[^:@]+)(:(?P<which>[^@]+))?(@(?P<start>[^+]+)(\+(?P<lasts>.+))?)?")
HOW = "NAME[:COUNT, share or device][@START[+DURATION]], for example feeder_trip:2@22:40+30min"
AT_ONCE = Moment()
NORMAL_NIGHT = ("lamp_out:0.8%@-20d", "lamp_weak:0.2%@-40d", "lamp_unreachable:1%@-30d", "works_window:1%@-2d")
"""97 % lit, 1 % faulty, 2 % cut off for works or out of reach: a normal night in Clermont-Ferrand."""
DEMO_FAULTS = ("burst@45s", "feeder_trip@90s+40min", "leak:6@-25h", "gateway_silent@5min+30min")
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
class Order:
    """A fault as ordered: how many devices or which, when, and for how long."""

    name: str
    count: int | float = 1
    """Devices; or, as a float, a share of them."""
    device: str | None = None
    start: Moment = AT_ONCE
    lasts_us: int | None = None
    at_most: bool = False
    """Fewer where the city has not so many."""

    def scaled(self, scale: float) -> Self:
        """The same in a city with a share of its devices."""
        if scale == 1 or isinstance(self.count, float):
            return self
        return replace(self, count=max(1, round(self.count * scale)), at_most=True)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an order such as `feeder_trip:2@120s+30min`; BadSetting when it is none."""
        match = _ORDER.fullmatch(text.strip())
        if match is None:
            raise BadSetting(f"fault {text!r}: write {HOW}")
        return cls.of(text, match["name"], match["which"], match["start"], match["lasts"])

    @classmethod
    def of(cls, told: str, name: str, which: str | None, start: str | None, lasts: str | None) -> Self:
        """An order from its parts; `told` is how an error calls it."""
        if name not in SORTS:
            raise BadSetting(f"fault {told!r}: there is no {name!r}; beffroi simulate --list names the faults")
        count, device = _which(told, which)
        try:
            return cls(name, count, device, Moment.parse(start or "0s"), length_us(lasts) if lasts else None)
        except ValueError as error:
            raise BadSetting(f"fault {told!r}: {error}; write {HOW}") from None


def _which(told: str, which: str | None) -> tuple[int | float, str | None]:
    """Count or share, and device."""
    share = re.fullmatch(r"(\d+(?:\.\d+)?)%", which or "")
    if share and not 0 < float(share[1]) <= 100:
        raise BadSetting(f"fault {told!r}: the share is over 0 % and at most 100 %")
    if share:
        return float(share[1]) / 100, None
    if which and not which.isdecimal():
        return 1, which
    if which and int(which) < 1:
        raise BadSetting(f"fault {told!r}: the count is at least 1")
    return int(which or 1), None


def plan_faults(
    orders: Iterable[str | Order], city: City, start_us: int, seed: int, timezone: str = "Europe/Paris"
) -> list[Fault]:
    """Choose the devices that fail; each has one fault at most. BadSetting when an order cannot be met."""
    rng = np.random.default_rng([seed, 17])
    planned: list[Fault] = []
    taken: dict[tuple[str, str], set[int]] = {}
    for order in (Order.parse(order) if isinstance(order, str) else order for order in orders):
        sort = SORTS[order.name]
        places = places_of(city, sort.kind, sort.type)
        start = order.start.us(start_us, ZoneInfo(timezone))
        end = NEVER_US if order.lasts_us is None else start + order.lasts_us
        rows = _rows(order, places, taken.setdefault((sort.kind, sort.type), set()), rng)
        taken[sort.kind, sort.type].update(rows)
        for row in rows:
            commune = city.communes[places.commune[row]].slug
            planned.append(Fault(order.name, sort.kind, row, places.id[row], commune, start, end))
    return sorted(planned, key=lambda fault: (fault.start_us, fault.device))


def places_of(city: City, kind: str, type_: str) -> Places:
    """The table of a type of device."""
    fixtures = city.fixtures
    tables: Mapping[tuple[str, str], Places] = {
        ("street_lighting", "lamp"): city.lamps,
        ("street_lighting", "feeder"): city.feeders,
        ("street_lighting", "cabinet"): city.cabinets,
        ("water_meter", "meter"): city.meters,
        ("water_meter", "zone"): city.zones,
        ("fleet_vehicle", "vehicle"): city.vehicles,
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
    """The devices of an order: those asked for, or some of the free ones, spread over the city."""
    type_ = SORTS[order.name].type
    if order.device is not None:
        if order.device not in places.id:
            raise BadSetting(f"fault {order.name}: the city has no {type_} {order.device!r}")
        row = places.id.index(order.device)
        if row in taken:
            raise BadSetting(f"fault {order.name}: the {type_} {order.device!r} has another fault already")
        return [row]
    free = np.setdiff1d(np.arange(len(places)), list(taken))
    count = round(order.count * len(places)) if isinstance(order.count, float) else order.count
    if count > len(free) and order.at_most:
        count = len(free)
    if count > len(free):
        raise BadSetting(f"fault {order.name}:{count}: the city has only {len(free)} {type_}s left for it")
    edges = np.arange(count + 1) * len(free) // max(count, 1)
    return [int(row) for row in free[rng.integers(edges[:-1], edges[1:])]]


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

    def during(self, rows: NDArray[np.integer[Any]], at_us: int | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Has each of some devices the fault, at one time or each at its own?"""
        if not self.rows:
            return np.zeros(len(rows), bool)
        has: NDArray[np.bool_] = (self.start_us[rows] <= at_us) & (at_us < self.end_us[rows])
        return has

    def begins(self, after_us: int = 0) -> list[tuple[int, int]]:
        """(time, row) of each begin, `after_us` later."""
        return [(int(self.start_us[row]) + after_us, row) for row in self.rows]

    def ends(self, after_us: int = 0) -> list[tuple[int, int]]:
        """(time, row) of each repair, `after_us` later."""
        return [(int(self.end_us[row]) + after_us, row) for row in self.rows if self.end_us[row] < NEVER_US]


def changes(faults: Sequence[Fault], kind: str, type_: str) -> list[tuple[int, int]]:
    """(time, row) at which devices of a type speak out of turn, because a fault begins or is over."""
    own = [
        fault for fault in faults if (fault.kind, SORTS[fault.name].type) == (kind, type_) and SORTS[fault.name].at_once
    ]
    return [(at, fault.row) for fault in own for at in (fault.start_us, fault.end_us) if at < NEVER_US]
