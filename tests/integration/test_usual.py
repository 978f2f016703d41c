"""What is usual, from rollups of real readings, against direct queries of the same readings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from devices.kind import Column, Mask, Text, kinds, rule
from devices.policy import Policy
from devices.registry import Registry
from hub.clock import Clock, to_us
from ingest.city import City
from ingest.expectations import FILE, Expectations
from rules.board import Board
from rules.evaluate import apply
from rules.view import View
from store.database import Connection, connect
from store.usual import Asking
from tests.database import rolled_up
from tests.readings import NOW_US, readings_of

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 3, 8, 5, tzinfo=UTC)
"""Nine days after the clocks went back; nine o'clock in Paris."""
METER = kinds()["water_meter"]
NUMBERS = np.array([1, 2, 3, 4], np.int32)
FILL = """
INSERT INTO water_meter (device_no, ts, received_at, flow_m3h, total_m3)
SELECT no, ts, ts, abs(sin(no * extract(epoch FROM ts) / 7919)),
    no * (extract(epoch FROM ts - '2026-09-01') / 86400) ^ 1.5
FROM generate_series(1, 4) AS no,
    generate_series('2026-09-20'::timestamptz, '2026-11-03 08:00Z', '30 minutes') AS ts
WHERE no < 4 OR ts > '2026-10-31 12:00Z'
"""


@pytest.fixture(scope="module")
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with connect(database_url, autocommit=True) as connection:
        await connection.execute(FILL.encode())
        # Of the second, a night lacks an hour and a day its afternoon.
        await connection.execute(
            b"DELETE FROM water_meter WHERE device_no = 2 AND (ts >= '2026-10-28 02:00Z' AND ts < '2026-10-28 03:00Z'"
            b" OR ts >= '2026-10-27 07:00Z' AND ts < '2026-10-27 22:00Z')"
        )
        await rolled_up(connection)
        yield connection


async def asked(connection: Connection, field: str, word: str, at: datetime = NOW) -> list[float]:
    asking = Asking(connection, METER, METER.fields[METER.field_index(field)], NUMBERS, PARIS)
    return [round(float(value), 3) for value in await asking.word(word, at)]


async def directly(connection: Connection, statement: str) -> list[float]:
    """A query of (device_no, value), of the first three: the fourth was told too little."""
    rows = await (await connection.execute(statement.encode())).fetchall()
    found = {row["device_no"]: round(float(row["value"]), 3) for row in rows}
    return [found[number] for number in (1, 2, 3)]


HOURLY = """
SELECT device_no, percentile_cont(0.5) WITHIN GROUP (ORDER BY day_value) AS value
FROM (SELECT device_no, local::date AS day, avg(flow_m3h) AS day_value
      FROM (SELECT *, ts AT TIME ZONE 'Europe/Paris' AS local FROM water_meter) r
      WHERE extract(hour FROM local) = {hour} AND local >= '{since}' AND local < '{until}' GROUP BY 1, 2) d
GROUP BY 1
"""


@pytest.mark.parametrize(
    ("at", "hour", "since", "until"),
    [
        (NOW, 9, "2026-10-27", "2026-11-03"),
        (datetime(2026, 10, 29, 1, tzinfo=UTC), 2, "2026-10-22", "2026-10-29"),  # two o'clock was struck twice
    ],
)
async def test_the_same_hour_of_the_last_seven_days(
    connection: Connection, at: datetime, hour: int, since: str, until: str
) -> None:
    found = await asked(connection, "flow_m3h", "usual_hour", at)
    assert found[:3] == pytest.approx(
        await directly(connection, HOURLY.format(hour=hour, since=since, until=until)), rel=1e-3
    )
    assert np.isnan(found[3])


