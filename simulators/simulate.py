"""`beffroi simulate`: a whole city publishes over MQTT, on the hub's clock."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from time import monotonic, process_time

import structlog

from hub.clock import SECOND_US, Clock, to_datetime
from hub.errors import BadFile, BadSetting, BrokerUnavailable
from simulators.city import City, make_city
from simulators.disturbances import STILL, Disturbances, Rates
from simulators.energy import Energy
from simulators.environment import Environment
from simulators.faults import Fault, plan_faults
from simulators.holidays import Period, read_school_holidays
from simulators.hours import Days, Hours
from simulators.lighting import Lighting
from simulators.night import Schedule
from simulators.packets import Publish
from simulators.publisher import Connection, Outbox, connected
from simulators.scenario import EVERYDAY, Scenario
from simulators.symptoms import Symptoms
from simulators.traffic import Traffic
from simulators.truth import truth_lines
from simulators.vehicles import Vehicles
from simulators.water import Water
from simulators.weather import Spell, Weather
from simulators.wire import Message
from simulators.works import Works
from simulators.zones import Zones

PACE_S = 0.25
"""How often the fleets are asked what is due (real time)."""
LONGEST_STEP_US = 600_000_000
"""After a pause (a broker that was away, a machine that slept) the missed time is told in pieces of 10 min."""
BEHIND_S = 2.0
"""Real time by which a city may be late before it says so."""
REPORT_EVERY_S = 10.0
RETRY_S = 2.0
FIRST_NIGHT = date(2025, 1, 1)
"""The city's LED lamps were put up then: their counters begin."""

log = structlog.get_logger()


class Town:
    """Everything in a city that talks, as one: `step` gives what is due since the last step."""

    def __init__(
        self,
        city: City,
        start_us: int,
        *,
        seed: int,
        faults: Sequence[Fault] = (),
        timezone: str = "Europe/Paris",
        school: tuple[Period, ...] = (),
        spells: Sequence[Spell] = (),
        rates: Rates = STILL,
        days: Days = "calendar",
    ) -> None:
        today = to_datetime(start_us).date()
        centre = city.communes[0]
        first, last = min(FIRST_NIGHT, today - timedelta(days=400)), today + timedelta(days=1500)
        schedule = Schedule.of(first, last, lat=centre.lat, lon=centre.lon, timezone=timezone)
        hours = Hours.of(first, last, timezone, school).with_days(days, start_us)
        weather = Weather.of(hours, seed, spells)
        water = Water(city, hours, weather, faults, start_us, seed)
        self._fleets = (
            Lighting(city, schedule, faults, start_us, seed),
            water,
            Zones(city, water, faults, start_us, seed),
            Vehicles(city, weather, faults, start_us, seed),
            Traffic(city, weather, faults, start_us, seed),
            Energy(city, weather, faults, start_us, seed),
            Environment(city, weather, faults, start_us, seed),
            Works(city, weather, faults, start_us, seed),
        )
        self._symptoms = Symptoms(faults, city)
        self._disturbances = Disturbances(rates, seed)

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        said = (message for fleet in self._fleets for message in fleet.step(now_us))
        return self._disturbances.passed_on(self._symptoms.shown(said), now_us)


async def run(
    mqtt_url: str,
    clock: Clock,
    *,
    city_dir: Path,
    seed: int | None = None,
    scale: float = 1.0,
    scenario: Scenario = EVERYDAY,
    faults: Sequence[str] = (),
    truth: Path | None = None,
    timezone: str = "Europe/Paris",
    stop: asyncio.Event,
) -> None:
    """Publish a city's messages until `stop` is set.

    `faults` are orders such as `feeder_trip:1@120s+30min` beside those of the scenario (see docs/simulating.md);
    `seed` replaces the scenario's; `truth` is a file that gets one JSON line when a fault begins and one when it ends.
    BadSetting, BadFile or BrokerUnavailable before anything is
    sent; later a broker that goes away is waited for and nothing is left out.
    """
    if not 0 < scale <= 1:
        raise BadSetting(f"scale {scale:g}: the share of the city's devices is over 0 and at most 1")
    city = await asyncio.to_thread(make_city, city_dir, scale=scale)
    start_us = clock.now_us()
    seed, school = scenario.seed if seed is None else seed, read_school_holidays(city_dir)
    planned = plan_faults([*faults, *scenario.orders(scale)], city, start_us, seed, timezone)
    town = Town(
        city,
        start_us,
        seed=seed,
        faults=planned,
        timezone=timezone,
        school=school,
        spells=scenario.spells(start_us, timezone),
        rates=scenario.disturbances,
        days=scenario.days,
    )
    told = _Truth(truth, planned, city)
    log.info(
        "simulated city",
        scenario=scenario.name,
        lamps=len(city.lamps),
        meters=len(city.meters),
        vehicles=len(city.vehicles),
        junctions=len(city.fixtures.junctions),
        energy_meters=len(city.fixtures.energy),
        stations=len(city.fixtures.stations),
        works_sites=len(city.fixtures.sites),
        faults=len(planned),
    )
    source = _Source(town, clock, start_us, told)
    was_connected = False
    while not stop.is_set():
        try:
            async with connected(mqtt_url) as broker:
                was_connected = True
                await _publish_all(broker, source, stop)
        except BrokerUnavailable as error:
            if not was_connected:
                raise
            log.warning("broker away, trying again", reason=str(error))
            await _wait(stop, RETRY_S)
    log.info("the city falls silent", hub_time=source.hub_time, published=source.outbox.published)


