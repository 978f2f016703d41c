"""The engine equals a slow evaluator that shares no code with it, on random streams."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.kind import kinds
from devices.policy import Override, Policy
from devices.registry import Registry
from rules.board import Board
from rules.evaluate import apply, tick
from tests.pumps import BEGAN_US, Step, board, by_rule, heard, readings, reference, stream
from tests.reference import Device, Reference, Told

SEEDS = st.integers(0, 2**32 - 1)
STREAMS = {"seed": SEEDS, "length": st.integers(1, 80)}


def engine_tells(made: Board, steps: list[Step]) -> list[list[Told]]:
    return [
        heard(
            tick(made, now_us=step)
            if isinstance(step, int)
            else apply(made, readings(step, made.kind), now_us=step[-1].received_us)
        )
        for step in steps
    ]


def reference_tells(made: Reference, steps: list[Step]) -> list[list[Told]]:
    return [
        by_rule(made.tick(step) if isinstance(step, int) else made.hear(step, step[-1].received_us)) for step in steps
    ]


def told(reference_: Reference, board_: Board, steps: list[Step]) -> None:
    assert engine_tells(board_, steps) == reference_tells(reference_, steps)


def agree(reference_: Reference, board_: Board, steps: list[Step]) -> None:
    assert engine_tells(board_, steps) == reference_tells(reference_, steps)


@given(**STREAMS)
@settings(max_examples=12)
def test_the_engine_tells_what_the_reference_tells(seed, length):
    agree(reference(), board(), stream(seed, length))


@pytest.mark.soak
@given(seed=SEEDS)
@settings(max_examples=1500)
def test_they_tell_the_same_for_long(seed):
    agree(reference(), board(), stream(seed, 120))
    slow, made = lighting()
    agree(slow, made, stream(seed, 120, say_of_light, TALKERS_OF_LIGHT))


CODES = ("dry", "overdue", "drained", "patient", "flaps")
OVERRIDES = st.builds(
    lambda code, tuned, where: Override("pumps", code, tuned[0], tuned[1], *where),
    st.sampled_from(CODES),
    st.sampled_from(
        [
            ("low", 6.0),
            ("low", 1.0),
            ("margin", 0.0),
            ("hold_s", 0.0),
            ("calm_s", 60.0),
            ("priority", 1),
            ("enabled", 0),
        ]
    ),
    st.sampled_from(
        [("city", ""), ("commune", "dijon"), ("group", "1"), ("group", "11"), ("device", "1"), ("device", "12")]
    ),
)


@given(before=st.lists(OVERRIDES, max_size=5), after=st.lists(OVERRIDES, max_size=5), **STREAMS)
@settings(max_examples=10)
def test_they_tell_the_same_with_other_thresholds_that_change_meanwhile(before, after, seed, length):
    steps, old, slow = stream(seed, length), board(Policy(1, {}, before)), reference(Policy(1, {}, before))
    agree(slow, old, steps[: length // 2])
    new = board(Policy(2, {}, after))
    new.take_over_from(old)
    slow.tune(after)
    agree(slow, new, steps[length // 2 :])


LIGHTING = kinds()["street_lighting"]
CABINET, FEEDERS, LAMPS = 1, (2, 3), range(10, 16)
TALKERS_OF_LIGHT = (CABINET, *FEEDERS, *LAMPS)


def lighting_device(no: int) -> tuple[str, int | None, dict[str, float]]:
    if no == CABINET:
        return "cabinet", None, {}
    if no in FEEDERS:
        return "feeder", CABINET, {"rated_current_a": 9.0}
    return "lamp", 2 + no % 2, {"rated_power_w": 60.0} | ({"max_burning_h": 5000.0} if no < 12 else {})


def lighting() -> tuple[Reference, Board]:
    rows, devices = [], {}
    for no in (CABINET, *FEEDERS, *LAMPS):
        type_, parent, said = lighting_device(no)
        rows.append((no, "dijon", LIGHTING.name, str(no), type_, parent, None, 47.3, 5.0, True, said))
        attributes = {attribute.name: said.get(attribute.name, math.nan) for attribute in LIGHTING.attributes}
        devices[no] = Device(no, type_, "dijon", parent or 0, 47.3, 5.0, attributes, watched_us=BEGAN_US)
    made = Board.of(LIGHTING, Registry.of_rows(1, rows))
    made.watch(BEGAN_US)
    return Reference(LIGHTING, devices), made


def say_of_light(chance: random.Random, no: int) -> dict[str, float]:
    return {
        "dim_pct": chance.choice((0, 50, 100)),
        "dim_actual_pct": chance.choice((0, 50, 100)),
        "power_w": chance.choice((0, 1, 20, 30, 60)),
        "voltage_v": chance.choice((0, 230, 260)),
        "current_a": chance.choice((0, 1, 6)),
        "burning_h": chance.choice((1000, 4600)),
        "driver_temp_c": chance.choice((30, 95)),
        "lamp_failure": chance.choice((0, 0, 1)),
        "breaker_tripped": chance.choice((0, 0, 0, 1)),
        "contactor_closed": chance.randint(0, 1),
        "door_open": chance.randint(0, 1),
        "online": chance.choice((0, 1, 1)),
    }


@given(**STREAMS)
@settings(max_examples=10)
def test_they_tell_the_same_of_street_lighting(seed, length):
    slow, made = lighting()
    agree(slow, made, stream(seed, length, say_of_light, TALKERS_OF_LIGHT))
