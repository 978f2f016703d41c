"""What is usual comes to the rules: loaded from the database's rollups for the rules in force, when its time has come.

The figures of an hour come before it begins, so that the rules have them from its first second on; those of nights and
days four times a day, as meters tell their nights late. A reading is judged by its own hour's figures, as far as they
were loaded. The rules never wait for this: without a database they go on with what was loaded last, which a file of
the home keeps over a restart.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from numpy.typing import NDArray

from devices.columns import Usual, asked
from devices.kind import kinds
from hub.clock import Clock
from hub.errors import BadFile, DatabaseUnavailable
from ingest import arrays
from ingest.city import City
from rules.board import expected
from store.database import Absence, Connection, DatabaseRefused, answering, connect, refused
from store.usual import HOURS_OF, Asking

logger = structlog.get_logger("worker")
FILE, NUMBERS = "usual.npz", "device_no"
HOUR = timedelta(hours=1)
AFTER = timedelta(minutes=5)
"""What the last hour told is rolled up by then, but for what comes late."""
DAY_PARTS_H = 6
LOOK_S = 2.0
ANSWER_S = 120.0
RETRY_S = 5.0


class Due(NamedTuple):
    """A column of a kind, and the moment that its figures are for: an hour, or a quarter of a day (UTC)."""

    kind: str
    column: str
    at: datetime


@dataclass(slots=True)
class Expectations:
    """The line of the worker that keeps what is usual on the boards. `zone` is whose days and hours are meant."""

    database_url: str
    clock: Clock
    city: City
    zone: ZoneInfo
    home: Path
    done: set[Due] = field(default_factory=set)
    """What was loaded and is still wanted."""

    def recall(self) -> None:
        """Begin with what was loaded last, so that a restart changes nothing for the rules."""
        try:
            found = arrays.read(self.home / FILE) or {}
        except BadFile:  # the database tells it again
            return
        for name, board in self.city.boards.items():
            device_no = found.get(f"{name}/{NUMBERS}", np.array([], np.int32))
            for column in expected(board.kind, board.rules):
                hours = HOURS_OF.get(word_of(column), 1)
                kept = found.get(f"{name}/{column}")
                if kept is not None and kept.size == hours * len(device_no):
                    for hour, values in enumerate(kept.reshape(hours, -1)):
                        board.expect(column, device_no, values, hour=hour, hours=hours)

    async def _remember(self) -> None:
        """Keep what is loaded for a restart; by a thread, as only this line changes it."""
        found: dict[str, NDArray[Any]] = {}
        for name, board in self.city.boards.items():
            if board.usual:
                found[f"{name}/{NUMBERS}"] = board.device_no
                found |= {f"{name}/{column}": values for column, values in board.usual.items()}
        with suppress(OSError):  # a disk that refuses: it is loaded again after a restart
            await asyncio.to_thread(arrays.write, self.home / FILE, found)

    async def run(self) -> None:
        """Work until cancelled."""
        away = Absence()
        while True:
            try:
                if self.missing():
                    async with connect(self.database_url, autocommit=True) as connection:
                        while missing := self.missing():
                            await self._load(connection, missing[0])
                    away.ends()
                    await self._remember()
            except DatabaseUnavailable as error:
                if away.begins():
                    logger.warning("what is usual cannot be read; rules go on with what they know", why=str(error))
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(LOOK_S)

    def missing(self) -> list[Due]:
        """What is wanted now and was not loaded yet, the figures of hours first. What nobody wants is forgotten."""
        wanted = set(self._wanted(self.clock.now() - AFTER))
        self.done &= wanted
        for name, board in self.city.boards.items():
            for column in board.usual.keys() - {due.column for due in wanted if due.kind == name}:
                del board.usual[column]
        return sorted(wanted - self.done, key=lambda due: (word_of(due.column) not in HOURS_OF, due.at, due))

    def _wanted(self, at: datetime) -> Iterator[Due]:
        hour = at.replace(minute=0, second=0, microsecond=0)
        part = hour.replace(hour=hour.hour // DAY_PARTS_H * DAY_PARTS_H)
        for name, board in self.city.boards.items():
            for column in expected(board.kind, board.rules):
                moments = (hour, hour + HOUR) if word_of(column) in HOURS_OF else (part,)
                yield from (Due(name, column, moment) for moment in moments)

    async def _load(self, connection: Connection, due: Due) -> None:
        """Load one column's figures and give the database as long a rest; one that it refuses is left for next time."""
        question, kind, loop = asked(due.column), kinds()[due.kind], asyncio.get_running_loop()
        assert isinstance(question, Usual)
        board = self.city.boards[due.kind]
        types = [board.type_index(type_) for type_ in expected(kind, board.rules).get(due.column, ())]
        device_no = board.device_no[np.isin(board.type, types)]
        asking = Asking(connection, kind, kind.fields[kind.field_index(question.field)], device_no, self.zone)
        began = loop.time()
        try:
            with refused(f"{due.column} of {due.kind} cannot be read from the history"):
                async with answering(ANSWER_S):
                    is_of_hour = question.how in HOURS_OF
                    values = await asking.word(question.how, due.at if is_of_hour else self.clock.now())
        except DatabaseRefused as error:
            logger.error("a rule does not know what is usual", why=str(error))
        else:
            hours = HOURS_OF.get(question.how, 1)
            # The registry may have changed meanwhile, and with it the board.
            self.city.boards[due.kind].expect(
                due.column, device_no, values, hour=self._hour(due.at) % hours, hours=hours
            )
        self.done.add(due)
        await asyncio.sleep(loop.time() - began)

    def _hour(self, at: datetime) -> int:
        """The hour of the city's week, from Monday."""
        local = at.astimezone(self.zone)
        return 24 * local.weekday() + local.hour


def word_of(column: str) -> str:
    """The word of USUAL that a column asks for."""
    question = asked(column)
    assert isinstance(question, Usual)
    return question.how
