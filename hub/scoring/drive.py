"""Plays a scenario through the hub in one process, at full speed. Pure but for reading a city's files.

town ─▶ decode ─▶ apply, tick ─▶ ledger        once every STEP_S simulated seconds

There is no broker and no database: a message is received when the scenario's disturbances let it arrive, one that
comes twice is given to the rules twice, and tele-alert's own code puts effects under their cause. What the history
leads to expect (`__usual_hour` and the like) is unknown here, and so such a rule neither fires nor clears.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from alerts.ledger import Ledger
from alerts.scene import Incident, Place, Scene
from devices.kind import kinds
from devices.readings import Key
from devices.registry import Device, Registry
from devices.transition import Transition
from hub.clock import SECOND_US, to_us
from hub.scoring.match import Firing, Injected
from ingest.codecs.codec import Codec, codecs
from ingest.decode import decode
from ingest.log import Message
from rules.board import Board, blank_boards
from rules.evaluate import apply, tick
from simulators.city import City, make_city
from simulators.faults import Order, plan_faults
from simulators.holidays import read_school_holidays
from simulators.scenario import Scenario
from simulators.simulate import Town

STEP_S = 60
"""Simulated seconds between two looks at what has arrived, each with a tick; delays are to that."""
BEGINS = datetime.fromisoformat("2027-01-11T06:00")
"""A Monday: where a scenario begins that says `start: now`, so that a seed gives the same score on every day."""
NOTIFY_PRIORITY = 2
SOURCE = "city"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one seed of a scenario gave. Times are microseconds since 1970."""

    begin_us: int
    end_us: int
    faults: Sequence[Injected]
    """Those that were there between the two."""
    scene: Scene
    """With the places of all devices."""
    firings: Sequence[Firing]
    incidents: Sequence[Incident]
    """One per cause: those that were folded into another are left out."""


def play(
    scenario: Scenario,
    *,
    city_dir: Path,
    seed: int,
    scale: float,
    each: int = 1,
    timezone: str = "Europe/Paris",
    told: Callable[[float], object] = lambda share: None,
) -> Run:
    """Play a scenario to its end, with at least `each` devices for every fault that it orders by a count.

    `told` hears how much of it has passed, from 0 to 1. BadSetting when a fault cannot be ordered, BadFile without
    the city's files.
    """
    city = make_city(city_dir, scale=scale)
    begin_us = scenario.start_us(to_us(BEGINS.replace(tzinfo=ZoneInfo(timezone))), timezone)
    end_us = begin_us + scenario.lasts_us
    faults = plan_faults(at_least(scenario.orders(scale), each), city, begin_us, seed, timezone)
    town = Town(
        city,
        begin_us,
        seed=seed,
        faults=faults,
        timezone=timezone,
        school=read_school_holidays(city_dir),
        spells=scenario.spells(begin_us, timezone),
        rates=scenario.disturbances,
        days=scenario.days,
    )
    hub = Hub.of(city, begin_us, timezone)
    now_us = begin_us
    while now_us < end_us:
        now_us = min(now_us + STEP_S * SECOND_US, end_us)
        arrived = town.step(now_us)
        hub.hear([Message(i, m.due_us, SOURCE, m.topic, m.payload) for i, m in enumerate(arrived)], now_us)
        told((now_us - begin_us) / (end_us - begin_us))
    incidents = [incident for incident in hub.ledger.incidents if incident not in hub.ledger.folded]
    injected = [
        Injected(fault, hub.numbers[fault.commune, fault.kind, fault.device], max(fault.start_us, begin_us))
        for fault in faults
        if fault.start_us < end_us and fault.end_us > begin_us
    ]
    return Run(begin_us, end_us, injected, hub.ledger.scene, hub.firings, incidents)


def at_least(orders: Iterable[Order], each: int) -> tuple[Order, ...]:
    """Orders of counted devices for `each` of them at least, as far as the city has them."""
    return tuple(
        replace(order, count=max(order.count, each), at_most=True)
        if order.device is None and isinstance(order.count, int)
        else order
        for order in orders
    )


@dataclass(slots=True, eq=False)
class Hub:
    """What of the hub is scored: the boards, and tele-alert's ledger, which here lasts the whole run."""

    numbers: dict[Key, int]
    boards: dict[str, Board]
    ledger: Ledger
    sources: Mapping[str, tuple[Codec, str]]
    firings: list[Firing]

    @classmethod
    def of(cls, city: City, begin_us: int, timezone: str) -> "Hub":
        """A hub that knows a city's devices, all commissioned, and begins to watch them."""
        devices = list(city.devices())
        registry, places = known(devices)
        boards = blank_boards(registry, timezone=timezone)
        for board in boards.values():
            board.watch(begin_us)
        ledger = Ledger(Scene(places, kinds()), NOTIFY_PRIORITY)
        sources = {SOURCE: (codecs()["native"], city.communes[0].slug)}
        return cls(registry.numbers(), boards, ledger, sources, [])

    def hear(self, messages: Sequence[Message], now_us: int) -> None:
        """Take what has arrived since the last time, and look at the clock."""
        told: list[Transition] = []
        if messages:
            decoded = decode(messages, self.sources.get, self.numbers)
            for readings in (*decoded.readings, *decoded.withheld):
                told += apply(self.boards[readings.kind.name], readings, now_us=now_us)
        for board in self.boards.values():
            told += tick(board, now_us=now_us)
        self.ledger.apply(told)
        self.firings += [Firing(t.device_no, t.code, t.at_us) for t in told if t.action == "fire"]


def known(devices: Sequence[Device]) -> tuple[Registry, dict[int, Place]]:
    """The registry and tele-alert's places of declared devices, numbered from 1 in the order of kind and file."""
    order = sorted(devices, key=lambda device: device.kind)
    number = {device.key: no for no, device in enumerate(order, 1)}

    def of(device: Device, other: str | None) -> int | None:
        return number[device.commune, device.kind, other] if other else None

    places = {
        no: Place(
            no,
            device.kind,
            device.type,
            device.id,
            device.commune,
            parent_no=of(device, device.parent),
            gateway_no=of(device, device.gateway),
        )
        for no, device in enumerate(order, 1)
    }
    rows = [
        (
            place.device_no,
            device.commune,
            device.kind,
            device.id,
            device.type,
            place.parent_no,
            place.gateway_no,
            device.lat,
            device.lon,
            True,
            device.attributes,
        )
        for device, place in zip(order, places.values(), strict=True)
    ]
    return Registry.of_rows(1, rows), places
