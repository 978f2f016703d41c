"""What the rules of a trial read that is no reading: the geofences, and what was usual in an hour of the past."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from devices.columns import Fence, Usual, asked
from devices.fences import shapes
from rules.backtest import Trial
from rules.board import Board, expected, read_by
from store import fences
from store.database import Connection
from store.usual import HOURS_OF, Asking

DAY_PARTS_H = 6
"""What is usual of nights and days is asked for at these hours (UTC), as the worker does."""


@dataclass(slots=True)
class Hindsight:
    """Puts it on the board, hour by hour; it knows no more than the hub did then, but for what came late."""

    connection: Connection
    trial: Trial
    zone: ZoneInfo
    at: datetime | None = None
    """The hour for which the board was told last."""

    @property
    def is_asked(self) -> bool:
        """Do the rules read anything of the kind?"""
        names = {name for _, name in read_by(self.trial.kind, self.trial.rules)}
        return any(isinstance(asked(name), Usual | Fence) for name in names)

    async def tell(self, board: Board, at: datetime) -> None:
        """Before the readings of the hour that begins `at`."""
        is_first = self.at is None
        if self.at is not None and at <= self.at:
            return
        self.at = at
        if is_first:  # they are those of today
            board.fence_in(shapes(await fences.load(self.connection)))
        for column, types in expected(board.kind, board.rules).items():
            question = asked(column)
            assert isinstance(question, Usual)
            if is_first or question.how in HOURS_OF or at.hour % DAY_PARTS_H == 0:
                await self._tell(board, column, question, types, at)

    async def _tell(self, board: Board, column: str, question: Usual, types: set[str], at: datetime) -> None:
        kind = self.trial.kind
        wanted = np.isin(board.type, [board.type_index(type_) for type_ in types])
        field = kind.fields[kind.field_index(question.field)]
        asking = Asking(self.connection, kind, field, board.device_no[wanted], self.zone)
        local, hours = at.astimezone(self.zone), HOURS_OF.get(question.how, 1)
        hour = (24 * local.weekday() + local.hour) % hours
        values = await asking.word(question.how, at)
        board.expect(column, board.device_no[wanted], values, hour=hour, hours=hours)
