"""The weather: by season and hour, the same for a seed, overridden by spells, and felt by every fleet."""

import json
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest

from hub.clock import to_us
from simulators.city import City
from simulators.energy import Energy
from simulators.environment import Environment
from simulators.hours import Hours
from simulators.night import HOUR_US
from simulators.traffic import Traffic, traffic_at
from simulators.water import Water
from simulators.weather import SPELLS, Spell, Weather
from simulators.works import Works

HOURS = Hours.of(date(2026, 1, 1), date(2028, 1, 1), "Europe/Paris")
NOON = to_us(datetime.fromisoformat("2026-11-24T11:00:00+00:00"))
LONG = 36 * HOUR_US


def during(name: str) -> Weather:
    """A spell that began a day ago."""
    return Weather.of(HOURS, 1, [Spell(name, NOON - 24 * HOUR_US, NOON + LONG)])


USUAL = Weather.of(HOURS, 1)


def said(fleet: Any, hours: int = 2) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for message in fleet.step(NOON + hours * HOUR_US):
        parts = json.loads(message.payload)
        found += parts if isinstance(parts, list) else [parts]
    return found


def mean(readings: list[dict[str, Any]], field: str) -> float:
    return float(np.mean([r[field] for r in readings if field in r]))


def test_the_same_seed_brings_the_same_weather_and_another_one_other() -> None:
    assert (Weather.of(HOURS, 1).temp_c == USUAL.temp_c).all()
    assert (Weather.of(HOURS, 2).temp_c != USUAL.temp_c).any()


def test_a_longer_calendar_changes_no_hour() -> None:
    later = Weather.of(Hours.of(date(2026, 1, 1), date(2028, 6, 1), "Europe/Paris"), 1)
    for name in ("temp_c", "rain_mm", "snow_cm", "river_cm"):
        assert getattr(later, name)[: len(USUAL.temp_c)] == pytest.approx(getattr(USUAL, name), abs=1e-6)


def test_seasons_and_hours_of_the_day() -> None:
    month = (HOURS.yearday / 30.5).astype(int)
    summer, winter = month == 6, month == 0
    assert USUAL.temp_c[summer].mean() > USUAL.temp_c[winter].mean() + 12
    assert USUAL.temp_c[summer & (HOURS.clock_h == 14)].mean() > USUAL.temp_c[summer & (HOURS.clock_h == 4)].mean() + 5
    assert -10 < USUAL.temp_c.min() < 0 and 24 < USUAL.temp_c.max() < 34
    assert 300 < 4 * USUAL.rain_mm.sum() / 2 < 1500, "mm a year; Dijon has about 740"
    assert USUAL.fog[month == 10].max() > 0.8 and USUAL.fog[summer].max() == 0
    assert USUAL.snow_cm[winter].max() > 1 and USUAL.snow_cm[summer].max() == 0


@pytest.mark.parametrize("name", SPELLS)
def test_a_spell_lasts_from_its_beginning_to_its_end(name: str) -> None:
    begin, end = NOON, NOON + 6 * HOUR_US
    under = Weather.of(HOURS, 1, [Spell(name, begin, end)])
    at = np.arange(begin - 48 * HOUR_US, end + 200 * HOUR_US, HOUR_US)
    inside, before = (begin <= at) & (at < end), at < begin
    for told, column in ((SPELLS[name].wind_kmh, "wind_kmh"), (SPELLS[name].fog, "fog")):
        spell, usual = (w.at(getattr(w, column), at) for w in (under, USUAL))
        assert (spell[before] == usual[before]).all()
        if told is not None:
            assert (spell[inside] == told).all()
            assert spell[at >= end + HOUR_US] == pytest.approx(usual[at >= end + HOUR_US])


def test_snow_lies_until_it_has_melted() -> None:
    snow = Weather.of(HOURS, 1, [Spell("snow", NOON, NOON + 12 * HOUR_US)])
    lying = snow.at(snow.snow_cm, NOON + np.array([-1, 6, 12, 24, 300]) * HOUR_US)
    assert lying[0] == 0 and lying[1] > 8 and lying[2] > lying[1] and 0 < lying[3] <= lying[2] and lying[4] == 0
    assert snow.at(snow.rain_mm, np.array([NOON + 6 * HOUR_US]))[0] == 0


