"""Messages that simulated devices publish, and how they become bytes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US

HELLO_S = 60
"""At start every device speaks once within this time."""


@dataclass(frozen=True, slots=True)
class Message:
    """A publish that is due at a hub time, in microseconds since 1970."""

    due_us: int
    topic: str
    payload: bytes
    retain: bool = False


class Reading(msgspec.Struct, gc=False, omit_defaults=True):
    """What a device says; `id` only within a batch. Times in milliseconds since 1970."""

    ts: int
    id: str | None = None
    event: str | None = None


encode = msgspec.json.Encoder().encode


def topic(commune: str, kind: str, device_id: str, leaf: str = "telemetry") -> str:
    """A topic of the hub's own format."""
    return f"city/{commune}/{kind}/{device_id}/{leaf}"


def due(since_us: int, until_us: int, period_s: int, phase_s: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(time, row) of every regular occasion after `since_us` and up to `until_us`, in order of time.

    Row i has its occasions whenever the time since 1970 is `phase_s[i]` more than a multiple of the period.
    """
    period, phase = period_s * SECOND_US, phase_s * SECOND_US
    before = (since_us - phase) // period
    count = (until_us - phase) // period - before
    rows = np.repeat(np.arange(len(phase)), count)
    first = np.repeat(np.cumsum(count) - count, count)
    times = (before[rows] + 1 + np.arange(len(rows)) - first) * period + phase[rows]
    return sorted(zip(times.tolist(), rows.tolist(), strict=True))


def once(since_us: int, until_us: int, times_us: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the (time, row) occasions that fall after `since_us` and up to `until_us`."""
    return [occasion for occasion in times_us if since_us < occasion[0] <= until_us]


def mixed(seed: int, rows: NDArray[np.integer[Any]], tick: int) -> NDArray[np.uint64]:
    """A random number per row, the same for the same seed, row and tick (SplitMix64's finish).

    Chance that depends on nothing but these makes a message independent of how often the simulator looks at the clock.
    """
    x = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x += np.uint64((seed * 0xD1B54A32D192ED03 + tick * 0x8CB92BA72F3D8DD7) & 0xFFFFFFFFFFFFFFFF)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def noise(seed: int, rows: NDArray[np.integer[Any]], tick: int) -> NDArray[np.float64]:
    """Evenly distributed from -1 to 1, one per row."""
    return mixed(seed, rows, tick).astype(np.float64) / 2.0**63 - 1.0


def phases(seed: int, count: int, period_s: int) -> NDArray[np.int64]:
    """A second of the period for each of `count` rows, spread evenly in a shuffled order."""
    order = np.argsort(mixed(seed, np.arange(count), 0), kind="stable")
    spread = np.empty(count, dtype=np.int64)
    spread[order] = np.arange(count) * period_s // max(count, 1)
    return spread