class _Truth:
    """The file that tells which faults there are."""

    def __init__(self, path: Path | None, faults: Sequence[Fault], city: City) -> None:
        self._path, self._faults, self._city = path, faults, city
        self._until_us = -1
        if path is not None:
            try:
                path.write_bytes(b"")
            except OSError as error:
                raise BadFile(f"{path}: the truth about faults cannot be written there: {error.strerror}") from error

    def tell(self, now_us: int) -> None:
        """Write what began or ended until now."""
        lines = truth_lines(self._faults, self._city, self._until_us, now_us)
        self._until_us = now_us
        if lines and self._path is not None:
            with self._path.open("ab") as file:
                file.write(lines)


class _Source:
    """What is still to be published: what waits in the outbox first, then the next step's messages."""

    def __init__(self, town: Town, clock: Clock, start_us: int, truth: _Truth) -> None:
        self._town, self._clock, self._truth = town, clock, truth
        self._done_us = start_us
        self.outbox = Outbox()

    def refill(self) -> bool:
        """Step on if all was published; is there more behind the present?"""
        now_us = self._clock.now_us()
        if not self.outbox.waiting:
            until_us = min(now_us, self._done_us + LONGEST_STEP_US)
            self.outbox.put(Publish(m.topic, m.payload, 1, m.retain) for m in self._town.step(until_us))
            self._truth.tell(until_us)
            self._done_us = until_us
        return self._done_us < now_us - LONGEST_STEP_US

    @property
    def hub_time(self) -> str:
        return to_datetime(self._done_us).isoformat(timespec="seconds")

    @property
    def behind_us(self) -> int:
        """How far what was said is behind the hub's time."""
        return self._clock.now_us() - self._done_us

    @property
    def is_late(self) -> bool:
        return self.behind_us > BEHIND_S * SECOND_US * self._clock.speed


async def _publish_all(broker: Connection, source: _Source, stop: asyncio.Event) -> None:
    """Step and send in turn; while the next step is made the broker works on what was sent."""
    pace = _Pace()
    while not stop.is_set():
        is_behind = source.refill()
        await broker.send(source.outbox)
        pace.report_when_due(source)
        if not is_behind:
            await _wait(stop, PACE_S)
    await broker.settle(source.outbox)


class _Pace:
    """How fast the city speaks, said every ten seconds; and a warning when it is too slow for the hub's time."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self, published: int | None = None) -> None:
        self._since_s, self._cpu_s, self._published = monotonic(), process_time(), published

    def report_when_due(self, source: _Source) -> None:
        outbox = source.outbox
        if self._published is None:
            self._published = outbox.published
        if (passed_s := monotonic() - self._since_s) < REPORT_EVERY_S:
            return
        said = {
            "hub_time": source.hub_time,
            "messages_s": round((outbox.published - self._published) / passed_s, 1),
            "cpu_pct": round(100 * (process_time() - self._cpu_s) / passed_s),
        }
        if source.is_late:
            log.warning(
                "the city falls behind the hub's time; take a lower --speed, or a smaller --scale",
                behind_hub_s=source.behind_us // SECOND_US,
                **said,
            )
        else:
            log.info("simulating", **said)
        if outbox.refused:
            log.warning("the broker refuses messages", refused=outbox.refused, first=outbox.first_refusal)
        self._begin(outbox.published)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not longer than until `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
