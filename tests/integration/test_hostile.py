"""Devices that send far too much: the others do not wait longer for it, and everything is accounted for."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import pytest

from hub.runtime.servers import Embedded
from simulators.packets import Publish
from tests.database import accounts_balance, fetch, one
from tests.load import Load, Meters
from tests.processes import Processes

HONEST_PER_S, HOSTILE_PER_S = 200, 1_000
FLOOR_S = 0.25
"""A p99 under this is within what an idle hub shows: the worker looks at the log ten times a second and commits."""
HOSTILE = "city/dijon/water_meter/hostile/telemetry"
MEGABYTES = 1e6


@pytest.fixture
def hub(tmp_path: Path, database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(tmp_path, database_url, broker.mqtt_url) as processes:
        yield processes


@dataclass(slots=True)
class Timed:
    """Messages of a run that say when they were made."""

    meters: Meters
    made_s: dict[int, float] = field(default_factory=dict)

    def message(self, number: int) -> Publish:
        self.made_s[number] = time.time()
        return self.meters.message(number)


@dataclass(slots=True)
class Watch:
    """When rows are seen in the database, by polling: the latency from a publish to a committed row."""

    url: str
    timed: Timed
    latency_s: list[tuple[float, float]] = field(default_factory=list)
    """(when it was made, how long it took) of each message."""

    async def run(self, connection_url: str, until: asyncio.Event) -> None:
        seen = -1
        while not (until.is_set() and seen >= max(self.timed.made_s, default=-1)):
            rows = await fetch(
                connection_url,
                "SELECT m.total_m3::bigint AS number FROM water_meter m JOIN device d USING (device_no)"
                " WHERE d.id LIKE %s AND m.total_m3 > %s",
                f"{self.timed.meters.run}-%",
                seen,
            )
            now_s = time.time()
            for row in rows:
                number = int(str(row["number"]))
                self.latency_s.append((self.timed.made_s[number], now_s - self.timed.made_s[number]))
                seen = max(seen, number)
            await asyncio.sleep(0.02)

    def p99(self, from_s: float, to_s: float) -> float:
        taken = [took for made_s, took in self.latency_s if from_s <= made_s < to_s]
        assert len(taken) > 100, len(taken)
        return quantiles(taken, n=100)[98]


def rss_mb(hub: Processes) -> dict[str, float]:
    """Memory of the hub's processes."""
    return {name: _rss_bytes(process.pid) / MEGABYTES for name, process in hub.running.items()}


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def hostile(number: int) -> Publish:
    return Publish(HOSTILE, json.dumps({"ts": 1_780_000_000_000 + number, "total_m3": number}).encode())


async def test_a_thousand_messages_a_second_of_one_device(hub: Processes, database_url: str, broker: Embedded):
    hub.start("intake", "worker")
    await hub.hears()
    calm_s, storm_s = 6.0, 8.0
    timed = Timed(Meters(untimed_every=0))
    honest = Load(broker.simulator_url, timed.message, HONEST_PER_S)
    storm = Load(broker.simulator_url, hostile, HOSTILE_PER_S)
    watch, done = Watch(database_url, timed), asyncio.Event()
    watching = asyncio.create_task(watch.run(database_url, done))
    await honest.run(2)  # strangers are registered, caches are warm
    rss = rss_mb(hub)
    began_s = time.time()
    publishing = asyncio.create_task(honest.run(calm_s + storm_s))
    await asyncio.sleep(calm_s)
    storm_at_s = time.time()
    await asyncio.gather(storm.run(storm_s), publishing)
    done.set()
    await watching
    await timed.meters.exactly_once(database_url, honest.acknowledged)
    calm, stormy = watch.p99(began_s, storm_at_s), watch.p99(storm_at_s, time.time())
    grown = {name: mb - rss[name] for name, mb in rss_mb(hub).items()}
    told = f"p99 {calm * 1000:.0f} ms, with the hostile device {stormy * 1000:.0f} ms"
    sys.stdout.write(f"\n{told} ({stormy / calm:.2f} times); MB grown: {grown}\n")
    assert stormy <= max(2 * calm, FLOOR_S), told
    assert all(mb < 50 for mb in grown.values()), grown
    stored = await stored_of(database_url, "hostile")
    sampled = await one(database_url, "SELECT count(*) AS n FROM quarantine WHERE reason = 'over_quota'")
    account = await one(database_url, "SELECT messages_over_quota AS cut FROM reader WHERE name = 'store'")
    sent = HOSTILE_PER_S * storm_s
    assert 2_000 + 200 * (storm_s - 1) <= stored <= 2_000 + 200 * (storm_s + 3)
    assert stored + account["cut"] + sampled["n"] == len(storm.acknowledged) == sent
    assert sampled["n"] == 1
    (named,) = await fetch(database_url, "SELECT * FROM excess")
    assert (named["reason"], named["name"], named["messages"]) == ("over_quota", HOSTILE, account["cut"] + 1)
    await accounts_balance(database_url)
    status = await hub.command("status")
    assert status.returncode == 1 and f"Over their quota: {HOSTILE}." in status.stdout


async def stored_of(url: str, device_id: str) -> int:
    row = await one(url, "SELECT count(*) AS n FROM water_meter JOIN device USING (device_no) WHERE id = %s", device_id)
    return int(str(row["n"]))
