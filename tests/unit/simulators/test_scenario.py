"""Scenarios: those of the folder can be played, and a bad file is told in a sentence with its file and key."""

from datetime import datetime, time
from pathlib import Path

import pytest

from hub.clock import to_datetime, to_us
from hub.errors import BadFile, BadSetting
from simulators.city import City
from simulators.disturbances import EVERYDAY as EVERYDAY_RATES
from simulators.disturbances import STILL
from simulators.faults import NORMAL_NIGHT, Order, plan_faults
from simulators.moments import Moment
from simulators.scenario import EVERYDAY, Scenario, known, read_scenario

START = to_us(datetime.fromisoformat("2026-11-24T18:00:00+01:00"))
HOUR_US = 3_600_000_000
PARIS = "Europe/Paris"


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return str(path)


def test_the_scenarios_of_the_issue_are_there() -> None:
    assert {scenario.name for scenario in known()} == {
        "normal_week",
        "storm_night",
        "snow_day",
        "summer_works",
        "bad_radio_week",
        "clock_change_spring",
        "clock_change_autumn",
        "healthy",
    }


@pytest.mark.parametrize("scenario", known(), ids=lambda scenario: scenario.name)
def test_every_scenario_can_be_planned_in_the_whole_city(whole_city: City, scenario: Scenario) -> None:
    begin = scenario.start_us(START, PARIS)
    assert begin >= START
    faults = plan_faults(scenario.orders(), whole_city, begin, scenario.seed)
    assert len({(f.kind, f.device) for f in faults}) == len(faults)
    assert bool(faults) is (scenario.name != "healthy")
    for spell in scenario.spells(begin, PARIS):
        assert begin <= spell.start_us < spell.end_us
    scenario.check_start(begin + HOUR_US, PARIS)


@pytest.mark.parametrize("scenario", known(), ids=lambda scenario: scenario.name)
def test_every_scenario_can_be_planned_in_a_small_city(small_city: City, scenario: Scenario) -> None:
    assert len(plan_faults(scenario.orders(0.01), small_city, START, 1)) < 100


def test_an_ordinary_day_is_a_normal_night_with_a_few_disturbances() -> None:
    assert EVERYDAY.orders() == tuple(map(Order.parse, NORMAL_NIGHT))
    assert EVERYDAY.disturbances == EVERYDAY_RATES
    assert read_scenario("healthy").orders() == () and read_scenario("healthy").disturbances == STILL


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    text = """
title: Mine
start: 2027-03-27T20:00:00
seed: 5
days: rest
weather:
  - {spell: storm, at: "21:00", lasts: 6h}
faults:
  - leak:2@1h
  - {fault: feeder_trip, count: 3, at: "22:40", lasts: 2h}
  - {fault: burst, device: W-DIJ-00007}
disturbances: {late_water: 2%, malformed: 0.001}
"""
    scenario = read_scenario(written(tmp_path, text))
    assert (scenario.name, scenario.title, scenario.seed, scenario.days) == ("own", "Mine", 5, "rest")
    assert scenario.faults == (
        Order("leak", 2, start=Moment(HOUR_US)),
        Order("feeder_trip", 3, start=Moment(0, time(22, 40)), lasts_us=2 * HOUR_US),
        Order("burst", device="W-DIJ-00007"),
    )
    assert (scenario.disturbances.late_water, scenario.disturbances.malformed) == (0.02, 0.001)
    assert scenario.disturbances.tunnels == EVERYDAY_RATES.tunnels
    (spell,) = scenario.spells(START, PARIS)
    assert spell.start_us == to_us(datetime.fromisoformat("2026-11-24T21:00:00+01:00"))
    assert spell.end_us - spell.start_us == 6 * HOUR_US
    assert to_datetime(scenario.start_us(START, PARIS)).isoformat() == "2027-03-27T19:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("titel: x", r"own.yaml: titel: there is no such key; the keys are title, start"),
        ("- storm", r"own.yaml: a scenario is a mapping"),
        ("faults: [flood]", r"own.yaml: faults: fault 'flood': there is no 'flood'"),
        ("faults: flood", r"own.yaml: faults: write a list"),
        ("faults: [leak@soon]", r"own.yaml: faults: fault 'leak@soon': 'soon' is not"),
        ("faults: [{fault: leak, howmany: 3}]", r"own.yaml: faults: .*write a mapping with the keys fault, and"),
        ("faults: [{fault: leak, count: 3, device: x}]", r"own.yaml: faults: .*a count or a device"),
        ("weather: [{spell: hail, at: 1h, lasts: 1h}]", r"own.yaml: weather: there is no spell 'hail'"),
        ("weather: [{spell: storm, at: 21:00, lasts: 1h}]", r"own.yaml: weather: at: write .* in quotes"),
        ("disturbances: {noise: 1%}", r"own.yaml: disturbances: write a mapping with some of the keys late_water"),
        ("disturbances: {duplicates: 101%}", r"own.yaml: disturbances: duplicates: '101%' is no share"),
        ("start: tomorrow", r"own.yaml: start: 'tomorrow' is not now"),
        ("days: holiday", r"own.yaml: days: 'holiday' is none of calendar"),
        ("seed: -1", r"own.yaml: seed: -1 is no whole number"),
        ("normal_night: perhaps", r"own.yaml: normal_night: 'perhaps' is neither"),
        ("title: x\nfaults: [\n  - {leak", r"own.yaml, line 3: no YAML"),
    ],
)
def test_a_bad_file_says_what_is_wrong_and_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadFile, match=says):
        read_scenario(written(tmp_path, text))


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(BadFile, match=r"no scenario 'hail'; name one of bad_radio_week, .*, or a file ending in .yaml"):
        read_scenario("hail")


def test_a_scenario_with_a_start_refuses_a_hub_at_another_time() -> None:
    with pytest.raises(BadSetting, match=r"starts at 2027-03-27 20:00 and the hub's clock tells 2026-11-24 18:00"):
        read_scenario("clock_change_spring").check_start(START, PARIS)
    read_scenario("storm_night").check_start(START, PARIS)
