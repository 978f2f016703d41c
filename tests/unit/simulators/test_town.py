"""What simulated devices say: the hub's own format, on time, the same for a seed, faithful to the faults."""

import json
from collections import defaultdict
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hub.clock import to_us
from ingest.codecs.codec import Heard
from ingest.codecs.native import CODEC
from simulators.city import City
from simulators.faults import plan_faults
from simulators.hours import Hours
from simulators.simulate import Town
from simulators.water import Water
from simulators.weather import Weather
from simulators.wire import Message

EVENING = to_us(datetime.fromisoformat("2026-11-23T19:00:00+00:00"))
NOON = to_us(datetime.fromisoformat("2026-11-23T11:00:00+00:00"))
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


def play(city: City, start_us: int, minutes: float, *orders: str, step_s: float = 30, seed: int = 1) -> list[Message]:
    town = Town(city, start_us, seed=seed, faults=plan_faults(orders, city, start_us, seed))
    end_us, now_us = start_us + int(minutes * MINUTE_US), start_us
    messages = []
    while now_us < end_us:
        now_us = min(end_us, now_us + int(step_s * 1e6))
        messages += town.step(now_us)
    return messages


def play_water(city: City, start_us: int, hours: int, *orders: str) -> list[Message]:
    years = Hours.of(date(2025, 1, 1), date(2028, 1, 1), "Europe/Paris")
    water = Water(city, years, Weather.of(years, 1), plan_faults(orders, city, start_us, 1), start_us, 1)
    return [m for hour in range(hours) for m in water.step(start_us + (hour + 1) * HOUR_US)]


def by_device(messages: list[Message]) -> dict[str, list[dict[str, Any]]]:
    """Readings by device in the order in which they were sent, `due_us` added."""
    readings = defaultdict(list)
    for message in messages:
        leaf = message.topic.split("/")[4]
        if leaf != "state":
            parts = json.loads(message.payload)
            for part in parts if isinstance(parts, list) else [parts]:
                readings[part.get("id", message.topic.split("/")[3])].append(part | {"due_us": message.due_us})
    return readings


def test_the_hub_understands_every_message(small_city: City) -> None:
    messages = play(
        small_city, EVENING, 130, "feeder_trip@1min+5min", "burst@2min", "leak@-23h", "lamp_out", step_s=600
    )
    known = {device.key for device in small_city.devices()}
    for message in messages:
        for heard in CODEC.decode(message.topic, message.payload, "nowhere"):
            assert isinstance(heard, Heard), heard
            assert heard.key in known
            assert heard.rest is None
            if heard.ts_us is not None:
                assert heard.ts_us <= message.due_us


def test_every_device_speaks_within_the_first_minute(small_city: City) -> None:
    said = by_device(play(small_city, NOON, 1.02))
    assert set(said) == {device.id for device in small_city.devices()}


def test_how_often_the_simulator_looks_at_the_clock_changes_nothing(small_city: City) -> None:
    orders = ("feeder_trip@90s+10min", "burst@45s", "gateway_silent@3min+10min", "leak@-23.8h", "lamp_out@5min")

    def sent(step_s: float) -> list[tuple[int, str, bytes]]:
        messages = play(small_city, EVENING, 35, *orders, step_s=step_s)
        return sorted((m.due_us, m.topic, m.payload) for m in messages)

    assert sent(0.7) == sent(61)


def test_another_seed_says_something_else(small_city: City) -> None:
    assert play(small_city, EVENING, 3) != play(small_city, EVENING, 3, seed=2)


def test_a_restart_goes_on_counting(small_city: City) -> None:
    before = by_device(play(small_city, EVENING, 30))
    after = by_device(play(small_city, EVENING + HOUR_US, 30))
    for id_, said in after.items():
        for counter in ("total_m3", "energy_wh", "burning_h"):
            if counter in said[0] and id_ in before:
                assert said[0][counter] >= before[id_][-1][counter]


def test_lamps_speak_every_15_minutes_while_lit_and_every_hour_by_day(small_city: City) -> None:
    lit = by_device(play(small_city, EVENING, 61))["L-DIJ-A001-D1-001"]
    assert {reading["dim_pct"] for reading in lit} == {100}
    assert len(lit) == 5
    by_day = by_device(play(small_city, NOON, 121))["L-DIJ-A001-D1-001"]
    assert {reading["dim_pct"] for reading in by_day} == {0}
    assert len(by_day) == 3


def test_a_lamp_that_goes_out_with_the_sun_says_so_within_its_lit_period(small_city: City) -> None:
    dawn = to_us(datetime.fromisoformat("2026-11-24T06:00:00+00:00"))
    for id_, said in by_device(play(small_city, dawn, 120)).items():
        if id_.startswith("L-"):
            lit = [reading["ts"] for reading in said if reading["dim_pct"] > 0]
            dark = [reading["ts"] for reading in said if reading["dim_pct"] == 0]
            assert dark[0] - lit[-1] <= 900_000


def test_a_healthy_lamp_draws_what_it_is_told(small_city: City) -> None:
    rated = {d.id: d.attributes["rated_power_w"] for d in small_city.devices() if d.type == "lamp"}
    midnight = to_us(datetime.fromisoformat("2026-11-23T23:30:00+00:00"))
    said = by_device(play(small_city, midnight, 20))
    for id_, watts in rated.items():
        for reading in said[id_]:
            assert reading["dim_pct"] == 50
            assert reading["power_w"] == pytest.approx(watts / 2, rel=0.04)
            assert reading["lamp_failure"] is False


