"""`beffroi replay FILE`: plays a recording to the hub as if it happened now."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub.clock import SECOND_US, Clock
from hub.errors import BadFile, BadSetting
from simulators.broker import connected, while_connected
from simulators.recordings import RECORDINGS, Recorded, Recording, recording_of

REPLAY_MARK = ("beffroi-replay", "1")
"""MQTT 5 user property: this updates history and state, and pages nobody."""
EVEN_GAP_US = SECOND_US
"""Between messages of a recording that tells no times."""
SAMPLE_LINES = 20
FASTEST = 1000.0


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was left out, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a recording."""

    published: int
    bad: tuple[BadLine, ...]


@dataclass(frozen=True, slots=True)
class Tape:
    """A recording that was read: when each message is to be played, in microseconds from the first."""

    recording: Recording
    messages: tuple[Recorded, ...]
    offset_us: tuple[int, ...]
    bad: tuple[BadLine, ...]


def read_tape(path: Path) -> Tape:
    """Read a recording of any known format, told by its content; BadFile when it cannot be read or is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadFile(f"{path}: the recording cannot be read: {error.strerror}") from error
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    recording = recording_of([line for _, line in filled[:SAMPLE_LINES]])
    if recording is None:
        names = " or ".join(known.name for known in RECORDINGS)
        raise BadFile(f"{path}: no recording that can be replayed ({names}); see docs/simulating.md for the formats")
    messages, bad = [], []
    for number, line in filled:
        try:
            messages.append(recording.parse(line))
        except ValueError as error:
            bad.append(BadLine(number, str(error)))
    return Tape(recording, tuple(messages), tuple(_offsets_us(messages)), tuple(bad))


def _offsets_us(messages: list[Recorded]) -> Iterator[int]:
    """Time from the first message to each; a step back in a recording is played without a pause."""
    if messages:
        offset = 0
        yield offset
        for before, after in pairwise(messages):
            known = before.at_us is not None and after.at_us is not None
            offset += max(0, (after.at_us or 0) - (before.at_us or 0)) if known else EVEN_GAP_US
            yield offset


async def run(
    mqtt_url: str,
    file: Path,
    *,
    speed: float = 1.0,
    keep_time: bool = False,
    page: bool = False,
    repeat: bool = False,
    clock: Clock | None = None,
    stop: asyncio.Event | None = None,
    console: Console | None = None,
) -> Replayed:
    """Publish a recording's messages at the pace of their reception, `speed` times as fast on the hub's clock.

    Event times are moved to now, at the same pace as the messages, unless `keep_time`. Without `page` messages carry
    the mark that keeps the hub from calling anybody. `repeat` starts over at the end until `stop` is set. Gives what
    was published and which lines were not: a caller's exit code is 1 when any was bad. BadFile, BadSetting or
    BrokerUnavailable.
    """
    if not 0 < speed <= FASTEST:
        raise BadSetting(f"--speed {speed:g}: a recording is played at a speed over 0 and at most {FASTEST:g}")
    tape = await asyncio.to_thread(read_tape, file)
    screen = console or Console(file=sys.stderr)
    for line in tape.bad:
        screen.print(f"{file}, line {line.number}: {line.reason}", style="yellow", markup=False, highlight=False)
    player = _Player(tape, clock or Clock(), stop or asyncio.Event(), speed=speed, keep_time=keep_time, page=page)
    async with connected(mqtt_url) as broker:
        with _progress(screen) as progress:
            bar = progress.add_task(file.name, total=len(tape.messages))
            await while_connected(
                broker, player.play(broker, lambda done: progress.update(bar, completed=done), repeat)
            )
    return Replayed(player.published, tape.bad)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


@dataclass(slots=True)
class _Player:
    """A tape, how it is to be played, and how far it was."""

    tape: Tape
    clock: Clock
    stop: asyncio.Event
    speed: float
    keep_time: bool
    page: bool
    published: int = 0
    """Messages that the broker has acknowledged."""

    async def play(self, broker: aiomqtt.Client, show: Callable[[int], None], repeat: bool) -> None:
        """Play the tape to its end, or over and over until `stop` is set."""
        while self.tape.messages and not self.stop.is_set():
            await self._play_once(broker, show)
            if not repeat:
                return

    async def _play_once(self, broker: aiomqtt.Client, show: Callable[[int], None]) -> None:
        marks = None if self.page else _marks()
        start_us = self.clock.now_us()
        for place, (message, offset_us) in enumerate(zip(self.tape.messages, self.tape.offset_us, strict=True), 1):
            planned_us = start_us + int(offset_us / self.speed)
            await self._wait_until(planned_us)
            if self.stop.is_set():
                return
            await broker.publish(message.topic, self._payload(message, planned_us), qos=1, properties=marks)
            self.published += 1
            show(place)

    def _payload(self, message: Recorded, planned_us: int) -> bytes:
        if self.keep_time:
            return message.payload

        def move(event_us: int) -> int:
            """As old as it was, at the pace of the replay: what was a second apart stays apart in proportion."""
            return event_us if message.at_us is None else planned_us + int((event_us - message.at_us) / self.speed)

        return self.tape.recording.shift(message.payload, move, planned_us)

    async def _wait_until(self, hub_us: int) -> None:
        """Sleep until a hub time, but not longer than until `stop` is set."""
        left_s = (hub_us - self.clock.now_us()) / SECOND_US / self.clock.speed
        if left_s > 0:
            try:
                await asyncio.wait_for(self.stop.wait(), left_s)
            except TimeoutError:
                return


def _marks() -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types there
    properties.UserProperty = [REPLAY_MARK]
    return properties
