"""A simulated city under the rules, without broker, log or database: what its messages make fire."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from devices.kind import kinds
from devices.readings import Readings
from devices.registry import Registry
from devices.transition import Transition
from ingest.codecs.codec import Heard
from ingest.codecs.native import CODEC
from rules.board import Board
from rules.evaluate import apply, tick
from simulators.city import City
from simulators.faults import Fault
from simulators.simulate import Town
from simulators.wire import Message

MINUTE_US = 60_000_000


def boards_of(city: City, names: Sequence[str]) -> tuple[dict[str, Board], dict[tuple[str, str], int]]:
    """Blank boards of some kinds for a city's devices, and each device's number by (kind, id)."""
    devices = sorted((d for d in city.devices() if d.kind in names), key=lambda device: device.kind)
    number = {(d.kind, d.id): no for no, d in enumerate(devices, 1)}
    rows = [
        (
            number[d.kind, d.id],
            d.commune,
            d.kind,
            d.id,
            d.type,
            number.get((d.kind, d.parent or "")),
            number.get((d.kind, d.gateway or "")),
            d.lat,
            d.lon,
            True,
            dict(d.attributes),
        )
        for d in devices
    ]
    registry = Registry.of_rows(1, rows)
    return {name: Board.of(kinds()[name], registry) for name in names}, number


def told(
    city: City,
    boards: dict[str, Board],
    number: dict[tuple[str, str], int],
    faults: Sequence[Fault],
    start_us: int,
    minutes: int,
    step: int = 1,
) -> Iterator[Transition]:
    """What fires and clears while a city talks for so many minutes, looked at every `step` minutes."""
    town = Town(city, start_us, seed=1, faults=faults)
    for board in boards.values():
        board.watch(start_us)
    for now_us in range(start_us, start_us + (minutes + step) * MINUTE_US, step * MINUTE_US):
        heard = _readings(town.step(now_us), number)
        for name, board in boards.items():
            if name in heard:
                yield from apply(board, heard[name], now_us=now_us)
            yield from tick(board, now_us=now_us)


def _readings(messages: Sequence[Message], number: dict[tuple[str, str], int]) -> dict[str, Readings]:
    said = defaultdict(list)
    for message in messages:
        if message.topic.rsplit("/", 1)[1] != "config":
            for one in CODEC.decode(message.topic, message.payload, "nowhere"):
                if isinstance(one, Heard) and (no := number.get((one.key[1], one.key[2]))) is not None:
                    said[one.key[1]].append((no, one.ts_us or message.due_us, message.due_us, one.values))
    return {kind: _columns(kind, rows) for kind, rows in said.items()}


def _columns(kind: str, rows: Sequence[tuple[int, int, int, Sequence[float | None]]]) -> Readings:
    no, ts_us, due_us, values = zip(*rows, strict=True)
    n = len(rows)
    return Readings(
        kind=kinds()[kind],
        offset=np.arange(n),
        part=np.zeros(n, np.int32),
        device_no=np.array(no, np.int64),
        ts_us=np.array(ts_us, np.int64),
        received_us=np.array(due_us, np.int64),
        time_flagged=np.zeros(n, bool),
        replayed=np.zeros(n, bool),
        values=np.array(values, float).T,
        rest={},
        strangers={},
    )
