"""Bring a database to the present schema: numbered files first, then the kinds' tables; forward only."""

from pathlib import Path

import structlog

from devices.kind import kinds
from store import grafana
from store.database import Connection, connect
from store.rollup import has_rollups, remember_all
from store.schema import table_ddl

logger = structlog.get_logger("migrate")

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0xBEFF01


async def migrate(url: str) -> list[str]:
    """Apply what is missing, each migration in a transaction of its own; returns the names applied.

    Two that migrate at once wait for each other. DatabaseUnavailable when there is no database.
    """
    async with connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = [name for name in sorted(p.stem for p in MIGRATIONS.glob("*.sql")) if await _apply(connection, name)]
        async with connection.transaction():
            for kind in kinds().values():
                is_rolled_up = await has_rollups(connection, kind)
                for statement in table_ddl(kind):
                    await connection.execute(statement)
                if not is_rolled_up:
                    await remember_all(connection, kind)
            await grafana.expose(connection)
        return applied


async def _apply(connection: Connection, name: str) -> bool:
    """Apply one file unless it was; says whether it did."""
    known = await connection.execute("SELECT 1 FROM migration WHERE name = %s", [name])
    if await known.fetchone():
        return False
    text = (MIGRATIONS / f"{name}.sql").read_text(encoding="utf-8")
    async with connection.transaction():
        await connection.execute(text.encode())
        await connection.execute("INSERT INTO migration (name) VALUES (%s)", [name])
    logger.info("migrated", name=name)
    return True
