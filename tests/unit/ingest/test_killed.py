"""The rules after kill -9: the same alerts as without, none twice."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.kind import Column, Formula, Mask, Rule, Text
from devices.policy import Policy
from devices.transition import Transition
from ingest.city import City
from ingest.codecs.codec import codecs
from ingest.log import Flag, LogReader, LogWriter, Message
from ingest.voice import Voice
from ingest.worker import Worker
from rules.board import Board
from tests.pumps import Step, stream
from tests.reference import Reading
from tests.street import LIGHTING, TALKERS_OF_LIGHT, registry_of_light, say_of_light

TEXT = Text("", "")


def own(type_: str, condition: Any, **more: Any) -> Rule:
    return Rule(condition.__name__, type_, Formula.of(condition), TEXT, 2, TEXT, **more)


def dim_for_long(power_w__mean_1m: Column, power_w__count_1m: Column) -> Mask:
    return (power_w__mean_1m < 30) & (power_w__count_1m > 1)


def dim_and_changing(power_w__mean_1m: Column, power_w__diff: Column) -> Mask:
    return (power_w__mean_1m < 30) & (power_w__diff != 0)


def failing(lamp_failure: Column) -> Mask:
    return lamp_failure == 1


def hot(driver_temp_c: Column) -> Mask:
    return driver_temp_c > 90


def all_dark(children__power_w__max: Column) -> Mask:
    return children__power_w__max < 30


RULES = (
    own("lamp", dim_for_long, hold_s=20, calm_s=20),
    own("lamp", dim_and_changing, lateness_s=60, hold_s=10).graded(1, hot),
    own("lamp", failing).graded(1, hot),
    own("feeder", all_dark, hold_s=30, calm_s=10),
)
POLICY = Policy(1, {LIGHTING.name: RULES})
Told = dict[tuple[str, int], list[tuple[object, ...]]]
SEEDS = st.integers(0, 2**32 - 1)
OF_TICKS = {"lamp_silent", "cabinet_silent", "feeder_out", "all_dark"}
"""Rules that the clock and other devices move: what happens while nobody looks may be told later, or not at all."""


@dataclass
class Air:
    """All that a worker asks of the world: the time, a broker that is there, and somebody who listens."""

    now: int = 0

    def settled_us(self) -> int:
        return self.now

    def now_us(self) -> int:
        return self.now

    def away_s(self) -> float:
        return 0.0

    def tell(self, _: object) -> None:
        """Nobody listens."""


class Hub:
    """A log, and one worker after the other that reads it."""

    def __init__(self, home: Path) -> None:
        self.home, self.air = home, Air()
        self.log, self.transitions = LogWriter(home / "log"), LogWriter(home / "transitions")
        self.worker = self.born()

    def born(self) -> Worker:
        """A worker that knows nothing yet."""
        registry = registry_of_light()
        city = City(registry, registry.numbers(), {LIGHTING.name: Board.of(LIGHTING, registry, POLICY)})
        voice = Voice(self.transitions, self.air, self.air)  # type: ignore[arg-type]
        sources = {"city": (codecs()["native"], "city/#")}
        log = LogReader(self.home / "log")
        return Worker(self.home, log, voice, sources, "", self.air, city, None)  # type: ignore[arg-type]

    async def live(self, steps: Sequence[Step], *, last_words: bool = True) -> None:
        """Go through some steps; without `last_words` the worker dies before it has told what it found in the last."""
        for number, step in enumerate(steps, 1):
            if not isinstance(step, int):
                self.log.append([message(reading) for reading in step])
            self.air.now = step if isinstance(step, int) else step[-1].received_us
            told: list[Transition] = []
            if messages := self.worker.log.read(self.worker.rules_offset, 1000):
                decoded = self.worker.decode(messages)
                told += self.worker.evaluate(decoded, self.air.now)
                self.worker.rules_offset = decoded.next_offset
            if isinstance(step, int):
                told += self.worker.tick()
            if number < len(steps) or last_words:
                await self.worker.voice.tell(told, self.worker.rules_offset)

    async def killed(self) -> None:
        """Another worker begins where the last one left what is durable."""
        self.worker.log.close()
        self.worker = self.born()
        await self.worker.restore()

    def told(self) -> Told:
        """All that was told, by rule and device."""
        found = defaultdict(list)
        for message in LogReader(self.home / "transitions").read(0, 10_000):
            t = Transition.decode(message.payload)
            found[t.code, t.device_no].append((t.action, t.ts_us, t.quiet, t.priority, t.unstable))
        return found


def message(reading: Reading) -> Message:
    topic = f"city/dijon/{LIGHTING.name}/{reading.device_no}/telemetry"
    payload = msgspec.json.encode({"ts": reading.ts_us, **reading.told})
    return Message(0, reading.received_us, "city", topic, payload, Flag.REPLAY if reading.replayed else 0)


async def lives(steps: Sequence[Step], saves: Collection[int], deaths: Collection[int], mute: bool) -> Told:
    """All that is told with a checkpoint before some steps and a death before others."""
    with TemporaryDirectory() as folder:
        hub = Hub(Path(folder))
        edges = sorted({0, *saves, *deaths, len(steps)})
        for first, last in pairwise(edges):
            if first in saves:
                hub.worker.save()
            await hub.live(steps[first:last], last_words=not (mute and last in deaths))
            if last in deaths:
                await hub.killed()
        return hub.told()


def check(seed: int, length: int, saves: Collection[int], deaths: Collection[int], mute: bool) -> None:
    steps = stream(seed, length, say_of_light, TALKERS_OF_LIGHT)
    whole, killed = (asyncio.run(lives(steps, saves, dead, mute)) for dead in ((), deaths))
    for rule_and_device in whole.keys() | killed.keys():
        if rule_and_device[0] not in OF_TICKS:
            assert killed.get(rule_and_device) == whole.get(rule_and_device), rule_and_device
        actions = [action for action, *_ in killed.get(rule_and_device, [])]
        assert actions[:1] in ([], ["fire"]) and ("clear", "clear") not in pairwise(actions)


PLACES = st.sets(st.integers(1, 39), max_size=3)


@given(seed=SEEDS, saves=PLACES, deaths=PLACES, mute=st.booleans())
@settings(max_examples=2)
def test_after_a_kill_the_same_is_told_and_nothing_twice(seed, saves, deaths, mute):
    check(seed, 40, saves, deaths, mute)


@pytest.mark.soak
@given(seed=SEEDS, saves=PLACES, deaths=PLACES, mute=st.booleans())
@settings(max_examples=200)
def test_after_many_kills_the_same_is_told_and_nothing_twice(seed, saves, deaths, mute):
    check(seed, 150, saves, deaths, mute)
