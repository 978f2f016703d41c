"""Recorded readings in the order of event time, as columns; any number of them in bounded memory.

The database packs each minute's readings into one row of byte strings, so that nobody makes an object of a value.
Runs store/queries/recorded.sql.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import tuple_row

from devices.kind import Field, Kind
from store.database import Connection
from store.sql import statements

SQL = statements("recorded")
BUCKETS = 20
"""Minutes fetched at once."""
CHUNK = 50_000
"""So many readings are handed over at once at least, as long as there are more."""
DAY = timedelta(days=1)
POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which the database counts."""


class Recorded(NamedTuple):
    """Readings in the order of event time, n of them."""

    device_no: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    """Microseconds since 1970; the time of reception where a device's clock was ahead of it."""
    values: NDArray[np.float64]
    """Shape (fields, n); NaN where nothing was told."""


async def recorded(
    connection: Connection,
    kind: Kind,
    fields: Sequence[str],
    device_nos: NDArray[np.integer],
    since: datetime,
    until: datetime,
) -> AsyncGenerator[Recorded]:
    """All readings of some devices from `since` to before `until`, in chunks; in the caller's transaction.

    The database sorts a day at a time, on its disk where its memory does not suffice.
    """
    columns = [next(field for field in kind.fields if field.name == name) for name in fields]
    statement = _statement(kind, columns)
    for name in ("begin", "sort_not_hash", "memory"):
        await connection.execute(SQL[name])
    waiting: list[Recorded] = []
    async for chunk in _minutes(connection, statement, len(columns), device_nos.tolist(), since, until):
        waiting.append(chunk)
        if sum(len(part.ts_us) for part in waiting) >= CHUNK:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


async def _minutes(
    connection: Connection, statement: sql.Composed, fields: int, devices: list[int], since: datetime, until: datetime
) -> AsyncGenerator[Recorded]:
    start = since
    while start < until:
        midnight = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        end = min(midnight + DAY, until)  # the tables are cut into days of UTC
        async with connection.cursor("recorded", binary=True, row_factory=tuple_row) as cursor:
            cursor.itersize = BUCKETS
            await cursor.execute(statement, {"since": start, "until": end, "devices": devices})
            async for _, *packed in cursor:
                yield _unpacked(packed, fields)
        start = end


def _statement(kind: Kind, fields: Sequence[Field]) -> sql.Composed:
    send = {"real": "float4send", "flag": "float4send", "double": "float8send"}
    values = [
        sql.SQL(", coalesce({}, 'NaN') AS {}").format(
            sql.SQL("{}::integer::real").format(sql.Identifier(field.name))
            if field.storage == "flag"
            else sql.Identifier(field.name),
            sql.Identifier(field.name),
        )
        for field in fields
    ]
    sent = [
        sql.SQL(", string_agg({}({}), ''::bytea)").format(sql.SQL(send[field.storage]), sql.Identifier(field.name))
        for field in fields
    ]
    return sql.SQL(SQL["buckets"]).format(
        table=sql.Identifier(kind.name), values=sql.Composed(values), sent=sql.Composed(sent)
    )


def _unpacked(packed: Sequence[Any], fields: int) -> Recorded:
    """One minute, as the database has it."""
    device_no, ts, *values = packed
    n = len(device_no) // 4
    ts_us = np.frombuffer(ts, ">i8").astype(np.int64) + POSTGRES_EPOCH_US
    told = np.empty((fields, n))
    for place, column in enumerate(values):
        told[place] = np.frombuffer(column, ">f4" if len(column) == 4 * n else ">f8")
    return Recorded(np.frombuffer(device_no, ">i4").astype(np.int32), ts_us, told)


def _joined(parts: Sequence[Recorded]) -> Recorded:
    """Minutes one after the other, sorted."""
    device_no = np.concatenate([part.device_no for part in parts])
    ts_us = np.concatenate([part.ts_us for part in parts])
    order = np.argsort(ts_us, kind="stable")
    return Recorded(device_no[order], ts_us[order], np.concatenate([part.values for part in parts], axis=1)[:, order])
