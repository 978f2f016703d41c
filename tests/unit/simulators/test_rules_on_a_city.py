"""The rules of lighting, signals and works on what a simulated city says, with the engine's memory and neighbours."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pytest

from hub.clock import to_us
from simulators.city import City
from simulators.faults import plan_faults
from tests.simulated import boards_of, told

LIGHTS, SIGNALS = ("street_lighting",), ("traffic_light",)
ALL = ("street_lighting", "traffic_light", "road_works")
LAMP, FEEDER, CABINET = "L-DIJ-A001-D1-003", "F-DIJ-A001-D1", "A-DIJ-001"
Told = tuple[int, str, str, str, int]
"""Minute, code, action, device, priority"""


def played(
    city: City,
    start: str,
    minutes: int,
    orders: Sequence[str] = (),
    *,
    kinds: Sequence[str] = LIGHTS,
    step: int = 5,
    nights: bool = False,
) -> list[Told]:
    """What fires and clears; with `nights`, after a history of nights like this one."""
    start_us = to_us(datetime.fromisoformat(start))
    boards, number = boards_of(city, kinds)
    if nights:
        rated = boards["street_lighting"].attributes["rated_current_a"]
        boards["street_lighting"].usual["current_a__usual_hour"] = np.tile(rated, (24, 1))
    id_of = {no: id_ for (_, id_), no in number.items()}
    faults = plan_faults(orders, city, start_us, 1)
    return [
        ((t.at_us - start_us) // 60_000_000, t.code, t.action, id_of[t.device_no], t.priority)
        for t in told(city, boards, number, faults, start_us, minutes, step)
    ]


@pytest.mark.parametrize("start", ["2026-11-24T16:45:00+01:00", "2026-07-14T05:20:00+02:00"])
def test_a_healthy_city_is_quiet_through_dusk_and_dawn(small_city: City, start: str) -> None:
    assert played(small_city, start, 64, kinds=ALL, step=2) == []


def test_a_cycling_lamp_fires_once_and_clears_when_it_is_steady(small_city: City) -> None:
    said = played(small_city, "2026-11-24T19:00:00+01:00", 205, [f"cycling:{LAMP}@70min+50min"])
    assert [one[1:4] for one in said] == [("lamp_cycling", "fire", LAMP), ("lamp_cycling", "clear", LAMP)]
    assert 85 <= said[0][0] <= 95


def test_a_stolen_cable_is_a_partial_loss_against_the_nights_before_and_no_feeder_out(small_city: City) -> None:
    said = played(small_city, "2026-11-24T19:00:00+01:00", 90, [f"cable_theft:{FEEDER}@10min"], nights=True)
    assert {one[1] for one in said} == {"lamp_silent", "feeder_partial_loss"}
    loss = [one for one in said if one[1] == "feeder_partial_loss"]
    assert [one[2:] for one in loss] == [("fire", FEEDER, 2)] and 70 <= loss[0][0] <= 80


def test_a_dead_gateway_takes_no_feeder_for_dead_and_neither_does_its_return(small_city: City) -> None:
    said = played(small_city, "2026-11-24T19:00:00+01:00", 120, [f"gateway_silent:{CABINET}@35min+60min"])
    assert {one[1] for one in said} == {"cabinet_silent", "lamp_silent"}
    assert said[0][1:3] == ("cabinet_silent", "fire") and {one[1] for one in said if one[2] == "clear"} == {
        "cabinet_silent",
        "lamp_silent",
    }


def test_a_controller_that_stays_silent_becomes_urgent(small_city: City) -> None:
    said = played(
        small_city, "2026-11-24T19:00:00+01:00", 45, ["controller_silent:J-DIJ-001@2min+40min"], kinds=SIGNALS, step=2
    )
    assert [(one[2], one[4]) for one in said if one[1] == "junction_silent"] == [("fire", 3), ("fire", 2), ("clear", 2)]


def test_a_detector_that_counts_nothing_while_its_neighbours_do(small_city: City) -> None:
    said = played(
        small_city, "2026-11-24T09:00:00+01:00", 140, ["detector_stuck:J-DIJ-001-D1@0s"], kinds=SIGNALS, step=2
    )
    assert [one[1:4] for one in said] == [
        ("detector_stuck", "fire", "J-DIJ-001-D1"),
        ("detector_without_counts", "fire", "J-DIJ-001-D1"),
    ]
