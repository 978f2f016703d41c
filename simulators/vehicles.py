"""Simulated municipal vehicles that drive along the streets of their city, by shift, day and weather. Pure.

State moves on in steps of 10 s of hub time per vehicle, a tenth of the fleet each second, whatever the pace of calls.
"""

import math
from collections import deque
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US, to_datetime
from simulators.city import SERVICES, City
from simulators.faults import Fault, changes
from simulators.night import HOUR_US
from simulators.streets import Network
from simulators.weather import Weather
from simulators.wire import Message, encode, noise, topic

KIND = "fleet_vehicle"
TICK_S = 10
IDLE_EVERY, PARKED_EVERY = 6, 30
"""Ticks between messages: 60 s while idling, 5 min with the ignition off."""
TOWN_KMH = np.array([42.0, 38.0, 29.0, 22.0])
"""Usual speed on a main road, a boulevard, a street, a lane."""
ROAD_KMH = 68.0
GPS_ERROR_M = 3.0


class Mode(IntEnum):
    OFF_DUTY = 0
    PARKED = 1
    IDLING = 2
    MOVING = 3


LASTS_S = {Mode.PARKED: (300, 2400), Mode.IDLING: (20, 180), Mode.MOVING: (120, 900)}
SHIFTS_H = (((6.0, 8.5), (8.0, 10.0), 0.70), ((12.5, 14.0), (7.0, 8.5), 0.15), ((20.0, 22.0), (7.0, 8.0), 0.10))
"""Begin between, length between, share of the vehicles; the rest stay in the depot."""
REST_DAY_SHARE = 0.25
"""Of the shifts, those that are also worked at week-ends and on public holidays."""
WINTER_SERVICES = ("Propreté", "Voirie", "Espaces verts")
SALTED_CM, SLOW_CM = 0.5, 8.0
"""Snow at which the winter service is out, day and night; and at which everybody drives at 60 % of the usual speed."""


