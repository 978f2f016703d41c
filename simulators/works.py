"""Simulated road works: sites with their hours, the cones and barriers around them, and temporary lights. Pure."""

from collections.abc import Sequence

import numpy as np

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.hours import Floats, Times, jitter
from simulators.night import DAY_US, HOUR_US
from simulators.weather import Weather
from simulators.wire import HELLO_S, Message, Reading, due, encode, noise, once, phases, topic

KIND = "road_works"
SITE_S, BARRIER_S, LIGHT_S = 900, 3600, 300
IDLE_EVERY = 4
"""While nobody works a site speaks at every fourth of its occasions: once an hour."""
FROM_H, UNTIL_H = 7, 17
"""Hours of work, Monday to Friday but for public holidays; heavy rain, storm, frost and snow send people home."""
COLOUR_S = 45


class SiteReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    active: bool
    has_order: bool
    in_permitted_hours: bool
    left_h: float
    idle_h: float
    lanes_closed: int
    noise_laeq_db: float


class BarrierReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    tilt_deg: float
    moved_m: float
    battery_pct: float


class LightReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    needed: bool
    switched_on: bool
    red_lamp_error: bool
    stage_age_s: int
    battery_pct: float


class Works:
    """The works sites of a city from `start_us` on; `step` gives what is due since the last step.

    When the works of a site are over, the next begin in the same place.
    """

    def __init__(self, city: City, weather: Weather, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        fixtures = city.fixtures
        sites, hours = len(fixtures.sites), weather.hours
        self._fixtures, self._weather, self._hours = fixtures, weather, hours
        self._seed, self._now_us = seed, start_us
        self._slug = [city.communes[c].slug for c in fixtures.sites.commune.tolist()]
        self._lasts_us = ((40 + 30 * noise(seed, np.arange(sites), 1)) * DAY_US).astype(np.int64)
        self._lanes = (noise(seed, np.arange(sites), 2) > 0).astype(np.int64) + 1
        works = ~hours.rests & (hours.clock_h >= FROM_H) & (hours.clock_h < UNTIL_H)
        is_foul = (weather.rain_mm > 1.5) | (weather.wind_kmh > 50) | (weather.snow_cm > 1) | (weather.temp_c < -5)
        self._works = works = works & ~is_foul
        self._worked = np.maximum.accumulate(np.where(works, np.arange(len(works)), -1))
        self._first_barrier = np.searchsorted(fixtures.barrier_site, np.arange(sites + 1))
        self._first_light = np.searchsorted(fixtures.light_site, np.arange(sites + 1))
        self._overrun = Spans.of(faults, "site_overrun", sites)
        self._down = Spans.of(faults, "barrier_down", len(fixtures.barriers))
        self._out = Spans.of(faults, "temporary_light_out", len(fixtures.lights))
        self._changes = {type_: changes(faults, KIND, type_) for type_ in ("site", "barrier", "temporary_light")}
        self._phase = {period: phases(seed + period, sites, period) for period in (SITE_S, BARRIER_S, LIGHT_S)}
        hello = start_us + phases(seed + 81, sites, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        hello = once(since, now_us, self._hello)
        turns = [(at, row) for at, row in due(since, now_us, SITE_S, self._phase[SITE_S]) if self._has_news(at, row)]
        lights = [*due(since, now_us, LIGHT_S, self._phase[LIGHT_S]), *hello]
        light_site = self._fixtures.light_site
        lights += [(at, int(light_site[row])) for at, row in once(since, now_us, self._changes["temporary_light"])]
        messages = [
            *self._sites([*hello, *turns, *once(since, now_us, self._changes["site"])]),
            *(self._barriers(at, row) for at, row in [*due(since, now_us, BARRIER_S, self._phase[BARRIER_S]), *hello]),
            *(self._barrier(at, row) for at, row in once(since, now_us, self._changes["barrier"])),
            *(self._lights(at, row) for at, row in lights if self._first_light[row] < self._first_light[row + 1]),
        ]
        return sorted(messages, key=lambda message: message.due_us)

    def _has_news(self, at: int, site: int) -> bool:
        """At work, just gone home, or its hourly turn."""
        before, now = self._works[self._hours.row(np.array([at - SITE_S * SECOND_US, at]))].tolist()
        return bool(before or now or at // (SITE_S * SECOND_US) % IDLE_EVERY == site % IDLE_EVERY)

    def _sites(self, occasions: list[tuple[int, int]]) -> list[Message]:
        if not occasions:
            return []
        at, row = np.array(occasions, dtype=np.int64).T
        hour = self._hours.row(at)
        active = self._works[hour]
        over = self._overrun.during(row, at)
        left_us = self._lasts_us[row] - (at + row * 5 * DAY_US) % self._lasts_us[row]
        left_h = np.where(over, (self._overrun.start_us[row] - at) / HOUR_US - 1, left_us / HOUR_US)
        idle_h = np.where(active, 0, hour - self._worked[hour] - 1 + at % HOUR_US / HOUR_US)
        loud = np.where(active, 72, 48) + 4 * jitter(self._seed, row, at)
        columns = (active, left_h.round(1), idle_h.round(1), self._lanes[row], loud.round(1))
        return [
            Message(
                at_us,
                topic(self._slug[site], KIND, self._fixtures.sites.id[site]),
                encode(
                    SiteReading(
                        ts=at_us // 1000,
                        active=is_active,
                        has_order=True,
                        in_permitted_hours=is_active,
                        left_h=left,
                        idle_h=idle,
                        lanes_closed=lanes,
                        noise_laeq_db=noise_db,
                    )
                ),
            )
            for at_us, site, is_active, left, idle, lanes, noise_db in zip(
                at.tolist(), row.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]

    def _barriers(self, at: int, site: int) -> Message:
        rows = np.arange(self._first_barrier[site], self._first_barrier[site + 1])
        readings = self._barrier_readings(at, rows)
        return Message(at, topic(self._slug[site], KIND, self._fixtures.sites.id[site], "batch"), encode(readings))

    def _barrier(self, at: int, row: int) -> Message:
        """A barrier that does not wait for its turn."""
        (reading,) = self._barrier_readings(at, np.array([row]))
        reading.id = None
        site = int(self._fixtures.barrier_site[row])
        return Message(at, topic(self._slug[site], KIND, self._fixtures.barriers.id[row]), encode(reading))

    def _barrier_readings(self, at: int, rows: Times) -> list[BarrierReading]:
        times = np.full(len(rows), at)
        down = self._down.during(rows, at)
        wobble = jitter(self._seed + 1, rows, times)
        gust = np.maximum(0, self._weather.at(self._weather.wind_kmh, times) - 30) / 10
        columns = (
            np.where(down, 87.0, 3 + (2 + gust) * np.abs(wobble)).round(1),
            np.where(down, 1.4, 0.5 + 0.4 * wobble).round(1),
            _battery_pct(rows, at, days=40),
        )
        return [
            BarrierReading(ts=at // 1000, id=self._fixtures.barriers.id[row], tilt_deg=t, moved_m=m, battery_pct=b)
            for row, t, m, b in zip(rows.tolist(), *(column.tolist() for column in columns), strict=True)
        ]

    def _lights(self, at: int, site: int) -> Message:
        rows = np.arange(self._first_light[site], self._first_light[site + 1])
        readings = [
            LightReading(
                ts=at // 1000,
                id=self._fixtures.lights.id[row],
                needed=True,
                switched_on=not is_out,
                red_lamp_error=is_out,
                stage_age_s=0 if is_out else at // SECOND_US % COLOUR_S,
                battery_pct=battery,
            )
            for row, is_out, battery in zip(
                rows.tolist(), self._out.during(rows, at).tolist(), _battery_pct(rows, at, days=6).tolist(), strict=True
            )
        ]
        return Message(at, topic(self._slug[site], KIND, self._fixtures.sites.id[site], "batch"), encode(readings))


def _battery_pct(rows: Times, at: int, *, days: int) -> Floats:
    """Changed every so many days, long before it is empty."""
    used = (at / DAY_US + 3.7 * rows) % days / days
    return (98 - 60 * used).round(1)
