"""The database as a process that outlives its absences sees it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from hub.errors import DatabaseUnavailable, LogGap, LogReplaced
from store import routing
from store.database import Connection, connect

logger = structlog.get_logger("telealert")
PING_S, ANSWER_S = 1.0, 3.0
"""It is asked so often, and is away when it has not answered for so long: also when it hangs, or its machine does."""
LONGEST_WAIT_S = 2.0


class Database:
    """Waits for the database, and says once each that it is away and that it is back.

    It is away when it does not answer, and also when it answers and takes nothing (`failed`): a full disk.
    """

    def __init__(self, url: str, stop: asyncio.Event) -> None:
        self._url, self._stop = url, stop
        self._away_at_s: float | None = time.monotonic()
        self._answers, self._takes, self._has_told = False, True, False

    @property
    def away_s(self) -> float:
        """How long it has been away; 0 when it is there."""
        return 0.0 if self._away_at_s is None else time.monotonic() - self._away_at_s

    async def watch(self) -> None:
        """Ask until the stop whether it is there."""
        while not self._stop.is_set():
            is_old = False
            try:
                async with connect(self._url, autocommit=True) as connection:
                    while not self._stop.is_set():
                        await self._ping(connection)
                        is_old = True
                        await pause(self._stop, PING_S)
            except DatabaseUnavailable as error:
                if is_old:  # this connection is lost: whether the database is, the next one shows at once
                    continue
                self._judge(str(error), answers=False)
                await pause(self._stop, PING_S)

    async def _ping(self, connection: Connection) -> None:
        # A question that hangs is not broken off, which would itself wait for the server: it is waited for.
        asked = asyncio.create_task(routing.ping(connection))
        try:
            while not (await asyncio.wait({asked}, timeout=ANSWER_S))[0]:
                self._judge(f"no answer for {ANSWER_S:.0f} s", answers=False)
            await asked
        finally:
            asked.cancel()
        self._judge("", answers=True)

    def took(self) -> None:
        """What had to be written was."""
        self._judge("", takes=True)

    async def hold(self, work: Callable[[Connection], Awaitable[None]], *, must_take: bool = False) -> None:
        """Run `work` on a connection until it returns, again on a new one after each loss.

        `must_take`: while this work fails the database counts as away, until it says `took`.
        """
        wait_s, is_refused = 0.5, False
        while not self._stop.is_set():
            try:
                async with connect(self._url, autocommit=True) as connection:
                    wait_s = 0.5
                    await work(connection)
                    return
            except DatabaseUnavailable as error:
                if must_take:
                    self._judge(str(error), takes=False)
            except (LogReplaced, LogGap) as error:  # until somebody has decided
                if not is_refused:
                    logger.error("no incident opens", why=str(error))
                is_refused = True
            await pause(self._stop, wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    @asynccontextmanager
    async def once(self) -> AsyncIterator[Connection]:
        """A connection for some questions; DatabaseUnavailable at once while it is away."""
        if self._away_at_s is not None:
            raise DatabaseUnavailable("the database is away")
        async with connect(self._url, autocommit=True) as connection:
            yield connection

    def _judge(self, why: str, *, answers: bool | None = None, takes: bool | None = None) -> None:
        self._answers = self._answers if answers is None else answers
        self._takes = self._takes if takes is None else takes
        if self._answers and self._takes:
            if self._has_told:
                logger.info("the database is back: tele-alert goes on where it was")
            self._away_at_s, self._has_told = None, False
            return
        if self._away_at_s is None:
            self._away_at_s = time.monotonic()
        if not self._has_told and why:
            self._has_told = True
            logger.error("the database is away: transitions wait in their log, P1 goes out without it", error=why)


async def pause(stop: asyncio.Event, real_s: float) -> None:
    """Wait, but not longer than until the stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), real_s)
