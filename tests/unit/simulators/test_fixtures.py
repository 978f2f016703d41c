"""Junctions, energy meters, stations, works, zones: where they stand, that a healthy day is healthy, their faults."""

import json
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from devices.kind import kinds
from hub.clock import to_us
from rules.view import is_known
from simulators.city import City
from simulators.fault_table import SORTS
from simulators.faults import plan_faults
from simulators.fixtures import Sensing
from simulators.simulate import Town

EVENING = to_us(datetime.fromisoformat("2026-11-23T19:00:00+00:00"))
NIGHT = to_us(datetime.fromisoformat("2026-11-24T01:00:00+00:00"))
SUMMER_NOON = to_us(datetime.fromisoformat("2026-07-14T12:00:00+00:00"))
WINTER_RUSH = to_us(datetime.fromisoformat("2027-01-12T07:30:00+00:00"))
MINUTE_US = 60_000_000
KINDS = ("traffic_light", "energy_meter", "environment_station", "road_works")


def readings(city: City, start_us: int, minutes: int, *orders: str) -> dict[str, list[dict[str, Any]]]:
    """What each fixture and zone says, in order of time."""
    town = Town(city, start_us, seed=1, faults=plan_faults(orders, city, start_us, 1))
    said = defaultdict(list)
    for message in town.step(start_us + minutes * MINUTE_US):
        kind, id_ = message.topic.split("/")[2:4]
        if kind in KINDS or (kind == "water_meter" and id_.startswith("Z-")):
            found = json.loads(message.payload)
            for part in found if isinstance(found, list) else [found]:
                said[part.get("id", id_)].append(part | {"due_us": message.due_us})
    return said


def test_neighbours_are_the_junctions_that_a_driver_meets_next(whole_city):
    beside = whole_city.fixtures.junction_next
    assert all(row in beside[other] for row, others in enumerate(beside) for other in others)
    assert all(row not in others for row, others in enumerate(beside))
    has_some = sum(bool(others) for others in beside) / len(beside)
    assert has_some > 0.7 and max(map(len, beside)) <= 12
    named = {f"{d.commune}/{d.id}": d.neighbours for d in whole_city.devices() if d.type == "junction"}
    assert all(name in named[other] for name, others in named.items() for other in others)


def test_the_fixtures_stand_apart_and_hang_together(whole_city: City) -> None:
    fixtures, plane = whole_city.fixtures, whole_city.network.plane
    at = plane.to_metres(fixtures.junctions.lat, fixtures.junctions.lon)
    away = np.linalg.norm(at[:, None] - at[None], axis=2) + np.eye(len(at)) * 1e9
    assert away.min() > 10 and np.median(away.min(axis=0)) > 140
    loops = plane.to_metres(fixtures.detectors.lat, fixtures.detectors.lon)
    assert np.linalg.norm(loops - at[fixtures.detector_junction], axis=1).max() <= 36
    senses = fixtures.station_senses.tolist()
    assert [senses.count(one) for one in Sensing] == [4, 24, 16, 8, 8]


@pytest.mark.parametrize("start_us", [EVENING, NIGHT, SUMMER_NOON, WINTER_RUSH])
def test_a_healthy_city_fires_no_rule_of_the_new_kinds(whole_city: City, start_us: int) -> None:
    said = readings(whole_city, start_us, 16)
    for device in whole_city.devices():
        kind = kinds()[device.kind]
        if device.kind not in KINDS and device.type != "zone":
            continue
        assert said[device.id], device
        fields = {
            name: np.array([row.get(name, np.nan) for row in said[device.id]], float) for name in kind.field_names
        }
        for field in kind.fields:
            told = fields[field.name][~np.isnan(fields[field.name])]
            assert ((told >= field.low) & (told <= field.high)).all(), field.name
        size = len(said[device.id])
        fixed = {a.name: np.full(size, device.attributes.get(a.name, a.default)) for a in kind.attributes}
        for rule in kind.rules:
            if rule.type == device.type and not kind.is_timed(rule) and rule.code != "ice_risk":
                blank = {name: np.full(size, np.nan) for name in rule.columns}  # history and neighbours say nothing yet
                columns = blank | fields | fixed
                known = is_known(rule.columns, columns, optional=rule.optional, any_of=rule.any_of)
                assert not (known & rule.condition(columns)).any(), f"{device.id}: {rule.code}"


def test_a_third_of_the_junctions_without_buses_flash_at_night_as_planned(whole_city: City) -> None:
    said = readings(whole_city, NIGHT, 2)
    flashing = [id_ for id_, rows in said.items() if rows[0].get("yellow_flash")]
    assert 20 <= len(flashing) <= 70
    assert all(said[id_][0]["flash_planned"] for id_ in flashing)


