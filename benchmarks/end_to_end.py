"""From a publisher to committed rows: broker, database, intake, worker and publisher on this machine together."""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from hub.runtime.servers import embedded
from store.database import connect
from store.migrate import migrate
from tests.conftest import hub_settings
from tests.processes import Processes, Publisher, eventually

DEVICES = 1_000
LOADS = ((1, 120_000), (20, 600_000))
"""Readings to a message, readings in all."""


def publish(url: str, each: int, total: int) -> None:
    """As fast as one QoS 1 client with 200 messages under way can."""
    encode = msgspec.json.encode
    per_publisher = 60_000
    sent = 0
    while sent < total:
        publisher = Publisher(url)
        for _ in range(min(per_publisher, (total - sent) // each)):
            ts = 1_780_000_000_000 + sent
            told = [
                {"id": f"L{(sent + i) % DEVICES}", "ts": ts + i, "dim_pct": 100, "power_w": 60.5, "voltage_v": 230.1}
                for i in range(each)
            ]
            publisher.publish("city/dijon/street_lighting/A1/batch", encode(told))
            sent += each
        publisher.close(120)


async def measure() -> None:
    with TemporaryDirectory() as folder:
        settings = hub_settings(Path(folder) / "servers")
        async with embedded(settings) as servers:
            await migrate(servers.database_url)
            home = Path(folder) / "hub"
            home.mkdir()
            with Processes(home, servers.database_url, servers.mqtt_url) as hub:
                hub.start("intake", "worker")
                await eventually(lambda: asyncio.to_thread(hub.said), lambda said: said.count(" connected ") >= 3)
                for each, total in LOADS:
                    await one_load(hub, servers.database_url, servers.simulator_url, each, total)


async def one_load(hub: Processes, database_url: str, url: str, each: int, total: int) -> None:
    async with connect(database_url, autocommit=True) as connection:

        async def stored() -> int:
            rows = await (await connection.execute("SELECT sum(readings) AS n FROM reader")).fetchall()
            return int(rows[0]["n"] or 0)

        before = await stored()
        cpu_before = cpu_s(hub)
        began = time.perf_counter()
        thread = threading.Thread(target=publish, args=(url, each, total))
        thread.start()
        await eventually(stored, lambda n: n >= before + total, timeout_s=300)
        took = time.perf_counter() - began
        thread.join()
        cpu = {name: (after - cpu_before[name]) / total * 1e6 for name, after in cpu_s(hub).items()}
    told = ", ".join(f"{name} {us:.1f}" for name, us in cpu.items())
    sys.stdout.write(f"{each:3} a message: {total / took:10,.0f} readings/s committed; CPU µs a reading: {told}\n")


def cpu_s(hub: Processes) -> dict[str, float]:
    """CPU seconds of the hub's processes so far."""
    ticks = {
        name: sum(map(int, Path(f"/proc/{p.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        for name, p in hub.running.items()
    }
    return {name: count / os.sysconf("SC_CLK_TCK") for name, count in ticks.items()}


def report() -> None:
    sys.stdout.write("\nEnd to end at QoS 1, log fsynced, rules on, rows in the indexed hypertable\n")
    asyncio.run(measure())
