"""The database is killed, stopped or hung under load: nothing is lost, nothing grows, and the map stays live."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.errors import BeffroiError
from hub.runtime.process import Process
from hub.runtime.servers import Embedded, embedded, start_postgres
from hub.settings import Settings
from ingest.log import LogReader
from store.migrate import migrate
from tests.conftest import free_port, hub_settings
from tests.database import accounts_balance, one
from tests.load import Load, Meters
from tests.processes import Processes, eventually
from tests.vitals import PROBE, LiveMap, Memory, children

RATE = 2_000
PROCESSES = ("intake", "worker", "telealert", "serve")
MOST_GROWN_MIB = 100


@dataclass
class City:
    """A hub with servers of its own, whose database keeps its word through any kill."""

    settings: Settings
    servers: Embedded
    hub: Processes
    postgres: Process
    live: LiveMap
    meters: Meters = field(default_factory=Meters)

    async def start_database(self) -> None:
        """Start PostgreSQL, again and again while what was killed still holds its memory."""
        while True:
            try:
                self.postgres = await start_postgres(self.settings, self.servers.secrets)
                return
            except BeffroiError:
                await asyncio.sleep(0.2)

    async def kill_database(self, how: signal.Signals) -> None:
        """End it without a word to its sessions."""
        os.kill(self.postgres.pid, how)
        await self.postgres.wait()

    def hang_database(self, how: signal.Signals) -> None:
        """Stop or continue the server and all its sessions: connections stay and nobody answers."""
        for pid in (self.postgres.pid, *children(self.postgres.pid)):
            os.kill(pid, how)

    def load(self, rate: float = RATE) -> Load:
        return Load(self.servers.simulator_url, self.meters.message, rate)

    async def drain(self) -> tuple[int, float]:
        """Watch the store catch up while messages keep coming: how many it read, and in how many seconds."""
        log = LogReader(self.hub.home / "log")
        began, first = time.monotonic(), await self.store_offset()
        await eventually(self.store_offset, lambda offset: offset > log.next_offset - RATE / 2, timeout_s=600)
        now, last = time.monotonic(), await self.store_offset()
        log.close()
        return last - first, now - began

    async def store_offset(self) -> int:
        row = await one(self.servers.database_url, "SELECT next_offset FROM reader WHERE name = 'store'")
        return int(str(row["next_offset"]))


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    settings = hub_settings(tmp_path / "servers")
    async with embedded(settings) as servers:
        assert servers.postgres
        await migrate(servers.database_url)
        live = LiveMap(servers.mqtt_url, servers.simulator_url)
        hub = Processes(tmp_path, servers.database_url, servers.mqtt_url, {"BEFFROI_HTTP_PORT": str(free_port())})
        (tmp_path / "probe.csv").write_text(f"commune,kind,id,type\ndijon,fleet_vehicle,{PROBE},vehicle\n")
        city = City(settings, servers, hub, servers.postgres, live)
        try:
            with hub:
                imported = await hub.command("devices", "import", str(tmp_path / "probe.csv"))
                assert imported.returncode == 0, imported.stderr
                row = await one(servers.database_url, "SELECT device_no FROM device")
                live.device_no = int(str(row["device_no"]))
                hub.start(*PROCESSES)
                await hub.hears()
                yield city
        finally:
            await city.postgres.stop()


async def ordeal(city: City, *, kills: int, away_s: float, say: Callable[[str], None]) -> None:
    """Kill the database under load, stop it for a while, and watch the hub until it has caught up."""
    load, memory = city.load(), Memory({name: process.pid for name, process in city.hub.running.items()})
    publishing = asyncio.create_task(load.run(3600))
    watching = asyncio.create_task(city.live.run())
    await asyncio.sleep(5)
    measuring = asyncio.create_task(memory.run())
    chance = random.Random(city.meters.run)
    for _ in range(kills):
        await city.kill_database(chance.choice((signal.SIGQUIT, signal.SIGKILL)))
        await city.start_database()
        await asyncio.sleep(chance.uniform(0.5, 3))
    killed = time.monotonic()
    await city.postgres.stop()
    await asyncio.sleep(away_s)
    await city.start_database()
    back = time.monotonic()
    read, took_s = await city.drain()
    caught_up = time.monotonic()
    await asyncio.sleep(2)
    for task in (publishing, watching, measuring):
        task.cancel()
    await asyncio.gather(publishing, watching, measuring, return_exceptions=True)
    say(
        f"{kills} kills, then {away_s:g} s away at {RATE} messages/s: drained at {read / took_s:.0f} messages/s, "
        f"{read / took_s / RATE:.1f} times what came; oldest on the map {city.live.oldest_s(0, killed):.2f} s before, "
        f"{city.live.oldest_s(killed, back):.2f} s while away, {city.live.oldest_s(back, caught_up):.2f} s while draining; "
        f"grown by MiB: {memory.grown_mib()}"
    )


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def told(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return told


@pytest.mark.parametrize(("kills", "away_s"), [(0, 120)])
async def test_experiment(city: City, say, kills, away_s):
    await ordeal(city, kills=kills, away_s=away_s, say=say)
    said = city.hub.said()
    say(said)
