"""Simulated environment stations under one weather: air, noise, rain, river, wind, temperature. Pure."""

from collections.abc import Sequence

import numpy as np

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.fixtures import Sensing
from simulators.hours import Floats, Times, drift, jitter
from simulators.traffic import traffic_at
from simulators.weather import Weather
from simulators.wire import HELLO_S, Message, due, encode, once, phases, topic

KIND = "environment_station"
PERIOD_S = 300
FOG_UG_M3 = 130.0
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

    def __init__(self, city: City, weather: Weather, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        fixtures = city.fixtures
        count = len(fixtures.stations)
        self._weather, self._seed, self._now_us = weather, seed, start_us
        self._topic = [
            topic(city.communes[c].slug, KIND, id_)
            for c, id_ in zip(fixtures.stations.commune.tolist(), fixtures.stations.id, strict=True)
        ]
        self._is_optical = fixtures.station_senses == Sensing.AIR
        self._told = [TOLD[Sensing(senses)] for senses in fixtures.station_senses.tolist()]
        self._flat = Spans.of(faults, "sensor_flatline", count)
        self._dead = Spans.of(faults, "sensor_dead", count)
        self._changes = changes(faults, KIND, "station")
        self._phase = phases(seed + 71, count, PERIOD_S)
        hello = start_us + phases(seed + 72, count, HELLO_S) * SECOND_US + 1
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

    def _say(self, occasions: list[tuple[int, int]]) -> list[Message]:
        at, row = np.array(occasions, dtype=np.int64).T
        frozen = self._flat.during(row, at)
        seen = measured(self._weather, self._seed, row, np.where(frozen, self._flat.start_us[row], at))
        # An optical counter takes the droplets of fog for dust.
        seen["pm10_ug_m3"] = seen["pm10_ug_m3"] + np.where(self._is_optical[row], FOG_UG_M3 * seen["fog"], 0)
        values = {name: column.round(1).tolist() for name, column in seen.items()}
        dead = self._dead.during(row, at).tolist()
        messages = []
        for i, (at_us, station) in enumerate(zip(at.tolist(), row.tolist(), strict=True)):
            reading: dict[str, object] = {"ts": at_us // 1000, "sensor_error": dead[i]}
            reading |= {name: values[name][i] for name in self._told[station]}
            messages.append(Message(at_us, self._topic[station], encode(reading)))
        return messages


def measured(weather: Weather, seed: int, row: Times, at: Times) -> dict[str, Floats]:
    """What stations measure at times of their own: one weather for all, and the noise of each."""
    winter, own = weather.hours.winter(at), jitter(seed, row, at)
    temp, rain, front = (weather.at(column, at) for column in (weather.temp_c, weather.rain_mm, weather.front))
    wind, sun, fog = (weather.at(column, at) for column in (weather.wind_kmh, weather.sun, weather.fog))
    traffic, city = traffic_at(weather, at), np.zeros_like(row)
    river = 75 + 20 * winter + 10 * drift(seed + 5, city, at, 90) + weather.at(weather.river_cm, at)
    # Wind and rain clean the air; cold and still air over heated houses does not move.
    washed = np.clip(0.4 * rain + (wind - 12) / 25, -0.5, 1.5)
    pm10 = np.maximum(2, 13 + 6 * winter + 7 * traffic - 4 * front - 6 * washed + 1.5 * own)
    hot = np.maximum(0, temp - 25)
    wind = np.maximum(0.5, wind * (1 + 0.1 * own))
    return {
        "pm1_ug_m3": 0.42 * pm10,
        "pm25_ug_m3": 0.6 * pm10,
        "pm10_ug_m3": pm10,
        "pm10_24h_ug_m3": 17 + 6 * winter - 4 * front,
        "no2_1h_ug_m3": np.maximum(1, 11 + 4 * winter + 30 * traffic - 5 * washed + own),
        "o3_1h_ug_m3": np.maximum(1, 48 - 18 * winter + 32 * sun - 12 * traffic + 8 * hot + own),
        "co2_ppm": 425 + 40 * traffic + 4 * own,
        "temp_c": temp + 0.2 * own,
        "rh_pct": weather.at(weather.rh_pct, at),
        "noise_laeq_db": 45 + 19 * np.sqrt(traffic) + 0.08 * np.maximum(0, wind - 20) + 1.5 * own,
        "rain_15min_mm": rain,
        "wind_kmh": wind,
        "gust_kmh": 1.6 * wind,
        "wind_deg": (220 + 70 * drift(seed + 4, city, at, 30)) % 360,
        "river_level_cm": river + 0.3 * own,
        "fog": fog,
    }
