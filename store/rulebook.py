"""The rules in words: those of the kinds, and the city's own, followed as they change.

Tele-alert keeps what was known last in a file of its home, so that an own rule's P1 has its words also without the
database.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from devices.kind import Kind
from devices.own_rule import Decisions
from store import known_policy, policy
from store.database import Connection

logger = structlog.get_logger("rulebook")


class Rulebook(Mapping[str, Kind]):
    """Every kind by name, with the city's own rules among its rules: also those that were removed, for their words."""

    def __init__(self, path: Path | None = None) -> None:
        """With a path, what was known last is kept there."""
        self._path = path
        self._know((known_policy.load(path) if path else None) or Decisions())
        self._is_asked = False

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    async def follow(self, connection: Connection) -> None:
        """Know what the city has decided last."""
        if self._is_asked and await policy.version(connection) == self._version:
            return
        decisions = await policy.decisions(connection)
        self._know(decisions)
        try:
            if self._path is not None:
                known_policy.save(self._path, decisions)
        except OSError as error:
            logger.error("the city's own rules cannot be kept for an absence of the database",
                         file=str(self._path), error=error.strerror)  # fmt: skip
            return
        self._is_asked = True

    def _know(self, decisions: Decisions) -> None:
        self._version, self._kinds = decisions.version, decisions.kinds()
