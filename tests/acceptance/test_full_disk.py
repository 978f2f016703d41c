"""A whole hub, with its own durable database, on a disk that is full and on one that can only be read."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from hub.runtime.servers import Embedded
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings
from hub.up import environment
from tests.conftest import hub_settings
from tests.database import accounts_balance, fetch
from tests.disks import MIB, Disk, ext4
from tests.load import Load, Meters
from tests.processes import Publisher, eventually

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
        told = json.loads((await self.command("status", "--json")).stdout)
        return {fault["code"] for fault in told["faults"]}

    async def sign_in(self) -> int:
        """Somebody signs in at the page, which is written to the database; the status of the answer."""
        origin = f"http://127.0.0.1:{self.settings.http_port}"
        told = {"login": "operator", "password": Secrets.of(self.home).operator}
        async with httpx.AsyncClient(base_url=origin, headers={"origin": origin}, timeout=20) as browser:
            return (await browser.post("/login", data=told)).status_code

    async def lamp_goes_out(self) -> None:
        """A fault that an agent is to be called for."""
        file = self.disk.folder.parent / "lamps.csv"
        await asyncio.to_thread(
            file.write_text, "commune,kind,id,type,rated_power_w\ndijon,street_lighting,lamp-1,lamp,60\n"
        )
        await self.command("devices", "import", str(file))
        await eventually(
            lambda: asyncio.to_thread((self.home / "logs/worker.log").read_text), lambda said: "devices=1" in said
        )
        publisher, now = Publisher(self.load.url), datetime.now(UTC)
        for at in (now - timedelta(minutes=11), now):
            told = {"ts": at.isoformat(), "dim_pct": 100, "power_w": 0.3}
            publisher.publish("city/dijon/street_lighting/lamp-1/telemetry", json.dumps(told))
        await asyncio.to_thread(publisher.close)

    async def notifications(self) -> list[bool]:
        """Was each sent?"""
        url = database_url(self.settings, Secrets.of(self.home))
        return [row["sent"] is True for row in await fetch(url, "SELECT sent_at IS NOT NULL AS sent FROM notification")]

    async def command(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "hub.cli", *arguments],
            env=environment_of(self.settings),
            capture_output=True,
            check=False,
        )

    async def nothing_is_lost(self) -> None:
        url = database_url(self.settings, Secrets.of(self.home))
        await self.meters.exactly_once(url, self.load.acknowledged)
        await accounts_balance(url)


def environment_of(settings: Settings) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEFFROI_")}
    return kept | environment(settings, settings.the_clock)


class Phone(BaseHTTPRequestHandler):
    """An agent's phone, which cannot be reached at first."""

    is_on = False
    heard: list[str] = []  # noqa: RUF012  # the server makes one of these per call

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.is_on:
            self.heard.append(said["title"])
        self.send_response(200 if self.is_on else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def phone() -> Iterator[str]:
    """Where it is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Phone) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"json://127.0.0.1:{server.server_port}/"
        server.shutdown()


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
async def hub(tmp_path: Path, phone: str) -> AsyncIterator[Hub]:
    """With everything on one disk, and an agent to call."""
    async with hub_on(tmp_path / "disk", notify_urls=[phone], notify_priority=3) as hub:
        hub.load.url = mqtt_url(hub.settings, Secrets.of(hub.home), "simulator")
        yield hub


@pytest.fixture
async def hub_without_broker(tmp_path: Path, broker: Embedded) -> AsyncIterator[Hub]:
    """With the broker elsewhere: what waits in one whose disk takes nothing is gone when it is restarted."""
    async with hub_on(tmp_path / "disk", mqtt_url=broker.mqtt_url) as hub:
        hub.load.url = broker.simulator_url
        yield hub


async def test_a_full_disk_stops_readings_leaves_room_to_people_and_ends_by_itself(hub: Hub):
    await hub.lamp_goes_out()
    await eventually(hub.notifications, bool)
    publishing = asyncio.create_task(hub.load.run(60))
    await asyncio.sleep(3)
    hub.disk.fill()
    worker, intake = hub.home / "logs/worker.log", hub.home / "logs/intake.log"
    await eventually(lambda: asyncio.to_thread(intake.read_text), lambda said: "nothing is acknowledged" in said)
    await eventually(lambda: asyncio.to_thread((hub.home / "reserve").exists), lambda has_reserve: not has_reserve)
    assert hub.disk.free_bytes > 10 * MIB, "it is given back"
    await eventually(lambda: asyncio.to_thread(worker.read_text), lambda said: "the store waits" in said)
    assert {"disk_full", "database_full"} <= await hub.wrong()
    assert await hub.sign_in() == 303
    Phone.is_on = True
    assert await eventually(hub.notifications, all, 60) == [True] and len(Phone.heard) == 1
    assert "database_full" in await hub.wrong(), "the agent was called, and it was written down, all that time"
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
