"""Simulated vehicles: on the streets, at believable speeds, with breaks and shifts."""

import json
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hub.clock import to_us
from simulators.city import City
from simulators.hours import Hours
from simulators.vehicles import Vehicles
from simulators.weather import Spell, Weather

MORNING = to_us(datetime.fromisoformat("2026-11-23T08:30:00+00:00"))
NIGHT = to_us(datetime.fromisoformat("2026-11-24T01:30:00+00:00"))
HOUR_US = 3_600_000_000
Tracks = dict[str, list[dict[str, Any]]]


def weather(*spells: Spell) -> Weather:
    return Weather.of(Hours.of(date(2026, 1, 1), date(2028, 1, 1), "Europe/Paris"), 1, spells)


def drive(city: City, start_us: int, hours: float, sky: Weather | None = None) -> Tracks:
    tracks: Tracks = {}
    for message in Vehicles(city, sky or weather(), (), start_us, 1).step(start_us + int(hours * HOUR_US)):
        tracks.setdefault(message.topic.split("/")[3], []).append(json.loads(message.payload))
    return tracks


@pytest.fixture(scope="module")
def morning(whole_city: City) -> Tracks:
    return drive(whole_city, MORNING, 1)


def test_most_work_by_day_and_few_at_night(whole_city: City, morning: Tracks) -> None:
    working = sum(any(r["on_duty"] for r in track) for track in morning.values())
    at_night = sum(any(r["on_duty"] for r in track) for track in drive(whole_city, NIGHT, 0.1).values())
    assert len(morning) == 205
    assert 120 < working < 190
    assert 5 < at_night < 45


def test_they_speak_every_10_s_while_moving_and_every_5_min_while_parked(morning: Tracks) -> None:
    for track in morning.values():
        for one, other in pairwise(track):
            gap = (datetime.fromisoformat(other["ts"]) - datetime.fromisoformat(one["ts"])).total_seconds()
            assert gap <= (10 if one["speed_kmh"] > 3 else 60 if one["ignition"] else 300)


def test_they_stay_on_the_streets(whole_city: City, morning: Tracks) -> None:
    network = whole_city.network
    a, b = network.node[network.edge[:, 0]], network.node[network.edge[:, 1]]
    along = b - a
    for track in list(morning.values())[::20]:
        points = network.plane.to_metres(np.array([r["lat"] for r in track]), np.array([r["lon"] for r in track]))
        for point in points[::10]:
            share = np.clip(((point - a) * along).sum(1) / (along**2).sum(1), 0, 1)
            assert np.linalg.norm(a + along * share[:, None] - point, axis=1).min() < 20


def test_speed_distance_and_odometer_agree(whole_city: City, morning: Tracks) -> None:
    driven = 0.0
    for track in morning.values():
        odometer = [r["odometer_m"] for r in track]
        assert odometer == sorted(odometer)
        assert max(r["speed_kmh"] for r in track) < 90
        driven += odometer[-1] - odometer[0]
        for one, other in pairwise(track):
            points = whole_city.network.plane.to_metres(
                np.array([one["lat"], other["lat"]]), np.array([one["lon"], other["lon"]])
            )
            straight = float(np.linalg.norm(points[1] - points[0]))
            assert straight <= other["odometer_m"] - one["odometer_m"] + 30
    assert 5_000 < driven / len(morning) < 30_000


def test_off_duty_is_said_and_the_ignition_is_off(morning: Tracks) -> None:
    off = [r for track in morning.values() for r in track if not r["on_duty"]]
    assert off
    assert not any(r["ignition"] or r["speed_kmh"] for r in off)


def test_a_shift_begins_and_ends_with_an_event(whole_city: City) -> None:
    evening = drive(whole_city, to_us(datetime.fromisoformat("2026-11-23T14:30:00+00:00")), 1)
    events = [r["event"] for track in evening.values() for r in track if "event" in r]
    assert events.count("off_duty") > 10
    for track in evening.values():
        for one, other in pairwise(track):
            assert (other.get("event") is not None) == (one["on_duty"] != other["on_duty"])


def at_work(tracks: Tracks) -> set[str]:
    return {id_ for id_, track in tracks.items() if any(r["on_duty"] for r in track)}


def test_few_work_on_sundays_and_public_holidays(whole_city: City, morning: Tracks) -> None:
    sunday = to_us(datetime.fromisoformat("2026-11-22T08:30:00+00:00"))
    armistice = to_us(datetime.fromisoformat("2026-11-11T08:30:00+00:00"))
    usual = len(at_work(morning))
    for start_us in (sunday, armistice):
        assert 0.1 * usual < len(at_work(drive(whole_city, start_us, 0.1))) < 0.45 * usual


def test_snow_calls_the_whole_winter_service_and_slows_everybody(whole_city: City, morning: Tracks) -> None:
    snow = weather(Spell("snow", MORNING - 24 * HOUR_US, MORNING + 6 * HOUR_US))
    tracks = drive(whole_city, MORNING, 0.3, snow)
    salting = {id_ for id_, track in tracks.items() if any("pto" in r for r in track)}
    winter = {f"V-{number:03}" for number in range(1, 206) if (number - 1) % 8 in (1, 2, 3)}
    assert winter <= at_work(tracks)
    assert salting <= winter and len(salting) > 0.9 * len(winter)
    means = [
        np.mean([r["speed_kmh"] for track in some.values() for r in track if r["speed_kmh"] > 3])
        for some in (morning, tracks)
    ]
    assert means[1] < 0.75 * means[0]
