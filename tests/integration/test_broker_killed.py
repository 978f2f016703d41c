"""The broker is killed under load: what is lost with it, what is not, and how soon everybody is back."""

import asyncio
import json
import random
import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ingest.log import LogReader
from simulators.packets import Publish
from simulators.publisher import Outbox, connected
from tests.broker import OwnBroker
from tests.conftest import free_port
from tests.database import accounts_balance, everything_is_read, one
from tests.load import Load, Meters
from tests.processes import Processes, eventually

BLINK_S = 0.05
"""By which two clocks of this machine may differ while one is read after the other."""
BACK_S, READ_S = 5.0, 120.0
Row = tuple[str, int]


@pytest.fixture
async def hub(tmp_path: Path, own_database_url: str, own_broker: OwnBroker) -> AsyncIterator[Processes]:
    (tmp_path / "home").mkdir()
    more = {"BEFFROI_HTTP_PORT": str(free_port())}
    with Processes(tmp_path / "home", own_database_url, own_broker.hub_url, more) as processes:
        yield processes


@dataclass(frozen=True, slots=True)
class Kill:
    """Of the broker; times of the steady clock."""

    at_s: float
    remembered_at_s: float
    """When it had begun to write what it remembers from then on."""
    back_at_s: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What was lost with the broker, over all its kills."""

    messages: int
    of: int
    most: int
    """By one kill."""
    span_s: float
    """From the first to the last acknowledgement that one kill made void; while it writes its memory it gives none."""
    oldest_s: float
    remembered: int
    """Acknowledged before the broker began to write its memory, and lost all the same: it promises that none is."""

    def __str__(self) -> str:
        return (
            f"{self.messages} of {self.of} acknowledged messages lost, at most {self.most} by one kill, of at most"
            f" {self.span_s:.2f} s; the oldest {self.oldest_s:.2f} s before a kill"
        )


class Story:
    """A load and its hub, while the broker is killed again and again."""

    def __init__(self, hub: Processes, broker: OwnBroker, rate: float) -> None:
        self.hub, self.broker, self.meters = hub, broker, Meters()
        self.load = Load(broker.simulator_url, self.meters.message, rate)
        self.kills: list[Kill] = []

    def intake_does(self, number: signal.Signals) -> None:
        self.hub.running["intake"].send_signal(number)

    async def kill_broker(self, away_s: float = 0.3) -> None:
        killed_at_s = await self.broker.kill()
        remembered_at_s = self.broker.remembered_at_s()
        await asyncio.sleep(away_s)  # what it had still acknowledged is read meanwhile
        self.kills.append(Kill(killed_at_s, remembered_at_s, time.monotonic()))
        await self.broker.start()

    async def stored(self) -> Counter[Row]:
        """What the database holds once intake has heard the last message and the store has read all of the log."""
        log = LogReader(self.hub.home / "log")
        number = self.load.made
        # A last message, of the broker's last life: what it queues comes in order.
        last = self.meters.message(number)
        async with connected(self.broker.simulator_url) as connection:
            outbox = Outbox()
            outbox.put([last])
            await connection.settle(outbox)
        logged: list[Publish] = []
        await eventually(lambda: asyncio.sleep(0, last in _more(log, logged)), bool, READ_S)
        await eventually(lambda: everything_is_read(self.hub.database_url, log.log_id, log.next_offset), bool, READ_S)
        stored = await self.meters.stored(self.hub.database_url)
        assert not self.meters.wanted(logged) - stored, "what is in the log was acknowledged"
        log.close()
        return stored - self.meters.wanted([last])

    def lost(self, stored: Counter[Row]) -> Loss:
        """What the broker had acknowledged and lost."""
        told = zip(self.load.acknowledged, self.load.outbox.acknowledged_at_s, strict=True)
        lost_at_s = [at_s for message, at_s in told if not self.meters.is_in(message, stored)]
        by_kill: dict[Kill, list[float]] = defaultdict(list)
        for at_s in lost_at_s:
            by_kill[next(kill for kill in self.kills if at_s <= kill.back_at_s)].append(at_s)
        return Loss(
            messages=len(lost_at_s),
            of=len(self.load.acknowledged),
            most=max(map(len, by_kill.values()), default=0),
            span_s=max((max(at) - min(at) for at in by_kill.values()), default=0.0),
            oldest_s=max((kill.at_s - min(at) for kill, at in by_kill.items()), default=0.0),
            remembered=sum(at_s < kill.remembered_at_s - BLINK_S for kill, at in by_kill.items() for at_s in at),
        )

    def holds_nothing_twice(self, stored: Counter[Row]) -> int:
        """Only what the device itself sent twice, without a time, may be there twice; returns how many are."""
        twice = stored - self.meters.wanted(self.load.acknowledged)
        untimed = [m for m in self.load.outbox.sent_again if b"ts" not in m.payload]
        assert not twice - self.meters.wanted(untimed)
        return twice.total()


def _more(log: LogReader, known: list[Publish]) -> list[Publish]:
    """What has come into the log since it was looked at last; it is added to what is known."""
    found = [Publish(m.topic, m.payload) for m in log.read(len(known), 1_000_000, limit_bytes=1 << 30)]
    known += found
    return found


async def test_a_hub_that_listens_loses_nothing_and_stores_nothing_twice(
    hub: Processes, own_broker: OwnBroker, measured: Callable[[str], None]
):
    await _listening(hub, own_broker, measured, rate=2_000, kills=2)


@pytest.mark.soak
async def test_ten_kills_of_the_broker_at_4000_messages_a_second(
    hub: Processes, own_broker: OwnBroker, measured: Callable[[str], None]
):
    await _listening(hub, own_broker, measured, rate=4_000, kills=10)


async def _listening(
    hub: Processes, broker: OwnBroker, measured: Callable[[str], None], *, rate: float, kills: int
) -> None:
    """Every second kill comes while intake drains a queue: the broker then comes back with an older memory."""
    hub.start("intake", "worker")
    await hub.hears()
    story, chance = Story(hub, broker, rate), random.Random(kills)
    publishing = asyncio.create_task(story.load.run(kills * 2.2))
    for kill in range(kills):
        await asyncio.sleep(chance.uniform(0.8, 1.4))
        if kill % 2:
            story.intake_does(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            await broker.remembers()
            story.intake_does(signal.SIGCONT)
            await asyncio.sleep(0.3)
        await story.kill_broker()
    await publishing
    stored = await story.stored()
    lost, twice = story.lost(stored), story.holds_nothing_twice(stored)
    counts = await one(hub.database_url, "SELECT messages_duplicate FROM reader WHERE name = 'store'")
    measured(
        f"{kills} kills at {rate} messages/s, intake up: {lost}; {counts['messages_duplicate']} were delivered again"
        f" and known; {twice} without a time were sent twice by their device"
    )
    assert lost.remembered == 0
    assert counts["messages_duplicate"], "the broker came back with an older memory"
    await accounts_balance(hub.database_url)


@pytest.mark.soak
async def test_the_queue_of_an_absent_hub_loses_its_last_two_seconds_at_most(
    hub: Processes, own_broker: OwnBroker, measured: Callable[[str], None]
):
    await _queued(hub, own_broker, measured, rate=2_000, kills=8)


async def _queued(
    hub: Processes, broker: OwnBroker, measured: Callable[[str], None], *, rate: float, kills: int
) -> None:
    """Intake is away: all that the broker acknowledges is in its queue alone."""
    hub.start("intake", "worker")
    await hub.hears()
    hub.kill("intake")
    story, chance = Story(hub, broker, rate), random.Random(kills)
    publishing = asyncio.create_task(story.load.run(kills * 3.5))
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(2.2, 3.5))
        await story.kill_broker()
    await publishing
    hub.start("intake")
    stored = await story.stored()
    lost = story.lost(stored)
    measured(f"{kills} kills at {rate} messages/s, intake away: {lost}")
    assert lost.remembered == 0
    story.holds_nothing_twice(stored)
    await accounts_balance(hub.database_url)


@pytest.mark.soak
async def test_everybody_is_back_within_five_seconds_of_a_broker_that_forgot_everything(
    hub: Processes, own_broker: OwnBroker, measured: Callable[[str], None]
):
    hub.start("intake", "worker", "serve")
    await hub.hears()
    await eventually(lambda: _health(hub), lambda health: health.get("broker", False) and health["live"])
    await own_broker.kill()
    await eventually(lambda: _health(hub), lambda health: health == {**health, "page": True, "broker": False})
    own_broker.memory.unlink(missing_ok=True)
    await asyncio.sleep(5)  # by now they wait longest between two attempts
    await own_broker.start()
    began_s = time.monotonic()
    await eventually(lambda: _said(hub, "intake"), lambda said: said.count(" connected ") == 6, BACK_S)
    intake_s = time.monotonic() - began_s
    await eventually(lambda: _health(hub), lambda health: health["broker"], BACK_S)
    await eventually(lambda: _said(hub, "worker"), lambda said: "live frames are published again" in said, BACK_S)
    everybody_s = time.monotonic() - began_s
    measured(f"back after a broker's absence of 5 s: intake {intake_s:.1f} s, page and live frames {everybody_s:.1f} s")
    assert everybody_s < BACK_S
    said = await _said(hub, "intake")
    assert re.findall(r"session_kept=(\w+) source=city", said) == ["False", "False"], "its session is gone"
    assert said.count("not connected") <= 6, "once for each reason and source, not at each attempt"

    meters = Meters()
    load = Load(own_broker.simulator_url, meters.message, 100)
    await load.run(0.5)
    await meters.exactly_once(hub.database_url, load.acknowledged)
    await own_broker.remembers()
    await own_broker.kill()
    await own_broker.start()
    kept = "session_kept=True source=city"
    await eventually(lambda: _said(hub, "intake"), lambda said: kept in said, BACK_S)


async def _said(hub: Processes, name: str) -> str:
    return await asyncio.to_thread((hub.home / f"{name}.log").read_text)


async def _health(hub: Processes) -> dict[str, bool]:
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{hub.more['BEFFROI_HTTP_PORT']}/healthz")
    except httpx.TransportError:
        return {}
    found: dict[str, bool] = json.loads(answer.text)
    return found
