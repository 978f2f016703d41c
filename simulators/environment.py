"""Simulated environment stations under one weather: air, noise, rain, river, wind, temperature. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans
from simulators.fixtures import Sensing
from simulators.hours import Hours, Times, drift, jitter
from simulators.traffic import traffic_at
from simulators.wire import HELLO_S, Message, due, encode, once, phases, topic

KIND = "environment_station"
PERIOD_S = 300
Floats = NDArray[np.float64]
AIR = ("pm1_ug_m3", "pm25_ug_m3", "pm10_ug_m3", "pm10_24h_ug_m3", "no2_1h_ug_m3", "temp_c", "rh_pct")
TOLD: dict[Sensing, tuple[str, ...]] = {
    Sensing.CERTIFIED_AIR: (*AIR, "o3_1h_ug_m3"),
    Sensing.AIR: (*AIR, "co2_ppm"),
    Sensing.NOISE: ("noise_laeq_db",),
    Sensing.WEATHER: ("temp_c", "rh_pct", "rain_15min_mm", "wind_kmh", "gust_kmh", "wind_deg"),
    Sensing.RIVER: ("river_level_cm", "rain_15min_mm"),
}


class Environment:
    """The stations of a city from `start_us` on; `step` gives what is due since the last step."""

    def __init__(self, city: City, hours: Hours, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        fixtures = city.fixtures
        count = len(fixtures.stations)
        self._hours, self._seed, self._now_us = hours, seed, start_us
        self._topic = [
            topic(city.communes[c].slug, KIND, id_)
            for c, id_ in zip(fixtures.stations.commune.tolist(), fixtures.stations.id, strict=True)
        ]
        self._told = [TOLD[Sensing(senses)] for senses in fixtures.station_senses.tolist()]
        self._flat = Spans.of(faults, "sensor_flatline", count)
        self._dead = Spans.of(faults, "sensor_dead", count)
        self._phase = phases(seed + 71, count, PERIOD_S)
        hello = start_us + phases(seed + 72, count, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        changed = self._dead.begins() + self._dead.ends()
        occasions = [
            *due(since, now_us, PERIOD_S, self._phase),
            *once(since, now_us, self._hello),
            *once(since, now_us, changed),
        ]
        return self._say(sorted(occasions)) if occasions else []

    def _say(self, occasions: list[tuple[int, int]]) -> list[Message]:
        at, row = np.array(occasions, dtype=np.int64).T
        flat = (self._flat.start_us[row] <= at) & (at < self._flat.end_us[row])
        seen = weather(self._hours, self._seed, row, np.where(flat, self._flat.start_us[row], at))
        values = {name: column.round(1).tolist() for name, column in seen.items()}
        dead = ((self._dead.start_us[row] <= at) & (at < self._dead.end_us[row])).tolist()
        messages = []
        for i, (at_us, station) in enumerate(zip(at.tolist(), row.tolist(), strict=True)):
            reading: dict[str, object] = {"ts": at_us // 1000, "sensor_error": dead[i]}
            reading |= {name: values[name][i] for name in self._told[station]}
            messages.append(Message(at_us, self._topic[station], encode(reading)))
        return messages


def weather(hours: Hours, seed: int, row: Times, at: Times) -> dict[str, Floats]:
    """What stations measure at times of their own: one weather for all, and the noise of each. No storm, no episode."""
    city = np.zeros_like(row)
    winter, hour = hours.winter(at), hours.hour(at)
    sun = np.maximum(0, np.sin(np.pi * (hour - 6) / 14)) * (hour > 6) * (hour < 20)
    front = drift(seed + 1, city, at, 60)
    own = jitter(seed, row, at)
    temp = 11 - 9 * winter + 6 * (sun - 0.4) * (1 - 0.4 * winter) + 2 * front + 0.2 * own
    rain = np.maximum(0, drift(seed + 2, city, at, 7) - 0.55) * 7
    wind = np.maximum(0.5, 12 + 8 * drift(seed + 3, city, at, 9) + own)
    traffic = traffic_at(hours, at)
    pm10 = np.maximum(2, 13 + 6 * winter + 7 * traffic - 4 * front + 1.5 * own)
    return {
        "pm1_ug_m3": 0.42 * pm10,
        "pm25_ug_m3": 0.6 * pm10,
        "pm10_ug_m3": pm10,
        "pm10_24h_ug_m3": 17 + 6 * winter - 4 * front,
        "no2_1h_ug_m3": 11 + 4 * winter + 30 * traffic + own,
        "o3_1h_ug_m3": 48 - 18 * winter + 32 * sun - 12 * traffic + own,
        "co2_ppm": 425 + 40 * traffic + 4 * own,
        "temp_c": temp,
        "rh_pct": np.clip(72 - 20 * (sun - 0.3) - 6 * front + 40 * np.minimum(rain, 0.4), 20, 99),
        "noise_laeq_db": 45 + 19 * np.sqrt(traffic) + 1.5 * own,
        "rain_15min_mm": rain,
        "wind_kmh": wind,
        "gust_kmh": 1.6 * wind,
        "wind_deg": (220 + 70 * drift(seed + 4, city, at, 30)) % 360,
        "river_level_cm": 75 + 30 * winter + 14 * drift(seed + 5, city, at, 90) + 0.3 * own,
    }
