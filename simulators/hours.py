"""The calendar of a simulated city in local time, and chance that flows slowly. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from devices.holidays import public_holidays
from simulators.holidays import Period, is_school_holiday
from simulators.night import HOUR_US
from simulators.wire import noise

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Rows = NDArray[np.integer[Any]]
Days = Literal["calendar", "working", "rest", "school_holidays"]
"""What days are, whatever the calendar says: a scenario may wish it."""


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Every hour of some years: what the clocks on the wall say, right also in the nights in which they change."""

    first_h: int
    """Hours since 1970 until the first."""
    clock_h: NDArray[np.int64]
    rests: NDArray[np.bool_]
    """Saturday, Sunday or a public holiday."""
    school_out: NDArray[np.bool_]
    yearday: NDArray[np.int64]
    shift_us: tuple[Times, Times]
    """UTC and local time where local time bends; between them it is a straight line."""

    @classmethod
    @cache
    def of(cls, first: date, last: date, timezone: str, school: tuple[Period, ...] = ()) -> Self:
        """The hours from the beginning of one day to that of another (UTC)."""
        zone, epoch = ZoneInfo(timezone), date(1970, 1, 1)
        begin, end = (first - epoch).days * 24, (last - epoch).days * 24
        local = [datetime.fromtimestamp(h * 3600, UTC).astimezone(zone) for h in range(begin, end)]
        days = _days(first - timedelta(days=1), last + timedelta(days=1), school)
        columns = [(moment.hour, *days[moment.date()]) for moment in local]
        clock_h, rests, school_out, yearday = np.array(columns).T
        shift_h = np.array([moment.utcoffset() // timedelta(hours=1) for moment in local])  # type: ignore[operator]
        return cls(begin, clock_h, rests.astype(bool), school_out.astype(bool), yearday, _bends(begin, shift_h))

    def row(self, at_us: Times) -> NDArray[np.int64]:
        """The hour in which each time lies."""
        return np.minimum(np.maximum(at_us // HOUR_US - self.first_h, 0), len(self.clock_h) - 1)

    def hour(self, at_us: Times) -> Floats:
        """Hour of the day with its fraction, 0 to 24."""
        return self.clock_h[self.row(at_us)] + at_us % HOUR_US / HOUR_US

    def is_rest(self, at_us: Times) -> NDArray[np.bool_]:
        """Is it a week-end or a public holiday?"""
        return self.rests[self.row(at_us)]

    def is_school_out(self, at_us: Times) -> NDArray[np.bool_]:
        return self.school_out[self.row(at_us)]

    def winter(self, at_us: Times) -> Floats:
        """1 in the middle of January, -1 in the middle of July."""
        swing: Floats = np.cos(2 * np.pi * (self.yearday[self.row(at_us)] - 16) / 365.25)
        return swing

    def all_us(self) -> Times:
        """The beginning of every hour."""
        return (self.first_h + np.arange(len(self.clock_h))) * HOUR_US

    def local_us(self, at_us: Times) -> Floats:
        """Local time since 1970 that never jumps or runs back, for counters.

        After the clocks went forward an hour runs twice as fast; the hour that they repeat stands still.
        """
        return np.interp(at_us, *self.shift_us)

    def with_days(self, days: Days, from_us: int) -> Self:
        """The same calendar, with all days from a time on of one sort."""
        if days == "calendar":
            return self
        later = self.all_us() >= from_us
        return replace(
            self,
            rests=np.where(later, days == "rest", self.rests),
            school_out=np.where(later, days == "school_holidays", self.school_out),
        )


def _days(first: date, last: date, school: tuple[Period, ...]) -> dict[date, tuple[bool, bool, int]]:
    """Of each day: does it rest, is school out, its number in the year."""

    def each() -> Iterator[tuple[date, tuple[bool, bool, int]]]:
        for n in range((last - first).days + 1):
            day = first + timedelta(days=n)
            rests = day.weekday() >= 5 or day in public_holidays_of(day.year)
            yield day, (rests, is_school_holiday(day, school), day.timetuple().tm_yday)

    public_holidays_of = cache(public_holidays)
    return dict(each())


def _bends(first_h: int, shift_h: NDArray[np.int64]) -> tuple[Times, Times]:
    """Where local time bends: at each change of the clocks and an hour later."""
    changes = np.flatnonzero(np.diff(shift_h)) + 1
    row = np.concatenate([[0], np.column_stack([changes, changes + 1]).ravel(), [len(shift_h) - 1]])
    shift = np.concatenate(
        [[shift_h[0]], np.column_stack([shift_h[changes - 1], shift_h[changes]]).ravel(), shift_h[-1:]]
    )
    utc_us = (first_h + row) * HOUR_US
    return utc_us, utc_us + shift * HOUR_US


def jitter(seed: int, rows: Rows, at_us: Times) -> Floats:
    """Noise of a reading, from -1 to 1: the same for the same row and second."""
    return noise(seed, rows.astype(np.int64) * 1_000_003 + at_us // 1_000_000, 0)


def drift(seed: int, rows: Rows, at_us: Times, period_h: float) -> Floats:
    """Chance that flows: from -1 to 1, with a turn every so many hours."""
    turn, part = np.divmod(at_us / (period_h * HOUR_US), 1.0)
    before = rows.astype(np.int64) * 1_000_003 + turn.astype(np.int64)
    smooth = part * part * (3 - 2 * part)
    flow: Floats = noise(seed, before, 1) * (1 - smooth) + noise(seed, before + 1, 1) * smooth
    return flow