def test_stations_measure_the_storm_and_the_river_rises(whole_city: City) -> None:
    stormy, calm = (said(Environment(whole_city, w, (), NOON, 1)) for w in (during("storm"), during("calm")))
    assert min(r["gust_kmh"] for r in stormy if "gust_kmh" in r) > 80, "strong_gusts fires"
    assert mean(stormy, "rain_15min_mm") > 4 and mean(calm, "rain_15min_mm") == 0
    assert min(r["river_level_cm"] for r in stormy if "river_level_cm" in r) > 180, "river_high fires"
    assert max(r["river_level_cm"] for r in calm if "river_level_cm" in r) < 150
    assert mean(stormy, "pm10_ug_m3") < mean(calm, "pm10_ug_m3")


def test_fog_is_dust_to_optical_sensors_only_and_heat_makes_ozone(whole_city: City) -> None:
    fog, heat = (said(Environment(whole_city, during(n), (), NOON, 1)) for n in ("fog", "heat"))
    dust = [r for r in fog if "pm10_ug_m3" in r]
    assert all((r["pm10_ug_m3"] > 75 and r["rh_pct"] > 90) == ("co2_ppm" in r) for r in dust), "fog_as_dust fires"
    assert max(r["o3_1h_ug_m3"] for r in heat if "o3_1h_ug_m3" in r) > 120
    assert max(r["temp_c"] for r in heat if "temp_c" in r) > 30


def test_buildings_heat_in_the_cold(whole_city: City) -> None:
    cold, usual, hot = (
        mean(said(Energy(whole_city, w, (), NOON, 1)), "power_w") for w in (during("cold"), USUAL, during("heat"))
    )
    assert cold > 1.1 * usual and hot < usual


def test_a_building_counts_what_it_draws(whole_city: City) -> None:
    energy = Energy(whole_city, during("cold"), (), NOON, 1)
    rows = np.arange(len(whole_city.fixtures.energy))
    told = said(energy, 3)
    drawn = energy.import_wh(rows, np.full(len(rows), NOON + 3 * HOUR_US)) - energy.import_wh(
        rows, np.full(len(rows), NOON)
    )
    assert drawn.sum() / 3 == pytest.approx(mean(told, "power_w") * len(rows), rel=0.05)


def test_nobody_works_outside_in_a_storm(whole_city: City) -> None:
    for name, works in (("storm", False), ("snow", False), ("calm", True)):
        assert any(r.get("active") for r in said(Works(whole_city, during(name), (), NOON, 1))) is works, name


def test_snow_empties_and_slows_the_streets(whole_city: City) -> None:
    snow, usual = (said(Traffic(whole_city, w, (), NOON, 1), 1) for w in (during("snow"), USUAL))
    assert mean(snow, "vehicles") < 0.6 * mean(usual, "vehicles")
    assert traffic_at(during("snow"), np.array([NOON]))[0] < 0.6 * traffic_at(USUAL, np.array([NOON]))[0]


def test_only_the_meters_in_cold_pits_come_near_frost_and_only_in_the_cold(whole_city: City) -> None:
    def coldest(weather: Weather) -> dict[str, float]:
        water = Water(whole_city, HOURS, weather, (), NOON + 20 * HOUR_US, 1)
        found: dict[str, float] = {}
        for message in water.step(NOON + 21 * HOUR_US):
            for part in json.loads(message.payload):
                if "water_temp_c" in part:
                    found[part["id"]] = part["water_temp_c"]
        return found

    def frozen(weather: Weather) -> set[str]:
        return {id_ for id_, celsius in coldest(weather).items() if celsius < 3}

    pits = set(whole_city.meters.id[::200])
    spell = Spell("cold", NOON - 72 * HOUR_US, NOON + LONG)
    assert frozen(USUAL) == set()
    assert frozen(Weather.of(HOURS, 1, [spell])) == pits
