"""Bad networks between device and broker, broker and intake, hub and database: what was taken is stored once."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from devices.quota import Rate
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import Source
from ingest import intake
from ingest.log import LogReader, LogWriter
from ingest.quota import Quota
from tests.database import accounts_balance
from tests.load import Load, Meters
from tests.processes import Processes, eventually
from tests.proxy import Proxy, proxy_to

RATE = 250


@dataclass(slots=True)
class City:
    """A hub, a broker and devices, with a bad network between each two of them."""

    hub: Processes
    devices: Proxy
    broker: Proxy
    database: Proxy
    loads: dict[Meters, Load]
    """By a good network to the broker, and by a bad one."""
    database_url: str

    @property
    def networks(self) -> tuple[Proxy, ...]:
        return self.devices, self.broker, self.database

    async def publish(self, seconds: float) -> None:
        """Return once everything is acknowledged."""
        await asyncio.gather(*(load.run(seconds) for load in self.loads.values()))

    async def nothing_is_lost(self, timeout_s: float = 60) -> None:
        """What the broker took is in the database, each message once, and no process has died."""
        for meters, load in self.loads.items():
            await meters.exactly_once(self.database_url, load.acknowledged, timeout_s)
        await accounts_balance(self.database_url)
        assert all(process.poll() is None for process in self.hub.running.values())


@pytest.fixture
async def city(tmp_path: Path, database_url: str, broker: Embedded) -> AsyncIterator[City]:
    async with AsyncExitStack() as stack:
        urls = broker.simulator_url, broker.mqtt_url, database_url
        devices, to_broker, database = [await stack.enter_async_context(proxy_to(url)) for url in urls]
        # What a device sends again after its own connection broke carries no mark: only its time tells.
        near, far = Meters(), Meters(untimed_every=0)
        loads = {
            near: Load(broker.simulator_url, near.message, RATE),
            far: Load(devices.instead_of(broker.simulator_url), far.message, RATE),
        }
        hub = Processes(tmp_path, database.instead_of(database_url), to_broker.instead_of(broker.mqtt_url))
        stack.enter_context(hub)
        hub.start("intake", "worker")
        await hub.hears()
        yield City(hub, devices, to_broker, database, loads, database_url)


async def test_fragments_latency_resets_and_cuts_lose_nothing_and_double_nothing(city: City):
    publishing = asyncio.create_task(city.publish(5))
    for network in city.networks:
        network.fragments = range(1, 11)
    await asyncio.sleep(1)
    for network in city.networks:
        network.fragments, network.latency_s = None, 0.1
    resets = 0
    for network in city.networks * 2:
        await asyncio.sleep(0.3)
        resets += network.reset()
    for network in city.networks:
        network.cut()
    await asyncio.sleep(1)
    for network in city.networks:
        network.latency_s = 0
        network.mend()
    await publishing
    assert resets >= 3
    await city.nothing_is_lost()


@pytest.fixture
async def listening(
    tmp_path: Path, broker: Embedded
) -> AsyncIterator[tuple[Proxy, LogReader, list[dict[str, object]]]]:
    """Intake in this process with a keepalive of a second: its network, its log, and what it says."""
    source = Source(name="half-open", topics=("city/dijon/half-open/#",))
    stopping = threading.Event()
    async with proxy_to(broker.mqtt_url) as network:
        with structlog.testing.capture_logs() as said, LogWriter(tmp_path / "log") as log:
            sources = [(source, network.instead_of(broker.mqtt_url))]
            quotas = {source.name: Quota(Rate.of(0, 0), lambda _topic: False)}
            receiving = threading.Thread(
                target=intake.run, args=(log, sources, Clock(), stopping, quotas), kwargs={"keepalive_s": 1}
            )
            receiving.start()
            reader = LogReader(tmp_path / "log")
            await eventually(lambda: asyncio.sleep(0, said), lambda lines: "connected" in str(lines))
            yield network, reader, said
            reader.close()
            stopping.set()
            await asyncio.to_thread(receiving.join)


async def test_intake_notices_a_half_open_connection_and_misses_nothing(
    listening: tuple[Proxy, LogReader, list[dict[str, object]]], broker: Embedded
):
    network, log, said = listening
    network.swallows = True
    meters = Meters(devices=1)
    load = Load(
        broker.simulator_url, lambda number: meters.message(number)._replace(topic="city/dijon/half-open/x"), 100
    )
    await load.run(1)
    began = time.monotonic()
    await eventually(lambda: asyncio.sleep(0, said), lambda lines: "not connected" in str(lines))
    assert time.monotonic() - began < 5 and "Keep alive timeout" in str(said), said
    network.mend()

    async def received() -> list[int]:
        return sorted({json.loads(m.payload)["total_m3"] for m in log.read(log.first_offset, 10_000)})

    await eventually(received, lambda numbers: numbers == list(range(100)))


@pytest.mark.soak
async def test_half_an_hour_of_bad_networks_in_a_few_minutes(city: City):
    publishing = asyncio.create_task(city.publish(210))
    for network in city.networks:
        network.cut()
        await asyncio.sleep(30)
        network.mend()
        await asyncio.sleep(5)
    for network in city.networks:
        network.latency_s = 0.25
    await asyncio.sleep(25)
    for network in city.networks:
        network.latency_s = 0
    for _ in range(6):
        await asyncio.sleep(5)
        for network in city.networks:
            network.reset()
    for network in city.networks:
        network.fragments = range(1, 11)
    await asyncio.sleep(20)
    for network in city.networks:
        network.fragments = None
    city.broker.swallows = True
    intake_said = (city.hub.home / "intake.log").read_text
    before = intake_said().count("Keep alive timeout")
    await eventually(lambda: asyncio.to_thread(intake_said), lambda said: said.count("Keep alive timeout") > before, 35)
    city.broker.mend()
    await publishing
    await city.nothing_is_lost(120)


@pytest.mark.soak
async def test_the_store_notices_a_half_open_connection_to_the_database(city: City):
    publishing = asyncio.create_task(city.publish(60))
    await asyncio.sleep(5)
    city.database.swallows = True
    await eventually(
        lambda: asyncio.to_thread((city.hub.home / "worker.log").read_text),
        lambda said: "the database is away" in said,
        45,
    )
    city.database.mend()
    await publishing
    await city.nothing_is_lost()
