"""The rules' memory over restarts: what fires, what is on hold and what was told survive any end of the worker."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from devices.transition import Transition
from hub.runtime.servers import Embedded
from ingest.log import LogReader
from simulators.packets import Publish
from tests.database import accounts_balance, everything_is_read, fetch
from tests.lamps import BEGAN, CROWD, DARK_W, LIT_W, batch, crowd, device_file, incidents, night
from tests.processes import Processes, Publisher, eventually

LONE = ("fires-on", "on-hold", "on-hold-stopped", "behind-a-stopped-worker")
KILLED_AFTER = (3, 6, 9)


class City:
    """A hub with some lamps that hang from nothing, and what its rules have told of them."""

    def __init__(self, hub: Processes, broker: Embedded, database_url: str) -> None:
        self.hub, self.database_url = hub, database_url
        self._broker = broker

    async def tell(self, *readings: tuple[str, float, float]) -> None:
        """Lamps, minutes and watts; returns once the rules and the store have read them."""
        await self.send(batch(*readings))

    async def send(self, message: Publish) -> None:
        """A message; returns once the rules and the store have read it."""
        publisher = Publisher(self._broker.simulator_url)
        log = LogReader(self.hub.home / "log")
        wanted = log.next_offset + 1
        publisher.publish(message.topic, message.payload)
        await asyncio.to_thread(publisher.close)
        await eventually(lambda: asyncio.sleep(0, log.next_offset), lambda n: n == wanted)
        await eventually(lambda: everything_is_read(self.database_url, log.log_id, wanted), bool)
        log.close()

    async def told(self, lamp: str) -> list[tuple[str, str, float]]:
        """Action, code and minute of every transition of a lamp."""
        (device,) = await fetch(self.database_url, "SELECT device_no FROM device WHERE id = %s", lamp)
        log = LogReader(self.hub.home / "transitions")
        messages = log.read(log.first_offset, log.next_offset)
        log.close()
        transitions = [Transition.decode(message.payload) for message in messages]
        return [
            (t.action, t.code, round((t.ts_us / 1e6 - BEGAN.timestamp()) / 60, 3))
            for t in transitions
            if t.device_no == device["device_no"]
        ]

    def kill_worker(self) -> None:
        self.hub.kill("worker")
        self.hub.start("worker")

    async def alerts_are_read(self) -> None:
        """Wait until tele-alert has read every transition."""
        log = LogReader(self.hub.home / "transitions")

        async def read() -> bool:
            rows = await fetch(self.database_url, "SELECT next_offset FROM reader WHERE name = 'telealert'")
            return [row["next_offset"] for row in rows] == [log.next_offset]

        await eventually(read, bool)
        log.close()


@pytest.fixture(scope="module")
async def city(tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded) -> AsyncIterator[City]:
    home = tmp_path_factory.mktemp("restart")
    file = device_file(home / "lamps.csv", [*LONE, *crowd("calm-"), *crowd("killed-")])
    with Processes(home, database_url, broker.mqtt_url) as hub:
        imported = await hub.command("devices", "import", str(file))
        assert imported.returncode == 0, imported.stderr
        hub.start("intake", "worker", "telealert")
        await hub.hears()
        yield City(hub, broker, database_url)


async def test_what_fires_is_told_once_and_clears_after_a_kill(city: City):
    lamp = "fires-on"
    await city.tell((lamp, 0, DARK_W), (lamp, 11, DARK_W))
    await eventually(lambda: city.told(lamp), lambda told: told == [("fire", "lamp_out", 11)])
    city.kill_worker()
    await city.tell((lamp, 20, DARK_W))
    city.kill_worker()
    await city.tell((lamp, 30, DARK_W))
    assert await city.told(lamp) == [("fire", "lamp_out", 11)]
    await city.tell((lamp, 40, LIT_W))
    await eventually(lambda: city.told(lamp), lambda told: told[1:] == [("clear", "lamp_out", 40)])
    ended = [("lamp_out", "closed", BEGAN + timedelta(minutes=11), BEGAN + timedelta(minutes=40))]
    await eventually(
        lambda: incidents(city.database_url, lamp),
        lambda found: [(code, state, *span) for _, code, state, _, *span in found] == ended,
    )


async def test_a_hold_that_began_before_a_kill_goes_on(city: City):
    lamp = "on-hold"
    await city.tell((lamp, 0, DARK_W))
    city.kill_worker()
    await city.tell((lamp, 9, DARK_W))
    assert await city.told(lamp) == []
    city.kill_worker()
    await city.tell((lamp, 10, DARK_W))
    await eventually(lambda: city.told(lamp), lambda told: told == [("fire", "lamp_out", 10)])


async def test_a_hold_that_began_before_a_stop_goes_on_from_the_checkpoint(city: City):
    lamp = "on-hold-stopped"
    await city.tell((lamp, 0, DARK_W))
    worker = city.hub.running.pop("worker")
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 15) == 0
    city.hub.start("worker")
    await city.tell((lamp, 9, DARK_W))
    city.kill_worker()
    await city.tell((lamp, 10, DARK_W))
    await eventually(lambda: city.told(lamp), lambda told: told == [("fire", "lamp_out", 10)])


async def test_a_second_worker_is_refused_while_a_stopped_one_lives(city: City):
    lamp, first = "behind-a-stopped-worker", city.hub.running["worker"]
    first.send_signal(signal.SIGSTOP)
    try:
        second = await city.hub.command("worker")
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert f"another process writes the log {city.hub.home / 'transitions'}" in second.stderr
    assert "Traceback" not in second.stderr
    await city.tell((lamp, 0, DARK_W), (lamp, 10, DARK_W))
    await eventually(lambda: city.told(lamp), lambda told: told == [("fire", "lamp_out", 10)])


async def test_three_kills_leave_the_incidents_that_none_would(city: City):
    for prefix in ("calm-", "killed-"):
        for step, message in enumerate(night(prefix)):
            await city.send(message)
            if prefix == "killed-" and step in KILLED_AFTER:
                city.kill_worker()
    await city.alerts_are_read()
    calm, killed = [await incidents(city.database_url, prefix) for prefix in ("calm-", "killed-")]
    assert len(calm) > CROWD / 2 and {state for _, _, state, *_ in calm} == {"new", "closed"}
    assert killed == calm


async def test_everything_is_accounted_for(city: City):
    await accounts_balance(city.database_url, city.hub.home)


def test_the_worker_said_nothing_was_wrong(city: City):
    assert "Traceback" not in Path(city.hub.home / "worker.log").read_text()
