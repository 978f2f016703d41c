"""Connections to the database, with psycopg's errors translated."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from hub.errors import BeffroiError, DatabaseUnavailable

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]
GONE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
"""Lost, full, or a standby that takes nothing: what makes a process wait and try again."""
ALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server whose machine vanished without a word is noticed after about ten seconds."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except GONE as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DatabaseUnavailable(f"the database does not answer: {reason}") from error


class DatabaseRefused(BeffroiError):
    """The database answered a statement of ours with an error; the transaction was undone."""


@contextmanager
def refused(what: str) -> Iterator[None]:
    """An error of the database while doing something as DatabaseRefused; a lost connection stays what it is."""
    try:
        yield
    except GONE:
        raise
    except psycopg.Error as error:
        raise DatabaseRefused(f"{what}: {error}") from error


@asynccontextmanager
async def connect(url: str, *, autocommit: bool = False) -> AsyncIterator[Connection]:
    """One connection whose rows are dicts; DatabaseUnavailable when it cannot be had or is lost."""
    with _translated():
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=autocommit, row_factory=dict_row, connect_timeout=5, application_name="beffroi", **ALIVE
        )
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def pool(url: str, *, size: int = 8) -> AsyncIterator[Pool]:
    """A pool of connections whose rows are dicts; opens without waiting for the database."""
    arguments: dict[str, Any] = {"row_factory": dict_row, "application_name": "beffroi", **ALIVE}
    made = AsyncConnectionPool(
        url, connection_class=Connection, kwargs=arguments, min_size=1, max_size=size, open=False, timeout=10
    )
    await made.open(wait=False)
    try:
        yield made
    finally:
        await made.close()
