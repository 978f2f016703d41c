"""Geofences come to the rules: from the database within seconds of a change, and from a file of the home at a start."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from devices.fences import BadFence, FencePart, as_geojson, parse_fences, shapes
from hub.errors import DatabaseUnavailable
from ingest.city import City
from store import fences as store_fences
from store.database import connect

logger = structlog.get_logger("worker")
FILE = "fences.geojson"
LOOK_S = 2.0
RETRY_S = 1.0


@dataclass(slots=True)
class Fences:
    """The line of the worker that keeps the fences on the boards, and as they were last in a file of the home."""

    database_url: str
    home: Path
    city: City
    look_s: float = LOOK_S

    def recall(self) -> None:
        """Begin with the fences that were known last; with none known, what rules read of them is unknown."""
        try:
            parts, _ = parse_fences((self.home / FILE).read_bytes())
        except (OSError, BadFence):
            for board in self.city.boards.values():
                board.fence_in(None)
        else:
            self._put(parts)

    async def run(self) -> None:
        """Follow the database until cancelled."""
        known = -1
        while True:
            try:
                async with connect(self.database_url, autocommit=True) as connection:
                    while True:
                        if (version := await store_fences.version(connection)) != known:
                            # Read after its version: what changes meanwhile is read again, never missed.
                            parts = await store_fences.load(connection)
                            self._put(parts)
                            self._remember(parts)
                            logger.info("the fences are known", fences=len({part.name for part in parts}))
                            known = version
                        await asyncio.sleep(self.look_s)
            except DatabaseUnavailable:  # the store says it
                await asyncio.sleep(RETRY_S)

    def _put(self, parts: Sequence[FencePart]) -> None:
        found = shapes(parts)
        for board in self.city.boards.values():
            board.fence_in(found)

    def _remember(self, parts: Sequence[FencePart]) -> None:
        draft = self.home / f".{FILE}.part"
        with suppress(
            OSError
        ):  # a disk that refuses: the file before stays, the database tells the fences all the same
            draft.write_bytes(as_geojson(parts))
            draft.replace(self.home / FILE)
