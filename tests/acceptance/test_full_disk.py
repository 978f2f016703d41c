"""A whole hub, with its own durable database, on a disk that is full and on one that can only be read."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from hub.runtime.servers import Embedded
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings
from hub.up import environment
from tests.conftest import hub_settings
from tests.database import accounts_balance
from tests.disks import MIB, Disk, ext4
from tests.load import Load, Meters
from tests.processes import eventually

pytestmark = pytest.mark.soak
RATE = 500
OURS_DIED = re.compile(r"^(intake|worker|telealert|serve) .*starting it again", re.MULTILINE)
STARTS_WITHIN_S = 90


@dataclass
class Hub:
    """`beffroi up` on a small disk, and a load on its broker."""

    disk: Disk
    settings: Settings
    meters: Meters
    load: Load
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def said(self) -> Path:
        """What it says to whoever started it; not on its disk."""
        return self.disk.folder.parent / "up.txt"

    def _up(self) -> subprocess.Popen[bytes]:
        with self.said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "hub.cli", "up", "--no-simulate"],
                env=environment_of(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    async def start(self) -> None:
        self.process = self._up()
        await eventually(
            lambda: asyncio.to_thread(self.said.read_text), lambda said: "Stop it with Ctrl-C" in said, STARTS_WITHIN_S
        )

    async def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 60)

    async def wrong(self) -> set[str]:
        """What `beffroi status` says is wrong."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "hub.cli", "status", "--json"],
            env=environment_of(self.settings),
            capture_output=True,
            check=False,
        )
        return {fault["code"] for fault in json.loads(done.stdout)["faults"]}

    async def sign_in(self) -> int:
        """Somebody signs in at the page, which is written to the database; the status of the answer."""
        origin = f"http://127.0.0.1:{self.settings.http_port}"
        told = {"login": "operator", "password": Secrets.of(self.home).operator}
        async with httpx.AsyncClient(base_url=origin, headers={"origin": origin}, timeout=20) as browser:
            return (await browser.post("/login", data=told)).status_code

    async def nothing_is_lost(self) -> None:
        url = database_url(self.settings, Secrets.of(self.home))
        await self.meters.exactly_once(url, self.load.acknowledged)
        await accounts_balance(url)


def environment_of(settings: Settings) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEFFROI_")}
    return kept | environment(settings, settings.the_clock)


@asynccontextmanager
async def hub_on(folder: Path, **more: object) -> AsyncIterator[Hub]:
    with ext4(folder, 800 * MIB) as disk:
        settings = hub_settings(disk.folder / "home", **more)
        meters = Meters()
        hub = Hub(disk, settings, meters, Load("", meters.message, RATE))
        try:
            await hub.start()
            yield hub
        finally:
            if hub.process is not None and hub.process.poll() is None:
                await hub.stop()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """With everything on one disk."""
    async with hub_on(tmp_path / "disk") as hub:
        hub.load.url = mqtt_url(hub.settings, Secrets.of(hub.home), "simulator")
        yield hub


@pytest.fixture
async def hub_without_broker(tmp_path: Path, broker: Embedded) -> AsyncIterator[Hub]:
    """With the broker elsewhere: what waits in one whose disk takes nothing is gone when it is restarted."""
    async with hub_on(tmp_path / "disk", mqtt_url=broker.mqtt_url) as hub:
        hub.load.url = broker.simulator_url
        yield hub


async def test_a_full_disk_stops_readings_leaves_room_to_people_and_ends_by_itself(hub: Hub):
    publishing = asyncio.create_task(hub.load.run(60))
    await asyncio.sleep(5)
    hub.disk.fill()
    worker, intake = hub.home / "logs/worker.log", hub.home / "logs/intake.log"
    await eventually(lambda: asyncio.to_thread(intake.read_text), lambda said: "nothing is acknowledged" in said)
    assert not (hub.home / "reserve").exists() and hub.disk.free_bytes > 10 * MIB, "the reserve is given back"
    await eventually(lambda: asyncio.to_thread(worker.read_text), lambda said: "the store waits" in said)
    assert {"disk_full", "database_full"} <= await hub.wrong()
    assert await hub.sign_in() == 303
    hub.disk.fill()  # others take that too
    await asyncio.sleep(20)
    hub.disk.make_room()
    await publishing
    await hub.nothing_is_lost()
    await eventually(
        hub.wrong, lambda codes: not codes & {"disk_full", "database_full", "unwritten", "no_database"}, 120
    )
    assert hub.process is not None and hub.process.poll() is None
    assert await hub.sign_in() == 303
    assert not OURS_DIED.search(hub.said.read_text()), hub.said.read_text()
    assert await hub.stop() == 0


async def test_a_disk_that_turns_read_only_loses_nothing_and_is_gone_on_with_once_it_is_repaired(
    hub_without_broker: Hub,
):
    hub = hub_without_broker
    publishing = asyncio.create_task(hub.load.run(40))
    await asyncio.sleep(5)
    hub.disk.make_readonly()
    await asyncio.sleep(25)
    assert hub.process is not None and hub.process.poll() is None, "the hub waits for its operator"
    assert "disk_readonly" in await hub.wrong()
    await hub.stop()
    hub.disk.repair()
    await hub.start()
    await publishing
    await hub.nothing_is_lost()
    assert await hub.stop() == 0
