"""A trend as a line in a box."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.sparkline import HEIGHT, MARGIN, WIDTH, sparkline

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def line(*points: tuple[int, float]):
    """A line of one hour; a point is (quarter, value)."""
    at = [NOON + quarter * QUARTER for quarter, _ in points]
    values = [value for _, value in points]
    return sparkline(at, values, since=NOON, until=NOON + 4 * QUARTER, width=QUARTER)


def test_it_fills_the_box_from_the_lowest_to_the_highest():
    drawn = line((0, 10), (1, 30), (2, 20), (4, 20))
    assert drawn is not None
    top, bottom, middle = MARGIN, HEIGHT - MARGIN, HEIGHT / 2
    assert drawn.pieces == [
        f"0.0,{bottom:.1f} {WIDTH / 4:.1f},{top:.1f} {WIDTH / 2:.1f},{middle:.1f} 240.0,{middle:.1f}"
    ]
    assert (drawn.low, drawn.high, drawn.first, drawn.last) == (10, 30, 10, 20)


def test_it_is_broken_where_nothing_was_known_for_more_than_two_quarters():
    drawn = line((0, 1), (1, 2), (2, float("nan")), (4, 1))
    assert drawn is not None and len(drawn.pieces) == 2


def test_what_stands_still_runs_through_the_middle():
    drawn = line((0, 5), (1, 5))
    assert drawn is not None and drawn.pieces == [f"0.0,{HEIGHT / 2:.1f} 60.0,{HEIGHT / 2:.1f}"]


@pytest.mark.parametrize("points", [[], [(0, float("nan"))]])
def test_nothing_known_is_no_line(points: list[tuple[int, float]]):
    assert line(*points) is None
