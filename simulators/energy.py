"""Simulated energy meters of public buildings: a load curve by use, hour, day and weather. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.hours import Times, jitter
from simulators.night import HOUR_US
from simulators.weather import Weather
from simulators.wire import HELLO_S, Message, Reading, due, encode, noise, once, phases, topic

KIND = "energy_meter"
PERIOD_S = 600
BASE = 0.14
"""What a building draws when nobody is there, of its subscribed power."""
PEAK = 0.62
EXCEEDED = 1.25
OPEN_H = np.array([(8, 18), (8, 22), (8, 19), (7, 19), (10, 19), (0, 24), (7, 17), (0, 24)])
"""Opening hours by use (simulators/fixtures.py)."""
OPEN_AT_WEEKEND = np.array([False, True, False, False, True, True, False, True])
FOLLOWS_SCHOOL = np.array([True, False, False, False, False, False, False, False])
"""Closed in the school holidays."""
HEATED = np.array([0.5, 0.35, 0.4, 0.5, 0.4, 0.1, 0.3, 0.0])
COOLED = np.array([0.0, 0.1, 0.3, 0.1, 0.2, 0.0, 0.1, 0.0])
"""Share of heating in the load at 0 °C, and what cooling adds to it at 36 °C."""


class EnergyReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    power_w: float
    power_l1_w: float
    power_l2_w: float
    power_l3_w: float
    apparent_va: float
    cos_phi: float
    voltage_v: float
    import_wh: float


class Energy:
    """The energy meters of a city from `start_us` on; `step` gives what is due since the last step.

    A counter is a function of time: the load of each use is summed over the hours of the calendar.
    """

    def __init__(self, city: City, weather: Weather, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        fixtures = city.fixtures
        count = len(fixtures.energy)
        self._hours, self._seed, self._now_us = weather.hours, seed, start_us
        self._topic = [
            topic(city.communes[c].slug, KIND, id_)
            for c, id_ in zip(fixtures.energy.commune.tolist(), fixtures.energy.id, strict=True)
        ]
        self._use = fixtures.energy_use
        self._full_w = 1000 * fixtures.energy_kva * (0.95 + 0.05 * noise(seed, np.arange(count), 1))
        self._load = loads(weather)
        self._until = np.concatenate([np.zeros((len(self._load), 1)), np.cumsum(self._load, axis=1)], axis=1)
        self._over = Spans.of(faults, "power_exceeded", count)
        self._reset = Spans.of(faults, "energy_counter_reset", count)
        self._changes = changes(faults, KIND, "meter")
        self._phase = phases(seed + 61, count, PERIOD_S)
        hello = start_us + phases(seed + 62, count, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        occasions = [
            *due(since, now_us, PERIOD_S, self._phase),
            *once(since, now_us, self._hello),
            *once(since, now_us, self._changes),
        ]
        return self._say(sorted(occasions)) if occasions else []

    def import_wh(self, row: Times, at: Times) -> NDArray[np.float64]:
        """Energy drawn until a time."""
        hour, use = self._hours.row(at), self._use[row]
        part = at % HOUR_US / HOUR_US
        full_h = self._until[use, hour] + part * self._load[use, hour]
        start, end = self._over.start_us[row], self._over.end_us[row]
        over_h = (np.clip(at, start, end) - start) / HOUR_US
        drawn: NDArray[np.float64] = self._full_w[row] * (full_h + EXCEEDED * over_h)
        return drawn

    def _before_reset_wh(self, row: Times, at: Times) -> NDArray[np.float64]:
        """What an earlier meter counted in the same place."""
        before = np.zeros(len(row))
        reset = self._reset.start_us[row] <= at
        before[reset] = self.import_wh(row[reset], self._reset.start_us[row[reset]])
        return before

    def _say(self, occasions: list[tuple[int, int]]) -> list[Message]:
        at, row = np.array(occasions, dtype=np.int64).T
        load = self._load[self._use[row], self._hours.row(at)] * (1 + 0.06 * jitter(self._seed, row, at))
        over = self._over.during(row, at)
        power = self._full_w[row] * (load + np.where(over, EXCEEDED, 0))
        cos_phi = 0.965 + 0.015 * jitter(self._seed + 1, row, at)
        skew = 0.04 * jitter(self._seed + 2, row, at)
        columns = (
            power.round(),
            (power / 3 * (1 + skew)).round(),
            (power / 3 * (1 - skew)).round(),
            (power / 3).round(),
            (power / cos_phi).round(),
            cos_phi.round(3),
            (231 + 3 * jitter(self._seed + 3, row, at)).round(1),
            (self.import_wh(row, at) - self._before_reset_wh(row, at)).round(),
        )
        return [
            Message(
                at_us,
                self._topic[meter],
                encode(
                    EnergyReading(
                        ts=at_us // 1000,
                        power_w=power,
                        power_l1_w=l1,
                        power_l2_w=l2,
                        power_l3_w=l3,
                        apparent_va=apparent,
                        cos_phi=cos_phi,
                        voltage_v=volts,
                        import_wh=wh,
                    )
                ),
            )
            for at_us, meter, power, l1, l2, l3, apparent, cos_phi, volts, wh in zip(
                at.tolist(), row.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]


def loads(weather: Weather) -> NDArray[np.float64]:
    """Load by use and hour of the calendar, of the subscribed power, shape (uses, hours)."""
    hours = weather.hours
    opens, closes = OPEN_H.T[:, :, None]
    is_open = (hours.clock_h >= opens) & (hours.clock_h < closes)
    is_open &= ~hours.rests | OPEN_AT_WEEKEND[:, None]
    is_open &= ~hours.school_out | ~FOLLOWS_SCHOOL[:, None]
    heating, cooling = np.clip((17 - weather.temp_c) / 17, 0, 1.8), np.clip((weather.temp_c - 24) / 12, 0, 1.5)
    felt = 1 + HEATED[:, None] * (heating - 1) + COOLED[:, None] * cooling
    return np.where(is_open, PEAK, BASE) * felt
