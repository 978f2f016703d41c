"""History is gone after the days that its class is kept, and nothing else is."""

from datetime import UTC, datetime, timedelta

from devices.kind import kinds
from hub.settings import Keep
from store.database import connect
from store.retention import remove_expired, tables

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def test_each_class_of_history_is_removed_in_its_time(database_url: str) -> None:
    async with connect(database_url, autocommit=True) as connection:
        for table in ("fleet_vehicle", "street_lighting"):
            for days in (1, 59, 62, 89, 92, 400):
                for end, more in (("", "received_at"), ("_15m", "readings"), ("_1d", "readings")):
                    ts = NOW - timedelta(days=days)
                    await connection.execute(
                        f"INSERT INTO {table}{end} (device_no, ts, {more}) VALUES (1, %s, %s)".encode(),
                        [ts, ts if more == "received_at" else 1],
                    )
        removed = await remove_expired(connection, Keep(quarters=200), NOW)
        assert removed == {
            "fleet_vehicle": 4,
            "fleet_vehicle_15m": 3,
            "street_lighting": 2,
            "street_lighting_15m": 1,
        }
        for table, left in (
            ("fleet_vehicle", 2),
            ("fleet_vehicle_15m", 3),
            ("fleet_vehicle_1d", 6),
            ("street_lighting", 4),
            ("street_lighting_15m", 5),
        ):
            rows = await (await connection.execute(f"SELECT count(*) AS n FROM {table}".encode())).fetchall()
            assert (table, rows[0]["n"]) == (table, left)
        assert await remove_expired(connection, Keep(quarters=200), NOW) == {}


async def test_what_came_late_is_kept_from_when_it_came_but_for_positions(database_url: str) -> None:
    async with connect(database_url, autocommit=True) as connection:
        await connection.execute("TRUNCATE fleet_vehicle, fleet_vehicle_15m, street_lighting, street_lighting_15m")
        old, came = NOW - timedelta(days=700), NOW - timedelta(days=30)
        for table in ("fleet_vehicle", "water_meter"):
            await connection.execute(
                f"INSERT INTO {table} (device_no, ts, received_at) VALUES (1, %s, %s)".encode(), [old, came]
            )
        await connection.execute(
            "INSERT INTO event (device_no, ts, received_at, code) VALUES (1, %s, %s, 'x')", [old - timedelta(300), came]
        )
        assert await remove_expired(connection, Keep(), NOW) == {"fleet_vehicle": 1}
        assert await remove_expired(connection, Keep(), NOW + timedelta(days=70)) == {"water_meter": 1}
        assert await remove_expired(connection, Keep(), NOW + timedelta(days=800)) == {"event": 1}


def test_a_rollup_outlives_what_it_is_made_of() -> None:
    for keep in (Keep(), Keep(readings=400, quarters=5, hours=5, days=5)):
        for kind in kinds().values():
            days = list(tables(kind, keep).values())
            assert days[:4] == sorted(set(days[:4]))
