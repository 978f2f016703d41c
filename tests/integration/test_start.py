"""The hub starts without its servers, says what it waits for, and goes on by itself when they come."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from ingest.log import LogReader
from simulators.packets import Publish
from tests.broker import OwnBroker
from tests.conftest import free_port
from tests.database import accounts_balance, fetch
from tests.forward import behind, open_port
from tests.load import Load, Meters
from tests.processes import Processes, eventually

PARTS = ("intake", "worker", "telealert", "serve")
WAITS_S = 4.0
LINES = {"intake": 3, "worker": 6, "telealert": 3, "serve": 3}
"""What each may say at most, with both servers absent for a while and then there: not a line a second."""


class Late:
    """A hub whose servers are behind ports that open later."""

    def __init__(self, home: Path, database_url: str, broker: OwnBroker) -> None:
        self.urls = {"database": database_url, "broker": broker.hub_url}
        self.ports = {name: free_port() for name in self.urls}
        self.page = f"http://127.0.0.1:{(http_port := free_port())}"
        behind_url = {name: behind(url, self.ports[name]) for name, url in self.urls.items()}
        self.hub = Processes(home, behind_url["database"], behind_url["broker"], {"BEFFROI_HTTP_PORT": str(http_port)})

    async def health(self) -> dict[str, bool]:
        try:
            async with httpx.AsyncClient() as client:
                found: dict[str, bool] = json.loads((await client.get(f"{self.page}/healthz")).text)
                return found
        except httpx.TransportError:
            return {}

    async def sign_in_page(self) -> httpx.Response:
        async with httpx.AsyncClient(headers={"accept-language": "en"}) as client:
            return await client.post(
                f"{self.page}/login", data={"login": "x", "password": "y"}, headers={"origin": self.page}
            )

    def logged(self) -> int:
        log = LogReader(self.hub.home / "log")
        try:
            return log.next_offset
        finally:
            log.close()

    def said(self, name: str) -> list[str]:
        return (self.hub.home / f"{name}.log").read_text().splitlines()


@pytest.mark.parametrize("first", ["broker", pytest.param("database", marks=pytest.mark.soak)])
async def test_without_its_servers_the_hub_waits_says_so_and_goes_on(
    tmp_path: Path, own_database_url: str, own_broker: OwnBroker, first: str
):
    late, meters = Late(tmp_path, own_database_url, own_broker), Meters()
    load = Load(own_broker.simulator_url, meters.message, 200)
    with late.hub as hub:
        async with AsyncExitStack() as ports:
            hub.start(*PARTS)
            nothing = {"page": True, "database": False, "broker": False, "live": False}
            await eventually(late.health, lambda health: health == nothing)
            answer = await late.sign_in_page()
            assert answer.status_code == 503 and "database" in answer.text
            await asyncio.sleep(WAITS_S)
            for name in (first, *({"broker", "database"} - {first})):
                assert all(process.poll() is None for process in hub.running.values()), hub.said()
                await ports.enter_async_context(open_port(late.ports[name], late.urls[name]))
                await eventually(late.health, lambda health, here=name: health[here])
                if name == "broker":
                    await hub.hears()
                    await load.run(1)
                    await eventually(lambda: asyncio.sleep(0, late.logged()), lambda n: n >= len(load.acknowledged))
            await eventually(late.health, lambda health: all(health.values()))
            await meters.exactly_once(own_database_url, load.acknowledged)
            await accounts_balance(own_database_url)
            for name, most in LINES.items():
                told = [line for line in late.said(name) if "[info" not in line or "waiting" in line]
                assert 1 <= len(told) <= most, told
            assert "Traceback" not in hub.said()
            hub.stop()


async def test_a_worker_that_starts_without_the_database_judges_by_the_devices_that_it_knew(
    tmp_path: Path, own_database_url: str, own_broker: OwnBroker
):
    late, called = Late(tmp_path, own_database_url, own_broker), tmp_path / "notifications.log"
    (tmp_path / "fleet.csv").write_text("commune,kind,id,type\ndijon,fleet_vehicle,B1,vehicle\n")

    def calls() -> int:
        return called.read_text().count("/devices/") if called.exists() else 0

    with late.hub as hub:
        async with open_port(late.ports["broker"], late.urls["broker"]):
            async with open_port(late.ports["database"], late.urls["database"]):
                assert (await hub.command("devices", "import", str(tmp_path / "fleet.csv"))).returncode == 0
                hub.start("intake", "worker", "telealert")
                await hub.hears()
                places = tmp_path / "telealert/places.jsonl"
                await eventually(lambda: asyncio.sleep(0, places.exists()), bool)
                worker = hub.running.pop("worker")
                worker.terminate()
                assert await asyncio.to_thread(worker.wait, 15) == 0
            hub.start("worker")
            await Load(own_broker.simulator_url, sos, 1).run(1)
            await eventually(lambda: asyncio.sleep(0, calls()), lambda count: count == 1)
            async with open_port(late.ports["database"], late.urls["database"]):
                await eventually(lambda: fetch(own_database_url, "SELECT * FROM fleet_vehicle"), bool)
                await eventually(lambda: fetch(own_database_url, "SELECT * FROM incident"), bool)
                await accounts_balance(own_database_url, tmp_path)
                hub.stop()
    assert calls() == 1


def sos(_number: int) -> Publish:
    """A driver asks for help."""
    told = {"ts": int(time.time() * 1000), "on_duty": 1, "lat": 47.32, "lon": 5.04, "sos": 1}
    return Publish("city/dijon/fleet_vehicle/B1/telemetry", json.dumps(told).encode())
