"""What a kind keeps for some days only is gone after them, and nothing else is."""

from datetime import UTC, datetime, timedelta

from store.database import connect
from store.retention import remove_expired

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def test_positions_are_removed_after_sixty_days_and_lamps_are_not(database_url: str) -> None:
    async with connect(database_url, autocommit=True) as connection:
        for table in ("fleet_vehicle", "street_lighting"):
            for days in (1, 59, 62, 400):
                await connection.execute(
                    f"INSERT INTO {table} (device_no, ts, received_at) VALUES (1, %s, %s)".encode(),
                    [NOW - timedelta(days=days), NOW],
                )
        assert await remove_expired(connection, NOW) == {"fleet_vehicle": 2}
        for table, left in (("fleet_vehicle", 2), ("street_lighting", 4)):
            rows = await (await connection.execute(f"SELECT count(*) AS n FROM {table}".encode())).fetchall()
            assert rows[0]["n"] == left
        assert await remove_expired(connection, NOW) == {"fleet_vehicle": 0}
