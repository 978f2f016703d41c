"""The calendar: days off, school holidays, and the nights in which the clocks change."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from devices.holidays import easter, public_holidays
from hub.clock import to_us
from hub.errors import BadFile
from simulators.city import City
from simulators.holidays import is_school_holiday, read_school_holidays
from simulators.hours import Hours
from simulators.night import HOUR_US, Schedule
from simulators.water import Water
from simulators.weather import Weather

DIJON = Path("simulators/cities/dijon")
SPRING, AUTUMN = (
    to_us(datetime.fromisoformat(day)) for day in ("2027-03-28T01:00:00+00:00", "2027-10-31T01:00:00+00:00")
)


@pytest.fixture(scope="module")
def hours() -> Hours:
    return Hours.of(date(2026, 1, 1), date(2028, 1, 1), "Europe/Paris", read_school_holidays(DIJON))


def at(text: str) -> np.ndarray:
    return np.array([to_us(datetime.fromisoformat(text))])


@pytest.mark.parametrize(
    ("year", "day"), [(2024, (3, 31)), (2025, (4, 20)), (2026, (4, 5)), (2027, (3, 28)), (2038, (4, 25))]
)
def test_easter_is_when_the_almanac_says(year: int, day: tuple[int, int]) -> None:
    assert easter(year) == date(year, *day)


def test_france_has_eleven_public_holidays() -> None:
    assert len(public_holidays(2026)) == 11
    assert {date(2026, 4, 6), date(2026, 5, 14), date(2026, 5, 25), date(2026, 7, 14)} <= public_holidays(2026)


def test_school_holidays_are_those_told_and_alike_in_other_years() -> None:
    told = read_school_holidays(DIJON)
    assert is_school_holiday(date(2026, 2, 10), told) and not is_school_holiday(date(2026, 3, 10), told)
    assert is_school_holiday(date(2027, 7, 20), told) and is_school_holiday(date(2024, 12, 27), told)
    assert not is_school_holiday(date(2027, 1, 12), told)
    assert not is_school_holiday(date(2026, 2, 10), ())


def test_a_bad_file_of_school_holidays_is_named(tmp_path: Path) -> None:
    assert read_school_holidays(tmp_path) == ()
    (tmp_path / "school_holidays.yaml").write_text("- 2026-02-07\n")
    with pytest.raises(BadFile, match=r"school_holidays.yaml: write a list of \[first day, last day\]"):
        read_school_holidays(tmp_path)


def test_days_that_rest(hours: Hours) -> None:
    for text, rests in (
        ("2026-11-11T10:00+01:00", True),
        ("2026-11-22T10:00+01:00", True),
        ("2026-11-23T10:00+01:00", False),
    ):
        assert hours.is_rest(at(text)).tolist() == [rests], text
    forced = hours.with_days("rest", to_us(datetime.fromisoformat("2026-11-23T00:00+01:00")))
    assert forced.is_rest(at("2026-11-23T10:00+01:00")).all() and not forced.is_rest(at("2026-11-20T10:00+01:00")).any()


def test_the_wall_says_3_after_2_in_spring_and_2_twice_in_autumn(hours: Hours) -> None:
    around = np.arange(-2, 3) * HOUR_US
    assert hours.hour(SPRING + around).tolist() == [0, 1, 3, 4, 5]
    assert hours.hour(AUTUMN + around).tolist() == [1, 2, 2, 3, 4]


def test_local_time_for_counters_never_jumps_or_runs_back(hours: Hours) -> None:
    for change, hour_after in ((SPRING, 2.0), (AUTUMN, 0.0)):
        minutes = hours.local_us(change + np.arange(-180, 240) * 60_000_000)
        steps = np.diff(minutes)
        assert steps.min() >= 0 and steps.max() <= 120_000_001
        assert (hours.local_us(np.array(change + HOUR_US)) - hours.local_us(np.array(change))) / HOUR_US == hour_after


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
def test_water_meters_count_on_through_the_change_and_keep_the_hours_of_people(
    small_city: City, hours: Hours, change: int
) -> None:
    water = Water(small_city, hours, Weather.of(hours, 1), (), change - HOUR_US, 1)
    meters = np.arange(len(small_city.meters))
    nights = [change + n * HOUR_US // 4 for n in range(-8, 12)]
    totals = [water.totals_m3(meters, us) for us in nights]
    assert all((after >= before).all() for before, after in pairwise(totals))

    def breakfast(day: str) -> float:
        """Share of a day's water that is drawn from 7 to 9 on the wall."""
        midnight = datetime.fromisoformat(day)
        begin, seven, nine, end = (
            water.totals_m3(meters, to_us(midnight + timedelta(hours=h))).sum() for h in (0, 7, 9, 24)
        )
        return float((nine - seven) / (end - begin))

    winter, summer = breakfast("2027-03-22T00:00+01:00"), breakfast("2027-03-29T00:00+02:00")
    assert winter == pytest.approx(summer, rel=0.02), "the same week's habits, by the same clock on the wall"


def test_a_lighting_day_from_noon_to_noon_has_one_night_also_when_the_clocks_change(hours: Hours) -> None:
    schedule = Schedule.of(date(2026, 1, 1), date(2028, 1, 1), lat=47.322, lon=5.0415, timezone="Europe/Paris")
    lit_h = {}
    for day in ("2027-03-26", "2027-03-27", "2027-03-28", "2027-10-29", "2027-10-30", "2027-10-31"):
        noon = to_us(datetime.fromisoformat(f"{day}T11:00:00+00:00"))
        levels = [schedule.level_at(noon + n * 60_000_000) for n in range(24 * 60)]
        changes = [(a, b) for a, b in pairwise(levels) if a != b]
        assert changes == [(0, 100), (100, 50), (50, 100), (100, 0)], day
        lit_h[day] = sum(level == 50 for level in levels) / 60
    assert lit_h["2027-03-27"] == pytest.approx(5, abs=0.05) and lit_h["2027-10-30"] == pytest.approx(7, abs=0.05)
    assert lit_h["2027-03-26"] == pytest.approx(6, abs=0.05)
