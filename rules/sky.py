"""The moment and the place as columns: the sun over a device, and the clocks and holidays of its city. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from devices.columns import SKY
from devices.holidays import public_holidays
from devices.kind import Column
from hub.clock import SECOND_US

Times = NDArray[np.int64]
HOUR_US, DAY_US = 3600 * SECOND_US, 86_400 * SECOND_US
J2000_US = 946_728_000 * SECOND_US
"""Noon of 1 January 2000, from which the almanac counts days."""
FIRST_YEAR, LAST_YEAR = 2000, 2070
THURSDAY = 3
"""The weekday of 1 January 1970."""


def sun_elevation_deg(lat: Column, lon: Column, at_us: Times) -> Column:
    """How high the sun stands, in degrees over the horizon, shape (n,); to a hundredth of a degree until 2050.

    The Astronomical Almanac's low-precision formulas, without refraction: the sun's disk sets at -0.83.
    """
    days = (at_us - J2000_US) / DAY_US
    mean_deg = 280.460 + 0.9856474 * days
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(mean_deg + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    sidereal_h = (18.697375 + 24.065709824279 * days) % 24
    hour_angle = np.radians(sidereal_h * 15 + lon) - ascension
    place = np.radians(lat)
    height = np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(hour_angle)
    elevation: Column = np.degrees(np.arcsin(np.clip(height, -1, 1)))
    return elevation


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """The clocks and the calendar on the walls of a city."""

    bends_us: Times
    """When its distance from UTC changes; the first is long ago."""
    shift_us: Times
    """Local time less UTC from each of them on."""
    holidays: NDArray[np.int64]
    """Public holidays, in days since 1970, sorted."""

    @classmethod
    @cache
    def of(cls, timezone: str) -> Self:
        """The wall of a time zone, with the public holidays of France."""
        zone, years = ZoneInfo(timezone), range(FIRST_YEAR, LAST_YEAR + 1)
        hours = np.arange(_hours(FIRST_YEAR), _hours(LAST_YEAR + 1), 24)
        shift = [_shift_us(zone, hour) for hour in hours.tolist()]
        bends, shifts = [0], [shift[0]]
        for place in np.flatnonzero(np.diff(shift)).tolist():
            day = range(int(hours[place]) + 1, int(hours[place + 1]) + 1)
            bends.append(next(hour for hour in day if _shift_us(zone, hour) == shift[place + 1]) * HOUR_US)
            shifts.append(shift[place + 1])
        epoch = date(1970, 1, 1)
        holidays = sorted((day - epoch).days for year in years for day in public_holidays(year))
        return cls(np.array(bends), np.array(shifts), np.array(holidays))

    def local_us(self, at_us: Times) -> Times:
        """Microseconds since 1970 as the wall shows them, shape of `at_us`."""
        place = np.searchsorted(self.bends_us, at_us, side="right") - 1
        local: Times = at_us + self.shift_us[np.maximum(place, 0)]
        return local

    def column(self, name: str, at_us: Times) -> Column:
        """One of the words of SKY but the sun, shape of `at_us`."""
        local_us = self.local_us(at_us)
        match name:
            case "local_hour":
                return local_us % DAY_US / HOUR_US
            case "weekday":
                return ((local_us // DAY_US + THURSDAY) % 7).astype(np.float64)
            case "is_holiday":
                return np.isin(local_us // DAY_US, self.holidays).astype(np.float64)
        raise KeyError(name)


def sky(name: str, wall: Wall, lat: Column, lon: Column, at_us: Times) -> Column:
    """A word of SKY for devices at their places, shape (n,)."""
    assert name in SKY
    return sun_elevation_deg(lat, lon, at_us) if name == "sun_elevation_deg" else wall.column(name, at_us)


def _hours(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 3600


def _shift_us(zone: ZoneInfo, hour: int) -> int:
    shift = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset() or timedelta()
    return shift // timedelta(microseconds=1)
