"""Connections to the database, with psycopg's errors translated."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from hub.errors import BeffroiError, DatabaseUnavailable

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]
GONE = (psycopg.OperationalError, psycopg.InterfaceError)
PASSING = ("08", "25006", "25P03", "25P04", "40", "53", "55P03", "57", "58")
"""Beginnings of SQLSTATEs that say that the same may succeed later: a connection, a full disk or memory, a deadlock,
a lock, a server that stops, starts or is read-only. What psycopg calls operational beside them (a limit of the program,
an object in the wrong state) is an error of ours."""
ANSWER_S = 30.0
"""No statement of the hot path takes a tenth of it; longer without an answer, and the database is taken to be away."""
SESSION = {
    # A server whose machine vanished without a word, or a network that was cut, is noticed after about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def is_passing(error: psycopg.Error) -> bool:
    """May the same succeed later? A lost connection, or a server that cannot do its work now."""
    if error.sqlstate is None:
        return isinstance(error, GONE)
    return error.sqlstate.startswith(PASSING)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if not is_passing(error):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        what = "does not answer" if error.sqlstate is None else "cannot do its work"
        raise DatabaseUnavailable(f"the database {what}: {reason}") from error


class DatabaseRefused(BeffroiError):
    """The database answered a statement of ours with an error; the transaction was undone."""


@contextmanager
def refused(what: str) -> Iterator[None]:
    """An error of the database while doing something as DatabaseRefused; one that passes stays what it is."""
    try:
        yield
    except psycopg.Error as error:
        if is_passing(error):
            raise
        raise DatabaseRefused(f"{what}: {error}") from error


@asynccontextmanager
async def answering(limit_s: float = ANSWER_S) -> AsyncIterator[None]:
    """Expect the database to have done what the block asks within a time; DatabaseUnavailable when it has not.

    Such a database may still do it later: whoever asks again looks first what was done.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise DatabaseUnavailable(f"the database has not answered for {limit_s:g} s") from error


@dataclass(slots=True)
class Absence:
    """Since when something is away, so that it is said once when it begins and once when it ends."""

    since_s: float | None = None

    def begins(self) -> bool:
        """It is away: is that new?"""
        is_new, self.since_s = self.since_s is None, self.since_s or time.monotonic()
        return is_new

    def ends(self) -> str:
        """It is here: for how long it was away, "" when it was not."""
        if self.since_s is None:
            return ""
        lasted = timedelta(seconds=max(1, round(time.monotonic() - self.since_s)))
        self.since_s = None
        return str(lasted)


@asynccontextmanager
async def connect(url: str, *, autocommit: bool = False, idle_s: int = 120) -> AsyncIterator[Connection]:
    """One connection whose rows are dicts; DatabaseUnavailable when it cannot be had or is lost.

    The server ends a session that says nothing for `idle_s` amid a transaction: who was stopped there must not hold
    rows against whoever has taken its place.
    """
    with _translated():
        connection = await psycopg.AsyncConnection.connect(
            url,
            autocommit=autocommit,
            row_factory=dict_row,
            connect_timeout=5,
            application_name="beffroi",
            options=f"-c idle_in_transaction_session_timeout={idle_s}s",
            **SESSION,  # type: ignore[arg-type]  # mypy takes it for other named arguments too
        )
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def pool(url: str, *, size: int = 8) -> AsyncIterator[Pool]:
    """A pool of connections whose rows are dicts; opens without waiting for the database."""
    # It would tell every attempt while the database is away; whoever uses the pool says it once.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    arguments: dict[str, Any] = {"row_factory": dict_row, "application_name": "beffroi", **SESSION}
    made = AsyncConnectionPool(
        url, connection_class=Connection, kwargs=arguments, min_size=1, max_size=size, open=False, timeout=10
    )
    await made.open(wait=False)
    try:
        yield made
    finally:
        await made.close()
