"""The history line: rolls up what the store wrote, and removes what is kept no longer. It waits for the database."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from devices.kind import kinds
from hub.clock import Clock
from hub.errors import DatabaseUnavailable
from hub.settings import Keep
from store import indicators
from store.columnstore import compress
from store.database import Connection, DatabaseRefused, connect
from store.quarantine import forget_excess, forget_released
from store.retention import keep_since, remove_expired
from store.rollup import roll_up, roll_up_areas
from store.room import database_disk_is_full

logger = structlog.get_logger("worker")

PAUSE_S = 0.5
AREAS_S = 30.0
"""Figures per commune may be so old."""
EXPIRE_S = 3600.0
RETRY_S = 1.0


@dataclass(slots=True)
class History:
    """What becomes of readings once they are stored. `zone` is whose days are meant."""

    database_url: str
    clock: Clock
    zone: ZoneInfo
    keep: Keep
    database_home: Path | None
    """The home whose disk the database is on; None when it is elsewhere."""
    rest: float = 1.0
    """How long it rests after a round, as a share of the round. The store asks for more while it catches up."""
    areas_at: float = 0.0
    expire_at: float = 0.0

    async def run(self) -> None:
        """Work until cancelled; half the time at most, less while the store catches up, and never holds it up."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with connect(self.database_url, autocommit=True) as connection:
                    while True:
                        began = loop.time()
                        await self._round(connection, began)
                        await asyncio.sleep(max(PAUSE_S, self.rest * (loop.time() - began)))
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY_S)
            except DatabaseRefused as error:
                logger.error("history waits; readings are stored all the same", why=str(error))
                await asyncio.sleep(AREAS_S)

    async def _round(self, connection: Connection, now_s: float) -> None:
        now = self.clock.now()
        if now_s >= self.expire_at:
            self.expire_at = now_s + EXPIRE_S
            await self._age(connection, now)
        if database_disk_is_full(self.database_home):  # they wait with the readings
            return
        for kind in kinds().values():
            await roll_up(connection, kind, self.zone, keep_since(kind, self.keep, now))
        if now_s >= self.areas_at:
            self.areas_at = now_s + AREAS_S
            for kind in kinds().values():
                await roll_up_areas(connection, kind)

    async def _age(self, connection: Connection, now: datetime) -> None:
        removed = await remove_expired(connection, self.keep, now)
        if removed is None:
            self.expire_at = 0.0  # an audit counts: the next round
        await forget_released(connection, now)
        await forget_excess(connection, now)
        await indicators.remove_expired(connection, now)
        if removed:
            logger.info("old history removed", chunks=removed)
        if compressed := await compress(connection, now):
            logger.info("older history is in columns now", chunks=compressed)
