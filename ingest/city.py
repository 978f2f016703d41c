"""What the worker knows of the city: the registry, the boards, and decoded stretches that wait for the store."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from devices.kind import kinds
from devices.own_rule import Decisions
from devices.readings import Decoded, Key
from devices.registry import Registry
from devices.transition import Transition
from hub.errors import DatabaseUnavailable
from ingest import known_devices
from rules.board import TIMEZONE, Board, blank_boards
from rules.change import begin_again, dismissed
from store import known_policy, policy
from store import registry as store_registry
from store.database import connect

logger = structlog.get_logger("worker")
DEVICES, POLICY = "devices.npz", "policy.json"
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
    decisions: Decisions = field(default_factory=Decisions)
    """What the city has decided on rules, as the boards follow it."""
    wanted: Decisions | None = None
    """What it has decided since, for the rules to follow at their next step."""
    timezone: str = TIMEZONE
    """Of the clocks on its walls."""

    @classmethod
    def of(
        cls,
        registry: Registry,
        decisions: Decisions | None = None,
        *,
        wanted: Decisions | None = None,
        is_remembered: bool = False,
        timezone: str = TIMEZONE,
    ) -> "City":
        decisions = decisions or Decisions()
        boards = blank_boards(registry, policy=decisions.policy, timezone=timezone)
        return cls(registry, registry.numbers(), boards, set(), is_remembered, decisions, wanted, timezone)

    @property
    def policy_version(self) -> int:
        """The newest version that is known, followed or soon to be."""
        return (self.wanted or self.decisions).version

    def adopt(self, now_us: int) -> list[Transition]:
        """Follow what is wanted; what is on and is watched no more is over."""
        if self.wanted is None:
            return []
        old, self.decisions, self.wanted = self.decisions, self.wanted, None
        changed = {name for name in kinds() if old.of_kind(name) != self.decisions.of_kind(name)}
        if not changed:
            return []
        before = {name: self.boards[name] for name in changed}
        self._rebuild(changed)
        anew = self.decisions.other_conditions(old)
        told: list[Transition] = []
        for name, board in before.items():
            begin_again(self.boards[name], [code for kind, code in anew if kind == name])
            told += dismissed(board, self.boards[name], now_us=now_us)
        for why in self.decisions.faults:
            logger.error("a rule of the city's own is not in force", why=why)
        logger.info("the rules changed", version=self.decisions.version, kinds=sorted(changed), dismissed=len(told))
        return told

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
        boards = blank_boards(self.registry, names, self.decisions.policy, self.timezone)
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


async def load_city(database_url: str, home: Path, timezone: str = TIMEZONE) -> City:
    """The registry as the worker starts with it: the database's, else what the last worker knew; else it waits."""
    is_told, decided = False, known_policy.load(home / POLICY)
    while True:
        try:
            async with connect(database_url, autocommit=True) as connection:
                registry, wanted = await store_registry.load(connection), await policy.decisions(connection)
                # The state on disk is of the rules that were in force then: what has changed since comes after it.
                return City.of(registry, decided or wanted, wanted=wanted, timezone=timezone)
        except DatabaseUnavailable as error:
            if (known := known_devices.load(home / DEVICES)) is not None:
                logger.warning(
                    "the database is away: the rules begin with the devices that were known last; readings wait in the"
                    " log",
                    devices=len(known),
                    why=str(error),
                )
                return City.of(known, decided, is_remembered=True, timezone=timezone)
            if not is_told:
                logger.warning(
                    "waiting for the database to read the registry; readings wait in the log", why=str(error)
                )
            is_told = True
            await asyncio.sleep(RETRY_S)
