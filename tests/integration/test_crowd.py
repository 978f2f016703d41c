"""Thousands of connections come back at once, and with them the retained messages of a whole city."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ingest.log import LogReader
from simulators.packets import Publish
from simulators.publisher import Outbox, connected
from tests.broker import OwnBroker
from tests.crowd import Crowd, room_for
from tests.database import accounts_balance, everything_is_read, fetch
from tests.load import START_MS, Load
from tests.processes import Processes, eventually
from tests.vitals import resident_mib

BACK_S = 60.0
PROBES_PER_S = 20
HERE, THERE = "dijon", "talant"


def meter(commune: str, device: str, number: int, *, suffix: str = "telemetry", retain: bool = False) -> Publish:
    payload = json.dumps({"ts": START_MS + number, "total_m3": number}).encode()
    return Publish(f"city/{commune}/water_meter/{device}/{suffix}", payload, retain=retain)


def sources(*communes: str) -> dict[str, str]:
    """Only these communes are subscribed to."""
    topics = [f"city/{commune}/#" for commune in communes]
    return {"BEFFROI_SOURCES": json.dumps([{"name": "city", "topics": topics}])}


@dataclass(slots=True)
class Probe:
    """An honest device, and how long each of its messages takes into the hub's log: from then on it is safe."""

    url: str
    log: LogReader
    made_at_s: list[float] = field(default_factory=list)
    logged_at_s: dict[int, float] = field(default_factory=dict)

    def message(self, number: int) -> Publish:
        self.made_at_s.append(time.monotonic())
        return meter(HERE, "probe", number)

    async def look(self) -> None:
        """Follow the log, until cancelled."""
        offset = self.log.next_offset
        while True:
            for message in self.log.read(offset, 10_000):
                offset = message.offset + 1
                if "/probe/" in message.topic:
                    self.logged_at_s.setdefault(json.loads(message.payload)["total_m3"], time.monotonic())
            await asyncio.sleep(0.01)

    def took_ms(self, since_s: float, until_s: float) -> tuple[float, float]:
        """Median and p99 of the messages made in a time, in ms."""
        made = [(n, at_s) for n, at_s in enumerate(self.made_at_s) if since_s <= at_s < until_s]
        took = [1000 * (self.logged_at_s[n] - at_s) for n, at_s in made]
        return float(np.percentile(took, 50)), float(np.percentile(took, 99))


@pytest.fixture
async def hub(tmp_path: Path, own_database_url: str, own_broker: OwnBroker) -> AsyncIterator[Processes]:
    (tmp_path / "home").mkdir()
    with Processes(tmp_path / "home", own_database_url, own_broker.hub_url, sources(HERE)) as processes:
        yield processes


