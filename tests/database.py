"""What tests read of the hub's database, and what must hold there whatever was sent."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
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
        missing = (await audited(url, home)).missing
        assert missing == [], missing
    async with connect(url) as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # more may come meanwhile
        row = await _one(connection, "SELECT * FROM reader WHERE name = 'store'")
        quarantine = await _one(
            connection,
            "SELECT count(*) FILTER (WHERE part = -1) AS whole, count(*) FILTER (WHERE part >= 0) AS parts"
            " FROM quarantine WHERE log_id = %s AND released_at IS NULL",
            row["log_id"],
        )
        stored = sum([await _count(connection, kind) for kind in kinds()])
        removed = await _one(
            connection, "SELECT coalesce(sum(rows), 0)::bigint AS n FROM removal WHERE table_name <> 'event'"
        )
    assert row["messages"] - row["began_messages"] == row["next_offset"] - row["began_offset"]
    for what, parts in BECAME.items():
        assert row[what] == sum(row[part] for part in parts)
    assert (quarantine["whole"], quarantine["parts"]) == (row["messages_quarantined"], row["readings_quarantined"])
    assert row["readings_stored"] == stored + removed["n"]


async def audited(url: str, home: Path) -> Audit:
    """What `beffroi audit` finds, with the settings of a hub of tests."""
    async with connect(url, autocommit=True) as connection:
        return await audit_home(connection, Settings.model_validate({"home": home}))


async def count(url: str, table: str) -> int:
    """How many rows a table has."""
    async with connect(url, autocommit=True) as connection:
        return await _count(connection, table)


async def _count(connection: Connection, table: str) -> int:
    statement = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(table))
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return int(row["n"])


async def _one(connection: Connection, statement: str, *parameters: object) -> dict[str, Any]:
    (row,) = await (await connection.execute(statement.encode(), parameters or None)).fetchall()
    return row


async def rolled_up(connection: Connection) -> None:
    """Roll up all readings, also those that a test wrote past the store."""
    for kind in kinds().values():
        await rollup.remember_all(connection, kind)
    await rollup.roll_up_everything(connection, ZoneInfo("Europe/Paris"))


ROLLED_UP = """
SELECT device_no, {bucket} AS ts, count(*) AS readings,
       count(flow_m3h) AS flow_m3h__n, min(flow_m3h) AS flow_m3h__min, max(flow_m3h) AS flow_m3h__max,
       avg(flow_m3h) AS flow_m3h__mean, last(flow_m3h, ts) FILTER (WHERE flow_m3h IS NOT NULL) AS flow_m3h__last,
       count(total_m3) AS total_m3__n, last(total_m3, ts) FILTER (WHERE total_m3 IS NOT NULL) AS total_m3__last,
       sum(CASE WHEN before IS NULL THEN NULL WHEN total_m3 >= before THEN total_m3 - before ELSE total_m3 END)
           AS total_m3__increase,
       count(burst) AS burst__n, avg(burst::integer) AS burst__mean,
       last(burst, ts) FILTER (WHERE burst IS NOT NULL) AS burst__last
FROM (
    SELECT *, CASE WHEN total_m3 IS NOT NULL THEN
        lag(total_m3) OVER (PARTITION BY device_no, total_m3 IS NULL ORDER BY ts) END AS before
    FROM water_meter
) r GROUP BY 1, 2 ORDER BY 1, 2
"""
WIDTHS = {
    "15m": "time_bucket('15 minutes', ts)",
    "1h": "time_bucket('1 hour', ts)",
    "1d": "time_bucket('1 day', ts, 'Europe/Paris')",
}


async def buckets_are_as_asked_directly(ask: Callable[[str], Awaitable[list[dict[str, Any]]]]) -> None:
    """Every bucket of every width of the water meters holds what a query of the readings, in order, says."""
    for width, bucket in WIDTHS.items():
        direct = await ask(ROLLED_UP.format(bucket=bucket))
        names = ", ".join(direct[0])
        rolled = await ask(f"SELECT {names} FROM water_meter_{width} ORDER BY device_no, ts")
        assert len(rolled) == len(direct)
        for one, other in zip(rolled, direct, strict=True):
            assert one == {
                name: pytest.approx(float(value), rel=1e-5)
                if name.endswith(("mean", "increase")) and value is not None
                else value
                for name, value in other.items()
            }
