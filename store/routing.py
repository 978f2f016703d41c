"""What tele-alert keeps on disk to call without the database, and what it did then, entered after."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import DictRow, tuple_row

from store.database import Connection
from store.incident_batch import columns
from store.sql import statements

SQL = statements("routing")
Row = tuple[Any, ...]
FETCHED = 5_000
"""Rows that are objects of Python at once."""


class Progress(NamedTuple):
    """What changes whenever the snapshot would."""

    registry_version: int
    log_id: str
    next_offset: int
    """Of the transitions, first that tele-alert has not read."""
    last_change: int


class CallRow(NamedTuple):
    """A call that went out: about which incident, what was said where and when, and what the story says of it."""

    cause_no: int
    code: str
    opened_at: datetime
    detected_at: datetime
    purpose: str
    channel: str
    title: str
    body: str
    sent_at: datetime
    reason: str


@asynccontextmanager
async def moment(connection: Connection) -> AsyncIterator[None]:
    """What is read in the block is of one moment."""
    async with connection.transaction():
        await connection.execute(SQL["one_moment"])
        yield


async def ping(connection: Connection) -> None:
    """DatabaseUnavailable when it does not answer."""
    await connection.execute(SQL["ping"])


async def progress(connection: Connection) -> Progress | None:
    """Where tele-alert is; None before it has read anything."""
    row = await (await connection.execute(SQL["progress"])).fetchone()
    return Progress(**row) if row else None


async def places(connection: Connection) -> AsyncIterator[list[Row]]:
    """Devices that may call, some thousands at a time, as alerts.scene.Place has them."""
    async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(SQL["places"])
        while rows := await cursor.fetchmany(FETCHED):
            yield rows


async def faults(connection: Connection) -> AsyncIterator[list[Row]]:
    """Faults that are on, some thousands at a time, as alerts.scene.Standing has them."""
    async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(SQL["faults"])
        while rows := await cursor.fetchmany(FETCHED):
            yield rows


async def pending(connection: Connection, priority: int) -> list[DictRow]:
    """Calls of this priority or more urgent that did not go out yet, in order."""
    return await (await connection.execute(SQL["pending"], {"priority": priority})).fetchall()


async def enter(connection: Connection, calls: Sequence[CallRow]) -> int:
    """Enter calls that went out and that the database would not have made; returns how many there were."""
    row = await (await connection.execute(SQL["enter"], columns(CallRow, calls))).fetchone()
    assert row is not None
    return int(row["entered"])


async def known(connection: Connection, calls: Sequence[CallRow]) -> list[DictRow]:
    """What the database knows of each call, in order: incident_no, if any, and is_over: sent or given up."""
    return await (await connection.execute(SQL["known"], columns(CallRow, calls))).fetchall()
