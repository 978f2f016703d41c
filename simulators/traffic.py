"""Simulated traffic lights: what controllers say of their signals, and what their detectors count. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.hours import Times, jitter
from simulators.weather import Weather
from simulators.wire import HELLO_S, Message, Reading, due, encode, noise, once, phases, topic

KIND = "traffic_light"
WATCHDOG_S, COUNTS_S = 60, 300
STAGES = 4
CYCLE_S = np.array([0, 80, 100, 110, 60, 70])
"""By plan: 1 day, 2 morning peak, 3 evening peak, 4 night, 5 week-end."""
FLASH_FROM_H, FLASH_UNTIL_H = 0.5, 5.5
"""A third of the junctions without buses flash by timetable in these hours."""
WEEKDAY = np.array(
    [6, 3, 2, 2, 5, 15, 42, 85, 100, 76, 60, 60, 68, 66, 60, 68, 86, 100, 92, 62, 40, 28, 20, 11, 6], dtype=np.float64
)
WEEKEND = np.array(
    [12, 8, 6, 5, 5, 7, 12, 18, 30, 45, 58, 64, 60, 55, 58, 62, 64, 62, 55, 45, 34, 26, 22, 17, 12], dtype=np.float64
)
"""Traffic by hour of the day, of the weekday's peak, in per cent."""
SCHOOL_RUN = 0.15
"""Share of the traffic that stays at home in school holidays."""
SNOWED_IN_CM = 8.0
"""Snow at which half of the traffic stays at home; the rest drives at half its speed."""


class JunctionReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    plan: int
    timetable_plan: int
    control_mode: int
    stage: int
    stage_age_s: float
    cycle_s: int
    clock_offset_s: float
    priority_asked_1h: int
    priority_refused_1h: int
    switched_on: bool
    yellow_flash: bool
    flash_planned: bool
    safety_error: bool
    door_open: bool


class DetectorReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    vehicles: int
    speed_kmh: float
    occupancy_pct: float
    hardware_error: bool
    logic_error: bool


def traffic_at(weather: Weather, at_us: Times) -> NDArray[np.float64]:
    """Traffic of the city at a time, 0 to 1."""
    hours = weather.hours
    hour = hours.hour(at_us)
    week, rest = np.interp(hour, np.arange(25), WEEKDAY), np.interp(hour, np.arange(25), WEEKEND)
    comes = 1 - SCHOOL_RUN * hours.is_school_out(at_us) - 0.5 * _snowed_in(weather, at_us)
    return np.where(hours.is_rest(at_us), rest, week) / 100 * comes


def _snowed_in(weather: Weather, at_us: Times) -> NDArray[np.float64]:
    return np.minimum(1, weather.at(weather.snow_cm, at_us) / SNOWED_IN_CM)