class Vehicles:
    """The vehicles of a city from `start_us` on; `step` gives what is due since the last step."""

    def __init__(self, city: City, weather: Weather, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        count = len(city.vehicles)
        self._city, self._weather, self._hours = city, weather, weather.hours
        self._changes = deque(sorted(told for told in changes(faults, KIND, "vehicle") if told[0] > start_us))
        self._topic = [
            topic(city.communes[c].slug, KIND, id_)
            for c, id_ in zip(city.vehicles.commune, city.vehicles.id, strict=True)
        ]
        self._rng = rng = np.random.default_rng([seed, 31])
        self._roads = _Roads(city.network)
        self._now_us = start_us
        self._second = -(-start_us // SECOND_US)
        self._first = self._second
        self._edge = city.vehicle_edge.astype(np.int64)
        self._forward = rng.random(count) < 0.5
        self._along_m = np.zeros(count)
        self._kmh = np.zeros(count)
        self._odometer_m = rng.uniform(5_000_000, 160_000_000, count)
        self._shift_h = _shifts(count, rng)
        numbers = np.arange(count)
        self._works_always = noise(seed, numbers, 32) < 2 * REST_DAY_SHARE - 1
        self._salts = np.isin(numbers % len(SERVICES), [SERVICES.index(name) for name in WINTER_SERVICES])
        self._mode = np.where(self._on_shift(self._second, numbers), Mode.MOVING, Mode.OFF_DUTY)
        self._until_s = self._second + rng.integers(30, 600, count)

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        messages: list[Message] = []
        while self._second * SECOND_US <= now_us:
            while self._changes and self._changes[0][0] <= self._second * SECOND_US:
                messages.append(self._out_of_turn(*self._changes.popleft()))
            messages += self._tick(self._second)
            self._second += 1
        self._now_us = now_us
        return messages

    def _tick(self, second: int) -> list[Message]:
        """Move the tenth of the fleet whose turn it is."""
        rows = np.arange(second % TICK_S, len(self._mode), TICK_S)
        if not len(rows):
            return []
        events = self._change_modes(second, rows)
        moving = rows[self._mode[rows] == Mode.MOVING]
        self._drive(moving, 1 - 0.4 * min(1, self._snow_cm(second) / SLOW_CM))
        self._kmh[rows[self._mode[rows] != Mode.MOVING]] = 0.0
        every = np.select(
            [self._mode[rows] == Mode.MOVING, self._mode[rows] == Mode.IDLING], [1, IDLE_EVERY], PARKED_EVERY
        )
        in_turn = (second // TICK_S + rows) % every == 0
        speaks = in_turn | (second < self._first + TICK_S) | np.array([row in events for row in rows.tolist()])
        said = rows[speaks]
        return self._readings(second, said, events) if len(said) else []

    def _on_shift(self, second: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whose shift it is: the day on which a shift began decides, and snow calls the winter service."""
        at = np.full(len(rows), second * SECOND_US)
        begin, length = (column[rows] for column in self._shift_h)
        since_h = (self._hours.hour(at) - begin) % 24
        began = (at - since_h * HOUR_US).astype(np.int64)
        works = (since_h < length) & (self._works_always[rows] | ~self._hours.is_rest(began))
        return works | (self._salts[rows] & (self._snow_cm(second) > SALTED_CM))

    def _snow_cm(self, second: int) -> float:
        row = self._hours.row(np.array(second * SECOND_US))
        return float(self._weather.snow_cm[row])

    def _change_modes(self, second: int, rows: NDArray[np.int64]) -> dict[int, str | None]:
        """Rows whose mode changes now, with the event that goes with it."""
        changed: dict[int, str | None] = {}
        mode, on_shift = self._mode[rows], self._on_shift(second, rows)
        over = second >= self._until_s[rows]
        for row, old, works, is_over in zip(
            rows.tolist(), mode.tolist(), on_shift.tolist(), over.tolist(), strict=True
        ):
            if works == (old == Mode.OFF_DUTY):
                self._enter(row, Mode.MOVING if works else Mode.OFF_DUTY, second)
                changed[row] = "on_duty" if works else "off_duty"
            elif is_over and old != Mode.OFF_DUTY:
                rest = Mode.PARKED if self._rng.random() < 0.25 else Mode.IDLING
                self._enter(row, rest if old == Mode.MOVING else Mode.MOVING, second)
                changed[row] = None
        return changed

    def _enter(self, row: int, mode: Mode, second: int) -> None:
        self._mode[row] = mode
        if mode in LASTS_S:
            self._until_s[row] = second + int(self._rng.integers(*LASTS_S[mode]))

    def _drive(self, rows: NDArray[np.int64], pace: float) -> None:
        if not len(rows):
            return
        roads = self._roads
        usual = roads.kmh[self._edge[rows]]
        wish = pace * usual * self._rng.normal(1.0, 0.18, len(rows)).clip(0.3, 1.35)
        self._kmh[rows] = (0.5 * self._kmh[rows] + 0.5 * wish).clip(4.0, 88.0)
        metres = self._kmh[rows] / 3.6 * TICK_S
        self._odometer_m[rows] += metres
        self._along_m[rows] += metres
        for row in rows[self._along_m[rows] >= roads.length_m[self._edge[rows]]].tolist():
            self._turn(row)

    def _turn(self, row: int) -> None:
        """Cross as many nodes as the distance driven asks for."""
        edge, forward, along = int(self._edge[row]), bool(self._forward[row]), float(self._along_m[row])
        while along >= self._roads.length[edge]:
            along -= self._roads.length[edge]
            edge, forward = self._roads.onward(edge, forward, float(self._rng.random()))
        self._edge[row], self._forward[row], self._along_m[row] = edge, forward, along

    def _out_of_turn(self, at: int, row: int) -> Message:
        """What a vehicle says when a fault begins or is over; its chance disturbs no other's."""
        kept, self._rng = self._rng, np.random.default_rng([at, row])
        (said,) = self._readings(at // SECOND_US, np.array([row]), {})
        self._rng = kept
        return Message(at, said.topic, said.payload)

    def _readings(self, second: int, rows: NDArray[np.int64], events: dict[int, str | None]) -> list[Message]:
        roads, edge, forward = self._roads, self._edge[rows], self._forward[rows]
        a = np.where(forward[:, None], roads.begin[edge], roads.end[edge])
        b = np.where(forward[:, None], roads.end[edge], roads.begin[edge])
        share = (self._along_m[rows] / roads.length_m[edge])[:, None]
        at = a + (b - a) * share + self._rng.normal(0, GPS_ERROR_M, (len(rows), 2))
        lat, lon = self._city.network.plane.to_degrees(at)
        course = np.degrees(np.arctan2(b[:, 0] - a[:, 0], b[:, 1] - a[:, 1])) % 360
        hdop = self._rng.uniform(0.7, 1.6, len(rows))
        ts = to_datetime(second * SECOND_US).isoformat().replace("+00:00", "Z")
        snow_cm = self._snow_cm(second)
        messages = []
        for i, row in enumerate(rows.tolist()):
            mode = int(self._mode[row])
            reading: dict[str, object] = {
                "ts": ts,
                "lat": round(float(lat[i]), 6),
                "lon": round(float(lon[i]), 6),
                "speed_kmh": round(float(self._kmh[row]), 1),
                "course_deg": round(float(course[i]), 1) % 360,
                "odometer_m": round(float(self._odometer_m[row])),
                "hdop": round(float(hdop[i]), 1),
                "battery_v": 13.9 if mode >= Mode.IDLING else 12.6,
                "ignition": mode >= Mode.IDLING,
                "on_duty": mode != Mode.OFF_DUTY,
            }
            if self._salts[row] and mode == Mode.MOVING and snow_cm > SALTED_CM:
                reading["pto"] = True
            if event := events.get(row):
                reading["event"] = event
            messages.append(Message(second * SECOND_US, self._topic[row], encode(reading)))
        return messages


def _shifts(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Begin (hour of the day) and length (hours) of each vehicle's shift; length 0 stays in the depot."""
    begin, length = np.zeros(count), np.zeros(count)
    chosen = rng.random(count)
    low = 0.0
    for begins, lengths, share in SHIFTS_H:
        own = (low <= chosen) & (chosen < low + share)
        begin[own], length[own] = rng.uniform(*begins, own.sum()), rng.uniform(*lengths, own.sum())
        low += share
    return begin, length


class _Roads:
    """The network as a driver sees it: what leads on from the end of an edge."""

    def __init__(self, network: Network) -> None:
        self.begin, self.end = network.node[network.edge[:, 0]], network.node[network.edge[:, 1]]
        self.length_m = network.edge_length_m().clip(0.5)
        self.length: Sequence[float] = self.length_m.tolist()
        rank = np.array([s.rank for s in network.streets])[network.edge_street]
        lit = np.array([s.lit for s in network.streets])[network.edge_street]
        self.kmh = np.where(lit, TOWN_KMH[rank], ROAD_KMH)
        self._weight: Sequence[float] = np.array([2.0, 1.6, 1.0, 0.7])[rank].tolist()
        self._heading: Sequence[list[float]] = ((self.end - self.begin) / self.length_m[:, None]).tolist()
        self._edge: Sequence[list[int]] = network.edge.tolist()
        self._out: list[list[tuple[int, bool]]] = [[] for _ in range(len(network.node))]
        for number, (a, b) in enumerate(self._edge):
            self._out[a].append((number, True))
            self._out[b].append((number, False))

    def onward(self, edge: int, forward: bool, chance: float) -> tuple[int, bool]:
        """The next edge and its direction: rather straight on and larger roads; back only at a dead end."""
        node = self._edge[edge][1 if forward else 0]
        options = [(other, way) for other, way in self._out[node] if other != edge]
        if not options:
            return edge, not forward
        if len(options) == 1:
            return options[0]
        hx, hy = self._heading[edge]
        sign = 1.0 if forward else -1.0
        weights = []
        for other, way in options:
            ox, oy = self._heading[other]
            straight = (hx * ox + hy * oy) * sign * (1.0 if way else -1.0)
            weights.append(self._weight[other] * math.exp(2.0 * straight))
        left = chance * sum(weights)
        for option, weight in zip(options, weights, strict=True):
            left -= weight
            if left < 0:
                return option
        return options[-1]