@pytest.mark.soak
@pytest.mark.parametrize(("connections", "retained"), [(1_000, 3_400), (10_000, 34_000)])
async def test_a_crowd_that_comes_back_at_once_is_absorbed(
    hub: Processes, own_broker: OwnBroker, measured: Callable[[str], None], connections: int, retained: int
):
    room_for(connections)
    await _declare(hub, connections, retained)
    hub.start("intake", "worker")
    await hub.hears()
    await _retain(own_broker, retained)
    crowd = Crowd(own_broker.simulator_url, connections, lambda device, life: meter(HERE, f"c{device}", life))
    crowd.start()
    await asyncio.wait_for(crowd.all_here.wait(), BACK_S)
    probe = Probe(own_broker.simulator_url, LogReader(hub.home / "log"))
    looking = asyncio.create_task(probe.look())
    load = Load(own_broker.simulator_url, probe.message, PROBES_PER_S)
    try:
        await eventually(lambda: everything_is_read(hub.database_url, probe.log.log_id, probe.log.next_offset), bool)
        began_s = time.monotonic()
        await load.run(1.5)
        quiet_ms = probe.took_ms(began_s, time.monotonic() - 0.5)
        before_mib = {name: resident_mib(process.pid) for name, process in hub.running.items()}

        await own_broker.remembers()
        began_s = await _come_back(hub, own_broker, crowd)
        storm = asyncio.create_task(load.run(BACK_S))
        await asyncio.wait_for(crowd.all_here.wait(), BACK_S)
        back_s = crowd.here_at_s - began_s
        await eventually(lambda: _stored(hub, THERE), lambda stored: len(stored) == retained, BACK_S)
        stored_s = time.monotonic() - began_s
        storm.cancel()
        await asyncio.gather(storm, return_exceptions=True)
        await load.run(0)
        await eventually(lambda: asyncio.sleep(0, len(probe.logged_at_s)), lambda n: n == load.made)
    finally:
        await crowd.stop()
        looking.cancel()
    hub_here_s = min(at_s for at_s in probe.logged_at_s.values() if at_s > began_s)
    storm_ms = probe.took_ms(hub_here_s, began_s + max(back_s, stored_s))
    after_mib = {name: resident_mib(process.pid) for name, process in hub.running.items()}
    measured(
        f"{connections} connections back and acknowledged {back_s:.1f} s after the broker,"
        f" {retained} retained messages stored after {stored_s:.1f} s; an honest device, median and p99 into the log:"
        f" {quiet_ms[0]:.0f} and {quiet_ms[1]:.0f} ms before, {storm_ms[0]:.0f} and {storm_ms[1]:.0f} ms meanwhile;"
        f" MiB before and after: {_told(before_mib)}, {_told(after_mib)}; broker {resident_mib(own_broker.pid):.0f}"
    )
    crowd_wanted = Counter((p.topic.split("/")[3], json.loads(p.payload)["total_m3"]) for p in crowd.acknowledged)
    await eventually(lambda: _stored(hub, HERE, "c%"), lambda stored: not crowd_wanted - stored)
    assert set((await _stored(hub, HERE)).values()) == {1}
    assert back_s < BACK_S
    await eventually(lambda: everything_is_read(hub.database_url, probe.log.log_id, probe.log.next_offset), bool)
    await accounts_balance(hub.database_url)


async def _retain(broker: OwnBroker, retained: int) -> None:
    """The broker keeps the state of so many devices for whoever subscribes later."""
    outbox = Outbox()
    outbox.put(meter(THERE, f"r{n}", n, suffix="state", retain=True) for n in range(retained))
    async with connected(broker.simulator_url) as connection:
        await connection.settle(outbox)


async def _come_back(hub: Processes, broker: OwnBroker, crowd: Crowd) -> float:
    """Broker and intake are killed and started; intake also subscribes to what was retained. Returns when it begins."""
    await broker.kill()
    hub.kill("intake")
    crowd.all_here.clear()
    hub.more |= sources(HERE, THERE)
    await broker.start()
    began_s = time.monotonic()
    hub.start("intake")
    return began_s


async def _declare(hub: Processes, connections: int, retained: int) -> None:
    """All of them are known: what strangers may do is another test's."""
    rows = [f"{HERE},water_meter,c{n},meter" for n in range(connections)] + [f"{HERE},water_meter,probe,meter"]
    rows += [f"{THERE},water_meter,r{n},meter" for n in range(retained)]
    file = hub.home / "devices.csv"
    file.write_text("\n".join(["commune,kind,id,type", *rows]))
    imported = await hub.command("devices", "import", str(file))
    assert imported.returncode == 0, imported.stderr


async def _stored(hub: Processes, commune: str, devices: str = "%") -> Counter[tuple[str, int]]:
    rows = await fetch(
        hub.database_url,
        "SELECT d.id, m.total_m3::bigint AS number FROM water_meter m JOIN device d USING (device_no)"
        " WHERE d.commune = %s AND d.id LIKE %s",
        commune,
        devices,
    )
    return Counter((str(row["id"]), int(str(row["number"]))) for row in rows)


def _told(mib: dict[str, float]) -> str:
    return ", ".join(f"{name} {size:.0f}" for name, size in mib.items())