class Traffic:
    """The traffic lights of a city from `start_us` on; `step` gives what is due since the last step."""

    def __init__(self, city: City, weather: Weather, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        fixtures = city.fixtures
        self._ids, self._detector_ids = fixtures.junctions.id, fixtures.detectors.id
        self._weather, self._hours, self._seed, self._now_us = weather, weather.hours, seed, start_us
        count = len(self._ids)
        self._slug = [city.communes[c].slug for c in fixtures.junctions.commune.tolist()]
        self._has_bus = fixtures.junction_has_bus
        self._flashes = ~self._has_bus & (noise(seed, np.arange(count), 1) < -0.34)
        self._first = np.searchsorted(fixtures.detector_junction, np.arange(count + 1))
        self._busy = 22 + 14 * noise(seed, np.arange(len(self._detector_ids)), 2)
        self._dark = Spans.of(faults, "junction_dark", count)
        self._conflict = Spans.of(faults, "conflict_flash", count)
        self._night = Spans.of(faults, "night_flash", count)
        self._changes = changes(faults, KIND, "junction")
        self._stuck = Spans.of(faults, "detector_stuck", len(self._detector_ids))
        self._watchdog = phases(seed + 51, count, WATCHDOG_S)
        self._counts = phases(seed + 52, count, COUNTS_S)
        hello = start_us + phases(seed + 53, count, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        counts = [*due(since, now_us, COUNTS_S, self._counts), *once(since, now_us, self._hello)]
        states = [*due(since, now_us, WATCHDOG_S, self._watchdog), *once(since, now_us, self._changes)]
        messages = [
            *self._junctions(states),
            *(self._detectors(at, row) for at, row in counts if self._first[row] < self._first[row + 1]),
        ]
        return sorted(messages, key=lambda message: message.due_us)

    def _junctions(self, occasions: list[tuple[int, int]]) -> list[Message]:
        """The state of junctions, each at a time of its own."""
        if not occasions:
            return []
        at, row = np.array(occasions, dtype=np.int64).T
        hour, rest = self._hours.hour(at), self._hours.is_rest(at)
        peaks = [(hour < 6) | (hour >= 22), rest, (hour >= 7) & (hour < 9.5), (hour >= 16.5) & (hour < 19)]
        plan = np.select(peaks, [4, 5, 2, 3], 1)
        dark = self._dark.during(row, at)
        conflict = self._conflict.during(row, at)
        by_night = self._flashes[row] & (hour >= FLASH_FROM_H) & (hour < FLASH_UNTIL_H)
        by_night |= self._night.during(row, at)
        flash = (by_night | conflict) & ~dark
        cycle = CYCLE_S[plan]
        second = (at // SECOND_US + 7 * row) % cycle
        runs = ~flash & ~dark
        asked = np.where(self._has_bus[row], 14 * traffic_at(self._weather, at) * (1 + 0.2 * jitter(4, row, at)), 0)
        columns = (
            plan,
            np.where(conflict | dark, 3, 1),
            np.where(runs, 1 + second * STAGES // cycle, 0),
            np.where(runs, second % (cycle // STAGES), 0),
            cycle,
            (0.3 * jitter(self._seed + 3, row, at)).round(2),
            asked.astype(np.int64),
            (0.08 * asked).astype(np.int64),
            ~dark,
            flash,
            by_night & ~conflict,
            conflict,
        )
        return [
            Message(
                at_us,
                topic(self._slug[j], KIND, self._ids[j]),
                encode(
                    JunctionReading(
                        ts=at_us // 1000,
                        plan=plan,
                        timetable_plan=plan,
                        control_mode=mode,
                        stage=stage,
                        stage_age_s=age,
                        cycle_s=cycle,
                        clock_offset_s=offset,
                        priority_asked_1h=asked,
                        priority_refused_1h=refused,
                        switched_on=on,
                        yellow_flash=flash,
                        flash_planned=planned,
                        safety_error=error,
                        door_open=False,
                    )
                ),
            )
            for at_us, j, plan, mode, stage, age, cycle, offset, asked, refused, on, flash, planned, error in zip(
                at.tolist(), row.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]

    def _detectors(self, at: int, junction: int) -> Message:
        """The counts of a junction's detectors, in one batch."""
        rows = np.arange(self._first[junction], self._first[junction + 1])
        times = np.full(len(rows), at)
        traffic, slow = traffic_at(self._weather, times), 1 - 0.5 * _snowed_in(self._weather, times)
        wobble = jitter(self._seed, rows, times)
        vehicles = np.maximum(0, self._busy[rows] * traffic * (1 + 0.25 * wobble)).astype(np.int64)
        stuck = self._stuck.during(rows, at)
        occupancy = np.where(stuck, 100.0, np.minimum(80, 1.5 * vehicles * (1 + 0.3 * traffic))).round(1)
        readings = [
            DetectorReading(
                ts=at // 1000,
                id=self._detector_ids[row],
                vehicles=0 if is_stuck else count,
                speed_kmh=speed if count and not is_stuck else 0.0,
                occupancy_pct=pct,
                hardware_error=False,
                logic_error=False,
            )
            for row, count, speed, pct, is_stuck in zip(
                rows.tolist(),
                vehicles.tolist(),
                (slow * (42 - 14 * traffic + 4 * wobble)).round(1).tolist(),
                occupancy.tolist(),
                stuck.tolist(),
                strict=True,
            )
        ]
        return Message(at, topic(self._slug[junction], KIND, self._ids[junction], "batch"), encode(readings))
