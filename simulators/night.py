"""When street lights burn: after the sun, dimmed in the small hours. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DUSK_DEG = -3.0
"""Elevation of the sun at which a city's lights are switched (our default: about 20 minutes after sunset at Dijon)."""
DIMMED_FROM, DIMMED_UNTIL = time(23), time(5)
DIMMED_PCT = 50.0
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def sun_crossings_us(
    days: NDArray[np.int64], lat: float, lon: float, elevation_deg: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When the sun rises and sets through an elevation on days since 1970 (UTC), in microseconds since 1970.

    NOAA's general solar position formulas, good to about a minute between the polar circles; where the sun does
    not cross, its noon or midnight stands in.
    """
    year_angle = 2 * np.pi * ((days + 0.5 - 10957) % 365.2425) / 365.2425
    declination = (
        0.006918
        - 0.399912 * np.cos(year_angle)
        + 0.070257 * np.sin(year_angle)
        - 0.006758 * np.cos(2 * year_angle)
        + 0.000907 * np.sin(2 * year_angle)
        - 0.002697 * np.cos(3 * year_angle)
        + 0.00148 * np.sin(3 * year_angle)
    )
    equation_min = 229.18 * (
        0.000075
        + 0.001868 * np.cos(year_angle)
        - 0.032077 * np.sin(year_angle)
        - 0.014615 * np.cos(2 * year_angle)
        - 0.040849 * np.sin(2 * year_angle)
    )
    phi = np.radians(lat)
    cosine = (np.sin(np.radians(elevation_deg)) - np.sin(phi) * np.sin(declination)) / (
        np.cos(phi) * np.cos(declination)
    )
    half_day_min = 4 * np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    noon_min = 720 - 4 * lon - equation_min
    midnight = days * DAY_US
    return (
        midnight + ((noon_min - half_day_min) * 60e6).astype(np.int64),
        midnight + ((noon_min + half_day_min) * 60e6).astype(np.int64),
    )


@dataclass(frozen=True, slots=True)
class Schedule:
    """The dimming calendar of a city as steps: from `from_us[i]` on, lamps are told `level_pct[i]`."""

    from_us: NDArray[np.int64]
    level_pct: NDArray[np.float64]
    full_h: NDArray[np.float64]
    """Hours of full power until each step, for energy counters."""
    burning_h: NDArray[np.float64]

    @classmethod
    def of(cls, first: date, last: date, *, lat: float, lon: float, timezone: str) -> Self:
        """Nights from that of `first` to that of `last`; the counters begin at zero."""
        days = np.arange((first - date(1970, 1, 1)).days, (last - date(1970, 1, 1)).days + 1)
        _, on = sun_crossings_us(days, lat, lon, DUSK_DEG)
        off, _ = sun_crossings_us(days + 1, lat, lon, DUSK_DEG)
        zone = ZoneInfo(timezone)
        dates = [first + timedelta(days=n) for n in range(len(days))]
        dim = np.array([_local_us(day, DIMMED_FROM, zone) for day in dates])
        undim = np.array([_local_us(day + timedelta(days=1), DIMMED_UNTIL, zone) for day in dates])
        dim, undim = np.clip(dim, on, off), np.clip(undim, on, off)
        from_us = np.column_stack([on, dim, undim, off]).ravel()
        level = np.tile([100.0, DIMMED_PCT, 100.0, 0.0], len(days))
        hours = np.diff(from_us, append=from_us[-1]) / HOUR_US
        return cls(
            from_us,
            level,
            np.concatenate([[0.0], np.cumsum(hours * level / 100)[:-1]]),
            np.concatenate([[0.0], np.cumsum(hours * (level > 0))[:-1]]),
        )

    def level_at(self, us: int) -> float:
        """Dimming level in per cent at a time."""
        step = int(np.searchsorted(self.from_us, us, side="right")) - 1
        return float(self.level_pct[step]) if step >= 0 else 0.0

    def full_h_at(self, us: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """Hours of full power burnt until a time."""
        return np.asarray(np.interp(us, self.from_us, self.full_h))

    def burning_h_at(self, us: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """Hours burnt at any level until a time."""
        return np.asarray(np.interp(us, self.from_us, self.burning_h))


def _local_us(day: date, at: time, zone: ZoneInfo) -> int:
    moment = datetime.combine(day, at, zone).astimezone(UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
