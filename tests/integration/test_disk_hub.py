"""A hub whose disk is full: nothing is acknowledged, no process dies, it is said, and it goes on by itself."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import Clock
from hub.clock_memory import ClockMemory
from hub.errors import BeffroiError
from hub.runtime.process import Program
from hub.runtime.servers import Embedded, logs
from hub.secrets import Secrets
from hub.settings import Settings
from hub.supervisor import Patience, Plan, run_hub
from ingest.log import LogReader
from tests.database import accounts_balance
from tests.disks import MIB, Disk, tmpfs
from tests.load import Load, Meters
from tests.processes import Processes, eventually

RATE = 1000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with tmpfs(tmp_path / "home", 64 * MIB) as small:
        yield small


@pytest.fixture
def hub(disk: Disk, database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(disk.folder, database_url, broker.mqtt_url) as processes:
        yield processes


async def wrong(hub: Processes) -> set[str]:
    """What `beffroi status` says is wrong."""
    told = json.loads((await hub.command("status", "--json")).stdout)
    return {fault["code"] for fault in told["faults"]}


async def test_a_full_disk_stops_the_intake_and_nothing_else(
    hub: Processes, disk: Disk, database_url: str, broker: Embedded
):
    hub.start("intake", "worker")
    await hub.hears()
    meters = Meters()
    load = Load(broker.simulator_url, meters.message, RATE)
    publishing = asyncio.create_task(load.run(4))
    await asyncio.sleep(1)
    disk.fill()
    await eventually(lambda: asyncio.to_thread(hub.said), lambda said: "nothing is acknowledged" in said)
    disk.fill()  # others take the reserve too
    log = LogReader(hub.home / "log")
    stopped_at = log.next_offset
    assert "disk_full" in await wrong(hub)
    assert log.next_offset == stopped_at, "nothing is received"
    disk.make_room()
    await publishing
    await meters.exactly_once(database_url, load.acknowledged)
    await accounts_balance(database_url)
    assert {name: process.poll() for name, process in hub.running.items()} == {"intake": None, "worker": None}
    assert not await wrong(hub) & {"disk_full", "disk_readonly", "unwritten"}
    said = (hub.home / "intake.log").read_text()
    assert said.count("nothing is acknowledged") == said.count("the log is written again") == 1
    log.close()


def test_a_process_that_cannot_say_goes_on():
    program = (
        "import structlog; from hub.journal import configure; configure('console')\n"
        "for _ in range(10_000): structlog.get_logger().info('x' * 100)\n"
        "print('went on')"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False)
    assert (done.returncode, done.stdout) == (0, b"went on\n")


async def test_a_part_that_dies_while_the_disk_is_full_is_not_given_up(disk: Disk):
    settings = Settings(home=disk.folder, database_url="postgresql://db", mqtt_url="mqtt://broker")
    starts = disk.folder.parent / "starts"
    failing = Program("failing", (sys.executable, "-c", f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(1)"))
    patience = Patience(quick_death_s=5, quick_deaths=3, first_delay_s=0.05, longest_delay_s=0.1)
    Secrets.of(disk.folder)
    logs(disk.folder)
    disk.fill()
    memory = ClockMemory(settings.home / "clock.json")
    plan = Plan(once=(), kept=(failing,))
    running = asyncio.create_task(run_hub(settings, plan, clock=Clock(), memory=memory, patience=patience))

    async def started() -> int:
        return len(starts.read_text()) if starts.exists() else 0

    await eventually(started, lambda times: times > patience.quick_deaths)
    assert not running.done()
    disk.make_room()
    with pytest.raises(BeffroiError, match="failing cannot run"):
        await asyncio.wait_for(running, 20)
