"""Devices that send far too much: the others do not wait longer for it, and everything is accounted for."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from statistics import quantiles
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.runtime.servers import Embedded
from ingest.quota import SAMPLE_BYTES
from simulators.packets import Publish
from store.database import connect
from store.health_files import oversized
from tests.database import accounts_balance, fetch, one
from tests.load import START_MS, Load, Meters
from tests.processes import Processes, Publisher, eventually

HONEST_PER_S, HOSTILE_PER_S = 200, 1_000
FLOOR_S = 1.5
"""A short run cannot tell a p99 under this from a busy machine: an idle hub's was 0.2 s, and 0.6 s with a load of 17 on
two cores. A hub that is choked shows seconds, and more with every second."""
LONG_FLOOR_S = 0.5
STRANGERS = 2_000
INVENTED = 10_000_000
"""Hostile readings are numbered from here, honest ones from 0."""
MEGABYTES = 1e6


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded) -> Iterator[Processes]:
    more = {"BEFFROI_STRANGERS": str(STRANGERS)}
    with Processes(tmp_path_factory.mktemp("hostile"), database_url, broker.mqtt_url, more) as processes:
        processes.start("intake", "worker")
        yield processes


LATELY = """
SELECT m.total_m3::bigint AS number
FROM (SELECT device_no FROM device WHERE starts_with(id, %s)) d
CROSS JOIN LATERAL (SELECT total_m3 FROM water_meter w WHERE w.device_no = d.device_no AND w.ts > %s) m
"""


@dataclass(slots=True)
class Timed:
    """Messages of a run that say when they were made."""

    meters: Meters
    made_s: dict[int, float] = field(default_factory=dict)

    def message(self, number: int) -> Publish:
        self.made_s[number] = time.time()
        return self.meters.message(number)


@dataclass(slots=True)
class Watch:
    """When rows are seen in the database, by polling: the latency from a publish to a committed row."""

    url: str
    timed: Timed
    latency_s: list[tuple[float, float]] = field(default_factory=list)
    """(when it was made, how long it took) of each message."""

    async def run(self, until: asyncio.Event) -> None:
        """Look until everything that was made has been seen. Costs little, also when the table is long."""
        seen = -1
        async with connect(self.url, autocommit=True) as connection:
            while not (until.is_set() and seen >= max(self.timed.made_s, default=-1)):
                since = datetime.fromtimestamp((START_MS + seen) / 1000, UTC)
                rows = await (await connection.execute(LATELY, [f"{self.timed.meters.run}-", since])).fetchall()
                now_s = time.time()
                for number in (row["number"] for row in rows):
                    self.latency_s.append((self.timed.made_s[number], now_s - self.timed.made_s[number]))
                    seen = max(seen, number)
                await asyncio.sleep(0.02)

    def p99(self, from_s: float, to_s: float) -> float:
        taken = [took for made_s, took in self.latency_s if from_s <= made_s < to_s]
        assert len(taken) > 100, len(taken)
        return quantiles(taken, n=100)[98]


def rss_mb(hub: Processes) -> dict[str, float]:
    """Memory of the hub's processes."""
    return {name: _rss_bytes(process.pid) / MEGABYTES for name, process in hub.running.items()}


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Storm:
    """What honest devices felt, before and while somebody sent too much."""

    calm_p99_s: float
    stormy_p99_s: float
    grown_mb: dict[str, float]

    def __str__(self) -> str:
        grown = ", ".join(f"{name} {mb:+.0f} MB" for name, mb in self.grown_mb.items())
        return (
            f"p99 {self.calm_p99_s * 1000:.0f} ms, then {self.stormy_p99_s * 1000:.0f} ms"
            f" ({self.stormy_p99_s / self.calm_p99_s:.2f} times); {grown}"
        )


async def weather(hub: Processes, broker: Embedded, calm_s: float, storm: Load, storm_s: float) -> Storm:
    """Honest devices publish; after a calm time the storm begins. Everything honest is stored exactly once."""
    await hub.hears()
    timed = Timed(Meters(untimed_every=0))
    honest = Load(broker.simulator_url, timed.message, HONEST_PER_S)
    watch, done = Watch(hub.database_url, timed), asyncio.Event()
    watching = asyncio.create_task(watch.run(done))
    await honest.run(1)  # strangers are registered, caches are warm
    rss, began_s = rss_mb(hub), time.time()
    publishing = asyncio.create_task(honest.run(calm_s + storm_s))
    await asyncio.sleep(calm_s)
    storm_at_s = time.time()
    await asyncio.gather(storm.run(storm_s), publishing)
    done.set()
    await watching
    await timed.meters.exactly_once(hub.database_url, honest.acknowledged)
    grown = {name: mb - rss[name] for name, mb in rss_mb(hub).items()}
    return Storm(watch.p99(began_s, storm_at_s), watch.p99(storm_at_s, time.time()), grown)


