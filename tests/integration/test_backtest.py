"""`beffroi rules backtest` on the real database: its readings through the rules, in order and in bounded memory."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from dashboard.backtest import backtest
from devices.kind import Column, Mask, Text, kinds, rule
from hub.commands import backtest as command
from hub.secrets import Secrets
from hub.settings import Settings
from rules.backtest import Trial
from store.database import connect
from tests.database import fetch, rolled_up


@rule(
    type="lamp",
    title=Text("Sous l'habitude", "Below the usual"),
    help_fr="Essai.",
    priority=3,
    source="a test",
    fires_on=({"power_w": 1, "power_w__usual_hour": 60},),
    silent_on=({"power_w": 60, "power_w__usual_hour": 60},),
)
def below_usual(power_w: Column, power_w__usual_hour: Column) -> Mask:
    """A test."""
    return power_w < 0.8 * power_w__usual_hour


@rule(
    type="vehicle",
    title=Text("Au dépôt", "At the depot"),
    help_fr="Essai.",
    priority=3,
    source="a test",
    fires_on=({"in__depot": 1},),
    silent_on=({"in__depot": 0},),
)
def at_depot(in__depot: Column) -> Mask:
    """A test."""
    return in__depot == 1


BEGAN = datetime(2026, 11, 20, 16, tzinfo=UTC)
LIGHTING = kinds()["street_lighting"]
LAMPS = """
    INSERT INTO device (device_no, commune, kind, id, type, attributes, commissioned_at, changed_at, changed_version)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'dijon', 'street_lighting', 'L' || n, 'lamp', '{"rated_power_w": 60}', now(), now(), 1
    FROM generate_series(101, 120) n
"""
NIGHTS = """
    INSERT INTO street_lighting (device_no, ts, received_at, dim_pct, power_w, driver_temp_c)
    SELECT n, at, at + interval '2 hours', 100,
        CASE WHEN n = 101 AND at >= %s::timestamptz + interval '2 hours' AND at < %s::timestamptz + interval '3 hours'
             OR n = 102 AND at >= %s::timestamptz + interval '2 hours' AND at < %s::timestamptz + interval '140 minutes'
        THEN 1 ELSE 60 END, NULL
    FROM generate_series(101, 120) n,
        generate_series(%s::timestamptz, %s::timestamptz + interval '33 hours', interval '15 minutes') at
"""
VEHICLE = """
    INSERT INTO device (device_no, commune, kind, id, type, commissioned_at, changed_at, changed_version)
    OVERRIDING SYSTEM VALUE VALUES (900, 'dijon', 'fleet_vehicle', 'bus-1', 'vehicle', now(), now(), 1)
"""
WEEK = datetime(2026, 10, 5, tzinfo=UTC)
HABIT = """
    INSERT INTO street_lighting (device_no, ts, received_at, power_w)
    SELECT n, at, at, CASE WHEN n = 101 AND at >= %s::timestamptz + interval '198 hours'
        AND at < %s::timestamptz + interval '200 hours' THEN 30 ELSE 60 END
    FROM generate_series(101, 102) n,
        generate_series(%s::timestamptz, %s::timestamptz + interval '215 hours', interval '30 minutes') at
"""
"""Two lamps for nine days; one draws half as much for two hours of the last."""


@pytest.fixture
async def recorded_url(database_url: str) -> str:
    """Twenty lamps over two nights, of which two were dark for a while."""
    if not await fetch(database_url, "SELECT 1 FROM device"):
        async with connect(database_url, autocommit=True) as connection:
            await connection.execute(LAMPS)
            await connection.execute(NIGHTS.encode(), [BEGAN] * 6)
    return database_url


async def test_a_changed_rule_beside_the_one_in_force(recorded_url: str) -> None:
    lamp_out = LIGHTING.rule("lamp_out")
    trial = Trial(LIGHTING, lamp_out, lamp_out, {"hold_s": 1800})
    async with connect(recorded_url) as connection:
        until = BEGAN + timedelta(hours=33)
        result = await backtest(connection, trial, BEGAN, until, who="operator", timezone="Europe/Paris")
        assert result.in_force is not None and result.difference is not None
        assert (result.tried.fired, result.in_force.fired) == (1, 2)
        assert (result.difference.both, result.difference.only_in_force) == (1, 1)
        assert [one.id for one in result.difference.most_only_in_force] == ["L102"]
        assert (result.readings, result.stopped_by, result.seen_to) == (20 * 4 * 33, None, until)
        began = [hour.at for hour in result.hours if hour.in_force]
        assert began == [BEGAN + timedelta(hours=2)], "when it was measured, not when it came"
        assert result.tried.on_s == 1800

        first = await backtest(connection, trial, BEGAN, until, who="operator", timezone="Europe/Paris", row_limit=1)
        assert (first.stopped_by, first.readings) == ("rows", 20 * 4 * 33), "a chunk is the least"
        none = await backtest(connection, trial, BEGAN, until, who="operator", timezone="Europe/Paris", deadline_s=0)
        assert (none.stopped_by, none.readings, none.seen_to) == ("deadline", 0, BEGAN)
        assert (await (await connection.execute("SELECT 1 AS one")).fetchone()) == {"one": 1}, "it can be used again"


async def test_what_was_usual_is_known_hour_by_hour(recorded_url: str) -> None:
    trial, until = Trial(LIGHTING, below_usual), WEEK + timedelta(days=9)
    async with connect(recorded_url) as connection:
        await connection.execute(HABIT.encode(), [WEEK] * 4)
        await rolled_up(connection)
        await connection.commit()
        result = await backtest(
            connection, trial, until - timedelta(days=1), until, who="operator", timezone="Europe/Paris"
        )
    assert [hour.at for hour in result.hours if hour.tried] == [WEEK + timedelta(days=8, hours=6)]
    assert [one.id for one in result.tried.most] == ["L101"]


async def test_who_reads_positions_is_written_down(recorded_url: str) -> None:
    trial = Trial(kinds()["fleet_vehicle"], at_depot)
    async with connect(recorded_url) as connection:
        await connection.execute(VEHICLE)
        until = BEGAN + timedelta(hours=1)
        result = await backtest(connection, trial, BEGAN, until, who="operator", timezone="Europe/Paris")
    assert (result.readings, result.unknown) == (0, {"in__depot": 1})
    (row,) = await fetch(recorded_url, "SELECT * FROM position_access")
    assert (row["login"], row["device_no"], row["to_ts"]) == ("operator", 900, until)


async def test_the_command(recorded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Secrets.of(tmp_path)
    settings = Settings.model_validate({"home": tmp_path, "database_url": recorded_url})

    async def call(changes: list[str], *, as_json: bool) -> str:
        asked = partial(command.run, kind=None, file=None, changes=changes, as_json=as_json)
        await asyncio.to_thread(asked, settings, "lamp_out", datetime(2026, 11, 20), datetime(2026, 11, 22, 3))
        return capsys.readouterr().out

    said = await call(["hold_s=1800"], as_json=False)
    assert "both 1, only as tried 0, only in force 1" in said
    assert "dijon/L102" in said and "Fri 20 Nov" in said and "█" in said
    told = json.loads(await call([], as_json=True))
    assert (told["tried"]["fired"], told["in_force"], told["devices"]) == (2, None, 20)
