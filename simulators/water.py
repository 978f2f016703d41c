"""Simulated water meters: hourly indexes that radio gateways deliver late and in batches. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.hours import Hours
from simulators.night import HOUR_US
from simulators.weather import Weather
from simulators.wire import HELLO_S, Message, Reading, due, encode, mixed, noise, once, phases, topic

KIND = "water_meter"
REPORT_S = 12 * 3600
"""Two radio messages a day, each with the hourly indexes since the last (as CISE Réunion's network)."""
INDEXES = REPORT_S // 3600
FLUSH_S = 1800
"""A gateway passes on what it heard every half hour."""
HOUSEHOLD_M3_DAY = 0.33
LEAK_M3H = 0.010
LEAK_TOLD_AFTER_US = 24 * HOUR_US
BURST_SHARE_OF_Q3 = 0.6
"""Three times what makes a meter raise its flag (20 % of Q3 during 30 min; Kamstrup flowIQ 3100)."""
HABIT_SHARE_OF_Q3 = 0.45
"""Of a sound meter's busiest hour: meters are chosen for more than is drawn, an hour that comes twice included."""
FITTED_WEEK = 2348
"""The meters were fitted 2348 weeks after 1970 began: in January 2015."""
PROFILES = 64
WEEK_H = 168
MONDAY_H = 4 * 24
"""1970 began on a Thursday: hours from its beginning to the first Monday."""
DRAW = np.array(
    [0.2, 0.1, 0.05, 0.05, 0.1, 0.5, 2, 5, 5, 3.5, 3, 3, 4, 3.5, 2.5, 2, 2, 3, 5, 6, 4.5, 3, 1.5, 0.6], dtype=np.float64
)
"""How often a household draws water, by hour of the day."""
THIRST, AWAY = 0.10, 0.12
"""How much more is drawn in summer than in spring, and how much less in a week of school holidays."""
PITS_EACH, PIT_C = 200, 2.5
"""One meter in so many lies in a pit that is so much colder than the others."""


class MeterReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    total_m3: float
    flow_m3h: float
    leak: bool
    burst: bool
    water_temp_c: float | None = None
    """Only with the newest index of a message."""


class Water:
    """The water meters of a city from `start_us` on; `step` gives what is due since the last step.

    A total is a function of time: habits repeat by the week, so that a simulator that starts again goes on counting.
    """

    def __init__(
        self, city: City, hours: Hours, weather: Weather, faults: Sequence[Fault], start_us: int, seed: int
    ) -> None:
        self._city, self._hours, self._weather, self._now_us = city, hours, weather, start_us
        meters, gateways = len(city.meters), len(city.gateway_id)
        self._slug = [city.communes[c].slug for c in city.gateway_commune]
        self._first_meter = np.searchsorted(city.meter_gateway, np.arange(gateways + 1))
        self._habit = (mixed(seed, np.arange(meters), 2) % np.uint64(PROFILES)).astype(np.int64)
        size = (city.meter_q3_m3h / 2.5) ** 2.5 * HOUSEHOLD_M3_DAY
        self._begin_m3 = 40.0 * (1 + noise(seed, np.arange(meters), 4))
        self._until = _cumulative_habits(seed)
        self._season, self._season_until = _seasons(hours)
        busiest = np.diff(self._until, axis=1).max(axis=1)[self._habit] * self._season.max()
        habit_m3 = 7 * size * (1.0 + 0.8 * noise(seed, np.arange(meters), 3))
        self._week_m3 = np.minimum(habit_m3, HABIT_SHARE_OF_Q3 * city.meter_q3_m3h / busiest)
        self._pit_c = np.where(np.arange(meters) % PITS_EACH == 0, PIT_C, 0.0)
        self._leak = Spans.of(faults, "leak", meters)
        self._burst = Spans.of(faults, "burst", meters)
        self._blocked = Spans.of(faults, "meter_blocked", meters)
        self._replaced = Spans.of(faults, "counter_reset", meters)
        self._changes = changes(faults, KIND, "meter")
        self._report_phase = phases(seed + 5, meters, REPORT_S) * SECOND_US
        self._flush_phase = phases(seed + 6, gateways, FLUSH_S)
        hello = start_us + phases(seed + 7, gateways, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        messages = [
            *(self._greet(at, row) for at, row in once(since, now_us, self._hello)),
            *(self._batch(at, row) for at, row in due(since, now_us, FLUSH_S, self._flush_phase)),
            *(self._alarm(at, row) for at, row in once(since, now_us, self._changes)),
            *(
                self._alarm(at, row, "leak_start")
                for at, row in once(since, now_us, self._leak.begins(LEAK_TOLD_AFTER_US))
            ),
            *(self._alarm(at, row, "leak_end") for at, row in once(since, now_us, self._leak.ends(HOUR_US))),
        ]
        return sorted((m for m in messages if m is not None), key=lambda message: message.due_us)

    def drawn_m3(self, rows: NDArray[np.int64], at_us: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """What has flowed through some meters until a time (or one time each)."""
        at_us = np.asarray(at_us)
        total = self._habits_m3(rows, at_us)
        for spans, flow in ((self._leak, LEAK_M3H), (self._burst, BURST_SHARE_OF_Q3 * self._city.meter_q3_m3h[rows])):
            if spans.rows:
                start, end = spans.start_us[rows], spans.end_us[rows]
                total += flow * (np.clip(at_us, start, end) - start) / HOUR_US
        return total

    def totals_m3(self, rows: NDArray[np.int64], at_us: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """Index of some meters at a time (or one time each), to the litre."""
        at_us, total = np.broadcast_to(at_us, len(rows)), self.drawn_m3(rows, at_us)
        blocked = np.flatnonzero(self._blocked.start_us[rows] <= at_us)
        if len(blocked):
            own = rows[blocked]
            until_us = np.minimum(at_us[blocked], self._blocked.end_us[own])
            total[blocked] -= self.drawn_m3(own, until_us) - self.drawn_m3(own, self._blocked.start_us[own])
        replaced = self._replaced.start_us[rows] <= at_us
        if replaced.any():
            total[replaced] -= self.drawn_m3(rows[replaced], self._replaced.start_us[rows[replaced]])
        return np.floor(total * 1000) / 1000

    def _habits_m3(self, rows: NDArray[np.int64], at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """By the clocks on the wall, without faults."""
        weeks, part = np.divmod(self._hours.local_us(at_us) / HOUR_US - MONDAY_H, WEEK_H)
        hour = part.astype(np.int64)
        week = np.clip(weeks.astype(np.int64) - FITTED_WEEK, 0, len(self._season) - 1)
        habit = self._until[self._habit[rows]]
        pick = np.arange(len(rows)), np.broadcast_to(hour, len(rows))
        share = habit[pick] + (part - hour) * (habit[pick[0], pick[1] + 1] - habit[pick])
        drawn: NDArray[np.float64] = self._week_m3[rows] * (self._season_until[week] + self._season[week] * share)
        return self._begin_m3[rows] + drawn

    def _greet(self, at: int, gateway: int) -> Message | None:
        """The last full hour of every meter, so that a map fills at once."""
        rows = np.arange(self._first_meter[gateway], self._first_meter[gateway + 1])
        return self._deliver(at, gateway, rows, np.full(len(rows), at // HOUR_US * HOUR_US))

    def _batch(self, at: int, gateway: int) -> Message | None:
        """The hourly indexes of the meters heard since the last batch."""
        rows = np.arange(self._first_meter[gateway], self._first_meter[gateway + 1])
        ago_us = (at - self._report_phase[rows]) % (REPORT_S * SECOND_US)
        rows, heard_us = rows[ago_us < FLUSH_S * SECOND_US], (at - ago_us)[ago_us < FLUSH_S * SECOND_US]
        last = heard_us // HOUR_US
        hours = last[:, None] - np.arange(INDEXES - 1, -1, -1)
        return self._deliver(at, gateway, np.repeat(rows, INDEXES), hours.ravel() * HOUR_US)

    def _alarm(self, at: int, row: int, event: str | None = None) -> Message | None:
        """A meter that does not wait for its turn."""
        gateway = int(self._city.meter_gateway[row])
        (reading,) = self._readings(np.array([row]), np.array([at]))
        reading.id, reading.event = None, event
        return Message(at, topic(self._slug[gateway], KIND, self._city.meters.id[row]), encode(reading))

    def _deliver(self, at: int, gateway: int, rows: NDArray[np.int64], at_us: NDArray[np.int64]) -> Message | None:
        if not len(rows):
            return None
        where = topic(self._slug[gateway], KIND, self._city.gateway_id[gateway], "batch")
        return Message(at, where, encode(self._readings(rows, at_us)))

    def _readings(self, rows: NDArray[np.int64], at_us: NDArray[np.int64]) -> list[MeterReading]:
        """Readings of meters, each at a time of its own; flow is the mean of the hour before."""
        total = self.totals_m3(rows, at_us)
        bursting = (self._burst.start_us[rows] <= at_us) & (at_us < self._burst.end_us[rows])
        flow = np.maximum(0, total - self.totals_m3(rows, at_us - HOUR_US))
        flow = np.where(bursting, np.maximum(flow, BURST_SHARE_OF_Q3 * self._city.meter_q3_m3h[rows]), flow)
        leaking = (self._leak.start_us[rows] + LEAK_TOLD_AFTER_US <= at_us) & (
            at_us < self._leak.end_us[rows] + HOUR_US
        )
        ids = self._city.meters.id
        is_newest = np.append(rows[1:] != rows[:-1], True)
        water_c = self._weather.at(self._weather.ground_c, at_us) - self._pit_c[rows]
        return [
            MeterReading(
                ts=ts,
                id=ids[row],
                total_m3=m3,
                flow_m3h=m3h,
                leak=leak,
                burst=burst,
                water_temp_c=celsius if newest else None,
            )
            for ts, row, m3, m3h, leak, burst, celsius, newest in zip(
                (at_us // 1000).tolist(),
                rows.tolist(),
                total.round(3).tolist(),
                flow.round(3).tolist(),
                leaking.tolist(),
                bursting.tolist(),
                water_c.round(1).tolist(),
                is_newest.tolist(),
                strict=True,
            )
        ]


def _cumulative_habits(seed: int) -> NDArray[np.float64]:
    """Share of a week's water drawn until each of its hours, shape (PROFILES, WEEK_H + 1); nights hold dry hours."""
    rng = np.random.default_rng([seed, 23])
    often = np.tile(DRAW, 7)
    drawn = rng.random((PROFILES, WEEK_H)) < 1 - np.exp(-often / 2)
    water = np.where(drawn, often * rng.gamma(1.5, size=(PROFILES, WEEK_H)), 0.0)
    until = np.cumsum(water, axis=1) / water.sum(axis=1, keepdims=True)
    return np.concatenate([np.zeros((PROFILES, 1)), until], axis=1)


def _seasons(hours: Hours) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much is drawn in each week since the meters were fitted, against a usual one; and the sum until each."""
    weeks = np.arange(FITTED_WEEK, (hours.first_h + len(hours.clock_h)) // WEEK_H)
    thursday_us = ((weeks * WEEK_H + MONDAY_H + 3 * 24) * HOUR_US).astype(np.int64)
    known = thursday_us >= hours.first_h * HOUR_US
    factor = 1 - THIRST * hours.winter(thursday_us) - AWAY * hours.is_school_out(thursday_us)
    factor = np.where(known, factor, 1.0)
    return factor, np.concatenate([[0.0], np.cumsum(factor)[:-1]])
