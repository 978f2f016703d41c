"""What tests read of the hub's database, and what must hold there whatever was sent."""

from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import sql

from devices.kind import kinds
from hub.commands.audit import audit_home
from hub.settings import Settings
from store import rollup
from store.accounts import BECAME
from store.audit import Audit
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


async def accounts_balance(url: str, home: Path | None = None) -> None:
    """Law 1: what the store has counted adds up, and the tables hold as many rows as it says.

    With the home of the hub, its logs are recounted too, as `beffroi audit` does.
    """
    if home is not None:
        assert (await audited(url, home)).missing == []
    row = await one(url, "SELECT * FROM reader WHERE name = 'store'")
    assert row["messages"] == row["next_offset"]
    for what, parts in BECAME.items():
        assert row[what] == sum(row[part] for part in parts)
    quarantine = await one(
        url,
        "SELECT count(*) FILTER (WHERE part = -1) AS whole, count(*) FILTER (WHERE part >= 0) AS parts"
        " FROM quarantine WHERE log_id = %s AND released_at IS NULL",
        row["log_id"],
    )
    assert (quarantine["whole"], quarantine["parts"]) == (row["messages_quarantined"], row["readings_quarantined"])
    assert row["readings_stored"] == sum([await count(url, kind) for kind in kinds()])


async def audited(url: str, home: Path) -> Audit:
    """What `beffroi audit` finds, with the settings of a hub of tests."""
    async with connect(url, autocommit=True) as connection:
        return await audit_home(connection, Settings.model_validate({"home": home}))


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
