"""A log folder that is removed or put back from an older copy is noticed at once, and takes nothing with it.

Each process says in one line what happened and ends, and its supervisor (here the test) starts it again; the store then
waits until somebody has decided, `beffroi status` shows it, and the rules go on.
"""

import asyncio
import json
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.runtime.servers import Embedded
from tests.database import fetch
from tests.load import Load, Meters
from tests.processes import Processes, Publisher, eventually

RATE = 500
BEGAN = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def hub(tmp_path: Path, own_database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(tmp_path, own_database_url, broker.mqtt_url) as processes:
        yield processes


def words(hub: Processes, name: str) -> str:
    return (hub.home / f"{name}.log").read_text()


async def ends_with(hub: Processes, name: str, line: str) -> None:
    """Wait until a process has ended by itself with one line, then start it again."""
    code = await asyncio.to_thread(hub.running.pop(name).wait, 10)
    assert (code, words(hub, name).splitlines()[-1]) == (1, f"beffroi: {line}")
    hub.start(name)


async def refusals(hub: Processes) -> list[str]:
    """Faults of the readers' logs, as `beffroi status` tells them."""
    told = json.loads((await hub.command("status", "--json")).stdout)
    return [fault["sentence"] for fault in told["faults"] if fault["code"] == "other_log"]


async def waits_for_a_decision(hub: Processes, process: str, reader: str) -> None:
    """The process says what to do, once, and goes on with what it can."""
    said = f"beffroi log adopt {reader}"
    await eventually(lambda: asyncio.to_thread(words, hub, process), lambda found: found.count(said) == 1)
    assert [said in told for told in await refusals(hub)] == [True]
    assert words(hub, process).count(said) == 1


async def test_a_folder_that_is_removed_takes_nothing_with_it_that_was_not_acknowledged(
    hub: Processes, own_database_url: str, broker: Embedded
):
    hub.start("intake", "worker")
    await hub.hears()
    meters, folder = Meters(), hub.home / "log"
    load = Load(broker.simulator_url, meters.message, RATE)
    await load.run(1)
    await meters.exactly_once(own_database_url, load.acknowledged)
    hub.running["intake"].send_signal(signal.SIGSTOP)  # else it would notice before a message comes
    publishing = asyncio.create_task(load.run(2))
    await asyncio.sleep(0.5)
    shutil.rmtree(folder)
    hub.running["intake"].send_signal(signal.SIGCONT)
    await ends_with(hub, "intake", f"the log in {folder} was removed or replaced while it was written")
    await ends_with(hub, "worker", f"the log in {folder} was removed or replaced while it was read")
    await publishing
    await waits_for_a_decision(hub, "worker", "store")
    assert words(hub, "intake").count(f"the log in {folder} is lost") == 1
    assert (await hub.command("log", "adopt", "store")).returncode == 0
    await meters.exactly_once(own_database_url, load.acknowledged)


@pytest.mark.soak
async def test_an_older_copy_of_the_log_does_not_swallow_what_comes(
    hub: Processes, own_database_url: str, broker: Embedded
):
    hub.start("intake", "worker")
    await hub.hears()
    meters, folder = Meters(), hub.home / "log"
    load = Load(broker.simulator_url, meters.message, RATE)
    await load.run(1)
    await meters.exactly_once(own_database_url, load.acknowledged)
    shutil.copytree(folder, hub.home / "copy")
    await load.run(1)
    await meters.exactly_once(own_database_url, load.acknowledged)
    hub.stop()
    shutil.rmtree(folder)
    (hub.home / "copy").rename(folder)
    hub.start("intake", "worker")
    await load.run(2)  # so many that the old offsets are reached again
    await waits_for_a_decision(hub, "worker", "store")
    assert words(hub, "intake").count(f"the log in {folder} ends at {RATE}, but {2 * RATE} messages were written") == 1
    assert (await hub.command("log", "adopt", "store")).returncode == 0
    await meters.exactly_once(own_database_url, load.acknowledged)


@pytest.mark.soak
async def test_transitions_and_a_checkpoint_that_are_lost_are_said(
    hub: Processes, own_database_url: str, broker: Embedded
):
    (hub.home / "lamps.csv").write_text("commune,kind,id,type,rated_power_w\ndijon,street_lighting,dark,lamp,60\n")
    assert (await hub.command("devices", "import", str(hub.home / "lamps.csv"))).returncode == 0
    hub.start("intake", "worker", "telealert")
    await hub.hears()
    await dark(broker, minute=0)
    await dark(broker, minute=11)
    await eventually(lambda: incidents(own_database_url), lambda found: found == ["lamp_out"])
    folder = hub.home / "transitions"
    shutil.rmtree(folder)
    await ends_with(hub, "telealert", f"the log in {folder} was removed or replaced while it was read")
    hub.kill("worker")
    (hub.home / "rules.npz").write_bytes(b"PK not a checkpoint")
    hub.start("worker")
    await waits_for_a_decision(hub, "telealert", "telealert")
    said = words(hub, "worker")
    assert said.count(f"the log in {folder} is lost") == 1
    assert said.count(f"{hub.home / 'rules.npz'} is damaged") == 1 and (hub.home / "rules.damaged").exists()
    assert (await hub.command("log", "adopt", "telealert")).returncode == 0
    # The rules read again what the log holds, and tell again what is on: the incident that is open is the same.
    await dark(broker, minute=20)
    await eventually(lambda: fetch(own_database_url, READ), lambda rows: rows[0]["read"] > 0)
    assert await incidents(own_database_url) == ["lamp_out"]


READ = "SELECT next_offset AS read FROM reader WHERE name = 'telealert'"


async def dark(broker: Embedded, minute: int) -> None:
    """The lamp is told to shine and draws nothing."""
    publisher = Publisher(broker.simulator_url)
    told = {"ts": (BEGAN + timedelta(minutes=minute)).isoformat(), "dim_pct": 100, "power_w": 0.2}
    publisher.publish("city/dijon/street_lighting/dark/telemetry", json.dumps(told))
    await asyncio.to_thread(publisher.close)


async def incidents(own_database_url: str) -> list[object]:
    return [row["code"] for row in await fetch(own_database_url, "SELECT code FROM incident")]
