"""What the rules cost: evaluations a second, growth with the number of devices, memory, and plain Python beside it.

One evaluation is one rule looked at once for one device, with its hold, its clearing and its state.
"""

import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from benchmarks.stages import KIND as LIGHTING
from benchmarks.stages import NOW_US, lamps
from devices.kind import Column, DeviceType, Field, Formula, Kind, Mask, Rule, Text, kinds
from devices.readings import Readings
from devices.registry import Registry
from rules.board import Board
from rules.evaluate import apply

ROUNDS = 5
PERIOD_US = 300_000_000
SIBLINGS = 25
TEXT = Text("mesure", "measure")
FIELDS = ("power_w", "voltage_v", "current_a", "energy_wh", "temp_c", "flow_m3h")


def over(field: str, limit: float) -> Rule:
    """A threshold with a hold and a clearing threshold."""

    def condition(value: Column, *, limit: float = limit) -> Mask:
        return value > limit

    def clearing(value: Column, *, limit: float = 0.9 * limit) -> Mask:
        return value < limit

    return _rule(f"{field}_over_{limit:g}", (field,), condition, clearing)


def _rule(code: str, columns: tuple[str, ...], condition: Callable[..., Mask], clear: Callable[..., Mask]) -> Rule:
    def formula(function: Callable[..., Mask]) -> Formula:
        return Formula(function, columns, Formula.of(function).thresholds)

    return Rule(
        code=code,
        type="device",
        condition=formula(condition),
        title=TEXT,
        priority=3,
        help=TEXT,
        hold_s=600.0,
        clear=formula(clear),
    )


def twenty() -> tuple[Rule, ...]:
    """Fourteen thresholds, five windows and one rule on neighbours."""
    plain = [over(field, limit) for field, limit in zip(FIELDS * 3, range(980, 994), strict=False)]
    windows = [
        over(name, 980.0)
        for name in (
            "power_w__mean_15m",
            "power_w__max_1h",
            "voltage_v__mean_1h",
            "energy_wh__rise_1h",
            "temp_c__changes_1h",
        )
    ]
    return (*plain, *windows, over("siblings__power_w__mean", 980.0))


def kind() -> Kind:
    """A kind of one type with these rules."""
    return Kind(
        name="measured",
        label=TEXT,
        types=(
            DeviceType("feeder", TEXT, "dot", lambda power_w: np.full_like(power_w, 900.0)),
            DeviceType("device", TEXT, "dot", lambda power_w: np.full_like(power_w, 900.0), parent="feeder"),
        ),
        fields=tuple(Field(name, TEXT, "", -1e9, 1e9) for name in FIELDS),
        rules=twenty(),
    )


