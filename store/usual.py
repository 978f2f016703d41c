"""What the history leads to expect of a field (devices.columns.USUAL), from the rollups of hours and days.

A counter is looked at by its increase, all else by its mean (a flag: the share of readings that raise it). An increase
counts where the counter spoke again. What is known when:

    usual_hour        4 of the 7 days before have the hour
    usual_week_hour   2 of the 4 weeks
    a night           each of its hours from 1 to 5 was told: four of them, five or three when the clocks change
    usual_night_min, nights_over    7 of the 28 nights
    a day             it told at least half as many values as the device's days usually do, and a counter spoke the
                      day before too
    usual_day         7 of the 28 days
    month             20 of the 30 days; usual_season the same of each year that counts, and one year is enough
    weekend_share     4 of the 8 days of week-ends and 10 of the 20 others; and weekdays have something
    peak_year         30 days of the 365
    night_min, nights_over, day, peak_day    one of the last 3, for a device that tells late; the last one counts

An hour that the clocks strike twice is one hour of its day, by its mean. A field that says where something is has no
history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import tuple_row

from devices.kind import Field, Kind
from hub.clock import SECOND_US, to_us
from store import habits, numpy_arrays
from store.database import Connection
from store.habits import Floats
from store.rollup_ddl import DAYS, HOURS, Figure, Table, column, device_figures
from store.sql import statements

SQL = statements("usual")
SINCE_2000_US = 946_684_800 * SECOND_US
FEW = 2000
"""So many devices are looked up one by one; of more, all that the kind told is read."""
HOURS_OF: dict[str, int] = {"usual_hour": 24, "usual_week_hour": 168}
"""The words that have a figure for each hour of the day or of the week."""
NIGHT_WORDS = frozenset({"usual_night_min", "night_min", "nights_over"})
NIGHTS, LEAST_NIGHTS = 28, 7
DAYS_BACK, LEAST_DAYS = 28, 7
MONTH, LEAST_OF_MONTH = 30, 20
YEARS = 3
YEAR, LEAST_OF_YEAR = 365, 30
LEAST_OF_WEEKENDS = 4, 10


@dataclass(frozen=True, slots=True)
class Asking:
    """One field of some devices, `device_no` ascending, shape (n,), in the history of a city."""

    connection: Connection
    kind: Kind
    field: Field
    device_no: NDArray[np.int32]
    zone: ZoneInfo

    async def word(self, word: str, at: datetime) -> Floats:
        """What a word of USUAL says at a moment, shape (n,); for those of HOURS_OF, of the hour that begins then."""
        if word in HOURS_OF:
            return await self._of_hours(word, at)
        if word in NIGHT_WORDS:
            return await self._of_nights(word, at)
        return await self._of_days(word, at.astimezone(self.zone).date())

    async def _of_hours(self, word: str, at: datetime) -> Floats:
        today = at.astimezone(self.zone).date()
        if word == "usual_hour":
            return habits.median_of(await self._same_hour(habits.days_before(today, 7), at), 4)
        return habits.mean_of(await self._same_hour([today - timedelta(weeks=back) for back in range(1, 5)], at), 2)

    async def _of_nights(self, word: str, at: datetime) -> Floats:
        if word == "night_min":
            return habits.last_of(await self._nights(at, habits.LATE_DAYS))
        nights = await self._nights(at, NIGHTS)
        return (
            habits.nights_over(nights, LEAST_NIGHTS)
            if word == "nights_over"
            else habits.median_of(nights, LEAST_NIGHTS)
        )

    async def _of_days(self, word: str, today: date) -> Floats:
        if word == "usual_season":
            return await self._season(today)
        if word == "peak_year":
            return await self._peak_year(today)
        days = habits.days_before(today, MONTH if word == "month" else DAYS_BACK)
        told = await self._days(days, self._peak if word == "peak_day" else self._figure)
        if word == "usual_day":
            return habits.median_of(told, LEAST_DAYS)
        if word == "month":
            return habits.mean_of(told, LEAST_OF_MONTH)
        if word == "weekend_share":
            return habits.weekend_share(days, told, LEAST_OF_WEEKENDS)
        assert word in ("day", "peak_day"), word
        return habits.last_of(told[-habits.LATE_DAYS :])

    @property
    def _figure(self) -> Figure:
        return "increase" if self.field.is_counter else "mean"

    @property
    def _peak(self) -> Figure:
        """The highest of a bucket, of what has one."""
        return "max" if "max" in device_figures(self.field) else self._figure

    async def _same_hour(self, days: Sequence[date], at: datetime) -> Floats:
        """The hour of some days that begins as one does now, shape (days, n)."""
        hour = at.astimezone(self.zone).hour
        told = []
        for day in days:
            starts = habits.hours_of(day, [hour], self.zone)
            values, _ = await self._buckets(HOURS, self._figure, starts)
            told.append(habits.mean_of(values, 1))
        return np.stack(told)

    async def _nights(self, at: datetime, count: int) -> Floats:
        """The lowest hours of the last nights, shape (count, n)."""
        last = habits.last_night(at, self.zone)
        told = []
        for day in habits.days_before(last + timedelta(days=1), count):
            starts = habits.hours_of(day, habits.NIGHT_HOURS, self.zone)
            values, _ = await self._buckets(HOURS, self._figure, starts)
            told.append(habits.lowest_hour(values))
        return np.stack(told)

    async def _days(self, days: Sequence[date], figure: Figure) -> Floats:
        """The whole ones of days in a row, shape (days, n)."""
        with_one_before = [days[0] - timedelta(days=1), *days]
        values, counts = await self._buckets(DAYS, figure, habits.midnights(with_one_before, self.zone))
        return habits.whole_days(values, counts, is_counter=self.field.is_counter)[1:]

    async def _season(self, today: date) -> Floats:
        """The mean of the years' months."""
        years = []
        for back in range(1, YEARS + 1):
            days = habits.days_before(today - timedelta(days=round(365.25 * back)), MONTH)
            years.append(habits.mean_of(await self._days(days, self._figure), LEAST_OF_MONTH))
        return habits.mean_of(np.stack(years), 1)

    async def _peak_year(self, today: date) -> Floats:
        """By months, so that a year of all meters is never held at once."""
        days = habits.days_before(today - timedelta(days=1), YEAR)
        highest, known = np.full(len(self.device_no), np.nan, np.float32), np.zeros(len(self.device_no), np.intp)
        for first in range(0, len(days), MONTH):
            told = await self._days(days[first : first + MONTH], self._peak)
            highest = np.fmax(highest, habits.highest_of(told, 1))
            known += habits.known(told)
        return np.where(known >= LEAST_OF_YEAR, highest, np.float32(np.nan))

    async def _buckets(
        self, table: Table, figure: Figure, starts: Sequence[datetime]
    ) -> tuple[Floats, NDArray[np.int32]]:
        """A figure of the buckets that begin then, and of how many values each is; shape (starts, n)."""
        values = np.full((len(starts), len(self.device_no)), np.nan, np.float32)
        counts = np.zeros(values.shape, np.int32)
        if not values.size:
            return values, counts
        statement = sql.SQL(SQL["buckets"]).format(
            buckets=sql.Identifier(table.name(self.kind)),
            figure=sql.Identifier(column(self.field, figure)),
            n=sql.Identifier(column(self.field, "n")),
        )
        devices = self.device_no.tolist() if len(self.device_no) <= FEW else None
        cursor = self.connection.cursor(row_factory=tuple_row, binary=True)
        numpy_arrays.register(cursor)
        asked = {"since": starts[0], "until": starts[-1], "devices": devices}
        row = await (await cursor.execute(statement, asked, prepare=False)).fetchone()
        assert row is not None
        device_no, since_2000_us, value, n = row
        start_us = np.array([to_us(start) for start in starts])
        place, is_start = _places(start_us, since_2000_us + SINCE_2000_US)
        who, is_asked = _places(self.device_no, device_no)
        wanted = is_start & is_asked
        values[place[wanted], who[wanted]] = value[wanted]
        counts[place[wanted], who[wanted]] = n[wanted]
        return values, counts


def _places(known: NDArray[np.integer], asked: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each of `asked` is among `known`, which ascends and is not empty; and whether it is there."""
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return place, known[place] == asked