def test_a_lamp_that_is_out_says_so_at_once_and_stops_counting(small_city: City) -> None:
    id_ = "L-DIJ-A001-D1-003"
    said = by_device(play(small_city, EVENING, 90, f"lamp_out:{id_}@20min+40min"))[id_]
    out = [r for r in said if EVENING + 20 * MINUTE_US <= r["due_us"] < EVENING + 60 * MINUTE_US]
    assert out[0]["due_us"] == EVENING + 20 * MINUTE_US
    assert all(r["lamp_failure"] and r["power_w"] < 1 and r["dim_pct"] == 100 for r in out)
    assert len({r["energy_wh"] for r in out}) == 1
    assert said[-1]["power_w"] > 10
    assert said[-1]["lamp_failure"] is False


def test_a_feeder_that_trips_says_so_at_once_and_its_lamps_fall_silent(small_city: City) -> None:
    feeder = "F-DIJ-A001-D1"
    lamps = [d.id for d in small_city.devices() if d.parent == feeder]
    tripped, closed = EVENING + 20 * MINUTE_US, EVENING + 60 * MINUTE_US
    said = by_device(play(small_city, EVENING, 90, f"feeder_trip:{feeder}@20min+40min"))
    first, *_ = [r for r in said[feeder] if r["due_us"] >= tripped]
    assert (first["due_us"], first["event"], first["breaker_tripped"], first["current_a"]) == (
        tripped,
        "breaker_tripped",
        True,
        0,
    )
    (back,) = [r for r in said[feeder] if r.get("event") == "breaker_closed"]
    assert (back["due_us"], back["breaker_tripped"]) == (closed, False)
    assert back["current_a"] > 1
    for lamp in lamps:
        assert not [r for r in said[lamp] if tripped <= r["due_us"] < closed]
        assert [r for r in said[lamp] if closed <= r["due_us"] < closed + MINUTE_US]
    other = [d.id for d in small_city.devices() if d.parent == "F-DIJ-A001-D2"]
    assert all([r for r in said[lamp] if tripped <= r["due_us"] < closed] for lamp in other)


def test_a_silent_gateway_takes_everything_behind_it_along(small_city: City) -> None:
    cabinet = "A-DIJ-001"
    behind = {cabinet} | {d.id for d in small_city.devices() if d.gateway == cabinet}
    gone, back = EVENING + 5 * MINUTE_US, EVENING + 35 * MINUTE_US
    messages = play(small_city, EVENING, 40, f"gateway_silent:{cabinet}@5min+30min")
    for id_, said in by_device(messages).items():
        if id_ in behind:
            assert not [r for r in said if gone <= r["due_us"] < back]
            assert [r for r in said if r["due_us"] >= back]
    states = [m for m in messages if m.topic == f"city/dijon/street_lighting/{cabinet}/state"]
    assert [json.loads(m.payload)["online"] for m in states] == [True, False, True]
    assert all(m.retain for m in states)
    assert gone < states[1].due_us <= gone + 2 * MINUTE_US


def test_nobody_draws_more_than_the_permanent_flow_of_his_meter(whole_city: City) -> None:
    years = Hours.of(date(2026, 1, 1), date(2027, 1, 1), "Europe/Paris")
    water = Water(whole_city, years, Weather.of(years, 1), (), EVENING, 1)
    large = np.flatnonzero(whole_city.meter_q3_m3h > 4)
    drawn = np.diff([water.totals_m3(large, EVENING + hour * HOUR_US) for hour in range(7 * 24)], axis=0)
    assert (drawn <= 0.5 * whole_city.meter_q3_m3h[large]).all()


def test_meters_deliver_hourly_indexes_twice_a_day_without_gaps(small_city: City) -> None:
    said = by_device(play_water(small_city, NOON, 25))
    for device in small_city.devices():
        if (device.kind, device.type) == ("water_meter", "meter"):
            readings = said[device.id][1:]  # the first is the greeting
            hours = sorted(r["ts"] for r in readings)
            assert len(hours) >= 24
            assert {b - a for a, b in pairwise(hours)} == {3_600_000}
            totals = [r["total_m3"] for r in sorted(readings, key=lambda r: r["ts"])]
            assert totals == sorted(totals)
            assert min(r["flow_m3h"] for r in readings) == 0, "a healthy dwelling has an hour without flow"
            assert not any(r["leak"] or r["burst"] for r in readings)


def test_a_leak_never_stands_still_and_is_told_after_24_hours(small_city: City) -> None:
    meter = "W-DIJ-00007"
    said = by_device(play_water(small_city, NOON, 40, f"leak:{meter}@2h"))[meter]
    begin = NOON + 2 * HOUR_US
    for reading in said:
        ts_us = reading["ts"] * 1000
        if begin + HOUR_US <= ts_us:
            assert reading["flow_m3h"] >= 0.009
        assert reading["leak"] is (ts_us >= begin + 24 * HOUR_US)
    (told,) = [r for r in said if r.get("event") == "leak_start"]
    assert told["due_us"] == begin + 24 * HOUR_US


def test_an_old_leak_is_told_at_the_first_word(small_city: City) -> None:
    said = by_device(play(small_city, NOON, 1.1, "leak:W-DIJ-00007@-26h"))["W-DIJ-00007"]
    assert said[0]["leak"] is True


def test_a_burst_does_not_wait_for_its_turn(small_city: City) -> None:
    meter = "W-DIJ-00007"
    said = by_device(play(small_city, NOON, 120, f"burst:{meter}@10min+1h"))[meter]
    begin, end = NOON + 10 * MINUTE_US, NOON + 70 * MINUTE_US
    assert [(r["due_us"], r["burst"]) for r in said if r["due_us"] in (begin, end)] == [(begin, True), (end, False)]
    q3 = next(d.attributes["q3_m3h"] for d in small_city.devices() if d.id == meter)
    assert next(r for r in said if r["burst"])["flow_m3h"] > 0.2 * q3
