"""A steady load whose publisher knows what the broker took, and the comparison of that with the database.

The load lives in the test's own event loop, survives the broker's absences, and costs a few µs a message.
"""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hub.errors import BrokerUnavailable
from simulators.packets import Acknowledged, Publish
from simulators.publisher import Outbox, connected
from tests.database import fetch

START_MS = 1_780_000_000_000
UNTIMED_EVERY = 10
"""Every so many messages has no time of its own: only the broker's DUP flag tells a redelivery of it."""
STEP_S = 0.02


@dataclass(slots=True)
class Remembering(Outbox):
    """An outbox that remembers what the broker has taken."""

    acknowledged: list[Publish] = field(default_factory=list)
    acknowledged_at_s: list[float] = field(default_factory=list)
    """When each of them was, by the steady clock."""
    sent_again: list[Publish] = field(default_factory=list)
    """What a lost connection left in doubt: the broker may have taken it the first time too."""

    def start_over(self) -> None:
        """On a new connection what was under way is sent again."""
        self.sent_again += self.under_way.values()
        Outbox.start_over(self)

    def acknowledge(self, told: Acknowledged) -> None:
        """Remember a message that the broker has taken, then forget that it was under way."""
        message = self.under_way.get(told.packet_id)
        if message is not None and told.refusal is None:
            self.acknowledged.append(message)
            self.acknowledged_at_s.append(time.monotonic())
        # By name: super() without arguments does not work in a class that slots=True makes anew.
        Outbox.acknowledge(self, told)


@dataclass(slots=True)
class Load:
    """Messages at `per_s`, number by number, until told to stop; sent again on a new connection when one is lost."""

    url: str
    make: Callable[[int], Publish]
    per_s: float
    outbox: Remembering = field(default_factory=Remembering)
    made: int = 0
    losses: int = 0
    """Connections that were lost."""
    is_ending: bool = False

    def end(self) -> None:
        """Make no more, before the time."""
        self.is_ending = True

    async def run(self, seconds: float) -> None:
        """Publish for so long, then return once everything is acknowledged."""
        loop = asyncio.get_running_loop()
        began, first = loop.time(), self.made
        wanted = first + int(seconds * self.per_s)
        while (self.made < wanted and not self.is_ending) or len(self.outbox):
            try:
                async with connected(self.url) as connection:
                    while self.made < wanted and not self.is_ending:
                        due = min(wanted, first + int((loop.time() - began) * self.per_s))
                        self.outbox.put(map(self.make, range(self.made, due)))
                        self.made = max(self.made, due)
                        await connection.send(self.outbox)
                        await asyncio.sleep(STEP_S)
                    await connection.settle(self.outbox)
            except BrokerUnavailable:
                self.losses += 1
                await asyncio.sleep(0.2)

    @property
    def acknowledged(self) -> list[Publish]:
        """What the broker has taken, in order."""
        return self.outbox.acknowledged


@dataclass(frozen=True, slots=True)
class Meters:
    """Readings of water meters of one run: `number` is the reading, so that each row tells which message it was."""

    devices: int = 200
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    untimed_every: int = UNTIMED_EVERY
    """0: all have a time of their own."""

    def message(self, number: int) -> Publish:
        """The message of a number."""
        told: dict[str, int] = {"total_m3": number}
        if not self.untimed_every or number % self.untimed_every:
            told["ts"] = START_MS + number
        return Publish(
            f"city/dijon/water_meter/{self.run}-{number % self.devices}/telemetry", json.dumps(told).encode()
        )

    def wanted(self, acknowledged: list[Publish]) -> Counter[tuple[str, int]]:
        """(device, reading) of what the broker took, each once however often it was sent."""
        return Counter({(p.topic.split("/")[3], json.loads(p.payload)["total_m3"]) for p in acknowledged})

    def is_in(self, message: Publish, stored: Counter[tuple[str, int]]) -> bool:
        """Is a message's reading there?"""
        return all(row in stored for row in self.wanted([message]))

    async def stored(self, database_url: str) -> Counter[tuple[str, int]]:
        """(device, reading) of every row of this run: 2 would be stored twice."""
        rows = await fetch(
            database_url,
            "SELECT d.id, m.total_m3::bigint AS number FROM water_meter m JOIN device d USING (device_no)"
            " WHERE d.id LIKE %s",
            f"{self.run}-%",
        )
        return Counter((str(row["id"]), int(str(row["number"]))) for row in rows)

    async def exactly_once(self, database_url: str, acknowledged: list[Publish], timeout_s: float = 120) -> None:
        """Wait until all of it is stored, then hold that each is there once and nothing else is."""
        wanted = self.wanted(acknowledged)
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (count := await self._count(database_url)) < len(wanted):
            assert asyncio.get_running_loop().time() < deadline, f"{count} of {len(wanted)} stored after {timeout_s} s"
            await asyncio.sleep(0.2)
        stored = await self.stored(database_url)
        missing, beside = wanted - stored, stored - wanted
        told = f"{len(missing)} missing, {list(missing)[:3]}; {beside.total()} too many, {list(beside)[:3]}"
        assert not missing and not beside, told

    async def _count(self, database_url: str) -> int:
        (row,) = await fetch(
            database_url,
            "SELECT count(*) AS n FROM water_meter JOIN device d USING (device_no) WHERE d.id LIKE %s",
            f"{self.run}-%",
        )
        return int(str(row["n"]))
