"""The engine equals a slow evaluator that shares no code with it, on random streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.policy import Override, Policy
from rules.board import Board
from rules.evaluate import apply, tick
from tests.pumps import PUMPS, Step, board, by_rule, heard, readings, reference, stream
from tests.reference import Reference, Told

STREAMS = {"seed": st.integers(0, 2**32 - 1), "length": st.integers(1, 80)}


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


@given(**STREAMS)
@settings(max_examples=60)
def test_the_engine_tells_what_the_reference_tells(seed, length):
    steps = stream(seed, length)
    assert engine_tells(board(), steps) == reference_tells(reference(), steps)