@pytest.mark.parametrize(
    ("calm_s", "storm_s"), [(2.5, 4.5), pytest.param(30.0, 120.0, marks=pytest.mark.soak)], ids=["short", "long"]
)
async def test_one_device_at_a_thousand_messages_a_second(
    hub: Processes, database_url: str, broker: Embedded, calm_s: float, storm_s: float
):
    name = f"hostile-{storm_s:.0f}"
    topic = f"city/dijon/water_meter/{name}/telemetry"
    before = await one(database_url, "SELECT coalesce(sum(messages_over_quota), 0) AS cut FROM reader")
    sent = Load(broker.simulator_url, lambda number: reading(topic, number), HOSTILE_PER_S)
    storm = await weather(hub, broker, calm_s, sent, storm_s)
    sys.stdout.write(f"\none device at {HOSTILE_PER_S} messages/s: {storm}\n")
    assert storm.stormy_p99_s <= max(2 * storm.calm_p99_s, FLOOR_S if storm_s < 60 else LONG_FLOOR_S), str(storm)
    assert all(mb < 50 for mb in storm.grown_mb.values()), str(storm)
    stored = await stored_of(database_url, name)
    account = await one(database_url, "SELECT messages_over_quota AS cut FROM reader WHERE name = 'store'")
    cut = account["cut"] - before["cut"]
    held = await fetch(
        database_url, "SELECT topic FROM quarantine WHERE reason = 'over_quota' AND topic = %s", topic.encode()
    )
    assert 2_000 + 200 * (storm_s - 1) <= stored <= 2_000 + 200 * (storm_s + 3)
    assert stored + cut + len(held) == len(sent.acknowledged) == HOSTILE_PER_S * storm_s
    assert 1 <= len(held) <= 1 + storm_s / 60
    (named,) = await fetch(database_url, "SELECT * FROM excess WHERE name = %s", topic)
    assert (named["reason"], named["messages"]) == ("over_quota", cut + len(held))
    await accounts_balance(database_url)
    status = await hub.command("status")
    assert status.returncode == 1 and "Over their quota: " in status.stdout and topic in status.stdout


@pytest.mark.soak
@pytest.mark.parametrize(
    ("calm_s", "storm_s", "limit"),
    [(1.5, 2.5, STRANGERS), (30.0, 100.0, 50_000)],
    ids=["short", "long"],
)
async def test_a_device_that_invents_names(
    hub: Processes, database_url: str, broker: Embedded, calm_s: float, storm_s: float, limit: int
):
    if limit != STRANGERS:
        hub.more["BEFFROI_STRANGERS"] = str(limit)
        hub.kill("worker")
        hub.start("worker")

    def message(number: int) -> Publish:
        return reading(f"city/dijon/water_meter/invented-{storm_s:.0f}-{number}/telemetry", number)

    before = await counted(database_url)
    sent = Load(broker.simulator_url, message, HOSTILE_PER_S)
    storm = await weather(hub, broker, calm_s, sent, storm_s)
    sys.stdout.write(f"\n{HOSTILE_PER_S} new names a second: {storm}\n")
    assert storm.stormy_p99_s <= max(2 * storm.calm_p99_s, FLOOR_S if storm_s < 60 else LONG_FLOOR_S), str(storm)
    assert all(mb < 300 for mb in storm.grown_mb.values()), str(storm)
    again = asyncio.create_task(sent.run(1.0))
    await asyncio.sleep(0.5)
    hub.kill("worker")
    hub.start("worker")
    await again
    await eventually(lambda: counted(database_url), lambda now: now - before == len(sent.acknowledged))
    waiting = await one(database_url, "SELECT count(*) AS n FROM device WHERE commissioned_at IS NULL")
    assert waiting["n"] == limit
    await accounts_balance(database_url)
    forgotten = await hub.command("devices", "forget", "invented-*")
    assert forgotten.returncode == 0 and " devices forgotten" in forgotten.stdout, forgotten.stderr
    assert (await one(database_url, "SELECT count(*) AS n FROM device WHERE id LIKE 'invented-%'"))["n"] == 0


async def counted(url: str) -> int:
    """What became of readings of invented names and of whom is beyond the limit: stored, sampled or counted."""
    row = await one(
        url,
        "SELECT (SELECT count(*) FROM water_meter WHERE total_m3 >= %s)"
        " + (SELECT count(*) FROM quarantine WHERE reason = 'too_many_strangers')"
        " + coalesce((SELECT sum(readings_over_quota) FROM reader), 0) AS n",
        INVENTED,
    )
    return int(str(row["n"]))


