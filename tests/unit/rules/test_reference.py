"""The engine equals a slow evaluator that shares no code with it, on random streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.policy import Override, Policy
from rules.board import Board
from tests.pumps import Step, board, by_rule, engine_tells, reference, stream
from tests.reference import Reference, Told
from tests.street import TALKERS_OF_LIGHT, lighting, say_of_light

SEEDS = st.integers(0, 2**32 - 1)
STREAMS = {"seed": SEEDS, "length": st.integers(1, 80)}


def reference_tells(made: Reference, steps: list[Step]) -> list[list[Told]]:
    return [
        by_rule(made.tick(step) if isinstance(step, int) else made.hear(step, step[-1].received_us)) for step in steps
    ]


def told(reference_: Reference, board_: Board, steps: list[Step]) -> None:
    assert engine_tells(board_, steps) == reference_tells(reference_, steps)


def agree(reference_: Reference, board_: Board, steps: list[Step]) -> None:
    assert engine_tells(board_, steps) == reference_tells(reference_, steps)


@given(**STREAMS)
@settings(max_examples=5)
def test_the_engine_tells_what_the_reference_tells(seed, length):
    agree(reference(), board(), stream(seed, length))


@pytest.mark.soak
@given(seed=SEEDS)
@settings(max_examples=300)
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
@settings(max_examples=5)
def test_they_tell_the_same_with_other_thresholds_that_change_meanwhile(before, after, seed, length):
    steps, old, slow = stream(seed, length), board(Policy(1, {}, before)), reference(Policy(1, {}, before))
    agree(slow, old, steps[: length // 2])
    new = board(Policy(2, {}, after))
    new.take_over_from(old)
    slow.tune(after)
    agree(slow, new, steps[length // 2 :])


@given(**STREAMS)
@settings(max_examples=5)
def test_they_tell_the_same_of_street_lighting(seed, length):
    slow, made = lighting()
    agree(slow, made, stream(seed, length, say_of_light, TALKERS_OF_LIGHT))
