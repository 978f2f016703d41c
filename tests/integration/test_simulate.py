"""The simulator and replays against the real broker, through the simulator's own account."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import pytest
from rich.console import Console

from devices.kind import kinds as declared_kinds
from hub.clock import Clock
from hub.errors import BadFile, BadSetting, BrokerUnavailable
from hub.runtime.servers import Embedded
from hub.settings import BrokerAddress
from simulators.city import make_city
from simulators.replay import Replayed
from simulators.replay import run as replay
from simulators.simulate import run as simulate
from tests.wire import Wire

DIJON = Path("simulators/cities/dijon")
DATA = Path("tests/data")


class Ear:
    """Everything that was published under some topics."""

    def __init__(self) -> None:
        self.heard: list[aiomqtt.Message] = []
        self._more = asyncio.Event()

    def hear(self, message: aiomqtt.Message) -> None:
        self.heard.append(message)
        self._more.set()

    def payloads(self, ending: str) -> list[bytes]:
        return [bytes(m.payload) for m in self.heard if m.topic.value.endswith(ending)]

    async def wait_for(self, count: int, ending: str = "", limit_s: float = 30.0) -> None:
        async with asyncio.timeout(limit_s):
            while len(self.payloads(ending)) < count:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def ear(broker: Embedded, *topics: str) -> AsyncIterator[Ear]:
    """Listen as the hub; what is retained from before is not heard."""
    listening = Ear()
    async with aiomqtt.Client(
        **BrokerAddress.parse(broker.mqtt_url).client_arguments(), protocol=aiomqtt.ProtocolVersion.V5
    ) as client:

        async def listen() -> None:
            async for message in client.messages:
                if not message.retain:
                    listening.hear(message)

        for topic in topics:
            await client.subscribe(topic, qos=1)
        task = asyncio.create_task(listen())
        yield listening
        task.cancel()


def quiet() -> Console:
    return Console(file=StringIO(), width=200)


async def play(broker: Embedded, file: Path, **more: object) -> Replayed:
    return await replay(broker.simulator_url, file, console=quiet(), **more)  # type: ignore[arg-type]


async def test_a_small_city_speaks_on_the_hubs_clock_and_tells_the_truth(broker: Embedded, tmp_path: Path) -> None:
    now_us = time.time_ns() // 1000
    clock = Clock(now_us, now_us - 3600 * 1_000_000, 60)
    stop, truth = asyncio.Event(), tmp_path / "truth.jsonl"
    async with ear(broker, "city/#") as listening:
        running = asyncio.create_task(
            simulate(
                broker.simulator_url,
                clock,
                city_dir=DIJON,
                scale=0.01,
                faults=["feeder_trip:F-DIJ-A001-D1@60s+5min"],
                truth=truth,
                stop=stop,
            )
        )
        await listening.wait_for(2, "F-DIJ-A001-D1/telemetry")
        stop.set()
        await running
    everything = [json.loads(line) for line in truth.read_text().splitlines()]
    assert {line["fault"] for line in everything} > {"feeder_trip", "lamp_out"}, "a normal night is told too"
    told = [line for line in everything if line["fault"] == "feeder_trip"]
    assert [line["action"] for line in told] == ["start", "end"]
    said = [json.loads(p) for p in listening.payloads("F-DIJ-A001-D1/telemetry")]
    assert [reading["event"] for reading in said] == ["breaker_tripped", "breaker_closed"]
    assert abs(said[0]["ts"] / 1000 - now_us / 1e6 + 3600) < 3600, "device time is the hub's, an hour back"
    assert said[1]["ts"] - said[0]["ts"] == 300_000
    kinds = {m.topic.value.split("/")[2] for m in listening.heard}
    assert kinds == set(declared_kinds())
    assert {m.qos for m in listening.heard} == {1}


async def test_who_subscribes_later_finds_the_cabinets_online(broker: Embedded) -> None:
    stop = asyncio.Event()
    now_us = time.time_ns() // 1000
    running = asyncio.create_task(
        simulate(broker.simulator_url, Clock(now_us, now_us, 60), city_dir=DIJON, scale=0.01, stop=stop)
    )
    await asyncio.sleep(6)
    stop.set()
    await running
    async with aiomqtt.Client(**BrokerAddress.parse(broker.mqtt_url).client_arguments()) as client:
        await client.subscribe("city/dijon/street_lighting/A-DIJ-001/state", qos=1)
        async with asyncio.timeout(5):
            message = await anext(aiter(client.messages))
    assert message.retain
    assert json.loads(bytes(message.payload))["online"] is True


async def test_a_broker_that_goes_away_costs_no_reading(broker: Embedded) -> None:
    stop, now_us = asyncio.Event(), time.time_ns() // 1000
    wire = Wire(broker.simulator_url)
    async with ear(broker, "city/+/street_lighting/+/batch") as listening, wire as url:
        running = asyncio.create_task(
            simulate(url, Clock(now_us, now_us, 60), city_dir=DIJON, scale=0.01, seed=5, stop=stop)
        )
        for heard in (90, 150, 210):
            await listening.wait_for(heard)
            await wire.lose(1.0)
        await listening.wait_for(300)
        stop.set()
        await running
    spoke: dict[str, set[int]] = {}
    for reading in (reading for m in listening.heard for reading in json.loads(bytes(m.payload))):
        if reading["id"].startswith("F-"):
            spoke.setdefault(reading["id"], set()).add(reading["ts"])
    assert len(spoke) == len(make_city(DIJON, scale=0.01).feeders)
    for times in spoke.values():
        turn = max(times) % 120_000
        regular = sorted(ts for ts in times if ts % 120_000 == turn)  # without the greeting
        assert len(regular) > 3
        assert {b - a for a, b in pairwise(regular)} == {120_000}


async def test_a_bus_is_replayed_now_marked_and_otherwise_unchanged(broker: Embedded) -> None:
    lines = (DATA / "hsl-hfp.dump").read_bytes().splitlines()
    begin = time.time()
    async with ear(broker, "/hfp/#") as listening:
        done = await play(broker, DATA / "hsl-hfp.dump", speed=200)
        await listening.wait_for(445)
    assert done == Replayed(published=445)
    assert 2 < time.time() - begin < 30, "eight minutes at 200 times the pace are about two and a half seconds"
    assert all(("beffroi-replay", "1") in (m.properties.UserProperty if m.properties else []) for m in listening.heard)
    for message, line in zip(listening.heard, lines, strict=True):
        topic, original = line.decode().split(" ", 1)[1].split(" {", 1)
        assert message.topic.value == topic
        (event,) = json.loads("{" + original).values()
        (moved,) = json.loads(bytes(message.payload)).values()
        assert {**moved, "tst": 0, "tsi": 0} == {**event, "tst": 0, "tsi": 0}
        assert begin - 60 < moved["tsi"] < time.time()


async def test_at_its_own_pace_every_event_keeps_its_distance(broker: Embedded, tmp_path: Path) -> None:
    few = tmp_path / "few.dump"
    few.write_bytes(b"\n".join((DATA / "hsl-hfp.dump").read_bytes().splitlines()[2:5]) + b"\n")
    async with ear(broker, "/hfp/#") as listening:
        await play(broker, few)
        await listening.wait_for(3)
    moved = [json.loads(bytes(m.payload))["VP"] for m in listening.heard]
    assert [after["tsi"] - moved[0]["tsi"] for after in moved] == [0, 1, 2]
    assert len({m["tst"][20:] for m in moved}) == 1, "all by the same shift, to the millisecond"


async def test_keep_time_and_page_leave_payload_and_mark_out(broker: Embedded) -> None:
    async with ear(broker, "/hfp/#") as listening:
        await play(broker, DATA / "hsl-hfp.dump", speed=1000, keep_time=True, page=True)
        await listening.wait_for(445)
    lines = (DATA / "hsl-hfp.dump").read_bytes().splitlines()
    assert [bytes(m.payload) for m in listening.heard] == [b"{" + line.split(b" {", 1)[1] for line in lines]
    assert not any(hasattr(m.properties, "UserProperty") for m in listening.heard)


async def test_meters_are_replayed_evenly_to_topics_of_their_own(broker: Embedded) -> None:
    async with ear(broker, "wmbusmeters/#") as listening:
        done = await play(broker, DATA / "wmbusmeters.jsonl", speed=50)
        await listening.wait_for(68)
    assert done.published == 68
    lines = (DATA / "wmbusmeters.jsonl").read_bytes().splitlines()
    assert [bytes(m.payload) for m in listening.heard] == lines
    assert [m.topic.value for m in listening.heard] == [f"wmbusmeters/{json.loads(line)['id']}" for line in lines]


async def test_bad_lines_are_named_and_the_rest_is_played(broker: Embedded, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text('{"id": "1", "total_m3": 1}\n{"id": "2"\n{"id": "3", "total_m3": 3}\n')
    screen = quiet()
    done = await replay(broker.simulator_url, mixed, speed=100, console=screen)
    assert (done.published, done.bad, done.is_good) == (2, 1, False)
    assert "mixed.jsonl, line 2: the payload is no JSON object" in screen.file.getvalue()  # type: ignore[attr-defined]


async def test_a_repeated_recording_goes_on_until_it_is_stopped(broker: Embedded, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    one.write_text('{"id": "1", "total_m3": 1}\n{"id": "1", "total_m3": 2}\n')
    stop = asyncio.Event()
    async with ear(broker, "wmbusmeters/#") as listening:
        running = asyncio.create_task(play(broker, one, speed=50, repeat=True, stop=stop))
        await listening.wait_for(7)
        stop.set()
        assert (await running).published >= 7


async def test_a_refused_account_is_said_without_its_password(broker: Embedded) -> None:
    parts = urlsplit(broker.simulator_url)
    url = f"mqtt://simulator:wrong-secret@{parts.hostname}:{parts.port}"
    with pytest.raises(BrokerUnavailable, match=rf"the broker at 127\.0\.0\.1:{parts.port} .*Not authorized") as error:
        await replay(url, DATA / "wmbusmeters.jsonl", console=quiet())
    assert "wrong-secret" not in str(error.value)


async def test_wrong_wishes_are_refused_before_anything_is_sent(broker: Embedded) -> None:
    with pytest.raises(BadSetting, match="speed 0"):
        await play(broker, DATA / "wmbusmeters.jsonl", speed=0)
    with pytest.raises(BadFile, match="No such file"):
        await play(broker, DATA / "missing.dump")
    with pytest.raises(BadSetting, match="scale 2"):
        await simulate(broker.simulator_url, Clock(), city_dir=DIJON, scale=2, stop=asyncio.Event())
    with pytest.raises(BadSetting, match="there is no 'flood'"):
        await simulate(
            broker.simulator_url, Clock(), city_dir=DIJON, scale=0.01, faults=["flood"], stop=asyncio.Event()
        )
