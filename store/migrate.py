"""Bring a database to the present schema: numbered files first, then the kinds' tables; forward only."""

from pathlib import Path

import psycopg
import structlog

from devices.kind import kinds
from hub.errors import BadSetting
from store import grafana
from store.database import GONE, Connection, DatabaseRefused, connect, refused
from store.rollup import has_rollups, remember_all
from store.schema import table_ddl

logger = structlog.get_logger("migrate")

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0xBEFF01


async def migrate(url: str, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing, each migration in a transaction of its own; returns the names applied.

    Two that migrate at once wait for each other. DatabaseUnavailable when there is no database, DatabaseRefused when a
    migration fails (nothing of it is left, those before it stay), BadSetting when the database is newer than `folder`.
    """
    known = _read(folder)
    async with connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        there = await _applied(connection)
        if strangers := sorted(there - known.keys()):
            raise BadSetting(
                f"the database was last used by a newer Beffroi: this one does not have its migration {strangers[-1]};"
                " take that version again, or restore a backup from before it"
            )
        missing = [name for name in known if name not in there]
        for name in missing:
            await _apply(connection, folder / f"{name}.sql", known[name])
        with refused("the kinds' tables could not be brought forward"):
            async with connection.transaction():
                for kind in kinds().values():
                    is_rolled_up = await has_rollups(connection, kind)
                    for statement in table_ddl(kind):
                        await connection.execute(statement)
                    if not is_rolled_up:
                        await remember_all(connection, kind)
                await grafana.expose(connection)
        return missing


def _read(folder: Path) -> dict[str, str]:
    """The migrations by name, in their order."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}


async def _applied(connection: Connection) -> set[str]:
    rows = await (await connection.execute("SELECT name FROM migration")).fetchall()
    return {row["name"] for row in rows}


async def _apply(connection: Connection, path: Path, text: str) -> None:
    """Apply one file, whole or not at all."""
    try:
        async with connection.transaction():
            await connection.execute(text.encode())
            await connection.execute("INSERT INTO migration (name) VALUES (%s)", [path.stem])
    except GONE:
        raise
    except psycopg.Error as error:
        raise DatabaseRefused(
            f"the migration {path} failed, so the database is as it was before it: {error.diag.message_primary};"
            " start the version of before again, or put this file right"
        ) from error
    logger.info("migrated", name=path.stem)
