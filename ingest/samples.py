"""Samples of the indicators: one per quarter of an hour of hub time, renewed every minute until the quarter is over.

They wait here for the database; the oldest go first when it stays away for longer than a week.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from devices.kind import Figure
from hub.clock import SECOND_US, to_datetime
from rules.board import Board
from rules.indicators import figures

QUARTER_US = 900 * SECOND_US
EVERY_US = 60 * SECOND_US
MAX_QUARTERS = 7 * 96


@dataclass(slots=True)
class Samples:
    """Figures by the beginning of their quarter, until they are written."""

    by_quarter: dict[int, list[Figure]] = field(default_factory=dict)
    _next_us: int = 0

    def take(self, boards: Mapping[str, Board], now_us: int) -> None:
        """Sample when a minute has passed; the last sample of a quarter counts."""
        if now_us < self._next_us:
            return
        self._next_us = now_us - now_us % EVERY_US + EVERY_US
        quarter_us = now_us - now_us % QUARTER_US
        self.by_quarter[quarter_us] = [figure for board in boards.values() for figure in figures(board, now_us=now_us)]
        for oldest in sorted(self.by_quarter)[:-MAX_QUARTERS]:
            del self.by_quarter[oldest]

    def waiting(self) -> list[tuple[datetime, list[Figure]]]:
        """What is to be written, the oldest quarter first."""
        return [(to_datetime(quarter_us), told) for quarter_us, told in sorted(self.by_quarter.items())]

    def written(self, told: list[Figure]) -> None:
        """Forget figures that the database has, unless they were renewed meanwhile."""
        self.by_quarter = {quarter_us: kept for quarter_us, kept in self.by_quarter.items() if kept is not told}
