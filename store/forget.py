"""Devices that nobody declared are forgotten: asked for by a person, done by the worker; runs store/queries/forget.sql.

The worker does it because it alone gives readings their device numbers: it forgets the number in the same moment, so
that no reading is stored for a device that is no more. What was stored of one keeps its number, which then is nobody's,
until it is as old as readings are kept.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg import sql

from devices.kind import kinds
from store import registry
from store.database import Connection
from store.sql import statements

SQL = statements("forget")
CHOSEN = sql.SQL(SQL["chosen"])
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Whom:
    """Devices that nobody declared, by their names."""

    pattern: str
    """LIKE's, of the id."""
    kind: str | None = None
    commune: str | None = None

    @classmethod
    def of(cls, pattern: str, kind: str | None = None, commune: str | None = None) -> "Whom":
        """From a pattern in which `*` stands for anything."""
        plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return cls(plain.replace("*", "%"), kind, commune)


async def count(conn: Connection, whom: Whom) -> tuple[int, str, str]:
    """How many they are, and the first and the last by name."""
    row = await (await conn.execute(sql.SQL(SQL["count"]).format(chosen=CHOSEN), asdict(whom))).fetchone()
    assert row is not None
    return row["devices"], row["first_id"] or "", row["last_id"] or ""


async def ask(conn: Connection, whom: Whom, *, by: str, now: datetime) -> int:
    """Ask the worker for it; returns the number of the request."""
    row = await (await conn.execute(SQL["ask"], {**asdict(whom), "by": by, "now": now})).fetchone()
    assert row is not None
    return int(row["forget_no"])


async def state(conn: Connection, forget_no: int) -> tuple[int, bool]:
    """How many are forgotten, and whether those are all."""
    row = await (await conn.execute(SQL["state"], {"forget_no": forget_no})).fetchone()
    assert row is not None
    return row["forgotten"], row["finished_at"] is not None


async def forget_batch(conn: Connection, now: datetime) -> list[int] | None:
    """Forget the next devices of the oldest request; returns their numbers, None if nobody asks."""
    async with conn.transaction():
        asked = await (await conn.execute(SQL["open"])).fetchone()
        if asked is None:
            return None
        version = await registry.next_version(conn)
        forgotten: dict[str, list[int]] = defaultdict(list)
        statement = sql.SQL(SQL["forget"]).format(chosen=CHOSEN)
        for row in await (await conn.execute(statement, {**asked, "limit": BATCH})).fetchall():
            forgotten[row["kind"]].append(row["device_no"])
        for kind in forgotten.keys() & kinds().keys():
            latest = sql.SQL(SQL["forget_latest"]).format(table=sql.Identifier(f"{kind}_latest"))
            await conn.execute(latest, {"devices": forgotten[kind]})
        numbers = [device_no for of_kind in forgotten.values() for device_no in of_kind]
        if numbers:
            await registry.raise_version(conn, version)
        moved = {"forget_no": asked["forget_no"], "count": len(numbers), "now": now}
        await conn.execute(SQL["move"], {**moved, "finished": len(numbers) < BATCH})
    return numbers
