"""Intake and worker are killed under load; what the broker acknowledged is in the database exactly once."""

import asyncio
import json
import random
import secrets

import pytest

from hub.runtime.servers import Embedded
from tests.database import accounts_balance, fetch, one
from tests.processes import Processes, Publisher, eventually

RATE = 2_000
SECONDS = 12
KILLS = 6
DEVICES = 200


@pytest.fixture
def hub(tmp_path, database_url, broker: Embedded):
    with Processes(tmp_path, database_url, broker.mqtt_url) as processes:
        yield processes


async def test_kill_9_loses_nothing_and_doubles_nothing(hub, database_url, broker):
    hub.start("intake", "worker")
    await hub.hears()
    publisher = Publisher(broker.simulator_url)
    run = secrets.token_hex(3)
    chance = random.Random(run)
    kills = sorted(chance.uniform(0.5, SECONDS) for _ in range(KILLS))
    start_ms = 1_780_000_000_000
    began = asyncio.get_running_loop().time()
    for number in range(RATE * SECONDS):
        now = asyncio.get_running_loop().time() - began
        if kills and now > kills[0]:
            kills.pop(0)
            victim = chance.choice(["intake", "worker"])
            hub.kill(victim)
            hub.start(victim)
        device, ts = f"{run}-{number % DEVICES}", start_ms + number
        # Every tenth has no time of its own: only the broker's DUP flag can tell a redelivery.
        told = {"total_m3": number} if number % 10 == 0 else {"ts": ts, "total_m3": number}
        publisher.publish(f"city/dijon/water_meter/{device}/telemetry", json.dumps(told), (device, number))
        if number / RATE > now:
            await asyncio.sleep(number / RATE - now)
    await asyncio.to_thread(publisher.close)
    assert len(publisher.acknowledged) == RATE * SECONDS

    async def stored() -> int:
        return (await one(database_url, "SELECT count(*) AS n FROM water_meter"))["n"]

    await eventually(stored, lambda n: n >= len(publisher.acknowledged), timeout_s=60)
    rows = await fetch(
        database_url,
        "SELECT d.id, m.total_m3::int AS number, time_flagged FROM water_meter m JOIN device d USING (device_no)",
    )
    in_database = [(row["id"], row["number"]) for row in rows]
    assert len(in_database) == len(set(in_database)), "stored twice"
    assert set(in_database) == set(publisher.acknowledged)
    assert sum(row["time_flagged"] for row in rows) == RATE * SECONDS // 10
    await accounts_balance(database_url)
