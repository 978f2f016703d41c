"""The database is killed, read-only, hung and stopped under load: nothing is lost or grows, and the map stays live."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
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
from tests.vitals import PROBE, LiveMap, Memory, descendants

RATE = 2_000
PROCESSES = ("intake", "worker", "telealert", "serve")
WARM_S, LONGEST_S = 1, 3600
MOST_GROWN_MIB = 100
OLDEST_S = 2.0


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
        for pid in (self.postgres.pid, *descendants(self.postgres.pid)):
            with suppress(ProcessLookupError):  # a session may end by itself
                os.kill(pid, how)

    async def refuse_writes(self, how: str) -> None:
        """Let the database be read-only, as a standby is, or no longer; in every session."""
        async with await psycopg.AsyncConnection.connect(
            self.servers.database_url, autocommit=True, options="-c default_transaction_read_only=off"
        ) as connection:
            await connection.execute(f"ALTER ROLE CURRENT_USER SET default_transaction_read_only = {how}".encode())
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
                " AND pid <> pg_backend_pid()"
            )

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


@dataclass(frozen=True)
class Figures:
    """What an ordeal showed."""

    drained_per_s: float
    oldest_s: dict[str, float]
    """Age of what the live map showed, at its worst, by what went on."""
    grown_mib: dict[str, float]

    def __str__(self) -> str:
        oldest = ", ".join(f"{age:.1f} s {when}" for when, age in self.oldest_s.items())
        grown = ", ".join(f"{name} {mib:g}" for name, mib in self.grown_mib.items())
        return (
            f"backlog drained at {self.drained_per_s:.0f} messages/s, {self.drained_per_s / RATE:.1f} times what came"
            f" ({RATE}/s); live map at worst {oldest}; grown by MiB: {grown}"
        )


async def ordeal(city: City, *, kills: int, refusing_s: float, hung_s: float, away_s: float) -> Figures:
    """Kill, refuse, hang and stop the database under load, and hold that every message is stored once in the end."""
    load, memory = city.load(), Memory({name: process.pid for name, process in city.hub.running.items()})
    publishing, watching = asyncio.create_task(load.run(LONGEST_S)), asyncio.create_task(city.live.run())
    await asyncio.sleep(WARM_S)
    measuring, chance = asyncio.create_task(memory.run()), random.Random(city.meters.run)
    for _ in range(kills):
        await city.kill_database(chance.choice((signal.SIGQUIT, signal.SIGKILL)))  # SIGQUIT: "immediate"
        await city.start_database()
        await asyncio.sleep(chance.uniform(0.2, 2))
    await city.refuse_writes("on")
    await asyncio.sleep(refusing_s)
    await city.refuse_writes("off")
    await city.drain()
    city.hang_database(signal.SIGSTOP)
    await asyncio.sleep(hung_s)
    city.hang_database(signal.SIGCONT)
    await city.drain()
    gone_s = time.monotonic()
    await city.postgres.stop()
    await asyncio.sleep(away_s)
    await city.start_database()
    back_s = time.monotonic()
    read, took_s = await city.drain()
    drained_s = time.monotonic()
    load.end()
    await publishing
    for task in (watching, measuring):
        task.cancel()
    await asyncio.gather(watching, measuring, return_exceptions=True)
    assert not publishing.cancelled() and load.losses == 0
    await city.meters.exactly_once(city.servers.database_url, load.acknowledged)
    await accounts_balance(city.servers.database_url)
    oldest = {"before": (0, gone_s), "while it was away": (gone_s, back_s), "while it caught up": (back_s, drained_s)}
    return Figures(
        read / took_s, {when: city.live.oldest_s(*span) for when, span in oldest.items()}, memory.grown_mib()
    )


def lines(city: City, process: str, words: str) -> list[str]:
    """What a process has said with these words in it."""
    return [line for line in (city.hub.home / f"{process}.log").read_text().splitlines() if words in line]


async def test_a_database_that_is_killed_hung_and_stopped_costs_nothing(city: City, capsys: pytest.CaptureFixture[str]):
    figures = await ordeal(city, kills=2, refusing_s=1, hung_s=0.5, away_s=3)
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    assert max(figures.grown_mib.values()) < MOST_GROWN_MIB
    away, back = lines(city, "worker", "the database is away"), lines(city, "worker", "the database is back")
    assert 1 <= len(away) <= 4 and len(back) == len(away)  # said once each time, with how long and how much waits
    assert all("after=0:00:" in line and "messages_waiting=" in line for line in back)
    assert not lines(city, "worker", "Traceback") and not lines(city, "telealert", "Traceback")


@pytest.mark.soak
async def test_ten_kills_and_ten_minutes_without_a_database(city: City, capsys: pytest.CaptureFixture[str]):
    figures = await ordeal(city, kills=10, refusing_s=10, hung_s=60, away_s=600)
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    assert lines(city, "worker", "has not answered for 30 s")
    assert max(figures.grown_mib.values()) < MOST_GROWN_MIB
    assert figures.drained_per_s > 5 * RATE
    assert max(figures.oldest_s[when] for when in ("while it was away", "while it caught up")) < OLDEST_S
