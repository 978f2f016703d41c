"""What one reading costs at each stage of its way, in one process; the ratios are what to trust."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from devices.kind import kinds
from devices.registry import Registry
from ingest.codecs.codec import codecs
from ingest.decode import decode
from ingest.log import LogReader, LogWriter, Message
from rules.board import Board
from rules.evaluate import apply, tick
from store.pgcopy import copy_buffer
from store.write import copy_columns

LAMPS = 10_000
ROUNDS = 20
NOW_US = 1_780_000_000_000_000
KIND = "street_lighting"


def lamps(n: int) -> Registry:
    """A registry of n lamps on feeders of 25."""
    feeders: list[Sequence[object]] = [
        (i + 1, "dijon", KIND, f"F{i}", "feeder", None, None, 47.3, 5.0, True, {}) for i in range(n // 25)
    ]
    rows: list[Sequence[object]] = [
        (n + i, "dijon", KIND, f"L{i}", "lamp", i // 25 + 1, None, 47.3, 5.0, True, {"rated_power_w": 60})
        for i in range(n)
    ]
    return Registry.of_rows(1, feeders + rows)


def messages(n: int, number: int, each: int = 1) -> list[Message]:
    """One reading per lamp, `each` to a message."""
    ts = NOW_US // 1000 + number * 900_000
    told = [{"id": f"L{i}", "ts": ts, "dim_pct": 100, "power_w": 60.5, "voltage_v": 230.1} for i in range(n)]
    groups = [told[i : i + each] for i in range(0, n, each)]
    return [
        Message(i, ts * 1000, "city", f"city/dijon/{KIND}/A{i}/batch", msgspec.json.encode(group))
        for i, group in enumerate(groups)
    ]


def timed(work: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Microseconds per reading, median over the inputs."""
    took = []
    for one in inputs:
        began = time.perf_counter()
        work(one)
        took.append((time.perf_counter() - began) / LAMPS * 1e6)
    return sorted(took)[len(took) // 2]


def measure(each: int) -> Iterator[tuple[str, float]]:
    """(stage, µs per reading) with `each` readings to a message."""
    registry = lamps(LAMPS)
    numbers = registry.numbers()
    board = Board.of(kinds()[KIND], registry)
    sources = {"city": (codecs()["native"], "dijon")}
    stretches = [messages(LAMPS, number, each) for number in range(ROUNDS)]
    with TemporaryDirectory() as folder, LogWriter(Path(folder)) as log:
        yield "log, append and fsync", timed(log.append, stretches)
        reader = LogReader(Path(folder))
        offsets = range(0, reader.next_offset, len(stretches[0]))
        yield "log, read", timed(lambda offset: reader.read(offset, 1), offsets)
    yield "decode", timed(lambda stretch: decode(stretch, sources.get, numbers), stretches)
    readings = [decode(stretch, sources.get, numbers).readings[0] for stretch in stretches]
    board.watch(NOW_US)
    yield "rules of street lighting", timed(lambda rows: apply(board, rows, now_us=NOW_US), readings)
    yield "rules, a tick over every device", timed(lambda _: tick(board, now_us=NOW_US), readings)
    yield "COPY buffer", timed(lambda rows: copy_buffer(copy_columns(rows)), readings)


def report() -> None:
    """Print the table."""
    columns = {each: dict(measure(each)) for each in (1, 20)}
    write = sys.stdout.write
    write(f"\nCost of a reading by stage, µs (median of {ROUNDS} rounds of {LAMPS:,} lamps)\n")
    write(f"{'':34}{'1 a message':>14}{'20 a message':>14}\n")
    for stage, cost_us in columns[1].items():
        write(f"{stage:34}{cost_us:14.2f}{columns[20][stage]:14.2f}\n")
