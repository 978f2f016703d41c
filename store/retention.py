"""Retention: what is old enough is removed, by whole chunks; each class of history for its own time."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from psycopg import sql
from psycopg.rows import DictRow

from devices.kind import Kind, kinds
from hub.settings import Keep
from store import rollup_ddl as ddl
from store.database import Connection
from store.sql import statements

SQL = statements("retention")
AUDIT_LOCK = 0xBEFF02
"""Held, shared, by an audit while it counts: rows that are dropped go at once, also from what it looks at."""
MARGIN_DAYS = 2
"""Rollups outlive what they are made of by this, so that what is made again is made of all of it."""


def readings_days(kind: Kind, keep: Keep) -> int:
    """How long a kind's readings are kept: as the city says, and not longer than the kind allows."""
    return min(keep.readings, kind.keep_days or keep.readings)


def keep_since(kind: Kind, keep: Keep, now: datetime) -> datetime:
    """From when on a kind's readings are all there."""
    return now - timedelta(days=readings_days(kind, keep))


def tables(kind: Kind, keep: Keep) -> Mapping[str, int]:
    """How many days each table of a kind is kept.

    A kind that limits its readings tells what people did: its figures by the hour and finer go with them.
    """
    readings = readings_days(kind, keep)
    fine, hours = readings + MARGIN_DAYS, readings + 2 * MARGIN_DAYS
    if kind.keep_days is None:
        fine, hours = max(fine, keep.quarters), max(hours, keep.hours)
    return {
        kind.name: readings,
        ddl.QUARTERS.name(kind): fine,
        ddl.HOURS.name(kind): hours,
        ddl.DAYS.name(kind): max(keep.days, hours + MARGIN_DAYS),
        ddl.AREA_QUARTERS.name(kind): fine,
        ddl.AREA_HOURS.name(kind): max(keep.days, hours),
    }


async def remove_expired(connection: Connection, keep: Keep, now: datetime) -> dict[str, int] | None:
    """Drop the chunks in which everything is older than its class is kept; returns how many, by table.

    Readings and events that came late, or were replayed, are kept that long from when they came; but where a kind
    limits its readings, their own time counts. None when an audit counts just now: nothing may go meanwhile.
    """
    row = await (await connection.execute(SQL["try_lock"], {"lock": AUDIT_LOCK})).fetchone()
    if row is None or not row["locked"]:
        return None
    try:
        return await _remove_expired(connection, keep, now)
    finally:
        await connection.execute(SQL["unlock"], {"lock": AUDIT_LOCK})


async def _remove_expired(connection: Connection, keep: Keep, now: datetime) -> dict[str, int]:
    removed: dict[str, int] = {}
    for kind in kinds().values():
        for table, days in tables(kind, keep).items():
            oldest = now - timedelta(days=days)
            if table == kind.name:
                removed[table] = await _drop_counted(connection, table, oldest, now, received=kind.keep_days is None)
            else:
                removed[table] = await _drop(connection, table, oldest)
    removed["event"] = await _drop_counted(connection, "event", now - timedelta(days=keep.events), now, received=True)
    await connection.execute(SQL["forget_accesses"], {"oldest": now - timedelta(days=keep.accesses)})
    return {table: chunks for table, chunks in removed.items() if chunks}


async def _drop(connection: Connection, table: str, oldest: datetime) -> int:
    """Drop what tells of a time before."""
    statement = sql.SQL(SQL["drop"]).format(table=sql.Literal(table))
    return (await connection.execute(statement, {"oldest": oldest})).rowcount


async def _drop_counted(connection: Connection, table: str, oldest: datetime, now: datetime, *, received: bool) -> int:
    """Drop what tells of a time before and, if `received`, also came before; note how much it was."""
    chunks = await connection.execute(SQL["old_chunks"], {"table": table, "oldest": oldest})
    dropped = 0
    for chunk in await chunks.fetchall():
        if received and not (await _look(connection, "came_before", chunk, oldest))["came_before"]:
            continue
        async with connection.transaction():
            dropped += await _drop_chunk(connection, table, chunk, oldest, now, received=received)
    return dropped


async def _drop_chunk(
    connection: Connection, table: str, chunk: DictRow, oldest: datetime, now: datetime, *, received: bool
) -> int:
    """Drop one chunk and note it, in the caller's transaction, unless something of it came just now."""
    await connection.execute(sql.SQL(SQL["hold"]).format(chunk=_name(chunk)))  # what is counted is what is dropped
    found = await _look(connection, "came_before_counted", chunk, oldest)
    if received and not found["came_before"]:
        return 0
    bounds = {"range_start": chunk["range_start"], "range_end": chunk["range_end"]}
    dropped = await connection.execute(sql.SQL(SQL["drop_one"]).format(table=sql.Literal(table)), bounds)
    await connection.execute(SQL["note"], {**bounds, "now": now, "table": table, "rows": found["rows"]})
    return dropped.rowcount


async def _look(connection: Connection, statement: str, chunk: DictRow, oldest: datetime) -> DictRow:
    asked = sql.SQL(SQL[statement]).format(chunk=_name(chunk))
    row = await (await connection.execute(asked, {"oldest": oldest})).fetchone()
    assert row is not None
    return row


def _name(chunk: DictRow) -> sql.Identifier:
    return sql.Identifier(chunk["chunk_schema"], chunk["chunk_name"])
