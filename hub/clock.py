"""One clock for every process: real, or simulated at any speed; imports nothing of ours.

A clock is a straight line from real time to hub time, so that every process that is given the same
three numbers tells the same time without talking to the others.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
FASTEST = 1000
SLACK_S = 2.0
"""Real time that a message may be on its way: from the device through broker, log and worker, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Hub time as a line: at real time `real_us` it was `hub_us`, and it runs `speed` times as fast.

    Times are microseconds since 1970 (UTC). The default is real time.
    """

    real_us: int = 0
    hub_us: int = 0
    speed: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `real_us:hub_us:speed`; ValueError when it is not that."""
        try:
            real_us, hub_us, speed = text.split(":")
            clock = cls(int(real_us), int(hub_us), float(speed))
        except ValueError as error:
            raise ValueError("a clock is three numbers, real_us:hub_us:speed") from error
        if not 0 < clock.speed <= FASTEST:
            raise ValueError(f"a clock's speed is over 0 and at most {FASTEST}")
        return clock

    def __str__(self) -> str:
        return f"{self.real_us}:{self.hub_us}:{self.speed:g}"

    @property
    def is_real(self) -> bool:
        return self.speed == 1.0 and self.real_us == self.hub_us

    def now_us(self) -> int:
        """Hub time now, in microseconds since 1970."""
        return self.at_us(time.time_ns() // 1000)

    def at_us(self, real_us: int) -> int:
        """Hub time at a real time, both in microseconds since 1970."""
        if self.is_real:
            return real_us
        return self.hub_us + int((real_us - self.real_us) * self.speed)

    def settled_us(self) -> int:
        """Hub time of which it can be told who was silent: now, less what may still be on its way.

        At real speed that is nothing beside a device's period. A thousand times as fast it is half an hour, and without
        it every device that speaks each minute would look silent.
        """
        return self.now_us() - int(max(self.speed - 1, 0) * SLACK_S * SECOND_US)

    def now(self) -> datetime:
        """Hub time now, aware, UTC."""
        return to_datetime(self.now_us())

    async def sleep(self, hub_s: float) -> None:
        """Sleep for `hub_s` seconds of hub time."""
        await asyncio.sleep(hub_s / self.speed)


def to_datetime(us: int) -> datetime:
    """Microseconds since 1970 as an aware datetime."""
    return EPOCH + timedelta(microseconds=us)


def to_us(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def pauses(first_s: float = 0.5, longest_s: float = 4.0) -> Iterator[float]:
    """Real seconds to wait before each further attempt to reach a server: doubled each time.

    By chance up to half shorter, so that not all who lost it come back at once.
    """
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.5, 1.0)
        pause_s = min(2 * pause_s, longest_s)
