"""The columnstore: nothing on the Apache edition; on a community server, when one is named, all goes on as before."""

import os
import secrets
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.columnstore import compress
from store.database import connect
from store.migrate import migrate
from tests.database import rolled_up

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
COMMUNITY = os.environ.get("BEFFROI_TEST_COMMUNITY_URL")


async def test_the_apache_edition_keeps_rows(database_url: str) -> None:
    async with connect(database_url, autocommit=True) as connection:
        assert await compress(connection, NOW) == {}


@pytest.mark.skipif(COMMUNITY is None, reason="no community edition was tried: BEFFROI_TEST_COMMUNITY_URL names none")
async def test_old_chunks_become_columns_and_late_readings_still_come_in() -> None:
    assert COMMUNITY is not None
    name = f"test_{secrets.token_hex(6)}"
    url = COMMUNITY.rsplit("/", 1)[0] + f"/{name}"
    async with await psycopg.AsyncConnection.connect(COMMUNITY, autocommit=True) as server:
        await server.execute(f"CREATE DATABASE {name}".encode())
        try:
            await migrate(url)
            await _compress_and_write(url)
            await migrate(url)  # a declaration that changed is brought in also then
        finally:
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def _compress_and_write(url: str) -> None:
    insert = b"INSERT INTO water_meter (device_no, ts, received_at, total_m3) VALUES (1, %s, %s, %s)"
    total = b"SELECT sum(readings) AS n FROM water_meter_1d"
    async with connect(url, autocommit=True) as connection:
        for hour in range(48):
            at = NOW - timedelta(days=30, hours=hour)
            await connection.execute(insert, [at, at, 100.0 - hour])
        await rolled_up(connection)
        done = await compress(connection, NOW)
        assert done["water_meter"] >= 2 and done["water_meter_15m"] >= 2
        assert await compress(connection, NOW) == {}
        late = NOW - timedelta(days=30, minutes=30)
        await connection.execute(insert, [late, NOW, 99.5])
        await rolled_up(connection)
        assert (await (await connection.execute(total)).fetchone() or {})["n"] == 49
