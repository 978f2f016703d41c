"""`beffroi record` against the real broker: what was published comes back from `beffroi replay`, byte for byte."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiomqtt
import pytest

from hub.runtime.servers import Embedded
from hub.settings import BrokerAddress
from simulators.packets import Publish
from simulators.publisher import Outbox, connected
from simulators.record import Gap, Recorded
from simulators.tape import BadLine, open_tape
from tests.processes import Processes, eventually
from tests.wire import Wire

TOPIC = "city/dijon/water_meter"
STRANGE = [
    Publish(f"{TOPIC}/w1/telemetry", b'{"total_m3": 1.50,  "ts": 1780000000000}'),
    Publish(f"{TOPIC}/w2/telemetry", b"two\r\nlines\n"),
    Publish(f"{TOPIC}/w3/telemetry", bytes(range(256))),
    Publish(f"{TOPIC}/w4/telemetry", b""),
    Publish(f"{TOPIC}/w5/telemetry", b"at most once", qos=0),
    Publish(f"{TOPIC}/w7/state", b'{"online":true}', retain=True),
    Publish(f"{TOPIC}/w8/telemetry", b"replayed", is_replayed=True),
    Publish(f"{TOPIC}/W\u00e4hler 9/telemetry", "caf\u00e9".encode()),
    Publish(f"{TOPIC}/w10/telemetry", b"x" * 300_000),
    # Last, because its handshake takes longer and nothing promises an order between two levels.
    Publish(f"{TOPIC}/w6/telemetry", b"exactly once", qos=2),
]


class Recording:
    """`beffroi record`, as a person runs it."""

    def __init__(self, home: Path, mqtt_url: str, file: Path, *options: str) -> None:
        self._environment = Processes(home, "postgresql://nobody@127.0.0.1:1/none", mqtt_url).environment
        self.file, self._command = file, [sys.executable, "-m", "hub.cli", "record", str(file), *options]

    async def __aenter__(self) -> "Recording":
        self.process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        await eventually(lambda: asyncio.sleep(0, self.file.exists() and self.file.stat().st_size), bool)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self, number: int = signal.SIGINT) -> tuple[int | None, str, str]:
        """Exit code, and what it said."""
        self.process.send_signal(number)
        return await self.end()

    async def end(self) -> tuple[int | None, str, str]:
        out, err = await asyncio.wait_for(self.process.communicate(), 30)
        return self.process.returncode, out.decode(), err.decode()


def found(file: Path) -> list[Recorded]:
    return [item for item in open_tape(file).items() if isinstance(item, Recorded)]


def published(file: Path) -> list[Publish]:
    return [Publish(m.topic, m.payload, m.qos, m.retain, m.is_replayed) for m in found(file)]


def bad(file: Path) -> list[object]:
    return [item for item in open_tape(file).items() if isinstance(item, BadLine)]


async def publish(url: str, messages: Sequence[Publish]) -> Outbox:
    outbox = Outbox()
    outbox.put(messages)
    async with connected(url) as broker:
        await broker.settle(outbox)
    return outbox


@pytest.fixture(autouse=True)
async def nothing_is_retained(broker: Embedded) -> AsyncIterator[None]:
    """What other tests left on the broker is not what passes."""
    await clear(broker)
    yield
    await clear(broker)


async def clear(broker: Embedded) -> None:
    address = BrokerAddress.parse(broker.mqtt_url)
    async with aiomqtt.Client(**address.client_arguments()) as client:
        await client.subscribe("city/#", qos=1)
        await publish(broker.simulator_url, [Publish("city/retained/ends/here/telemetry", b"")])
        left = set()
        async for message in client.messages:
            if not message.retain:
                break
            left.add(message.topic.value)
    await publish(broker.simulator_url, [Publish(topic, b"", retain=True) for topic in left])


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
async def test_every_byte_is_recorded_and_replayed(broker: Embedded, tmp_path: Path, name: str) -> None:
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    async with Recording(tmp_path, broker.mqtt_url, first) as recording:
        assert (await publish(broker.simulator_url, STRANGE)).published == len(STRANGE)
        code, said, _ = await recording.stop()
    assert [m.topic for m in published(first)] == [m.topic for m in STRANGE]
    assert (code, published(first), bad(first)) == (0, STRANGE, [])
    assert f"{len(STRANGE)} messages" in said
    assert (
        first.read_bytes()[:2] == b"\x1f\x8b"
        if name.endswith(".gz")
        else b'"json":{"total_m3": 1.50,  ' in first.read_bytes()
    )
    await clear(broker)

    hub = Processes(tmp_path, "postgresql://nobody@127.0.0.1:1/none", broker.simulator_url)
    async with Recording(tmp_path, broker.mqtt_url, second) as recording:
        replayed = await hub.command("replay", str(first), "--keep-time", "--page", "--speed", "10")
        assert replayed.returncode == 0, replayed.stderr
        await recording.stop()
    assert published(second) == STRANGE, "with --page marks are as they were"
    for one, other in zip(found(first), found(second), strict=True):
        assert one.at_us is not None and other.at_us is not None


async def test_nothing_of_the_tail_is_lost_and_a_duration_ends_it(broker: Embedded, tmp_path: Path) -> None:
    many = [Publish(f"{TOPIC}/w{i % 100}/telemetry", b'{"total_m3":%d}' % i) for i in range(20_000)]
    async with Recording(tmp_path, broker.mqtt_url, tmp_path / "many.jsonl.gz") as recording:
        await publish(broker.simulator_url, many)
        code, _, _ = await recording.stop(signal.SIGTERM)
    assert (code, published(recording.file)) == (0, many), "acknowledged before it was told to stop"
    async with Recording(tmp_path, broker.mqtt_url, tmp_path / "short.jsonl", "--for", "1s") as recording:
        code, said, _ = await recording.end()
    assert (code, bad(recording.file)) == (0, [])
    assert "short.jsonl: 0 messages" in said


async def test_only_the_topics_asked_for_are_recorded(broker: Embedded, tmp_path: Path) -> None:
    wanted = ("--topic", f"{TOPIC}/w1/#", "--topic", f"{TOPIC}/+/state")
    async with Recording(tmp_path, broker.mqtt_url, tmp_path / "few.jsonl", *wanted) as recording:
        await publish(broker.simulator_url, STRANGE)
        await recording.stop()
    assert [m.topic for m in found(recording.file)] == [f"{TOPIC}/w1/telemetry", f"{TOPIC}/w7/state"]


async def test_a_killed_recorder_keeps_what_it_had(broker: Embedded, tmp_path: Path) -> None:
    for name in ("killed.jsonl", "killed.jsonl.gz"):
        async with Recording(tmp_path, broker.mqtt_url, tmp_path / name) as recording:
            begin = recording.file.stat().st_size
            await publish(broker.simulator_url, STRANGE[:5])
            await eventually(lambda: asyncio.sleep(0, recording.file.stat().st_size), lambda size: size > begin + 100)  # noqa: B023
            await asyncio.sleep(0.5)
            recording.process.kill()
            await recording.process.wait()
        assert published(recording.file) == STRANGE[:5]
        assert len(bad(recording.file)) == 1, "it has no last line"


async def test_a_lost_connection_is_a_gap_and_what_the_broker_kept_is_there(broker: Embedded, tmp_path: Path) -> None:
    before, between, after = STRANGE[:1], STRANGE[1:3], STRANGE[3:4]
    wire = Wire(broker.mqtt_url)
    async with wire as url, Recording(tmp_path, url, tmp_path / "gap.jsonl") as recording:
        await publish(broker.simulator_url, before)
        await eventually(lambda: asyncio.sleep(0, len(found(recording.file))), lambda n: n == 1)
        losing = asyncio.create_task(wire.lose(1.5))
        await publish(broker.simulator_url, between)
        await losing
        await eventually(lambda: asyncio.sleep(0, len(found(recording.file))), lambda n: n >= 3)
        await publish(broker.simulator_url, after)
        code, said, warned = await recording.stop()
    items = [item for item in open_tape(recording.file).items() if not isinstance(item, BadLine)]
    assert [isinstance(item, Gap) for item in items] == [False, True, False, False, False]
    assert [m.payload for m in found(recording.file)] == [m.payload for m in (*before, *between, *after)]
    assert isinstance(items[1], Gap) and "QoS 0" in items[1].why and items[1].gap_s > 0
    assert code == 1, "it is not whole"
    assert "1 gaps" in said and "the record has a gap" in warned


async def test_wrong_wishes_and_files_are_refused(broker: Embedded, tmp_path: Path) -> None:
    hub = Processes(tmp_path, "postgresql://nobody@127.0.0.1:1/none", broker.mqtt_url)
    there = tmp_path / "there.jsonl"
    there.write_text("precious")
    refused = await hub.command("record", str(there), "--for", "1s")
    assert (refused.returncode, there.read_text()) == (1, "precious")
    assert "--force" in refused.stderr and "Traceback" not in refused.stderr
    forced = await hub.command("record", str(there), "--for", "1s", "--force")
    assert (forced.returncode, bad(there)) == (0, [])
    for options, code, says in (
        (("--for", "soon"), 2, "no duration"),
        (("--topic", "a/#/b"), 2, "no topic filter"),
        (("--topic", "a+"), 2, "no topic filter"),
    ):
        ended = await hub.command("record", str(tmp_path / "new.jsonl"), *options)
        assert (ended.returncode, says in ended.stderr) == (code, True), ended.stderr
    ended = await hub.command("record", str(tmp_path / "no/such/folder.jsonl"), "--for", "1s")
    assert ended.returncode == 1 and "cannot be written: No such file" in ended.stderr
    away = await hub.command("record", str(tmp_path / "new.jsonl"), BEFFROI_MQTT_URL="mqtt://127.0.0.1:1")
    assert away.returncode == 1 and "does not answer" in away.stderr
    assert not (tmp_path / "new.jsonl").exists()