def registry(n: int) -> Registry:
    """n devices on parents of 25."""
    parents: list[Sequence[object]] = [
        (i + 1, "dijon", "measured", f"F{i}", "feeder", None, None, 47.3, 5.0, True, {}) for i in range(n // SIBLINGS)
    ]
    devices: list[Sequence[object]] = [
        (n + i, "dijon", "measured", f"D{i}", "device", i // SIBLINGS + 1, None, 47.3, 5.0, True, {}) for i in range(n)
    ]
    return Registry.of_rows(1, parents + devices)


def readings(kind: Kind, n: int, number: int) -> Readings:
    """One reading of each device, as decoding gives them."""
    chance = np.random.default_rng(number)
    at_us = np.full(n, NOW_US + number * PERIOD_US)
    return Readings(
        kind=kind,
        offset=np.arange(n),
        part=np.zeros(n, np.int32),
        device_no=n + np.arange(n),
        ts_us=at_us,
        received_us=at_us,
        time_flagged=np.zeros(n, bool),
        replayed=np.zeros(n, bool),
        values=chance.uniform(0, 1000, (len(kind.fields), n)),
        rest={},
        strangers={},
    )


def seconds(n: int, rounds: int = ROUNDS) -> tuple[float, Board]:
    """How long n readings of n devices take through the twenty rules, the median of some rounds; and the board."""
    measured = kind()
    board = Board.of(measured, registry(n))
    took = []
    for number in range(rounds):
        told = readings(measured, n, number)
        began = time.process_time()
        apply(board, told, now_us=NOW_US + number * PERIOD_US)
        took.append(time.process_time() - began)
    return float(np.median(took)), board


def memory(board: Board) -> tuple[float, float]:
    """Bytes per device: of where the rules stand, and of what windows remember."""
    lives = sum(array.nbytes for life in board.lives.values() for _, array in life.arrays())
    tracks = sum(array.nbytes for track in board.tracks.values() for _, array in track.arrays())
    return lives / len(board), tracks / len(board)


class PlainDevice:
    """One device and its twenty rules in plain Python, as one would write them message by message."""

    def __init__(self) -> None:
        self.pending_us: dict[str, int] = {}
        self.firing: set[str] = set()
        self.windows: dict[str, deque[tuple[int, float]]] = {}

    def hear(self, reading: dict[str, float], at_us: int, siblings_mean: float) -> int:
        """Take a reading in; how many rules were evaluated."""
        for number, field in enumerate(FIELDS * 3):
            if number < 14:
                self.rule(f"{field}_{number}", reading[field], 980.0 + number, at_us)
        self.rule("mean_15m", self.window("power_w", reading, at_us, 900).mean(), 980.0, at_us)
        self.rule("max_1h", self.window("power_w", reading, at_us, 3600).max(), 980.0, at_us)
        self.rule("mean_1h", self.window("voltage_v", reading, at_us, 3600).mean(), 980.0, at_us)
        self.rule("rise_1h", self.window("energy_wh", reading, at_us, 3600).rise(), 980.0, at_us)
        self.rule("changes_1h", self.window("temp_c", reading, at_us, 3600).changes(), 980.0, at_us)
        self.rule("siblings", siblings_mean, 980.0, at_us)
        return 20

    def rule(self, code: str, value: float, limit: float, at_us: int) -> None:
        """Threshold, hold and clearing."""
        if code in self.firing:
            if value < 0.9 * limit:
                self.firing.discard(code)
        elif value > limit:
            if at_us - self.pending_us.setdefault(code, at_us) >= 600_000_000:
                self.firing.add(code)
        else:
            self.pending_us.pop(code, None)

    def window(self, field: str, reading: dict[str, float], at_us: int, span_s: int) -> "PlainWindow":
        """The values of the last while."""
        kept = self.windows.setdefault(f"{field}_{span_s}", deque())
        kept.append((at_us, reading[field]))
        while kept[0][0] < at_us - span_s * 1_000_000:
            kept.popleft()
        return PlainWindow([value for _, value in kept])


class PlainWindow:
    """Questions over a list."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    def max(self) -> float:
        return max(self.values)

    def rise(self) -> float:
        return sum(max(after - before, 0) for before, after in pairwise(self.values))

    def changes(self) -> float:
        return sum(after != before for before, after in pairwise(self.values))


def plain_per_s(n: int = 500, rounds: int = 13) -> float:
    """Evaluations a second of the same rules in plain Python, once the windows are full."""
    chance, devices, evaluated, took_s = random.Random(1), [PlainDevice() for _ in range(n)], 0, 0.0
    for number in range(rounds):
        told = [{field: chance.uniform(0, 1000) for field in FIELDS} for _ in range(n)]
        mean = sum(reading["power_w"] for reading in told[:SIBLINGS]) / SIBLINGS
        began, at_us = time.process_time(), NOW_US + number * PERIOD_US
        evaluated_now = sum(device.hear(reading, at_us, mean) for device, reading in zip(devices, told, strict=True))
        if number == rounds - 1:
            evaluated, took_s = evaluated_now, time.process_time() - began
    return evaluated / took_s


def lighting() -> tuple[float, int]:
    """Microseconds a reading of 10,000 lamps through every rule of street lighting; and how many rules of lamps."""
    board, n = Board.of(kinds()[LIGHTING], lamps(10_000)), 10_000
    board.watch(NOW_US)
    took = []
    for number in range(8):
        told = readings(board.kind, n, number)
        values = np.full_like(told.values, np.nan)
        for name, value in (("dim_pct", 100.0), ("power_w", 60.0), ("voltage_v", 230.0), ("energy_wh", number * 15.0)):
            values[board.kind.field_index(name)] = value
        began = time.process_time()
        apply(board, replace(told, values=values), now_us=NOW_US + number * PERIOD_US)
        took.append((time.process_time() - began) / n * 1e6)
    return float(np.median(took)), sum(rule.type == "lamp" for rule in board.rules)


def report() -> None:
    """Print what the rules cost, one core, CPU time."""
    write = sys.stdout.write
    write(
        "\nRules: 20 of them on every device, 5 with windows of 15 min or 1 h and one over its 24 siblings; CPU time\n"
    )
    write(f"{'devices':>12}{'ms a round':>14}{'million evaluations/s':>24}\n")
    for n in (10_000, 100_000, 1_000_000):
        took_s, board = seconds(n)
        write(f"{n:12,}{1000 * took_s:14.1f}{20 * n / took_s / 1e6:24.1f}\n")
        if n == 100_000:
            at_100_000 = 20 * n / took_s
            lives, windows = memory(board)
    plain = plain_per_s()
    write(f"the same in plain Python, message by message: {plain / 1e6:.2f} million/s; ")
    write(f"the hub is {at_100_000 / plain:.0f} times as fast\n")
    write(f"memory of a device: {lives:.0f} bytes for 20 rules, {lives / 20:.1f} each; windows {windows:.0f} bytes\n")
    for name, kind_ in kinds().items():
        board = Board.of(kind_, one_of_each(kind_))
        per_type = {
            t.name: sum(
                array.nbytes
                for rule in board.rules
                if rule.type == t.name
                for _, array in board.lives[rule.code].arrays()
            )
            for t in kind_.types
        }
        told = ", ".join(f"{type_} {size} bytes" for type_, size in per_type.items())
        write(f"  {name}: rules of a {told}\n")
    per_reading, rules = lighting()
    write(f"10,000 lamps through all {rules} rules of lamps: {per_reading:.2f} µs a reading\n")


def one_of_each(kind_: Kind) -> Registry:
    """A device of each type."""
    rows = [
        (i + 1, "dijon", kind_.name, t.name, t.name, None, None, 47.3, 5.0, True, {}) for i, t in enumerate(kind_.types)
    ]
    return Registry.of_rows(1, rows)


if __name__ == "__main__":
    report()
