"""The watch of the hub itself: a real Mosquitto's queue, and alarms that need neither database nor broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import aiomqtt

from alerts.alarms import Alarms
from alerts.broker import Broker
from alerts.channels import NotSent
from alerts.database import Database
from alerts.delivery import Outlet
from alerts.journal import Journal
from alerts.text import Writer
from alerts.watch import Watch
from dashboard.health_words import sentence
from dashboard.words import load_words
from hub.clock import Clock
from hub.runtime import programs
from hub.runtime.mosquitto import Mosquitto
from hub.runtime.process import Process
from hub.secrets import Secrets, mqtt_url
from hub.settings import BrokerAddress
from tests.conftest import hub_settings
from tests.processes import eventually

NOWHERE = "postgresql://nobody:nothing@127.0.0.1:9/none"
QUEUED = 300


@asynccontextmanager
async def quick_broker(home: Path) -> AsyncIterator[tuple[Process, BrokerAddress, BrokerAddress]]:
    """A Mosquitto that tells of itself every second instead of every ten; addresses of the hub and the simulator."""
    settings = hub_settings(home)
    secrets = Secrets.of(settings.home)
    server = Mosquitto.of(settings, programs.mosquitto(settings).path)
    server.prepare(secrets)
    file = server.folder / "mosquitto.conf"
    file.write_text(file.read_text().replace("sys_interval 10", "sys_interval 1"))
    process = await Process.start(server.program, home / "mosquitto.log")
    try:
        await server.wait_ready(process)
        accounts = (mqtt_url(settings, secrets), mqtt_url(settings, secrets, "simulator"))
        hub, simulator = map(BrokerAddress.parse, accounts)
        yield process, hub, simulator
    finally:
        await process.stop()


async def test_what_waits_in_the_broker_is_known_until_it_is_away(tmp_path: Path) -> None:
    stop = asyncio.Event()
    async with quick_broker(tmp_path) as (process, hub, simulator), asyncio.TaskGroup() as tasks:
        watched = Broker(hub)
        tasks.create_task(watched.run(stop))
        arguments = hub.client_arguments() | {"identifier": "absent", "clean_session": False}
        async with aiomqtt.Client(**arguments) as absent:
            await absent.subscribe("city/#", qos=1)
        async with aiomqtt.Client(**simulator.client_arguments()) as city:
            for number in range(QUEUED):
                await city.publish(f"city/dijon/water_meter/{number}/config", b"{}", qos=1, retain=True)
                await city.publish(f"city/dijon/water_meter/{number}/telemetry", b"x" * 100, qos=1)

        async def waiting() -> int:
            return watched.queue.waiting if watched.queue else -1

        assert await eventually(waiting, lambda n: n >= QUEUED) == QUEUED, "what is retained does not wait"
        assert watched.queue is not None and watched.queue.size_bytes > 100 * QUEUED and watched.queue.dropped == 0
        await process.stop()
        await eventually(lambda: asyncio.sleep(0, (watched.is_connected, watched.queue)), lambda s: s == (False, None))
        stop.set()


@dataclass
class Recorder:
    """A channel that remembers what it took, or refuses."""

    name: str
    refuses: bool = False
    taken: list[str] = field(default_factory=list)

    def send(self, title: str, body: str) -> None:
        if self.refuses:
            raise NotSent("the file notifications.log cannot be written: No space left on device")
        self.taken.append(f"{title} | {body}")


@asynccontextmanager
async def watching(home: Path, *channels: Recorder) -> AsyncIterator[None]:
    """A watch over a hub of which nothing runs."""
    stop, words = asyncio.Event(), load_words("Europe/Paris", {})["fr"]
    journal = Journal(home / "telealert" / "calls.journal")
    alarms = Alarms(lambda fault: sentence(fault, words), {"no_database": 0.0, "no_broker": 0.0})
    watch = Watch(home, Clock(), Broker(BrokerAddress.parse("mqtt://127.0.0.1:9")), alarms, look_s=0.1)
    outlets = [Outlet(channel, journal, Clock()) for channel in channels]
    writer = Writer("fr", ZoneInfo("Europe/Paris"), "http://page", 2)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(Database(NOWHERE, stop), outlets, writer, stop))
            yield
            stop.set()
    finally:
        journal.close()


async def test_alarms_go_out_on_every_channel_that_works_and_once(tmp_path: Path) -> None:
    works, full = Recorder("1"), Recorder("2", refuses=True)
    async with watching(tmp_path, works, full):
        await eventually(lambda: asyncio.sleep(0, len(works.taken)), lambda taken: taken == 2, 10)
    (database, broker) = works.taken
    assert database.startswith("[Beffroi] Alarme du système | La base de données ne répond pas.")
    assert "\nDepuis " in database and database.endswith("http://page/health")
    assert "Le broker ne répond pas" in broker
    full.refuses = False
    async with watching(tmp_path, works, full):
        await eventually(lambda: asyncio.sleep(0, len(full.taken)), lambda taken: taken == 2, 10)
    assert len(works.taken) == 2, "a restart repeats nothing"