def test_traffic_peaks_in_the_morning_and_sleeps_at_night(whole_city: City) -> None:
    def counted(start_us: int) -> int:
        return sum(row.get("vehicles", 0) for rows in readings(whole_city, start_us, 6).values() for row in rows)

    assert counted(WINTER_RUSH) > 8 * counted(NIGHT)


def test_junctions_speak_every_minute_and_detectors_every_five(small_city: City) -> None:
    said = readings(small_city, EVENING, 31)
    for id_ in small_city.fixtures.junctions.id:
        times = [row["ts"] for row in said[id_]]
        assert {b - a for a, b in pairwise(times)} == {60_000}
    for id_ in small_city.fixtures.detectors.id:
        times = [row["ts"] for row in said[id_]][1:]  # the first is the greeting
        assert {b - a for a, b in pairwise(times)} == {300_000}


def test_counters_of_energy_and_zones_only_rise_also_after_a_restart(small_city: City) -> None:
    one, two = readings(small_city, EVENING, 45), readings(small_city, EVENING + 40 * MINUTE_US, 45)
    for ids, counter in ((small_city.fixtures.energy.id, "import_wh"), (small_city.zones.id, "total_m3")):
        for id_ in ids:
            rows = sorted([*one[id_], *two[id_]], key=lambda row: row["ts"])
            totals = [row[counter] for row in rows]
            assert totals == sorted(totals) and totals[-1] > totals[0]


FAULTS = [
    ("junction_dark", "switched_on", False),
    ("conflict_flash", "yellow_flash", True),
    ("power_exceeded", None, None),
    ("sensor_dead", "sensor_error", True),
    ("site_overrun", None, None),
    ("barrier_down", None, None),
    ("temporary_light_out", "red_lamp_error", True),
    ("main_burst", "flow_jump", True),
]


@pytest.mark.parametrize(("name", "field", "value"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_a_fault_is_said_at_once_meets_its_rule_and_is_over(
    small_city: City, name: str, field: str, value: bool
) -> None:
    (fault,) = plan_faults([f"{name}@10min+10min"], small_city, EVENING, 1)
    rows = readings(small_city, EVENING, 30, f"{name}@10min+10min")[fault.device]
    bad = [row for row in rows if fault.start_us <= row["due_us"] < fault.end_us]
    good = [row for row in rows if row["due_us"] >= fault.end_us]
    assert (bad[0]["due_us"], good[0]["due_us"]) == (fault.start_us, fault.end_us)
    if field:
        assert all(row[field] is value for row in bad) and all(row[field] is not value for row in good)
    assert all(meets(small_city, fault.device, name, row) for row in bad)
    assert not any(meets(small_city, fault.device, name, row) for row in good)


def meets(city: City, device_id: str, name: str, row: dict[str, Any]) -> bool:
    """Is the condition of the rule that should notice true of a reading?"""
    kind = kinds()[SORTS[name].kind]
    (device,) = (device for device in city.devices() if device.id == device_id)
    fixed = {a.name: device.attributes.get(a.name, a.default) for a in kind.attributes}
    rule = kind.rule(SORTS[name].code)  # type: ignore[arg-type]  # these faults have a rule
    columns = {column: np.array([row.get(column, fixed.get(column, np.nan))], float) for column in rule.columns}
    return bool(
        (is_known(rule.columns, columns, optional=rule.optional, any_of=rule.any_of) & rule.condition(columns))[0]
    )


def test_a_stuck_detector_is_occupied_and_counts_nothing(small_city: City) -> None:
    (fault,) = plan_faults(["detector_stuck@1min"], small_city, EVENING, 1)
    rows = [
        r
        for r in readings(small_city, EVENING, 20, "detector_stuck@1min")[fault.device]
        if r["due_us"] > fault.start_us
    ]
    assert {(row["vehicles"], row["occupancy_pct"]) for row in rows} == {(0, 100)}


def test_a_flat_station_says_the_same_again_and_again(whole_city: City) -> None:
    station = next(
        id_
        for id_, senses in zip(
            whole_city.fixtures.stations.id, whole_city.fixtures.station_senses.tolist(), strict=True
        )
        if senses == Sensing.AIR
    )
    rows = readings(whole_city, EVENING, 30, f"sensor_flatline:{station}@1min")[station]
    frozen = [row["pm10_ug_m3"] for row in rows if row["due_us"] > EVENING + MINUTE_US]
    assert len(frozen) >= 5 and len(set(frozen)) == 1
    sound = [row["pm10_ug_m3"] for row in readings(whole_city, EVENING, 30)[station]]
    assert len(set(sound)) > 1
