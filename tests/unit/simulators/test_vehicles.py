"""Simulated vehicles: on the streets, at believable speeds, with breaks and shifts."""

import json
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hub.clock import to_us
from simulators.city import City
from simulators.vehicles import Vehicles

MORNING = to_us(datetime.fromisoformat("2026-11-23T08:30:00+00:00"))
NIGHT = to_us(datetime.fromisoformat("2026-11-24T01:30:00+00:00"))
HOUR_US = 3_600_000_000
Tracks = dict[str, list[dict[str, Any]]]


def drive(city: City, start_us: int, hours: float) -> Tracks:
    tracks: Tracks = {}
    for message in Vehicles(city, start_us, 1, "Europe/Paris").step(start_us + int(hours * HOUR_US)):
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
