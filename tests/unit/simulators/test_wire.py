"""Occasions to speak: regular, each exactly once, however the time is cut."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.clock import SECOND_US
from simulators.wire import due, noise, phases

START = 1_795_000_000_000_000


@settings(deadline=None)
@given(st.lists(st.integers(1, 200_000_000), min_size=1, max_size=6), st.integers(5, 900))
def test_cutting_the_time_differently_loses_and_doubles_nothing(steps: list[int], period_s: int) -> None:
    phase = phases(3, 20, period_s)
    cuts = [START, *(START + int(sum(steps[: i + 1])) for i in range(len(steps)))]
    pieces = [occasion for since, until in pairwise(cuts) for occasion in due(since, until, period_s, phase)]
    assert pieces == due(cuts[0], cuts[-1], period_s, phase)


def test_every_row_has_its_turn_once_a_period() -> None:
    phase = phases(3, 50, 120)
    occasions = due(START, START + 120 * SECOND_US, 120, phase)
    assert sorted(row for _, row in occasions) == list(range(50))
    assert all((at - phase[row] * SECOND_US) % (120 * SECOND_US) == 0 for at, row in occasions)
    per_minute = np.histogram([at for at, _ in occasions], bins=4)[0]
    assert per_minute.max() - per_minute.min() <= 2


def test_chance_is_even_and_depends_on_seed_row_and_time() -> None:
    rows = np.arange(20_000)
    values = noise(1, rows, START)
    assert abs(values.mean()) < 0.02
    assert values.min() >= -1
    assert values.max() <= 1
    assert np.array_equal(values, noise(1, rows, START))
    for other in (noise(2, rows, START), noise(1, rows, START + 1), noise(1, rows + 1, START)):
        assert abs(np.corrcoef(values, other)[0, 1]) < 0.03