async def test_the_same_hour_of_the_week(connection: Connection) -> None:
    days = "('2026-10-06', '2026-10-13', '2026-10-20', '2026-10-27')"
    reference = (
        "SELECT device_no, avg(v) AS value FROM (SELECT device_no, local::date, avg(flow_m3h) AS v"
        " FROM (SELECT *, ts AT TIME ZONE 'Europe/Paris' AS local FROM water_meter) r"
        f" WHERE extract(hour FROM local) = 9 AND local::date::text IN {days} GROUP BY 1, 2) d GROUP BY 1"
    )
    found = await asked(connection, "flow_m3h", "usual_week_hour")
    assert found[:3] == pytest.approx(await directly(connection, reference), rel=1e-3)


NIGHTS = """
WITH hours AS (
    SELECT device_no, local::date AS night, date_trunc('hour', ts) AS hour, avg(flow_m3h) AS v
    FROM (SELECT *, ts AT TIME ZONE 'Europe/Paris' AS local FROM water_meter) r
    WHERE extract(hour FROM local) BETWEEN 1 AND 4 AND local >= '2026-10-07' GROUP BY 1, 2, 3
), nights AS (
    SELECT device_no, night, min(v) AS v FROM hours GROUP BY 1, 2
    HAVING count(*) = CASE night WHEN '2026-10-25' THEN 5 ELSE 4 END
)
"""


async def test_the_lowest_hours_of_nights(connection: Connection) -> None:
    usual = NIGHTS + "SELECT device_no, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS value FROM nights GROUP BY 1"
    found = await asked(connection, "flow_m3h", "usual_night_min")
    assert found[:3] == pytest.approx(await directly(connection, usual), rel=1e-3)
    last = NIGHTS + "SELECT device_no, v AS value FROM nights WHERE night = '2026-11-03'"
    assert (await asked(connection, "flow_m3h", "night_min"))[:3] == pytest.approx(
        await directly(connection, last), rel=1e-3
    )
    assert np.isnan((await asked(connection, "flow_m3h", "nights_over"))[3])


async def test_the_increase_of_days(connection: Connection) -> None:
    days = (
        "SELECT device_no, ts AT TIME ZONE 'Europe/Paris' AS day, total_m3__increase AS v FROM water_meter_1d"
        " WHERE ts < '2026-11-02 23:00Z' AND ts >= '2026-10-05 22:00Z'"
        " AND NOT (device_no = 2 AND ts = '2026-10-26 23:00Z')"  # it lacks its afternoon
    )
    usual = f"SELECT device_no, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS value FROM ({days}) d GROUP BY 1"
    assert (await asked(connection, "total_m3", "usual_day"))[:3] == pytest.approx(
        await directly(connection, usual), rel=1e-3
    )
    last = f"SELECT device_no, v AS value FROM ({days}) d WHERE day = '2026-11-02'"
    assert (await asked(connection, "total_m3", "day"))[:3] == pytest.approx(await directly(connection, last), rel=1e-3)
    share = (
        f"SELECT device_no, avg(v) FILTER (WHERE extract(isodow FROM day) > 5)"
        f" / avg(v) FILTER (WHERE extract(isodow FROM day) < 6) AS value FROM ({days}) d GROUP BY 1"
    )
    assert (await asked(connection, "total_m3", "weekend_share"))[:3] == pytest.approx(
        await directly(connection, share), rel=1e-3
    )
    month = await asked(connection, "total_m3", "month")
    assert month[0] == pytest.approx((63.4**1.5 - 33.4**1.5) / 30, rel=0.05) and np.isnan(month[3])
    assert all(np.isnan(value) for value in await asked(connection, "total_m3", "usual_season"))


async def test_the_season_is_that_of_a_year_ago(connection: Connection) -> None:
    season = await asked(connection, "total_m3", "usual_season", NOW + timedelta(days=365))
    assert season == pytest.approx(await asked(connection, "total_m3", "month"), rel=0.1, nan_ok=True)


