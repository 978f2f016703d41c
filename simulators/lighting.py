"""Simulated street lighting: what lamps, feeders and cabinets say through their gateways. Pure."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US
from simulators.city import MAINS_V, City
from simulators.faults import Fault, Spans
from simulators.night import Schedule
from simulators.wire import HELLO_S, Message, Reading, due, encode, noise, once, phases, topic

KIND = "street_lighting"
LAMP_S, FEEDER_S, CABINET_S = 900, 120, 300
LAMPS_OFF_EVERY = 4
"""By day lamps speak at every fourth of their occasions: once an hour."""
WILL_AFTER_S = 90
"""A broker publishes a dead client's last will after one and a half keep-alives of 60 s."""
STANDBY_W = 0.4


class LampReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    dim_pct: float
    dim_actual_pct: float
    power_w: float
    voltage_v: float
    energy_wh: float
    burning_h: float
    lamp_failure: bool


class FeederReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    breaker_tripped: bool
    contactor_closed: bool
    current_a: float
    voltage_v: float
    power_w: float
    energy_wh: float


class CabinetReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    door_open: bool
    online: bool


class Lighting:
    """The lighting of a city from `start_us` on; `step` gives what is due since the last step."""

    def __init__(self, city: City, schedule: Schedule, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        self._city, self._schedule, self._seed = city, schedule, seed
        self._now_us = start_us
        cabinets = len(city.cabinets)
        self._slug = [city.communes[c].slug for c in city.cabinets.commune]
        self._out = Spans.of(faults, "lamp_out", len(city.lamps))
        self._trip = Spans.of(faults, "feeder_trip", len(city.feeders))
        self._mute = Spans.of(faults, "gateway_silent", cabinets)
        self._feeder_w = city.feeder_rated_w
        self._first_feeder = np.searchsorted(city.feeder_cabinet, np.arange(cabinets + 1))
        self._first_lamp = np.searchsorted(city.lamp_feeder, np.arange(len(city.feeders) + 1))
        self._switch_offset_us = (noise(seed, np.arange(cabinets), 1) * 120 * SECOND_US).astype(np.int64)
        self._phase = {period: phases(seed + period, cabinets, period) for period in (LAMP_S, FEEDER_S, CABINET_S)}
        hello = start_us + phases(seed, cabinets, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        messages = [
            *chain.from_iterable(self._greet(at, row) for at, row in once(since, now_us, self._hello)),
            *(self._lamps(at, row) for at, row in self._due(since, LAMP_S) if self._has_news(at, row)),
            *(self._feeders(at, row) for at, row in self._due(since, FEEDER_S)),
            *(self._cabinet(at, row) for at, row in self._due(since, CABINET_S)),
            *self._of_faults(since),
        ]
        return sorted((m for m in messages if m is not None), key=lambda message: message.due_us)

    def _due(self, since_us: int, period_s: int) -> list[tuple[int, int]]:
        return due(since_us, self._now_us, period_s, self._phase[period_s])

    def _is_mute(self, at: int, cabinet: int) -> bool:
        return bool(self._mute.start_us[cabinet] <= at < self._mute.end_us[cabinet])

    def _level(self, at: int, cabinet: int) -> float:
        return self._schedule.level_at(at - int(self._switch_offset_us[cabinet]))

    def _has_news(self, at: int, cabinet: int) -> bool:
        """Lit, just switched off, or its hourly turn."""
        turn = at // (LAMP_S * SECOND_US) % LAMPS_OFF_EVERY == cabinet % LAMPS_OFF_EVERY
        return turn or self._level(at, cabinet) > 0 or self._level(at - LAMP_S * SECOND_US, cabinet) > 0

    def _greet(self, at: int, cabinet: int) -> list[Message | None]:
        return [
            self._state(at, cabinet, online=not self._is_mute(at, cabinet)),
            self._cabinet(at, cabinet),
            self._feeders(at, cabinet),
            self._lamps(at, cabinet),
        ]

    def _of_faults(self, since_us: int) -> list[Message | None]:
        """What the faults make devices say out of turn."""
        now, city = self._now_us, self._city
        said: list[Message | None] = []
        for at, row in once(since_us, now, self._trip.begins()):
            said.append(self._feeder_event(at, row, "breaker_tripped"))
        for at, row in once(since_us, now, self._trip.ends()):
            said.append(self._feeder_event(at, row, "breaker_closed"))
        for at, row in once(since_us, now, self._trip.ends(20 * SECOND_US)):
            said.append(self._lamps(at, int(city.feeder_cabinet[row]), feeder=row))
        for at, row in once(since_us, now, self._out.begins() + self._out.ends()):
            feeder = int(city.lamp_feeder[row])
            said.append(self._lamps(at, int(city.feeder_cabinet[feeder]), feeder=feeder))
        for at, row in once(since_us, now, self._mute.begins(WILL_AFTER_S * SECOND_US)):
            if self._is_mute(at, row):
                said.append(self._state(at, row, online=False))
        for at, row in once(since_us, now, self._mute.ends()):
            said += self._greet(at, row)
        return said

    def _lamps(self, at: int, cabinet: int, feeder: int | None = None) -> Message | None:
        """A batch of the lamps that have supply: those of a cabinet, or of one of its feeders."""
        if self._is_mute(at, cabinet):
            return None
        city, level = self._city, self._level(at, cabinet)
        feeders = self._first_feeder[cabinet : cabinet + 2] if feeder is None else np.array([feeder, feeder + 1])
        rows = np.arange(self._first_lamp[feeders[0]], self._first_lamp[feeders[1]])
        tripped = self._trip.during(at)
        rows = rows[~tripped[city.lamp_feeder[rows]]]
        if not len(rows):
            return None
        out = self._out.during(at)[rows]
        rated = city.lamp_rated_w[rows]
        power = rated * level / 100 * (1 + 0.02 * noise(self._seed, rows, at))
        power = np.where(out | (level == 0), STANDBY_W, power)
        # The longer of two losses, not their sum: a counter must not run back where they overlap.
        lost_h = np.maximum(self._lost_h(at, self._out, rows), self._lost_h(at, self._trip, city.lamp_feeder[rows]))
        energy = rated * (self._schedule.full_h_at(at) - lost_h)
        voltage = 230 + 3 * noise(self._seed + 1, rows, at)
        burning = float(self._schedule.burning_h_at(at))
        readings = [
            LampReading(
                ts=at // 1000,
                id=city.lamps.id[row],
                dim_pct=level,
                dim_actual_pct=0.0 if failed else level,
                power_w=round(watts, 1),
                voltage_v=round(volts, 1),
                energy_wh=round(watt_hours),
                burning_h=round(burning, 1),
                lamp_failure=failed and level > 0,
            )
            for row, failed, watts, volts, watt_hours in zip(
                rows.tolist(), out.tolist(), power.tolist(), voltage.tolist(), energy.tolist(), strict=True
            )
        ]
        return self._message(at, cabinet, "batch", readings)

    def _feeders(self, at: int, cabinet: int) -> Message | None:
        if self._is_mute(at, cabinet):
            return None
        rows = np.arange(self._first_feeder[cabinet], self._first_feeder[cabinet + 1])
        return self._message(at, cabinet, "batch", self._feeder_readings(at, cabinet, rows))

    def _feeder_event(self, at: int, row: int, event: str) -> Message | None:
        cabinet = int(self._city.feeder_cabinet[row])
        if self._is_mute(at, cabinet):
            return None
        (reading,) = self._feeder_readings(at, cabinet, np.array([row]))
        reading.id, reading.event = None, event
        return Message(at, topic(self._slug[cabinet], KIND, self._city.feeders.id[row]), encode(reading))

    def _feeder_readings(self, at: int, cabinet: int, rows: NDArray[np.int64]) -> list[FeederReading]:
        level = self._level(at, cabinet)
        tripped = self._trip.during(at)[rows]
        rated = self._feeder_w[rows]
        power = np.where(tripped, 0, rated * level / 100 * (1 + 0.01 * noise(self._seed, rows, at)))
        voltage = np.where(tripped, 0, MAINS_V + 3 * noise(self._seed + 1, rows, at))
        energy = rated * (self._schedule.full_h_at(at) - self._lost_h(at, self._trip, rows))
        return [
            FeederReading(
                ts=at // 1000,
                id=self._city.feeders.id[row],
                breaker_tripped=is_tripped,
                contactor_closed=level > 0,
                current_a=round(watts / MAINS_V, 2),
                voltage_v=round(volts, 1),
                power_w=round(watts, 1),
                energy_wh=round(watt_hours),
            )
            for row, is_tripped, watts, volts, watt_hours in zip(
                rows.tolist(), tripped.tolist(), power.tolist(), voltage.tolist(), energy.tolist(), strict=True
            )
        ]

    def _lost_h(self, at: int, spans: Spans, rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Hours of full power that each device has not burnt for a fault, until now."""
        start, end = spans.start_us[rows], spans.end_us[rows]
        return self._schedule.full_h_at(np.clip(at, start, end)) - self._schedule.full_h_at(start)

    def _cabinet(self, at: int, cabinet: int) -> Message | None:
        if self._is_mute(at, cabinet):
            return None
        return self._message(at, cabinet, "telemetry", CabinetReading(ts=at // 1000, door_open=False, online=True))

    def _state(self, at: int, cabinet: int, *, online: bool) -> Message:
        """Retained: a birth with its time, or the last will, which was written beforehand and knows no time."""
        payload = {"ts": at // 1000, "online": True} if online else {"online": False}
        return self._message(at, cabinet, "state", payload, retain=True)

    def _message(self, at: int, cabinet: int, leaf: str, payload: object, *, retain: bool = False) -> Message:
        where = topic(self._slug[cabinet], KIND, self._city.cabinets.id[cabinet], leaf)
        return Message(at, where, encode(payload), retain)
