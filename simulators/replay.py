"""`beffroi replay FILE`: plays a recording to the hub as if it happened now."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from devices.quota import BURST_S, Rate, speaker
from hub.clock import SECOND_US, Clock
from hub.errors import BadSetting
from simulators.packets import Publish
from simulators.publisher import Connection, Outbox, connected
from simulators.record import Gap, Recorded
from simulators.recordings import shifted
from simulators.tape import BadLine, Tape, open_tape

EVEN_GAP_US = SECOND_US
"""Between messages of a recording that tells no times."""
FASTEST = 1000.0
READ_AT_ONCE = 1000
MANY_TOPICS = 100_000
UNLIMITED = Rate(0.0, 0.0)
SHOWN_LINES = 20
"""So many bad lines are named; the rest is counted."""


@dataclass(slots=True)
class Replayed:
    """What became of a recording."""

    published: int = 0
    """Accepted by the broker."""
    bad: int = 0
    """Lines that could not be read."""
    refused: int = 0
    """By the broker: the account may not publish there."""
    commands: int = 0
    """Left out: devices would obey."""
    is_whole: bool = True
    """False when it was stopped before its end."""

    @property
    def is_good(self) -> bool:
        return self.is_whole and not self.bad and not self.refused


async def run(
    mqtt_url: str,
    file: Path,
    *,
    speed: float = 1.0,
    keep_time: bool = False,
    page: bool = False,
    repeat: bool = False,
    rate: Rate = UNLIMITED,
    clock: Clock | None = None,
    stop: asyncio.Event | None = None,
    console: Console | None = None,
) -> Replayed:
    """Publish a recording's messages at the pace of their reception, `speed` times as fast on the hub's clock.

    Event times are moved to now, at the same pace as the messages, unless `keep_time`. Without `page` messages carry
    the mark that keeps the hub from calling anybody. A topic is given half of `rate` at most, its quota in hub time,
    however fast it was asked. `repeat` starts over at the end until `stop` is set. BadFile,
    BadSetting or BrokerUnavailable.
    """
    tape = await asyncio.to_thread(checked, file, speed)
    screen = console or Console(file=sys.stderr)
    stop = stop or asyncio.Event()
    player = _Player(tape, clock or Clock(), stop, _Words(screen, file), speed, keep_time, page, rate)
    async with connected(mqtt_url) as broker:
        with _progress(screen) as progress:
            bar = progress.add_task(file.name, total=tape.length, messages=0)
            player.show = lambda: progress.update(bar, completed=tape.place, messages=player.outbox.published)
            while await player.play(broker) and repeat and not stop.is_set():
                continue
    done = player.done
    done.published, done.refused = player.outbox.published, player.outbox.refused
    player.words.end(done, player.outbox.first_refusal)
    return done


def checked(file: Path, speed: float) -> Tape:
    """A recording that can be played at a speed; BadSetting or BadFile."""
    if not 0 < speed <= FASTEST:
        raise BadSetting(f"--speed {speed:g}: a recording is played at a speed over 0 and at most {FASTEST:g}")
    return open_tape(file)


def _progress(console: Console) -> Progress:
    told = TextColumn("{task.fields[messages]} messages")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), told, TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@dataclass(slots=True)
class _Words:
    """What is said to a person about a recording."""

    screen: Console
    file: Path
    bad: int = 0

    def bad_line(self, line: BadLine) -> None:
        self.bad += 1
        if self.bad <= SHOWN_LINES:
            self._say(f"{self.file}, line {line.number}: {line.reason}")

    def gap(self, gap: Gap) -> None:
        self._say(f"{self.file}: the recorder heard nothing for {gap.gap_s:g} s ({gap.why})")

    def end(self, done: Replayed, first_refusal: str | None) -> None:
        if self.bad > SHOWN_LINES:
            self._say(f"{self.file}: {self.bad - SHOWN_LINES} more lines could not be read")
        if done.refused:
            self._say(f"{self.file}: the broker refused {done.refused} messages, the first to {first_refusal}")
        if done.commands:
            self._say(f"{self.file}: {done.commands} commands to devices were left out")
        if not done.is_whole:
            self._say(f"{self.file}: stopped before its end, after {done.published} messages")

    def _say(self, text: str) -> None:
        self.screen.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


class _Player:
    """A tape, how it is to be played, and how far it was."""

    def __init__(
        self,
        tape: Tape,
        clock: Clock,
        stop: asyncio.Event,
        words: _Words,
        speed: float,
        keep_time: bool,
        page: bool,
        rate: Rate,
    ) -> None:
        self._tape, self._clock, self._stop = tape, clock, stop
        self._speed, self._keep_time, self._page = speed, keep_time, page
        self._rate = rate
        self.words = words
        self.done = Replayed()
        self.outbox = Outbox()
        self.show: Callable[[], None] = lambda: None

    async def play(self, broker: Connection) -> bool:
        """Play the tape once; was there anything to play?"""
        items = self._tape.items()
        pace = _Pace(self._clock.now_us(), self._speed)
        limit = _Limit(self._rate)
        found = False
        while some := await asyncio.to_thread(list, islice(items, READ_AT_ONCE)):
            for message in self._good(some):
                found = True
                planned_us = pace.planned_us(message.at_us)
                due_us = limit.due_us(message, max(planned_us, self._clock.now_us()))
                if due_us > self._clock.now_us():
                    await broker.send(self.outbox)
                    self.show()
                    await self._wait_until(due_us)
                if self._stop.is_set():
                    self.done.is_whole = False
                    break
                self.outbox.put((self._publish(message, planned_us),))
            await broker.send(self.outbox)
            self.show()
            if self._stop.is_set():
                break
        await broker.settle(self.outbox)
        return found

    def _good(self, items: Sequence[Recorded | Gap | BadLine]) -> Iterator[Recorded]:
        for item in items:
            if isinstance(item, Recorded):
                if _is_command(item.topic):
                    self.done.commands += 1
                else:
                    yield item
            elif isinstance(item, BadLine):
                self.done.bad += 1
                self.words.bad_line(item)
            else:
                self.words.gap(item)

    def _publish(self, message: Recorded, planned_us: int) -> Publish:
        payload = message.payload if self._keep_time else self._moved(message, planned_us)
        is_replayed = message.is_replayed or not self._page
        return Publish(message.topic, payload, message.qos, message.retain, is_replayed)

    def _moved(self, message: Recorded, planned_us: int) -> bytes:
        def move(event_us: int) -> int:
            """As old as it was, at the pace of the replay: what was a second apart stays apart in proportion."""
            return event_us if message.at_us is None else planned_us + int((event_us - message.at_us) / self._speed)

        return shifted(message.topic, message.payload, move, planned_us)

    async def _wait_until(self, hub_us: int) -> None:
        """Sleep until a hub time, but not longer than until `stop` is set."""
        left_s = (hub_us - self._clock.now_us()) / SECOND_US / self._clock.speed
        if left_s > 0:
            try:
                await asyncio.wait_for(self._stop.wait(), left_s)
            except TimeoutError:
                return


class _Pace:
    """When each message of a tape is due; a step back in a recording is played without a pause."""

    def __init__(self, start_us: int, speed: float) -> None:
        self._start_us, self._speed = start_us, speed
        self._offset_us = 0
        self._before_us: int | None = None
        self._is_first = True

    def planned_us(self, at_us: int | None) -> int:
        """The hub time at which to play the next message, which was received at `at_us`."""
        if not self._is_first:
            known = at_us is not None and self._before_us is not None
            self._offset_us += max(0, (at_us or 0) - (self._before_us or 0)) if known else EVEN_GAP_US
        self._is_first, self._before_us = False, at_us
        return self._start_us + int(self._offset_us / self._speed)


@dataclass(slots=True)
class _Limit:
    """Keeps a recording within the hub's quota, so that nothing of it is cut: half of it, the rest is the device's."""

    rate: Rate
    paid_us: dict[str, int] = field(default_factory=dict)
    """By speaker, until when on the hub's clock what was played is paid for (see ingest/quota.py)."""

    def due_us(self, message: Recorded, now_us: int) -> int:
        """When a message may be played that would be played now."""
        topic = speaker(message.topic)
        if len(self.paid_us) > MANY_TOPICS:
            self.paid_us = {other: paid_us for other, paid_us in self.paid_us.items() if paid_us > now_us}
        paid_us = max(self.paid_us.get(topic, 0), now_us) + int(2 * self.rate.cost_s(len(message.payload)) * SECOND_US)
        self.paid_us[topic] = paid_us
        return max(now_us, paid_us - int(BURST_S / 2 * SECOND_US))


def _is_command(topic: str) -> bool:
    return topic.startswith("city/") and topic.endswith("/cmd")
