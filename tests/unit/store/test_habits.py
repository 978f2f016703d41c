"""What is usual, from tables of what was told."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store import habits

PARIS = ZoneInfo("Europe/Paris")
NAN = np.nan


def told(*rows):
    return np.array(rows, np.float32)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_an_hour_begins_by_the_clocks_of_the_city():
    assert habits.hours_of(date(2026, 6, 1), [1, 4], PARIS) == [utc(2026, 5, 31, 23), utc(2026, 6, 1, 2)]


def test_the_hour_that_is_struck_twice_is_there_twice_and_the_one_left_out_not_at_all():
    assert habits.hours_of(date(2026, 10, 25), [2], PARIS) == [utc(2026, 10, 25, 0), utc(2026, 10, 25, 1)]
    assert habits.hours_of(date(2026, 3, 29), [2], PARIS) == []
    assert len(habits.hours_of(date(2026, 10, 25), habits.NIGHT_HOURS, PARIS)) == 5
    assert len(habits.hours_of(date(2026, 3, 29), habits.NIGHT_HOURS, PARIS)) == 3


def test_where_the_distance_from_utc_is_no_whole_hour_it_is_the_hour_in_which_it_begins():
    assert habits.hours_of(date(2026, 6, 1), [6], ZoneInfo("Asia/Kolkata")) == [utc(2026, 6, 1, 0)]


def test_the_last_night_is_over_at_five():
    assert habits.last_night(utc(2026, 6, 10, 2, 59), PARIS) == date(2026, 6, 9)
    assert habits.last_night(utc(2026, 6, 10, 3), PARIS) == date(2026, 6, 10)


def test_days_begin_at_midnight_also_when_the_clocks_change():
    begins = habits.midnights([date(2026, 10, 25), date(2026, 10, 26)], PARIS)
    assert begins == [utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)]


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32) | st.just(NAN), min_size=3, max_size=3), min_size=1))
def test_medians_means_and_maxima_are_numpys(rows):
    table = told(*rows)
    some = ~np.isnan(table).all(axis=0)
    for mine, numpys in (
        (habits.median_of, np.nanmedian),
        (habits.mean_of, np.nanmean),
        (habits.highest_of, np.nanmax),
    ):
        found = mine(table, 1)
        np.testing.assert_allclose(found[some], numpys(table[:, some], axis=0), rtol=1e-4, atol=1e-2)
        assert np.isnan(found[~some]).all()


def test_too_few_are_not_known():
    table = told([1, 1], [3, NAN], [5, 5])
    assert habits.median_of(table, 3).tolist()[0] == 3
    assert np.isnan(habits.median_of(table, 3)[1]) and np.isnan(habits.mean_of(table, 3)[1])


def test_the_lowest_hour_of_a_night_needs_all_its_hours():
    night = habits.lowest_hour(told([2, 2], [1, NAN], [3, 3], [4, 4]))
    assert night[0] == 1 and np.isnan(night[1])


def test_a_day_of_which_half_is_missing_does_not_count():
    counts = np.array([[24], [24], [11], [24], [24]], np.int32)
    whole = habits.whole_days(told([1], [2], [3], [4], [5]), counts, is_counter=False)
    assert whole[:, 0].tolist()[:2] == [1, 2] and np.isnan(whole[2, 0])


def test_the_increase_after_a_silent_day_is_that_of_two_and_does_not_count():
    counts = np.array([[24], [24], [0], [24], [24]], np.int32)
    whole = habits.whole_days(told([1], [2], [NAN], [9], [5]), counts, is_counter=True)
    assert np.isnan(whole[:, 0]).tolist() == [True, False, True, True, False]


def test_the_last_that_is_known_counts():
    assert habits.last_of(told([1, 1], [2, NAN])).tolist() == [2, 1]


def test_nights_in_a_row_over_the_median_by_a_fifth():
    flat = [[1.0] * 5] * 9
    nights = told(*flat, [2, 2, 1, 2, NAN], [2, 1, 2, NAN, NAN], [2, 2, 2, 2, NAN])
    count = habits.nights_over(nights, 7)
    assert count.tolist()[:4] == [3, 1, 2, 2]  # a night that is not known is skipped
    assert np.isnan(count[4])


def test_the_share_of_week_ends():
    days = habits.days_before(date(2026, 6, 29), 28)  # four weeks from a Monday on
    table = told(*([5, 5, 0] if day.weekday() >= 5 else [10, NAN, 0] for day in days))
    share = habits.weekend_share(days, table, (4, 10))
    assert share[0] == 0.5 and np.isnan(share[1:]).all()
