"""What the worker knows of the city: the registry, the boards, and decoded stretches that wait for the store."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from devices.readings import Decoded, Key
from devices.registry import Registry
from hub.errors import DatabaseUnavailable
from ingest import known_devices
from rules.board import Board, blank_boards
from store import registry as store_registry
from store.database import connect

logger = structlog.get_logger("worker")
DEVICES = "devices.npz"
SHARED_STRETCHES, SHARED_READINGS = 16, 20_000
"""So much that is decoded waits for the store at most; behind that it decodes it itself."""
RETRY_S = 1.0


@dataclass(slots=True)
class City:
    """What the worker knows of the devices: numbers by name, and the boards. Replaced when the registry changes."""

    registry: Registry
    numbers: dict[Key, int]
    boards: dict[str, Board]
    forgotten: set[int] = field(default_factory=set)
    """Numbers of devices that were forgotten; none is given twice."""
    is_remembered: bool = False
    """Is this what the last worker knew, because the database was away?"""

    @classmethod
    def of(cls, registry: Registry, *, is_remembered: bool = False) -> "City":
        return cls(registry, registry.numbers(), blank_boards(registry), is_remembered=is_remembered)

    def renew(self, changes: Registry) -> None:
        """Take changes of the registry over, keeping the state of the devices."""
        changes = changes.without(self.forgotten) if self.forgotten else changes
        self.registry = self.registry.updated(changes)
        self.numbers.update(changes.numbers())
        self._rebuild(set(changes.kind.tolist()))

    def replace(self, registry: Registry) -> None:
        """Know what the database says, in place of what was remembered."""
        self.forget(set(self.registry.device_no.tolist()) - set(registry.device_no.tolist()))
        self.renew(registry)
        self.is_remembered = False

    def forget(self, device_no: Collection[int]) -> None:
        """Know some devices no more, also when somebody still reads a registry that has them."""
        self.forgotten.update(device_no)
        kinds_of = set(self.registry.kind[np.isin(self.registry.device_no, list(device_no))].tolist())
        self.registry = self.registry.without(device_no)
        self.numbers = {key: number for key, number in self.numbers.items() if number not in self.forgotten}
        self._rebuild(kinds_of)

    def _rebuild(self, names: Collection[str]) -> None:
        """New boards of these kinds, with the state that the old ones have."""
        boards = blank_boards(self.registry, names)
        for name, board in boards.items():
            if (old := self.boards.get(name)) is not None:
                board.take_over_from(old)
        self.boards.update(boards)


@dataclass(slots=True)
class Shared:
    """Decoded stretches that the rules have seen and the store has not."""

    by_offset: dict[int, Decoded] = field(default_factory=dict)
    readings: int = 0

    def put(self, decoded: Decoded) -> None:
        if len(self.by_offset) < SHARED_STRETCHES and self.readings < SHARED_READINGS:
            self.by_offset[decoded.first_offset] = decoded
            self.readings += decoded.counts["readings"]

    def take(self, offset: int) -> Decoded | None:
        """The stretch that begins at `offset`, if it waits here; what lies before is forgotten."""
        taken = [self.by_offset.pop(first) for first in list(self.by_offset) if first <= offset]
        self.readings -= sum(decoded.counts["readings"] for decoded in taken)
        return taken[-1] if taken and taken[-1].first_offset == offset else None


async def load_city(database_url: str, home: Path) -> City:
    """The registry as the worker starts with it: the database's, else what the last worker knew; else it waits."""
    is_told = False
    while True:
        try:
            async with connect(database_url, autocommit=True) as connection:
                return City.of(await store_registry.load(connection))
        except DatabaseUnavailable as error:
            if (known := known_devices.load(home / DEVICES)) is not None:
                logger.warning(
                    "the database is away: the rules begin with the devices that were known last; readings wait in the"
                    " log",
                    devices=len(known),
                    why=str(error),
                )
                return City.of(known, is_remembered=True)
            if not is_told:
                logger.warning(
                    "waiting for the database to read the registry; readings wait in the log", why=str(error)
                )
            is_told = True
            await asyncio.sleep(RETRY_S)
