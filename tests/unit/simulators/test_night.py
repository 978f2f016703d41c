"""The dimming calendar: after the sun, dimmed by local time, right on the nights of the clock change."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from hub.clock import to_datetime, to_us
from simulators.night import DUSK_DEG, Schedule, sun_crossings_us

LAT, LON = 47.322, 5.0415


def schedule(first: date, last: date) -> Schedule:
    return Schedule.of(first, last, lat=LAT, lon=LON, timezone="Europe/Paris")


def at(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("day", "sunrise", "sunset"),
    [  # computed from the NOAA solar calculator's tables for Dijon's latitude and longitude, UTC, to the minute or two
        (date(2026, 6, 21), "03:46", "19:36"),
        (date(2026, 12, 21), "07:22", "15:54"),
        (date(2026, 3, 20), "05:42", "17:51"),
    ],
)
def test_the_sun_rises_and_sets_when_the_almanac_says(day: date, sunrise: str, sunset: str) -> None:
    days = np.array([(day - date(1970, 1, 1)).days])
    rise, fall = sun_crossings_us(days, LAT, LON, -0.833)
    for found, told in ((rise, sunrise), (fall, sunset)):
        wanted = datetime.fromisoformat(f"{day}T{told}:00+00:00")
        assert abs(to_datetime(int(found[0])) - wanted) < timedelta(minutes=4)


def test_a_november_night() -> None:
    night = schedule(date(2026, 11, 22), date(2026, 11, 24))
    assert night.level_at(at("2026-11-23T12:00:00+01:00")) == 0
    assert night.level_at(at("2026-11-23T20:00:00+01:00")) == 100
    assert night.level_at(at("2026-11-23T22:59:59+01:00")) == 100
    assert night.level_at(at("2026-11-23T23:00:01+01:00")) == 50
    assert night.level_at(at("2026-11-24T04:59:59+01:00")) == 50
    assert night.level_at(at("2026-11-24T05:00:01+01:00")) == 100
    assert night.level_at(at("2026-11-24T09:00:00+01:00")) == 0


@pytest.mark.parametrize(
    ("night", "dimmed_h"),
    [(date(2026, 3, 28), 5), (date(2026, 6, 21), 6), (date(2026, 10, 24), 7)],
    ids=["the short night", "an ordinary night", "the long night"],
)
def test_dimming_follows_the_wall_clock_through_the_change(night: date, dimmed_h: int) -> None:
    steps = schedule(night, night)
    dimmed = steps.level_pct == 50
    (start,) = steps.from_us[dimmed]
    (end,) = steps.from_us[np.roll(dimmed, 1)]
    assert end - start == dimmed_h * 3600 * 1_000_000
    assert to_datetime(int(end)).hour == (4 if night == date(2026, 10, 24) else 3)


def test_counters_never_run_back_and_count_dimmed_hours_half() -> None:
    year = schedule(date(2026, 1, 1), date(2026, 12, 31))
    assert (np.diff(year.full_h) >= 0).all()
    assert (np.diff(year.from_us) >= 0).all()
    lit_h = float(year.burning_h_at(at("2027-01-01T00:00:00+00:00")))
    full_h = float(year.full_h_at(at("2027-01-01T00:00:00+00:00")))
    assert 3900 < lit_h < 4300  # French public lighting burns about 4,100 hours a year when it is never switched off
    assert lit_h - full_h == pytest.approx(364.5 * 6 / 2, abs=10)


def test_lights_burn_only_while_the_sun_is_low() -> None:
    days = np.arange(20_000, 20_400)
    rise, fall = sun_crossings_us(days, LAT, LON, DUSK_DEG)
    assert (rise < fall).all()
    assert to_datetime(int(fall[0])).tzinfo is UTC
