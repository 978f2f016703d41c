"""Simulated lamps and feeders: what each draws, counts and tells at a time, with its faults. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US
from simulators.city import MAINS_V, City
from simulators.faults import Fault, Spans
from simulators.hours import Floats, Rows, Times
from simulators.night import HOUR_US, Schedule
from simulators.wire import Reading, due, noise

KIND = "street_lighting"
STANDBY_W = 0.4
WEAK = 0.67
STUCK_PCT = 65.0
FLIP_S = 240
"""A lamp that cycles goes on or off so often."""
LAMP_FAULTS = ("lamp_out", "lamp_weak", "dimming_stuck", "day_burner", "cycling", "lamp_unreachable", "lamp_replaced")
FEEDER_FAULTS = ("feeder_trip", "cable_theft", "day_burner_feeder", "works_window")


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


class Lamps:
    """The lamps of a city; counters are functions of time."""

    def __init__(self, city: City, schedule: Schedule, faults: Sequence[Fault], seed: int) -> None:
        self._city, self._schedule, self._seed = city, schedule, seed
        self._has = {name: Spans.of(faults, name, len(city.lamps)) for name in LAMP_FAULTS}
        self._feeder_has = {name: Spans.of(faults, name, len(city.feeders)) for name in FEEDER_FAULTS}
        self._is_far = city.lamp_is_far
        self._cycling = np.array(self._has["cycling"].rows, np.int64)

    def flips(self, since_us: int, until_us: int) -> list[tuple[int, int]]:
        """(time, lamp) at which cycling lamps go on or off."""
        if not len(self._cycling):
            return []
        turns = due(since_us, until_us, FLIP_S, np.zeros(len(self._cycling), np.int64))
        told = [(at, int(self._cycling[number])) for at, number in turns]
        return [(at, row) for at, row in told if self._has["cycling"].during(np.array([row]), at)[0]]

    def heard(self, at: int, rows: Times) -> Times:
        """Those of some lamps that have supply and reach their gateway."""
        feeder = self._city.lamp_feeder[rows]
        lost = self._has["lamp_unreachable"].during(rows, at) | self._feeder_has["feeder_trip"].during(feeder, at)
        lost |= self._feeder_has["cable_theft"].during(feeder, at) & self._is_far[rows]
        return rows[~lost]

    def readings(self, at: int, rows: Times, level: float) -> list[LampReading]:
        """What lamps of one cabinet say, which are told a dimming level."""
        feeder, rated = self._city.lamp_feeder[rows], self._city.lamp_rated_w[rows]
        out = self._has["lamp_out"].during(rows, at)
        told = np.where(self._feeder_has["works_window"].during(feeder, at), 0.0, level)
        burns = self._burns_pct(at, rows, told, out)
        share = burns / 100 * np.where(self._has["lamp_weak"].during(rows, at), WEAK, 1.0)
        power = np.where(share == 0, STANDBY_W, rated * share * (1 + 0.02 * noise(self._seed, rows, at)))
        voltage = 230 + 3 * noise(self._seed + 1, rows, at)
        energy_h, burning_h = self._burnt_h(at, rows), np.full(len(rows), self._schedule.burning_h_at(at))
        replaced = self._has["lamp_replaced"].start_us[rows] <= at
        if replaced.any():
            begun_us = self._has["lamp_replaced"].start_us[rows[replaced]]
            energy_h[replaced] -= self._schedule.full_h_at(begun_us)
            burning_h[replaced] -= self._schedule.burning_h_at(begun_us)
        energy = (rated * energy_h).round().astype(np.int64)
        columns = (
            told,
            burns,
            power.round(1),
            voltage.round(1),
            energy,
            burning_h.round(1),
            out & (told > 0),
        )
        ids = self._city.lamps.id
        return [
            LampReading(
                ts=at // 1000,
                id=ids[row],
                dim_pct=dim,
                dim_actual_pct=actual,
                power_w=watts,
                voltage_v=volts,
                energy_wh=watt_hours,
                burning_h=hours,
                lamp_failure=failed,
            )
            for row, dim, actual, watts, volts, watt_hours, hours, failed in zip(
                rows.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]

    def _burns_pct(self, at: int, rows: Times, told: Floats, out: NDArray[np.bool_]) -> Floats:
        """How brightly lamps shine in truth."""
        feeder, has = self._city.lamp_feeder[rows], self._has
        burns = np.where(has["dimming_stuck"].during(rows, at) & (told > 0), STUCK_PCT, told)
        welded = has["day_burner"].during(rows, at) | self._feeder_has["day_burner_feeder"].during(feeder, at)
        burns = np.where(welded & (told == 0), 100.0, burns)
        is_off = at // (FLIP_S * SECOND_US) % 2 == 1
        return np.where(out | (has["cycling"].during(rows, at) & is_off), 0.0, burns)

    def _burnt_h(self, at: int, rows: Times) -> Floats:
        """Hours of full power until now: those of the schedule, without what faults cost and with what they added."""
        feeder = self._city.lamp_feeder[rows]
        # The longest loss, not the sum: a counter must not run back where they overlap.
        lost_h = _lost_h(self._schedule, self._has["lamp_out"], rows, at)
        for name in ("feeder_trip", "works_window"):
            lost_h = np.maximum(lost_h, _lost_h(self._schedule, self._feeder_has[name], feeder, at))
        stolen_h = _lost_h(self._schedule, self._feeder_has["cable_theft"], feeder, at)
        lost_h = np.maximum(lost_h, np.where(self._is_far[rows], stolen_h, 0.0))
        extra_h = _extra_h(self._schedule, self._has["day_burner"], rows, at)
        extra_h += _extra_h(self._schedule, self._feeder_has["day_burner_feeder"], feeder, at)
        burnt: Floats = self._schedule.full_h_at(at) - lost_h + extra_h
        return burnt


class Feeders:
    """The feeders of a city, seen from their cabinets."""

    def __init__(self, city: City, schedule: Schedule, faults: Sequence[Fault], seed: int) -> None:
        self._id, self._schedule, self._seed = city.feeders.id, schedule, seed
        self._has = {name: Spans.of(faults, name, len(city.feeders)) for name in FEEDER_FAULTS}
        self._rated_w = city.feeder_rated_w
        near = np.where(city.lamp_is_far, 0.0, city.lamp_rated_w)
        self._near_w = np.bincount(city.lamp_feeder, near, len(city.feeders)).astype(np.float64)

    def readings(self, at: int, rows: Times, level: float) -> list[FeederReading]:
        """What the feeders of one cabinet say, whose contactors are told a level."""
        has = {name: spans.during(rows, at) for name, spans in self._has.items()}
        tripped = has["feeder_trip"]
        closed = (level > 0) & ~has["works_window"]
        rated = np.where(has["cable_theft"], self._near_w[rows], self._rated_w[rows])
        share = np.where(closed, level / 100, np.where(has["day_burner_feeder"], 1.0, 0.0))
        power = np.where(tripped, 0, rated * share * (1 + 0.01 * noise(self._seed, rows, at)))
        voltage = np.where(tripped, 0, MAINS_V + 3 * noise(self._seed + 1, rows, at))
        energy = self._rated_w[rows] * self._burnt_h(at, rows)
        columns = (
            tripped,
            closed,
            (power / MAINS_V).round(2),
            voltage.round(1),
            power.round(1),
            energy.round().astype(np.int64),
        )
        return [
            FeederReading(
                ts=at // 1000,
                id=self._id[row],
                breaker_tripped=is_tripped,
                contactor_closed=is_closed,
                current_a=amperes,
                voltage_v=volts,
                power_w=watts,
                energy_wh=watt_hours,
            )
            for row, is_tripped, is_closed, amperes, volts, watts, watt_hours in zip(
                rows.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]

    def _burnt_h(self, at: int, rows: Times) -> Floats:
        """Hours of full power of the whole feeder until now."""
        lost_h = np.maximum(*(_lost_h(self._schedule, self._has[n], rows, at) for n in ("feeder_trip", "works_window")))
        far = 1 - self._near_w[rows] / np.maximum(self._rated_w[rows], 1)
        lost_h = np.maximum(lost_h, far * _lost_h(self._schedule, self._has["cable_theft"], rows, at))
        extra_h = _extra_h(self._schedule, self._has["day_burner_feeder"], rows, at)
        burnt: Floats = self._schedule.full_h_at(at) - lost_h + extra_h
        return burnt


def _lost_h(schedule: Schedule, spans: Spans, rows: Rows, at: int) -> Floats:
    """Hours of full power that each device has not burnt for a fault, until now."""
    start, end = spans.start_us[rows], spans.end_us[rows]
    if not spans.rows or not (start <= at).any():
        return np.zeros(len(rows))
    return schedule.full_h_at(np.clip(at, start, end)) - schedule.full_h_at(start)


def _extra_h(schedule: Schedule, spans: Spans, rows: Rows, at: int) -> Floats:
    """Hours of full power that each device has burnt although it was told to be dark."""
    start, end = spans.start_us[rows], spans.end_us[rows]
    if not spans.rows or not (start <= at).any():
        return np.zeros(len(rows))
    until = np.clip(at, start, end)
    extra_h: Floats = (until - start) / HOUR_US - schedule.burning_h_at(until) + schedule.burning_h_at(start)
    return extra_h
