"""Rollups on the real database: random data, late and repeated, against direct queries of the same rows."""

import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from devices.kind import kinds
from devices.registry import Device
from store import registry, rollup
from store.database import Connection, connect
from store.migrate import migrate
from store.readers import claim
from store.write import Writer
from tests.database import buckets_are_as_asked_directly
from tests.readings import NOW_US, decoded_of, readings_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""The day before the clocks go back in Paris."""
KIND = kinds()["water_meter"]


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[Writer]:
    async with connect(database_url, autocommit=True) as connection:
        tables = [f"water_meter{end}" for end in ("", "_15m", "_1h", "_1d", "_area_15m", "_area_1h", "_latest")]
        await connection.execute(f"TRUNCATE {', '.join(tables)}, rollup_due, rollup_area_due, reader".encode())
        log_id = uuid.uuid4()
        await claim(connection, "store", log_id)
        yield Writer(connection, "store", log_id)


class Log:
    """Stretches of a log, one after the other; `ts` in seconds after a moment."""

    def __init__(self, writer: Writer, start: datetime = NOW) -> None:
        self.writer, self.offset = writer, 0
        self.shift_s = start.timestamp() - NOW_US / 1e6

    async def write(self, *rows: Mapping[str, float]) -> None:
        moved = [{**row, "ts": row["ts"] + self.shift_s} for row in rows]
        decoded = decoded_of(readings_of(KIND.name, moved, first_offset=self.offset))
        await self.writer.write(decoded, {}, NOW)
        self.offset = decoded.next_offset

    async def roll_up(self, keep_since: datetime | None = None, zone: ZoneInfo = PARIS) -> None:
        await rollup.roll_up_everything(self.writer.connection, zone, keep_since)

    async def ask(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        return await (await self.writer.connection.execute(statement.encode(), parameters or None)).fetchall()


async def is_as_asked_directly(log: Log) -> None:
    await buckets_are_as_asked_directly(log.ask)


async def test_buckets_are_as_asked_directly_whatever_comes_late(writer: Writer) -> None:
    log, rng = Log(writer, AUTUMN), np.random.default_rng(7)
    for device, falls in ((1, 900.0), (2, 400.0), (3, 1e9)):
        # A counter that begins again, gaps, fields left out; in shuffled order, some of it twice, in many writes.
        ts = np.unique(rng.integers(0, 3 * 86_400, 400))
        total = np.round(np.cumsum(rng.exponential(5.0, len(ts))) % falls, 3)
        rows = [
            {"no": device, "ts": int(t), "burst": float(b), "flow_m3h": float(np.float32(f))}
            | ({"total_m3": float(v)} if rng.random() < 0.8 else {})
            for t, v, b, f in zip(ts, total, rng.random(len(ts)) < 0.2, rng.random(len(ts)), strict=True)
        ]
        rows += [rows[i] for i in rng.integers(0, len(rows), 40)]
        for part in np.array_split(rng.permutation(len(rows)), 12):
            await log.write(*(rows[i] for i in part))
            if rng.random() < 0.7:
                await log.roll_up()
    await log.roll_up()
    await is_as_asked_directly(log)
    assert await log.ask("SELECT * FROM rollup_due") == []


async def test_a_reading_of_a_month_ago_changes_the_rise_of_the_one_after_it(writer: Writer) -> None:
    log = Log(writer)
    await log.write({"no": 1, "ts": 0, "total_m3": 10.0}, {"no": 1, "ts": 30 * 86_400, "total_m3": 50.0})
    await log.roll_up()
    await is_as_asked_directly(log)
    await log.write({"no": 1, "ts": 10 * 86_400, "flow_m3h": 1.0})
    await log.roll_up()
    await log.write({"no": 1, "ts": 10 * 86_400 + 5, "total_m3": 20.0})
    await log.roll_up()
    await is_as_asked_directly(log)
    rises = await log.ask("SELECT total_m3__increase AS rise FROM water_meter_1d ORDER BY ts")
    assert [row["rise"] for row in rises] == [None, 10.0, 30.0]


async def test_a_reading_that_fills_another_is_rolled_up(writer: Writer) -> None:
    log = Log(writer)
    await log.write({"no": 1, "ts": 0, "total_m3": 10.0})
    await log.roll_up()
    await log.write({"no": 1, "ts": 0, "flow_m3h": 2.0})
    await log.roll_up()
    await is_as_asked_directly(log)


async def test_a_day_is_the_citys_also_when_the_clocks_change(writer: Writer) -> None:
    log = Log(writer, AUTUMN)
    await log.write(*({"no": 1, "ts": 900.0 * i, "flow_m3h": 1.0} for i in range(3 * 96)))
    await log.roll_up()
    days = await log.ask("SELECT ts, readings FROM water_meter_1d ORDER BY ts")
    assert [row["readings"] for row in days][1] == 100  # 25 hours
    assert days[1]["ts"] == datetime(2026, 10, 24, 22, tzinfo=UTC)


async def test_a_day_may_begin_at_half_past_an_hour_of_utc(writer: Writer) -> None:
    log = Log(writer, AUTUMN)
    await log.write(*({"no": 1, "ts": 900.0 * i, "flow_m3h": 1.0} for i in range(2 * 96)))
    await log.roll_up(zone=ZoneInfo("Asia/Kolkata"))
    days = await log.ask("SELECT ts, readings FROM water_meter_1d ORDER BY ts")
    assert days[1] == {"ts": datetime(2026, 10, 24, 18, 30, tzinfo=UTC), "readings": 96}


async def test_the_latest_value_of_each_field_is_kept_with_its_time(writer: Writer) -> None:
    log = Log(writer)
    await log.write({"no": 1, "ts": 100, "total_m3": 5.0, "flow_m3h": 1.0}, {"no": 1, "ts": 200, "total_m3": 6.0})
    await log.roll_up()
    await log.write({"no": 1, "ts": 50, "total_m3": 4.0, "burst": 1.0}, {"no": 1, "ts": 150, "flow_m3h": 2.0})
    await log.roll_up()
    (row,) = await log.ask("SELECT * FROM water_meter_latest")
    assert (row["total_m3"], row["flow_m3h"], row["burst"], row["leak"]) == (6.0, 2.0, True, None)
    seconds = [(row[name] - NOW).total_seconds() for name in ("ts", "received_at", "total_m3__at", "flow_m3h__at")]
    assert seconds == [200, 200, 200, 150]


async def test_what_has_left_its_retention_is_left_as_it_is(writer: Writer) -> None:
    log = Log(writer)
    await log.write({"no": 1, "ts": 0, "flow_m3h": 1.0}, {"no": 1, "ts": 60, "flow_m3h": 3.0})
    await log.roll_up()
    await log.ask("DELETE FROM water_meter RETURNING 1")
    await log.write({"no": 1, "ts": 120, "flow_m3h": 9.0})
    await log.roll_up(keep_since=NOW + timedelta(days=1))
    (row,) = await log.ask("SELECT readings, flow_m3h__mean AS mean FROM water_meter_15m")
    assert row == {"readings": 2, "mean": 2.0}


async def test_what_was_stored_before_there_were_rollups_is_rolled_up(writer: Writer, database_url: str) -> None:
    log = Log(writer)
    await log.write(*({"no": no, "ts": 600.0 * n, "total_m3": float(n)} for no in (1, 2) for n in range(300)))
    for end in ("15m", "1h", "1d", "area_15m", "area_1h", "latest"):
        await writer.connection.execute(f"DROP TABLE water_meter_{end} CASCADE".encode())
    await writer.connection.execute("TRUNCATE rollup_due")
    await migrate(database_url)
    await log.roll_up()
    await is_as_asked_directly(log)
    await migrate(database_url)
    assert await log.ask("SELECT * FROM rollup_due") == [], "once is enough"


async def test_a_round_that_breaks_off_has_done_nothing(writer: Writer, database_url: str) -> None:
    log = Log(writer)
    await log.write({"no": 1, "ts": 0, "flow_m3h": 1.0})

    async def broken(connection: Connection) -> None:
        async with connection.transaction():
            assert await rollup.roll_up(connection, KIND, PARIS, None) == 1
            raise RuntimeError("killed")

    async with connect(database_url, autocommit=True) as connection:
        with pytest.raises(RuntimeError):
            await broken(connection)
    assert await log.ask("SELECT * FROM water_meter_15m") == []
    await log.roll_up()
    await is_as_asked_directly(log)


async def test_a_commune_has_the_figures_of_its_devices(writer: Writer) -> None:
    log = Log(writer)
    devices = [
        Device(commune, KIND.name, f"W-{commune}-{n}", "meter") for commune in ("dijon", "quetigny") for n in range(2)
    ]
    await registry.import_devices(writer.connection, devices, NOW)
    found = await log.ask("SELECT device_no, commune FROM device ORDER BY device_no")
    numbers = [row["device_no"] for row in found]
    strange = ("dijon", KIND.name, "nobody declared it")
    stranger = (await registry.register_unknown(writer.connection, [strange], NOW))[strange]
    await log.write({"no": stranger, "ts": 0, "flow_m3h": 500.0})
    await log.write(
        {"no": numbers[0], "ts": 0, "flow_m3h": 1.0, "total_m3": 1.0, "burst": 1.0},
        {"no": numbers[0], "ts": 60, "flow_m3h": 3.0, "total_m3": 2.0, "burst": 0.0},
        {"no": numbers[1], "ts": 30, "flow_m3h": 10.0, "total_m3": 7.0, "burst": 0.0},
        {"no": numbers[1], "ts": 960, "flow_m3h": 20.0, "total_m3": 9.0, "burst": 0.0},
        {"no": numbers[2], "ts": 0, "flow_m3h": 5.0},
    )
    await log.roll_up()
    columns = "commune, type, devices, readings, flow_m3h__sum AS sum, flow_m3h__mean AS mean, burst__devices AS burst"
    quarters = await log.ask(f"SELECT {columns}, total_m3__increase AS rise FROM water_meter_area_15m ORDER BY 1, ts")
    assert [tuple(row.values()) for row in quarters] == [
        ("dijon", "meter", 2, 3, 12.0, pytest.approx(14 / 3), 1, 1.0),
        ("dijon", "meter", 1, 1, 20.0, 20.0, 0, 2.0),
        ("quetigny", "meter", 1, 1, 5.0, 5.0, 0, None),
    ]
    hours = await log.ask(f"SELECT {columns}, total_m3__increase AS rise FROM water_meter_area_1h ORDER BY 1, ts")
    assert [tuple(row.values()) for row in hours] == [
        ("dijon", "meter", 2, 4, 17.0, 8.5, 1, 3.0),
        ("quetigny", "meter", 1, 1, 5.0, 5.0, 0, None),
    ]
