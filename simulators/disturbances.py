"""What lies between a device and its broker: late batches, tunnels, clocks that drift, duplicates, garbage. Pure.

Every message is disturbed by chance of its own, drawn from the seed, its topic and its time, so that it does not
matter how often the simulator looks at the clock.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from hub.clock import SECOND_US
from simulators.hours import Floats, Times
from simulators.night import HOUR_US
from simulators.symptoms import garbled, shuffled_us
from simulators.wire import Message, encode, noise

MINUTE_US = 60 * SECOND_US
LATE_H = (2, 26)
SLOT_US = 10 * MINUTE_US
TUNNEL_US = (1 * MINUTE_US, 4 * MINUTE_US)
UPLOAD_S, AGAIN_S, OVERTAKEN_S = 20, 60, 90
DRIFT_S_PER_H = 6.0
"""A drifting clock is set right every Sunday at midnight (UTC); until then it may gain or lose a quarter of an hour."""
WEEK_US = 7 * 24 * HOUR_US
SUNDAY_US = 3 * 24 * HOUR_US
"""1970 began on a Thursday."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How much is disturbed, as shares from 0 to 1."""

    late_water: float = 0.0
    """Of the batches of water meters: come 2 to 26 hours late."""
    tunnels: float = 0.0
    """Of the ten-minute spans of each vehicle: 1 to 4 min without radio, then everything at once, in no order."""
    duplicates: float = 0.0
    """Of all messages: come a second time within a minute, as QoS 1 allows."""
    out_of_order: float = 0.0
    """Of all messages: are overtaken, by up to 90 s."""
    malformed: float = 0.0
    """Of all messages: are cut short."""
    clock_drift: float = 0.0
    """Of the devices and gateways: have a clock that drifts, up to a quarter of an hour in a week."""


EVERYDAY = Rates(late_water=0.01, tunnels=0.01, duplicates=0.0005, out_of_order=0.0005)
STILL = Rates()


class _Topic(NamedTuple):
    number: int
    is_water: bool
    is_vehicle: bool
    is_telemetry: bool


class Disturbances:
    """What happens to a city's messages; holds those that come later."""

    def __init__(self, rates: Rates, seed: int) -> None:
        self._rates, self._seed, self._is_still = rates, seed, not any(astuple(rates))
        self._topics: dict[str, _Topic] = {}
        self._held: list[tuple[int, str, bytes, bool]] = []

    def passed_on(self, messages: Sequence[Message], now_us: int) -> list[Message]:
        """What arrives until now, in order of time: of these messages, and of those held before."""
        arrived = []
        for message in messages if self._is_still else self._disturbed(messages):
            if message.due_us <= now_us:
                arrived.append(message)
            else:
                heappush(self._held, (message.due_us, message.topic, message.payload, message.retain))
        while self._held and self._held[0][0] <= now_us:
            arrived.append(Message(*heappop(self._held)))
        return sorted(arrived, key=lambda message: message.due_us)

    def _disturbed(self, messages: Sequence[Message]) -> list[Message]:
        if not messages:
            return []
        topics = [self._topic(message.topic) for message in messages]
        number, is_water, is_vehicle, is_telemetry = np.array(topics, np.int64).T
        due = np.array([message.due_us for message in messages])
        rates, where = self._rates, number * 1_000_003
        wait_us = self._late_us(where, due, is_water == 1) + self._tunnel_us(where, due, is_vehicle == 1)
        drift_us = np.where(self._chance(where, 6) < rates.clock_drift, self._drift_us(number, due), 0)
        overtaken = self._chance(where + due, 3) < rates.out_of_order
        again = self._chance(where + due, 4) < rates.duplicates
        cut = self._chance(where + due, 5) < rates.malformed
        touched = is_telemetry.astype(bool) & ((wait_us > 0) | (drift_us != 0) | overtaken | again | cut)
        out = list(messages)
        for i in np.flatnonzero(touched).tolist():
            message = _drifted(out[i], int(drift_us[i])) if drift_us[i] else out[i]
            message = garbled(message) if cut[i] else message
            wait = int(wait_us[i]) + (shuffled_us(message, UPLOAD_S) if wait_us[i] else 0)
            wait += shuffled_us(message, OVERTAKEN_S) if overtaken[i] else 0
            out[i] = message = replace(message, due_us=message.due_us + wait)
            if again[i]:
                out.append(replace(message, due_us=message.due_us + shuffled_us(message, AGAIN_S)))
        return out

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            _, _, kind, _, leaf = name.split("/")
            is_water = kind == "water_meter" and leaf == "batch"
            is_telemetry = leaf in ("telemetry", "batch")
            self._topics[name] = _Topic(crc32(name.encode()), is_water, kind == "fleet_vehicle", is_telemetry)
        return self._topics[name]

    def _chance(self, what: Times, tick: int) -> Floats:
        """Evenly distributed from 0 to 1."""
        return (noise(self._seed + 101, what, tick) + 1) / 2

    def _late_us(self, where: Times, due: Times, is_water: np.ndarray) -> Times:
        hold_h = LATE_H[0] + (LATE_H[1] - LATE_H[0]) * self._chance(where + due, 7)
        is_late = is_water & (self._chance(where + due, 1) < self._rates.late_water)
        return np.where(is_late, (hold_h * HOUR_US).astype(np.int64), 0)

    def _tunnel_us(self, where: Times, due: Times, is_vehicle: np.ndarray) -> Times:
        """How long a message waits for the end of a tunnel."""
        slot, in_slot = np.divmod(due, SLOT_US)
        lasts = TUNNEL_US[0] + (TUNNEL_US[1] - TUNNEL_US[0]) * self._chance(where + slot, 8)
        begin = (SLOT_US - lasts) * self._chance(where + slot, 9)
        inside = is_vehicle & (begin <= in_slot) & (in_slot < begin + lasts)
        inside &= self._chance(where + slot, 2) < self._rates.tunnels
        return np.where(inside, (begin + lasts - in_slot).astype(np.int64), 0)

    def _drift_us(self, number: Times, due: Times) -> Times:
        since_h = (due - SUNDAY_US) % WEEK_US / HOUR_US
        return (since_h * DRIFT_S_PER_H * noise(self._seed + 102, number, 0) * SECOND_US).astype(np.int64)


def _drifted(message: Message, ahead_us: int) -> Message:
    """A message whose device believes that it is later, or earlier."""
    try:
        said = msgspec.json.decode(message.payload)
    except msgspec.DecodeError:
        return message  # a fault has made it unreadable already
    for part in said if isinstance(said, list) else [said]:
        ts = part["ts"]
        if isinstance(ts, int):
            part["ts"] = ts + ahead_us // 1000
        else:
            moment = datetime.fromisoformat(ts) + timedelta(microseconds=ahead_us)
            part["ts"] = moment.isoformat().replace("+00:00", "Z")
    return replace(message, payload=encode(said))