async def test_peaks(connection: Connection) -> None:
    peak = "SELECT device_no, max(flow_m3h) AS value FROM water_meter WHERE ts < '{}' AND ts >= '{}' GROUP BY 1"
    year = peak.format("2026-11-01 23:00Z", "2026-09-20")
    assert (await asked(connection, "flow_m3h", "peak_year"))[:3] == pytest.approx(
        await directly(connection, year), rel=1e-2
    )
    last = peak.format("2026-11-02 23:00Z", "2026-11-01 23:00Z")
    assert (await asked(connection, "flow_m3h", "peak_day"))[:3] == pytest.approx(
        await directly(connection, last), rel=1e-3
    )


@rule(
    type="meter",
    title=Text("Débit double", "Double flow"),
    help_fr="Le débit est le double de celui de la même heure.",
    priority=3,
    source="a test",
    fires_on=(),
    silent_on=(),
)
def double_flow(flow_m3h: Column, flow_m3h__usual_hour: Column, total_m3__usual_day: Column) -> Mask:
    """Flow is twice that of the same hour."""
    return (flow_m3h > 2 * flow_m3h__usual_hour) & (total_m3__usual_day > 0)


async def test_the_worker_loads_what_rules_ask_for_and_they_fire(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    rows = [(int(n), "dijon", "water_meter", f"W{n}", "meter", None, None, 47.3, 5.0, True, {}) for n in NUMBERS]
    city = City.of(Registry.of_rows(1, rows))
    policy = Policy(own={"water_meter": [double_flow]})
    board = city.boards["water_meter"] = Board.of(METER, city.registry, policy)
    clock = Clock(0, to_us(NOW), 1e-9)
    line = Expectations(database_url, clock, city, PARIS, tmp_path)
    running = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(20):
            while not (tmp_path / FILE).exists():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    usual = board.usual["flow_m3h__usual_hour"]
    assert usual.shape == (24, 4)
    assert usual[9, :3].tolist() == pytest.approx((await asked(connection, "flow_m3h", "usual_hour"))[:3], rel=1e-3)
    assert not np.isnan(usual[[9, 10], :3]).any() and np.isnan(usual[11]).all()  # nine o'clock, and soon ten
    seconds = (to_us(NOW) - NOW_US) / 1e6
    told = apply(
        board,
        readings_of("water_meter", [{"no": n, "ts": seconds, "flow_m3h": 9.0} for n in (1, 4)]),
        now_us=to_us(NOW),
    )
    assert [(t.code, t.device_no) for t in told if t.code == "double_flow"] == [("double_flow", 1)]
    assert not line.missing()
    again = City.of(city.registry)
    blank = again.boards["water_meter"] = Board.of(METER, city.registry, policy)
    Expectations("", clock, again, PARIS, tmp_path).recall()
    np.testing.assert_array_equal(blank.usual["flow_m3h__usual_hour"], usual)
    assert blank.usual["total_m3__usual_day"].tolist()[:3] == board.usual["total_m3__usual_day"].tolist()[:3]
    newer = Board.of(METER, Registry.of_rows(2, [rows[2], rows[0]]), policy)
    newer.take_over_from(board)
    view = View(newer, np.array([0, 1]), to_us(NOW), "meter")
    assert view["flow_m3h__usual_hour"].tolist() == usual[9, [2, 0]].tolist()
    newest = city.boards["water_meter"] = Board.of(METER, city.registry)
    newest.take_over_from(board)
    assert line.missing() == []


async def test_without_a_database_the_line_waits(tmp_path: Path) -> None:
    city = City.of(Registry.of_rows(1, [(1, "dijon", "water_meter", "W", "meter", None, None, 47.3, 5.0, True, {})]))
    city.boards["water_meter"] = Board.of(METER, city.registry, Policy(own={"water_meter": [double_flow]}))
    line = Expectations("postgresql://nobody@127.0.0.1:1/nothing", Clock(), city, PARIS, tmp_path)
    running = asyncio.create_task(line.run())
    await asyncio.sleep(0.1)
    assert not running.done() and line.missing()
    running.cancel()