async def test_packets_of_ten_megabytes(hub: Processes, database_url: str, broker: Embedded):
    await hub.hears()
    meters = Meters(untimed_every=0)
    honest = Load(broker.simulator_url, meters.message, HONEST_PER_S)
    publishing = asyncio.create_task(honest.run(3))
    for name, protocol in (("whale-3", mqtt.MQTTv311), ("whale-5", mqtt.MQTTv5)):
        await asyncio.to_thread(refused, broker.simulator_url, name, protocol)
    await publishing
    await meters.exactly_once(database_url, honest.acknowledged)
    assert broker.mosquitto is not None
    named = oversized(broker.mosquitto.log, time.time())
    assert {"whale-3 (simulator)", "whale-5 (simulator)"} <= set(named)


def refused(url: str, name: str, protocol: int) -> None:
    """Publish 10 MB and see the connection end. With MQTT 5 the broker says beforehand what it takes.

    Its DISCONNECT (packet too large) often arrives, and often is lost with what it did not read.
    """
    parts, took, ended = urlsplit(url), Queue[int](), Queue[str]()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, reconnect_on_failure=False)
    client.username_pw_set(parts.username, parts.password)
    client.on_connect = lambda _client, _data, _flags, _reason, said: took.put(getattr(said, "MaximumPacketSize", 0))
    client.on_disconnect = lambda _client, _data, _flags, reason, _properties: ended.put(str(reason))
    client.connect(parts.hostname or "", parts.port or 1883)
    client.loop_start()
    assert took.get(timeout=20) == (4 << 20 if protocol == mqtt.MQTTv5 else 0)
    client.publish("city/dijon/water_meter/whale/telemetry", b"x" * 10_000_000, qos=1)
    assert ended.get(timeout=20) in ("Packet too large", "Unspecified error")
    client.loop_stop()


async def test_packets_of_almost_four_mebibytes_are_cut_by_their_bytes(
    hub: Processes, database_url: str, broker: Embedded
):
    await hub.hears()
    before = rss_mb(hub)
    topic = "city/dijon/water_meter/heavy/telemetry"
    publisher = Publisher(broker.simulator_url)
    for number in range(20):
        publisher.publish(topic, reading(topic, number, more="x" * 4_000_000).payload)
    await asyncio.to_thread(publisher.close, 60)
    assert len(publisher.acknowledged) == 20

    async def became() -> int:
        held = await fetch(database_url, "SELECT length(payload) AS n FROM quarantine WHERE topic = %s", topic.encode())
        assert all(row["n"] == SAMPLE_BYTES for row in held)
        named = await fetch(database_url, "SELECT messages FROM excess WHERE name = %s", topic)
        return await stored_of(database_url, "heavy") + sum(int(str(row["messages"])) for row in named)

    await eventually(became, lambda n: n == 20)
    assert 5 <= await stored_of(database_url, "heavy") <= 10
    grown = {name: mb - before[name] for name, mb in rss_mb(hub).items()}
    sys.stdout.write(f"\n20 packets of 4 MB: {grown} MB grown\n")
    assert all(mb < 150 for mb in grown.values()), grown
    await accounts_balance(database_url)


@pytest.mark.soak
async def test_what_the_broker_kept_while_intake_was_away_is_not_cut(
    hub: Processes, database_url: str, broker: Embedded
):
    """3,000 messages at once are more than the burst of 2,000; an absence of six seconds allows 1,200 more."""
    await hub.hears()
    topic = "city/dijon/water_meter/patient/telemetry"
    await eventually(lambda: asyncio.to_thread((hub.home / "heard.json").exists), bool)
    hub.kill("intake")
    away = asyncio.create_task(asyncio.sleep(6))
    publisher = Publisher(broker.simulator_url)
    for number in range(3_000):
        publisher.publish(topic, reading(topic, number).payload)
    await asyncio.to_thread(publisher.close)
    assert len(publisher.acknowledged) == 3_000
    await away
    hub.start("intake")
    await eventually(lambda: stored_of(database_url, "patient"), lambda n: n == 3_000)
    await accounts_balance(database_url)


def reading(topic: str, number: int, **more: object) -> Publish:
    """A reading that no other device tells."""
    told = {"ts": 1_780_000_000_000 + number, "total_m3": INVENTED + number} | more
    return Publish(topic, json.dumps(told).encode())


async def stored_of(url: str, device_id: str) -> int:
    row = await one(url, "SELECT count(*) AS n FROM water_meter JOIN device USING (device_no) WHERE id = %s", device_id)
    return int(str(row["n"]))
