"""Intake and worker are killed under load; what the broker acknowledged is in the database exactly once."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.runtime.servers import Embedded
from tests.database import accounts_balance, fetch
from tests.load import UNTIMED_EVERY, Load, Meters
from tests.processes import Processes

RATE = 4_000
SECONDS = 10
KILLS = 6


@pytest.fixture
def hub(tmp_path: Path, database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(tmp_path, database_url, broker.mqtt_url) as processes:
        yield processes


async def test_kill_9_loses_nothing_and_doubles_nothing(hub: Processes, database_url: str, broker: Embedded):
    hub.start("intake", "worker")
    await hub.hears()
    meters = Meters()
    load = Load(broker.simulator_url, meters.message, RATE)
    publishing = asyncio.create_task(load.run(SECONDS))
    chance = random.Random(meters.run)
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 1.5 * SECONDS / KILLS))
        for victim in chance.choice((["intake"], ["worker"], ["intake", "worker"])):
            hub.kill(victim)
            hub.start(victim)
    await publishing
    assert len(load.acknowledged) == RATE * SECONDS
    await meters.exactly_once(database_url, load.acknowledged)
    (row,) = await fetch(database_url, "SELECT count(*) FILTER (WHERE time_flagged) AS flagged FROM water_meter")
    assert row["flagged"] == RATE * SECONDS // UNTIMED_EVERY
    await accounts_balance(database_url, hub.home)
