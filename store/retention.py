"""Retention: what a kind's declaration says is kept no longer is removed, by whole chunks of a day."""

from datetime import datetime, timedelta

from psycopg import sql

from devices.kind import kinds
from store.database import Connection
from store.sql import statements

SQL = statements("retention")


async def remove_expired(connection: Connection, now: datetime) -> dict[str, int]:
    """Drop the chunks in which every reading is older than its kind keeps them; returns how many, by kind."""
    removed = {}
    for kind in kinds().values():
        if kind.keep_days is not None:
            oldest = now - timedelta(days=kind.keep_days)
            statement = sql.SQL(SQL["drop"]).format(table=sql.Literal(kind.name))
            dropped = await connection.execute(statement, {"oldest": oldest})
            removed[kind.name] = dropped.rowcount
    return removed
