"""The sun over a device, and the clocks and holidays on the walls of its city."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from astral import Observer
from astral.sun import elevation

from devices.holidays import public_holidays
from hub.clock import to_us
from rules.sky import Wall, sun_elevation_deg

PARIS = Wall.of("Europe/Paris")
PLACES = [(47.32, 5.04), (60.17, 24.94), (-21.1, 55.5), (0.0, 0.0)]
"""Dijon, Helsinki, Saint-Denis of La Réunion, and nowhere."""


def at(*moments):
    return np.array([to_us(moment) for moment in moments])


@pytest.mark.parametrize(("lat", "lon"), PLACES)
def test_the_sun_stands_where_the_almanac_says(lat, lon):
    moments = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(0, 4 * 8766, 173)]
    n = len(moments)
    mine = sun_elevation_deg(np.full(n, lat), np.full(n, lon), at(*moments))
    theirs = [elevation(Observer(lat, lon), moment, with_refraction=False) for moment in moments]
    np.testing.assert_allclose(mine, theirs, atol=0.05)


def test_the_sun_over_nowhere_is_unknown():
    found = sun_elevation_deg(
        np.array([np.nan, 47.0]), np.array([5.0, np.nan]), at(*[datetime(2026, 6, 21, 12, tzinfo=UTC)] * 2)
    )
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("utc", "hour"),
    [
        (datetime(2026, 3, 29, 0, 59, 59), 1 + 59 / 60 + 59 / 3600),
        (datetime(2026, 3, 29, 1, 0), 3),
        (datetime(2026, 10, 25, 0, 30), 2.5),
        (datetime(2026, 10, 25, 1, 0), 2),
        (datetime(2026, 10, 25, 2, 0), 3),
        (datetime(2000, 1, 1, 0, 0), 1),
        (datetime(2069, 7, 1, 12, 0), 14),
    ],
)
def test_clocks_go_forward_and_back(utc, hour):
    assert PARIS.column("local_hour", at(utc.replace(tzinfo=UTC))) == pytest.approx(hour)


@pytest.mark.parametrize("zone", ["Europe/Paris", "Europe/Helsinki", "Indian/Reunion", "America/Martinique"])
def test_every_hour_of_four_years_is_what_the_zone_says(zone):
    hours = np.arange(to_us(datetime(2024, 1, 1, tzinfo=UTC)), to_us(datetime(2028, 1, 1, tzinfo=UTC)), 7_200_000_000)
    local = [datetime.fromtimestamp(us / 1e6, ZoneInfo(zone)) for us in hours.tolist()]
    wall = Wall.of(zone)
    assert wall.column("local_hour", hours).tolist() == [moment.hour for moment in local]
    assert wall.column("weekday", hours).tolist() == [moment.weekday() for moment in local]


def test_holidays_are_those_of_france():
    assert public_holidays(2026) == {
        date(2026, 1, 1),
        date(2026, 4, 6),
        date(2026, 5, 1),
        date(2026, 5, 8),
        date(2026, 5, 14),
        date(2026, 5, 25),
        date(2026, 7, 14),
        date(2026, 8, 15),
        date(2026, 11, 1),
        date(2026, 11, 11),
        date(2026, 12, 25),
    }


def test_a_holiday_begins_at_midnight_of_the_city():
    moments = [datetime(2026, 7, 13, 21, 59, tzinfo=UTC), datetime(2026, 7, 13, 22, 0, tzinfo=UTC)]
    moments += [moment + timedelta(days=1) for moment in moments]
    assert PARIS.column("is_holiday", at(*moments)).tolist() == [0, 1, 1, 0]


def test_times_of_which_no_calendar_is_kept_have_clocks_and_no_holidays():
    moments = np.array([-(10**15), 1, to_us(datetime(2300, 7, 14, 12, tzinfo=UTC))])
    assert PARIS.column("is_holiday", moments).tolist() == [0, 0, 0]
    assert np.isfinite(PARIS.column("local_hour", moments)).all()
