"""What is usual: the hours, nights and days of a city that are looked at, and what they come to. Pure.

What was told has the shape (times, n): a row for each hour, night or day, the oldest first, a column for each device;
NaN is unknown.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
NIGHT_HOURS = range(1, 5)
"""The hours that begin from 1 to 4 of the city's clocks: what flows or burns while all sleep."""
NIGHT_ENDS_H = 5
OVER = 1.2
"""A fifth over (field practice for the night flow of a zone, which UKWIR 99/WM/08/21 asks to watch)."""
LATE_DAYS = 3
"""Of a device that tells late, the last night or day is the last whole one of so many."""
HALF = 0.5
"""A day with fewer than half the values that its device's days have is not whole (our default)."""
SATURDAY = 5


def days_before(day: date, count: int) -> list[date]:
    """The `count` days before a day, the oldest first."""
    return [day - timedelta(days=back) for back in range(count, 0, -1)]


def hours_of(day: date, hours: Iterable[int], zone: ZoneInfo) -> list[datetime]:
    """When hours of a city's day begin, UTC, in order.

    An hour that the clocks strike twice is there twice, one that they leave out is not there at all. Where a zone's
    distance from UTC is no whole hour, it is the hour of UTC in which that of the city begins.
    """
    found = set()
    for hour in hours:
        for fold in (0, 1):
            wall = datetime(day.year, day.month, day.day, hour, tzinfo=zone, fold=fold)
            moment = wall.astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                found.add(moment.replace(minute=0, second=0, microsecond=0))
    return sorted(found)


def midnights(days: Iterable[date], zone: ZoneInfo) -> list[datetime]:
    """When days of a city begin, UTC."""
    return [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days]


def last_night(at: datetime, zone: ZoneInfo) -> date:
    """The day of the last night that is over at a moment."""
    local = at.astimezone(zone)
    return local.date() if local.hour >= NIGHT_ENDS_H else local.date() - timedelta(days=1)


def lowest_hour(hours: Floats) -> Floats:
    """The lowest of a night's hours, shape (n,); unknown where one of them is."""
    return hours.min(axis=0) if len(hours) else np.full(hours.shape[1], np.nan, np.float32)


def whole_days(values: Floats, counts: NDArray[np.int32], *, is_counter: bool) -> Floats:
    """The values of the days of which enough was told, shape (times, n), by how many values each day told.

    A counter's increase needs the day before too: else it is that of several days.
    """
    told = np.where(counts > 0, counts, np.nan).astype(np.float32)
    is_whole = counts >= HALF * median_of(told, 1)
    if is_counter:
        is_whole[1:] &= counts[:-1] > 0
        is_whole[:1] = False
    return np.where(is_whole, values, np.float32(np.nan))


def known(told: Floats) -> NDArray[np.intp]:
    """How many are known of each device, shape (n,)."""
    count: NDArray[np.intp] = np.count_nonzero(~np.isnan(told), axis=0)
    return count


def median_of(told: Floats, least: int) -> Floats:
    """The median of what is known of each device, shape (n,); NaN of fewer than `least`."""
    if not told.size:
        return np.full(told.shape[1], np.nan, np.float32)
    ordered, count = np.sort(told, axis=0), known(told)  # the unknown are last
    rows = [np.maximum(place, 0)[None] for place in ((count - 1) // 2, count // 2)]
    low, high = (np.take_along_axis(ordered, np.minimum(row, len(told) - 1), axis=0)[0] for row in rows)
    return _if(count >= least, (low + high) / 2)


def mean_of(told: Floats, least: int) -> Floats:
    """The mean of what is known of each device, shape (n,); NaN of fewer than `least`."""
    count = known(told)
    return _if(count >= max(least, 1), np.nansum(told, axis=0) / np.maximum(count, 1))


def highest_of(told: Floats, least: int) -> Floats:
    """The highest that is known of each device, shape (n,); NaN of fewer than `least`."""
    highest = np.fmax.reduce(told, axis=0, initial=-np.inf)
    return _if(known(told) >= max(least, 1), highest)


def last_of(told: Floats) -> Floats:
    """The last that is known of each device, shape (n,)."""
    last = np.full(told.shape[1], np.nan, np.float32)
    for row in told:
        last = np.where(np.isnan(row), last, row)
    return last


def nights_over(nights: Floats, least: int) -> Floats:
    """How many nights in a row, up to the last, were a fifth over their median, shape (n,); unknown ones are skipped.

    NaN where the median is not known, or none of the last LATE_DAYS nights.
    """
    usual = median_of(nights, least)
    count, goes_on = np.zeros(len(usual), np.float32), np.ones(len(usual), bool)
    for night in nights[::-1]:
        goes_on &= ~(night <= OVER * usual)
        count += goes_on & (night > OVER * usual)
    return _if(~np.isnan(usual) & ~np.isnan(last_of(nights[-LATE_DAYS:])), count)


def weekend_share(days: Sequence[date], told: Floats, least: tuple[int, int]) -> Floats:
    """The mean of Saturdays and Sundays over that of the other days, shape (n,).

    NaN with fewer known than `least` (of week-ends, of weekdays), or nothing on weekdays.
    """
    is_weekend = np.array([day.weekday() >= SATURDAY for day in days], bool)
    weekend, weekday = mean_of(told[is_weekend], least[0]), mean_of(told[~is_weekend], least[1])
    return np.divide(weekend, weekday, out=np.full_like(weekend, np.nan), where=weekday > 0)


def _if(condition: NDArray[np.bool_], values: NDArray[np.floating]) -> Floats:
    return np.where(condition, values, np.nan).astype(np.float32)
