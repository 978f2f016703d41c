"""Older readings and figures in TimescaleDB's columnstore, where the server is the community edition."""

from datetime import datetime, timedelta

from psycopg import sql

from devices.kind import kinds
from store.database import Connection, refused
from store.rollup_ddl import HOURS, QUARTERS
from store.sql import statements

SQL = statements("columnstore")
AFTER = timedelta(days=7)
"""Late readings are rare then; one that comes all the same is stored, only more slowly."""


async def compress(connection: Connection, now: datetime) -> dict[str, int]:
    """Turn the chunks that are old enough into columns; how many by table, none on the Apache edition.

    DatabaseRefused when the server cannot after all.
    """
    with refused("older history cannot be kept in columns"):
        return await _compress(connection, now - AFTER)


async def _compress(connection: Connection, before: datetime) -> dict[str, int]:
    row = await (await connection.execute(SQL["license"])).fetchone()
    if not row or not row["is_community"]:
        return {}
    done = {}
    for kind in kinds().values():
        for table in (kind.name, QUARTERS.name(kind), HOURS.name(kind)):
            asked = {"table": table, "before": before}
            known = await (await connection.execute(SQL["is_enabled"], asked)).fetchone()
            if known and not known["is_enabled"]:
                await connection.execute(sql.SQL(SQL["enable"]).format(table=sql.Identifier("public", table)))
            compressed = (await connection.execute(SQL["compress"], asked)).rowcount
            if compressed:
                done[table] = compressed
    return done
