"""What tests read of the hub's database, and what must hold there whatever was sent."""

from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import sql

from devices.kind import kinds
from store import rollup
from store.database import Connection, connect


async def fetch(url: str, statement: str, *parameters: object) -> list[dict[str, object]]:
    """The rows of a statement, in a transaction of its own."""
    async with connect(url, autocommit=True) as connection:
        return await (await connection.execute(statement.encode(), parameters or None)).fetchall()


async def one(url: str, statement: str, *parameters: object) -> dict[str, object]:
    """The one row of a statement."""
    (row,) = await fetch(url, statement, *parameters)
    return row


async def everything_is_read(url: str, log_id: UUID, next_offset: int) -> bool:
    """Has the store come to this place of this log?"""
    rows = await fetch(url, "SELECT log_id, next_offset FROM reader WHERE name = 'store'")
    return [(row["log_id"], row["next_offset"]) for row in rows] == [(log_id, next_offset)]


async def accounts_balance(url: str) -> None:
    """Law 1: what the store has counted adds up, and the tables hold as many rows as it says."""
    row = await one(url, "SELECT * FROM reader WHERE name = 'store'")
    assert row["messages"] + row["messages_skipped"] == row["next_offset"]
    assert row["messages"] == sum(row[f"messages_{what}"] for what in ("decoded", "quarantined", "duplicate"))
    parts = ("stored", "merged", "duplicate", "quarantined", "withheld")
    assert row["readings"] == sum(row[f"readings_{what}"] for what in parts)
    quarantine = await one(
        url,
        "SELECT count(*) FILTER (WHERE part = -1) AS whole, count(*) FILTER (WHERE part >= 0) AS parts"
        " FROM quarantine WHERE log_id = %s AND released_at IS NULL",
        row["log_id"],
    )
    assert (quarantine["whole"], quarantine["parts"]) == (row["messages_quarantined"], row["readings_quarantined"])
    assert row["readings_stored"] == sum([await count(url, kind) for kind in kinds()])


async def count(url: str, table: str) -> int:
    """How many rows a table has."""
    async with connect(url, autocommit=True) as connection:
        statement = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(table))
        row = await (await connection.execute(statement)).fetchone()
        assert row is not None
        return int(row["n"])


async def rolled_up(connection: Connection) -> None:
    """Roll up all readings, also those that a test wrote past the store."""
    for kind in kinds().values():
        await rollup.remember_all(connection, kind)
    await rollup.roll_up_everything(connection, ZoneInfo("Europe/Paris"))
