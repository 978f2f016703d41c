"""Faults: orders are read, devices chosen, and the truth about them told once."""

import json
from datetime import time
from itertools import pairwise

import pytest

from devices.kind import kinds
from hub.errors import BadSetting
from simulators.city import City
from simulators.fault_table import SORTS
from simulators.faults import DEMO_FAULTS, NEVER_US, Order, plan_faults
from simulators.moments import Moment
from simulators.truth import truth_lines

START = 1_795_460_400_000_000
S = 1_000_000


def test_an_order_with_everything() -> None:
    assert Order.parse("feeder_trip:2@120s+30min") == Order("feeder_trip", 2, None, Moment(120 * S), 1800 * S)


def test_defaults_and_units() -> None:
    assert Order.parse("leak") == Order("leak")
    assert Order.parse("leak@-1.5h") == Order("leak", start=Moment(-5400 * S))
    assert Order.parse("burst@45") == Order("burst", start=Moment(45 * S))
    assert Order.parse("lamp_out:0.8%@22:40") == Order("lamp_out", 0.008, start=Moment(0, time(22, 40)))
    assert Order.parse("lamp_out:L-DIJ-A001-D1-001@5min+1d").device == "L-DIJ-A001-D1-001"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flood", "there is no 'flood'; beffroi simulate --list names"),
        ("leak:0", "at least 1"),
        ("leak:0%", "over 0 %"),
        ("leak@25:10", "no such time of the day"),
        ("leak@soon", "write NAME"),
        ("leak@5s+", "write NAME"),
        ("leak@5weeks", "write NAME"),
        ("", "write NAME"),
    ],
)
def test_a_bad_order_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        Order.parse(text)


def test_the_same_seed_chooses_the_same_devices(small_city: City) -> None:
    one = plan_faults(DEMO_FAULTS, small_city, START, 1)
    assert one == plan_faults(DEMO_FAULTS, small_city, START, 1)
    assert one != plan_faults(DEMO_FAULTS, small_city, START, 2)


def test_a_device_has_one_fault_at_most(small_city: City) -> None:
    faults = plan_faults(["leak:100", "burst:100"], small_city, START, 1)
    assert len({fault.device for fault in faults}) == 200


def test_more_faults_than_devices_or_an_unknown_device_are_refused(small_city: City) -> None:
    with pytest.raises(BadSetting, match="only 340 lamps"):
        plan_faults(["lamp_out:341"], small_city, START, 1)
    with pytest.raises(BadSetting, match="no feeder 'F-NOWHERE'"):
        plan_faults(["feeder_trip:F-NOWHERE"], small_city, START, 1)


def test_the_truth_is_told_when_it_happens_and_once(small_city: City) -> None:
    (fault,) = plan_faults(["feeder_trip@60s+10min"], small_city, START, 1)
    assert truth_lines([fault], small_city, -1, START) == b""
    begin = json.loads(truth_lines([fault], small_city, START, fault.start_us))
    assert truth_lines([fault], small_city, fault.start_us, fault.end_us - 1) == b""
    end = json.loads(truth_lines([fault], small_city, fault.end_us - 1, fault.end_us))
    assert (begin["action"], end["action"]) == ("start", "end")
    assert begin["expected_code"] == "feeder_out"
    assert (begin["device"], begin["start"], begin["end"]) == (end["device"], begin["at"], end["at"])
    lamps = [d.id for d in small_city.devices() if d.parent == fault.device]
    assert begin["silenced"] == lamps


def test_an_endless_fault_tells_no_end(small_city: City) -> None:
    (fault,) = plan_faults(["leak@-25h"], small_city, START, 1)
    told = truth_lines([fault], small_city, -1, NEVER_US - 1).splitlines()
    assert [json.loads(line)["end"] for line in told] == [None]


@pytest.mark.parametrize("name", SORTS)
def test_every_fault_expects_a_rule_that_its_device_has_or_says_why_none(name: str) -> None:
    sort = SORTS[name]
    if sort.code is None:
        assert sort.why_unseen
    else:
        assert kinds()[sort.kind].rule(sort.code).type == sort.type
        assert not sort.why_unseen


@pytest.mark.parametrize("name", SORTS)
def test_every_fault_changes_fields_and_tells_events_that_its_device_has(name: str) -> None:
    sort = SORTS[name]
    kind = kinds()[sort.kind]
    for field in sort.sets:
        types = next(f.types for f in kind.fields if f.name == field)
        assert not types or sort.type in types
    assert {sort.event, sort.ended} - {None} <= {event.code for event in kind.events}


def test_a_share_is_of_the_whole_and_spread_over_the_city(whole_city: City) -> None:
    faults = plan_faults(["lamp_out:1%"], whole_city, START, 1)
    assert len(faults) == 340
    rows = sorted(fault.row for fault in faults)
    assert max(b - a for a, b in pairwise(rows)) < 200


def test_a_device_that_is_asked_for_twice_is_refused(small_city: City) -> None:
    with pytest.raises(BadSetting, match="has another fault already"):
        plan_faults(["leak:W-DIJ-00007", "burst:W-DIJ-00007"], small_city, START, 1)
