"""A kind for tests whose rules ask for every sort of column: pumps that hang from stations, and how they talk."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from devices.kind import Column, DeviceType, Field, Formula, Kind, Mask, Rule, Text, flag
from devices.policy import Policy
from devices.readings import Readings
from devices.registry import Registry
from devices.transition import Transition
from rules.board import Board
from rules.evaluate import apply, tick
from tests.reference import SECOND_US, Device, Reading, Reference, Told

BEGAN_US = 1_792_886_100_000_000
"""Shortly before the clocks of Europe went back in 2026."""
TEXT = Text("", "")


def period_s(level: Column) -> Column:
    """More often when it is high."""
    return np.where(level > 5, 20.0, 60.0)


def stalled(running: Column, flow: Column, overdue_periods: Column, *, least: float = 2) -> Column:
    """Runs and moves nothing, or is overdue."""
    return np.where(running == 1, (flow < least) | (overdue_periods > 2), np.nan)


def surge(level__diff: Column, flow: Column) -> Column:
    """How fast its level changes against its flow."""
    return level__diff * flow


def rule(
    type_: str,
    condition: Callable[..., Mask],
    *,
    clear: Callable[..., Mask] | None = None,
    grades: Sequence[tuple[int, Callable[..., Mask]]] = (),
    priority: int = 2,
    **more: Any,
) -> Rule:
    made = Rule(condition.__name__, type_, Formula.of(condition), TEXT, priority, TEXT, **more)
    made = made.clears(clear) if clear else made
    for grade, function in grades:
        made = made.graded(grade, function)
    return made


def dry(level: Column, *, low: float = 3) -> Mask:
    return level < low


def wet(level: Column, *, low: float = 3, margin: float = 2) -> Mask:
    return level > low + margin


def drains(flow__sum_1m: Column, *, much: float = 12) -> Mask:
    return flow__sum_1m > much


def others_too(siblings__level__min: Column) -> Mask:
    return siblings__level__min < 2


def jumped(level__diff: Column, level__prev: Column) -> Mask:
    return (level__diff > 3) & (level__prev < 5)


def quick(total_m3__rate_h: Column, total_m3__gap_s: Column) -> Mask:
    return (total_m3__rate_h > 2000) & (total_m3__gap_s < 60)


def used(total_m3__rise: Column) -> Mask:
    return total_m3__rise > 40


def restless(level__changes_1m: Column, level__count_1m: Column) -> Mask:
    return (level__changes_1m >= 2) & (level__count_1m < 6)


def soaked(total_m3__rise_2m: Column, flow__max_2m: Column) -> Mask:
    return (total_m3__rise_2m > 60) | (flow__max_2m > 8)


def leak(total_m3__still_1m: Column) -> Mask:
    return total_m3__still_1m < 3


def high(level__p80_1m: Column, level__mean_2m: Column, level__min_1m: Column) -> Mask:
    return (level__p80_1m > 6) & (level__mean_2m < 6) & (level__min_1m > 0)


def surging(surge__max_1m: Column, surge: Column) -> Mask:
    return (surge__max_1m > 9) & (surge < 9)


def unusual(level__usual_hour: Column, level: Column, flow__usual_week_hour: Column) -> Mask:
    return (level > level__usual_hour) & (flow__usual_week_hour > 3)


def inside(in__yard: Column) -> Mask:
    return in__yard == 1


def at_night(local_hour: Column, weekday: Column, is_holiday: Column, level: Column) -> Mask:
    return (local_hour < 2.5) & (weekday == 6) & (is_holiday == 0) & (level > 4)


def mute(silence_s: Column) -> Mask:
    return silence_s > 90


def overdue(overdue_periods: Column, running: Column) -> Mask:
    return (overdue_periods > 3) | (running == 0)


def stuck(stalled: Column) -> Mask:
    return stalled == 1


def flaps(running: Column) -> Mask:
    return running == 1


def patient(level__mean_1m: Column, level__diff: Column) -> Mask:
    return (level__mean_1m > 4) & (level__diff != 0)


def more_patient(total_m3__rise_1m: Column, running: Column) -> Mask:
    return (total_m3__rise_1m > 20) & (running == 1)


def odd(level: Column, near_200m__level__median: Column) -> Mask:
    return level > near_200m__level__median + 3


def drained(children__stalled__share: Column, open_door: Column) -> Mask:
    return (children__stalled__share >= 0.5) | (open_door == 1)


def many(children__level__known: Column) -> Mask:
    return children__level__known >= 3


def busy(commune__open_door__count: Column, children__flow__mean_1m__sum: Column) -> Mask:
    return (commune__open_door__count >= 2) | (children__flow__mean_1m__sum > 12)


PUMPS = Kind(
    name="pumps",
    label=TEXT,
    types=(
        DeviceType("pump", TEXT, "dot", period_s, parent="station"),
        DeviceType("station", TEXT, "square", lambda open_door: np.full_like(open_door, 30.0)),
        DeviceType("valve", TEXT, "dot", period_s),
    ),
    fields=(
        Field("level", TEXT, types=("pump",)),
        Field("flow", TEXT, types=("pump",)),
        Field("total_m3", TEXT, storage="double", types=("pump",), rolls_at=100),
        flag("running", TEXT, ("pump",)),
        flag("open_door", TEXT, ("station",)),
    ),
    derived=(Formula.of(stalled), Formula.of(surge)),
    rules=(
        rule("pump", surging),
        rule(
            "pump",
            dry,
            priority=3,
            hold_s=30,
            calm_s=20,
            clear=wet,
            grades=((1, drains), (2, others_too)),
        ),
        rule("pump", jumped),
        rule("pump", quick),
        rule("pump", used, hold_s=10),
        rule("pump", restless, calm_s=40),
        rule("pump", soaked, any_of=("total_m3__rise_2m", "flow__max_2m")),
        rule("pump", leak),
        rule("pump", high, optional=("level__mean_2m",)),
        rule("pump", unusual, optional=("flow__usual_week_hour",)),
        rule("pump", inside),
        rule("pump", at_night, hold_s=20),
        rule("pump", mute),
        rule("pump", overdue, hold_s=15, calm_s=15, any_of=("overdue_periods", "running")),
        rule("pump", stuck),
        rule("pump", flaps),
        rule("pump", patient, lateness_s=60, hold_s=20),
        rule("pump", more_patient, lateness_s=60, grades=((1, dry),)),
        rule("pump", odd, hold_s=5),
        rule(
            "station",
            drained,
            hold_s=10,
            any_of=("children__stalled__share", "open_door"),
            grades=((1, many),),
        ),
        rule("station", busy, any_of=("commune__open_door__count", "children__flow__mean_1m__sum"), calm_s=25),
    ),
)

NUMBERS = {"station": (1, 2), "pump": (10, 11, 12, 13, 20), "valve": (30,)}
YARD = (47.0, 5.0, 47.1, 5.002)
USUAL_HOURS = {10: [3.0] * 24, 11: [float(hour) for hour in range(24)]}
USUAL_WEEK = {no: [float(hour % 5) for hour in range(168)] for no in (10, 12)}
Step = int | list[Reading]
"""A tick, or readings that were decoded together."""


def place(no: int) -> tuple[float, float]:
    """Where a device stands: pumps 90 m from each other in a row, 13 nobody knows where."""
    return (np.nan, np.nan) if no == 13 else (47.05, 5.0005 + (no % 10) * 0.0012)


def registry(numbers: Mapping[str, Sequence[int]] = NUMBERS) -> Registry:
    """Two stations in two communes, four pumps on the first and one on the other; 30 is not commissioned."""
    rows = [
        (no, "dijon" if no < 12 else "quetigny", "pumps", str(no), type_, parent_of(no), None, *place(no), no != 30, {})
        for type_, nos in numbers.items()
        for no in nos
    ]
    return Registry.of_rows(1, sorted(rows, key=lambda row: row[0]))


def parent_of(no: int) -> int | None:
    return None if no < 10 or no >= 30 else no // 10


def board(policy: Policy | None = None, devices: Registry | None = None, kind: Kind = PUMPS) -> Board:
    """The engine, with the history and the fence that these rules ask for, and watching."""
    made = Board.of(kind, registry() if devices is None else devices, policy)
    know(made)
    made.watch(BEGAN_US)
    return made


def know(made: Board) -> None:
    """Tell a board what does not come from readings."""
    for name, hours in (("level__usual_hour", USUAL_HOURS), ("flow__usual_week_hour", USUAL_WEEK)):
        made.usual[name] = np.full((len(next(iter(hours.values()))), len(made)), np.nan)
        for no, values in hours.items():
            made.usual[name][:, made.device_no == no] = np.array(values)[:, None]
    south, west, north, east = YARD
    made.fences["yard"] = shapely.box(west, south, east, north)


def reference(policy: Policy | None = None) -> Reference:
    """The same city for the slow evaluator."""
    devices = {
        no: Device(no, type_, "dijon" if no < 12 else "quetigny", parent_of(no) or 0, *place(no), {}, no != 30)
        for type_, nos in NUMBERS.items()
        for no in nos
    }
    usual = {"level__usual_hour": USUAL_HOURS, "flow__usual_week_hour": USUAL_WEEK}
    made = Reference(PUMPS, devices, policy.overrides if policy else (), usual=usual, fences={"yard": YARD})
    for device in devices.values():
        device.watched_us = BEGAN_US
    return made


def say(chance: random.Random, no: int) -> Mapping[str, float]:
    """Something that a device may tell."""
    return {
        "level": chance.randint(0, 9),
        "flow": chance.randint(0, 9),
        "total_m3": chance.choice((0, 3, 20, 50, 50, 50, 95, 99)),
        "running": chance.randint(0, 1),
        "open_door": chance.randint(0, 1),
    }


TALKERS = (1, 2, 10, 11, 12, 13, 20, 30, 99)
"""Who may speak; nobody knows 99."""


def stream(
    seed: int,
    length: int,
    say: Callable[[random.Random, int], Mapping[str, float]] = say,
    talkers: Sequence[int] = TALKERS,
) -> list[Step]:
    """Steps of random time: readings, late, repeated, replayed and ahead of their time, and ticks."""
    chance, now_us, steps, said = random.Random(seed), BEGAN_US, list[Step](), list[Reading]()
    talkative = chance.sample(talkers, chance.randint(1, len(talkers)))
    gaps = chance.choice(((0, 1, 5), (1, 5, 10, 20), (5, 10, 30, 100, 4000), (0, 5, 900)))
    for _ in range(length):
        now_us += chance.choice(gaps) * SECOND_US
        if chance.random() < 0.25:
            steps.append(now_us)
            continue
        no, delay_s = chance.choice(talkative), chance.choice((0, 0, 0, 0, 0, 1, 5, 20, 50, 70, 300, -5, 90_000))
        told = {name: value for name, value in say(chance, no).items() if chance.random() < 0.7}
        reading = Reading(no, now_us - delay_s * SECOND_US, now_us, told, chance.random() < 0.05)
        if said and chance.random() < 0.1:
            reading = chance.choice(said)._replace(received_us=now_us, replayed=chance.random() < 0.3)
        reading = reading._replace(offset=len(said))
        said.append(reading)
        if steps and isinstance(steps[-1], list) and chance.random() < 0.6:
            steps[-1].append(reading)
        else:
            steps.append([reading])
    return steps


def readings(told: Sequence[Reading], kind: Kind = PUMPS) -> Readings:
    """Readings as the columns of the engine."""
    n = len(told)
    return Readings(
        kind=kind,
        offset=np.array([one.offset for one in told], np.int64),
        part=np.zeros(n, np.int32),
        device_no=np.array([one.device_no for one in told], np.int64),
        ts_us=np.array([one.ts_us for one in told], np.int64),
        received_us=np.array([one.received_us for one in told], np.int64),
        time_flagged=np.zeros(n, bool),
        replayed=np.array([one.replayed for one in told], bool),
        values=np.array([[one.told.get(name, np.nan) for one in told] for name in kind.field_names]).reshape(
            len(kind.fields), n
        ),
        rest={},
        strangers={},
    )


def heard(transitions: Sequence[Transition]) -> list[Told]:
    """Transitions as far as they are compared, each rule's on each device in their order."""
    return by_rule(Told(t.code, t.device_no, t.action, t.ts_us, t.quiet, t.priority, t.unstable) for t in transitions)


def engine_tells(made: Board, steps: Sequence[Step]) -> list[list[Told]]:
    """What the engine tells at each step."""
    return [
        heard(
            tick(made, now_us=step)
            if isinstance(step, int)
            else apply(made, readings(step, made.kind), now_us=step[-1].received_us)
        )
        for step in steps
    ]


def by_rule(told: Iterable[Told]) -> list[Told]:
    return sorted(told, key=lambda one: (one.code, one.device_no))
