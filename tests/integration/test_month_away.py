"""The hub comes back after a month: all that waited in the broker is stored, and nobody is called for what is past."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiomqtt
import pytest

from devices.frame import Frame
from devices.kind import State
from hub.settings import BrokerAddress
from ingest.log import LogReader
from simulators.packets import Publish
from simulators.publisher import Outbox, connected
from tests.broker import OwnBroker
from tests.database import accounts_balance, count, everything_is_read, fetch
from tests.processes import Processes, eventually
from tests.vitals import resident_mib

DAY_S = 86_400
AWAY_S = 30 * DAY_S
METERS = 500
BEGAN_S = time.time()
MENDED, BROKEN, MUTE = "mended", "broken", "mute"
LIT, DARK = {"dim_pct": 100, "power_w": 58}, {"dim_pct": 100, "power_w": 0.3}


def lamp(name: str, ago_s: float, reading: dict[str, float]) -> Publish:
    told = {"ts": int((BEGAN_S - ago_s) * 1000), **reading}
    return Publish(f"city/dijon/street_lighting/{name}/telemetry", json.dumps(told).encode())


def queued(messages: int) -> Iterator[Publish]:
    """A month of meters, a tenth of it out of order, and the nights of two lamps."""
    chance, step_s = random.Random(30), AWAY_S / messages
    lamps = {int(messages * (30 - day) / 30): day for day in range(29, 0, -1)}
    for number in range(messages):
        late_s = chance.uniform(0, 2 * DAY_S) if chance.random() < 0.1 else 0
        told = {"ts": int((BEGAN_S - AWAY_S + number * step_s - late_s) * 1000) + number % 7, "total_m3": number}
        yield Publish(f"city/dijon/water_meter/w{number % METERS}/telemetry", json.dumps(told).encode())
        if (day := lamps.get(number)) is not None:
            yield lamp(MENDED, day * DAY_S, DARK if 10 < day < 20 else LIT)
            yield lamp(BROKEN, day * DAY_S, DARK if day < 20 else LIT)
    yield lamp(MENDED, 60, LIT)
    yield lamp(BROKEN, 60, DARK)


@pytest.fixture
async def hub(tmp_path: Path, own_database_url: str, own_broker: OwnBroker) -> AsyncIterator[Processes]:
    (tmp_path / "home").mkdir()
    more = {"BEFFROI_NOTIFY_PRIORITY": "3"}
    with Processes(tmp_path / "home", own_database_url, own_broker.hub_url, more) as processes:
        yield processes


@pytest.mark.soak
@pytest.mark.parametrize("messages", [50_000, 500_000])
async def test_a_month_of_messages_is_stored_and_calls_for_what_is_wrong_now_only(
    hub: Processes, own_broker: OwnBroker, measured: Callable[[str], None], messages: int
):
    await _declare(hub)
    hub.start("intake", "worker", "telealert")
    await hub.hears()
    await _publish(own_broker, (lamp(name, AWAY_S + 60, LIT) for name in (MENDED, BROKEN, MUTE)))
    log = LogReader(hub.home / "log")
    await eventually(lambda: everything_is_read(hub.database_url, log.log_id, 3), bool)
    await hub.lives()
    hub.stop()

    began_s = time.monotonic()
    sent = await _publish(own_broker, queued(messages))
    publishing_s = time.monotonic() - began_s
    began_s, states = time.monotonic(), dict[int, int]()
    following = asyncio.create_task(_follow(own_broker, states))
    hub.start("intake", "worker", "telealert")
    grown = asyncio.create_task(_grown_mib(hub))
    await eventually(lambda: asyncio.sleep(0, log.next_offset), lambda n: n == 3 + sent, 300)
    received_s = time.monotonic() - began_s
    await eventually(lambda: everything_is_read(hub.database_url, log.log_id, 3 + sent), bool, 300)
    stored_s = time.monotonic() - began_s
    await eventually(lambda: _called(hub), bool)
    await asyncio.sleep(2)  # whoever else is to be called is called, and shown, by now
    for task in (grown, following):
        task.cancel()
    most = await asyncio.gather(grown, following, return_exceptions=True)
    measured(
        f"{sent} messages queued by the broker in {publishing_s:.0f} s; from the hub's start received in"
        f" {received_s:.1f} s and stored in {stored_s:.1f} s, {sent / stored_s:.0f} a second; {most[0]}"
    )
    assert await count(hub.database_url, "water_meter") == messages
    assert await _stored(hub) == _told(messages), "each at the time that its device told"
    assert await _called(hub) == [BROKEN]
    rows = await fetch(
        hub.database_url,
        "SELECT d.id, i.code, i.state, i.quiet FROM incident i, device d WHERE d.device_no = i.cause_no ORDER BY d.id",
    )
    assert [(r["id"], r["code"], r["state"] == "closed") for r in rows] == [
        (BROKEN, "lamp_out", False),
        (MENDED, "lamp_out", True),
    ], "no device is silent: it was the hub that did not hear"
    shown = await _shown(hub, states)
    assert shown[MENDED] == shown[MUTE] == State.NORMAL and shown[BROKEN] >= State.FAULT_P3
    await accounts_balance(hub.database_url)


async def _declare(hub: Processes) -> None:
    rows = [f"dijon,street_lighting,{name},lamp,60" for name in (MENDED, BROKEN, MUTE)]
    rows += [f"dijon,water_meter,w{number},meter," for number in range(METERS)]
    file = hub.home / "devices.csv"
    file.write_text("\n".join(["commune,kind,id,type,rated_power_w", *rows]))
    imported = await hub.command("devices", "import", str(file))
    assert imported.returncode == 0, imported.stderr


async def _publish(broker: OwnBroker, messages: Iterator[Publish]) -> int:
    outbox = Outbox()
    async with connected(broker.simulator_url) as connection:
        for message in messages:
            outbox.put([message])
            if len(outbox.waiting) >= 5_000:
                await connection.send(outbox)
        await connection.settle(outbox)
    return outbox.published


async def _grown_mib(hub: Processes) -> str:
    """By how much each process has grown at most, once cancelled."""
    most = dict[str, float]()
    try:
        while True:
            await asyncio.sleep(0.5)
            for name, process in hub.running.items():
                size = resident_mib(process.pid)
                most[name] = max(size, most.get(name, 0))
    except asyncio.CancelledError:
        return "MiB at most: " + ", ".join(f"{name} {size:.0f}" for name, size in most.items())


async def _called(hub: Processes) -> list[str]:
    path = hub.home / "notifications.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [name for line in lines for name in (MENDED, BROKEN, MUTE, "w1") if name in line]


def _told(messages: int) -> dict[int, int]:
    """Number and time (ms since 1970) of every reading of a meter, as the devices told them."""
    told = [json.loads(message.payload) for message in queued(messages) if "water_meter" in message.topic]
    return {reading["total_m3"]: reading["ts"] for reading in told}


async def _stored(hub: Processes) -> dict[int, int]:
    """The same of what is stored."""
    rows = await fetch(
        hub.database_url,
        "SELECT total_m3::int AS number, round(1000 * extract(epoch FROM ts))::bigint AS ms FROM water_meter",
    )
    return {int(str(row["number"])): int(str(row["ms"])) for row in rows}


async def _follow(broker: OwnBroker, states: dict[int, int]) -> None:
    """Keep the state that the live map shows of each lamp, by device number, until cancelled."""
    async with aiomqtt.Client(**BrokerAddress.parse(broker.hub_url).client_arguments()) as client:
        await client.subscribe("beffroi/live/street_lighting")
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            numbers, shown = Frame.decode(message.payload).arrays()
            states.update(zip(numbers.tolist(), shown.tolist(), strict=True))


async def _shown(hub: Processes, states: dict[int, int]) -> dict[str, int]:
    rows = await fetch(hub.database_url, "SELECT id, device_no FROM device WHERE kind = 'street_lighting'")
    return {str(row["id"]): states.get(int(str(row["device_no"])), State.UNKNOWN) for row in rows}
