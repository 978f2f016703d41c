"""The calendar of a simulated city in local time, and chance that flows slowly. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from simulators.night import HOUR_US
from simulators.wire import noise

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Hours:
    """Every hour of some years: what the clocks on the wall say, right also in the nights in which they change."""

    first_h: int
    """Hours since 1970 until the first."""
    clock_h: NDArray[np.int64]
    weekday: NDArray[np.int64]
    """0 is Monday."""
    yearday: NDArray[np.int64]

    @classmethod
    @cache
    def of(cls, first: date, last: date, timezone: str) -> Self:
        """The hours from the beginning of one day to that of another (UTC)."""
        zone, epoch = ZoneInfo(timezone), date(1970, 1, 1)
        begin, end = (first - epoch).days * 24, (last - epoch).days * 24
        local = [datetime.fromtimestamp(h * 3600, UTC).astimezone(zone).timetuple() for h in range(begin, end)]
        columns = np.array([(t.tm_hour, t.tm_wday, t.tm_yday) for t in local])
        return cls(begin, columns[:, 0], columns[:, 1], columns[:, 2])

    def row(self, at_us: Times) -> NDArray[np.int64]:
        """The hour in which each time lies."""
        return np.clip(at_us // HOUR_US - self.first_h, 0, len(self.clock_h) - 1)

    def hour(self, at_us: Times) -> Floats:
        """Hour of the day with its fraction, 0 to 24."""
        return self.clock_h[self.row(at_us)] + at_us % HOUR_US / HOUR_US

    def is_weekend(self, at_us: Times) -> NDArray[np.bool_]:
        return self.weekday[self.row(at_us)] >= 5

    def winter(self, at_us: Times) -> Floats:
        """1 in the middle of January, -1 in the middle of July."""
        part = (self.yearday[self.row(at_us)] - 16).astype(np.float64) / 365.25
        swing: Floats = np.cos(2 * np.pi * part)
        return swing


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
