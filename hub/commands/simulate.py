"""`beffroi simulate`: a city that talks, and recordings beside it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from hub.clock import Clock
from hub.commands.clock import hub_clock
from hub.commands.devices import register
from hub.commands.stopping import run_until_signal
from hub.errors import BadSetting, BeffroiError, BrokerUnavailable
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from simulators import replay, simulate
from simulators.city import make_city
from simulators.fault_table import SORTS
from simulators.scenario import EVERYDAY, known, read_scenario

logger = structlog.get_logger("simulate")


@dataclass(frozen=True, slots=True)
class Show:
    """What is to be simulated."""

    scenario: str | None = None
    """Name or file; an ordinary day when absent."""
    seed: int | None = None
    """In place of the scenario's."""
    scale: float = 1.0
    faults: Sequence[str] = ()
    truth: Path | None = None
    recordings: Sequence[Path] = ()
    """Played in a loop beside the city; they page nobody."""
    register: bool = False
    """Put the city's devices into the registry first."""
    speed: float | None = None
    ask_clock: bool = True
    """Take the clock that the hub publishes; else the settings'."""


def listed() -> str:
    """The scenarios and the faults, for `beffroi simulate --list`."""
    scenarios = [f"  {scenario.name:22}{scenario.title}" for scenario in known()]
    faults = [f"  {name:22}{sort.kind} {sort.type}: {sort.cause}" for name, sort in SORTS.items()]
    return "\n".join(("Scenarios (--scenario)", *scenarios, "", "Faults (--fault)", *faults))


def run(settings: Settings, show: Show) -> None:
    """Simulate until SIGTERM or Ctrl-C."""
    scenario = read_scenario(show.scenario) if show.scenario else EVERYDAY

    async def work(stopping: asyncio.Event) -> None:
        url = mqtt_url(settings, Secrets.of(settings.home), "simulator")
        clock = await hub_clock(url, settings.the_clock) if show.ask_clock else settings.the_clock
        if show.speed is not None and show.speed != clock.speed:
            raise BadSetting(
                f"--speed {show.speed:g}: the hub's time runs at {clock.speed:g}, and the city follows it;"
                f" start the hub with: beffroi up --speed {show.speed:g}"
            )
        if show.ask_clock:
            scenario.check_start(clock.now_us(), settings.timezone)
        if show.register:
            city = await asyncio.to_thread(make_city, settings.city, scale=show.scale)
            result = await register(settings, list(city.devices()))
            logger.info("the city is registered", added=result.added, changed=result.changed)
        try:
            async with asyncio.TaskGroup() as group:
                for file in show.recordings:
                    group.create_task(play_again_and_again(url, file, clock, stopping))
                await simulate.run(
                    url,
                    clock,
                    city_dir=settings.city,
                    seed=show.seed,
                    scale=show.scale,
                    scenario=scenario,
                    faults=show.faults,
                    truth=show.truth,
                    timezone=settings.timezone,
                    stop=stopping,
                )
        except ExceptionGroup as several:
            told = several.subgroup(BeffroiError)
            raise (told.exceptions[0] if told else several) from None

    run_until_signal(work)


async def play_again_and_again(url: str, file: Path, clock: Clock, stopping: asyncio.Event) -> None:
    """Play a recording until told to stop, also when the broker goes away in between."""
    while not stopping.is_set():
        try:
            await replay.run(url, file, clock=clock, repeat=True, stop=stopping)
        except BrokerUnavailable as error:
            logger.warning("the recording waits for the broker", file=str(file), why=str(error))
            await asyncio.sleep(2)
