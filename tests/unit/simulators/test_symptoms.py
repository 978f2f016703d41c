"""Every fault shows in its device's messages, which stay readable where they should; and what streams suffer."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.kind import kinds
from devices.registry import Device
from hub.clock import to_us
from ingest.codecs.codec import Heard, Reject
from ingest.codecs.native import CODEC
from rules.view import is_known
from simulators.city import City, make_city
from simulators.fault_table import SORTS
from simulators.faults import Fault, plan_faults
from simulators.simulate import Town
from simulators.wire import Message

MORNING = to_us(datetime.fromisoformat("2026-11-24T08:00:00+01:00"))
EVENING = to_us(datetime.fromisoformat("2026-11-24T20:00:00+01:00"))
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
BY_DAY = ("day_burner", "day_burner_feeder")
SEEN_WITH_A_MEMORY = ("lamp_unreachable", "cycling", "cable_theft", "sensor_flatline")
"""No single reading shows them: see test_rules_on_a_city.py, and the rules' own timelines."""


def play(city: City, faults: Sequence[Fault], start_us: int, hours: float) -> list[Message]:
    return Town(city, start_us, seed=1, faults=faults).step(start_us + int(hours * HOUR_US))


def said_by(messages: Sequence[Message], device: str) -> list[dict[str, Any]]:
    said = []
    for message in messages:
        id_, leaf = message.topic.split("/")[3:]
        if leaf in ("telemetry", "batch", "state"):
            parts = json.loads(message.payload)
            for part in parts if isinstance(parts, list) else [parts]:
                if part.get("id", id_) == device:
                    said.append(part | {"due_us": message.due_us})
    return said


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(Path("simulators/cities/dijon"), scale=0.08)


@pytest.fixture(scope="module")
def registry(city: City) -> dict[tuple[str, str], Device]:
    return {(device.kind, device.id): device for device in city.devices()}


def columns(device: Device, reading: dict[str, Any]) -> dict[str, Any]:
    """A reading as a rule sees it: fields, and what the registry knows of the device."""
    kind = kinds()[device.kind]
    attributes = {a.name: np.nan if a.default is None else a.default for a in kind.attributes} | device.attributes
    found: dict[str, Any] = defaultdict(lambda: np.array([np.nan]))
    for name, value in {**attributes, **reading}.items():
        if isinstance(value, bool | int | float):
            found[name] = np.array([float(value)])
    return found


@pytest.mark.parametrize(
    "name",
    [name for name, sort in SORTS.items() if sort.code and sort.stream is None and name not in SEEN_WITH_A_MEMORY],
)
def test_the_rule_that_should_notice_a_fault_would_fire_on_what_its_device_says(
    city: City, registry: dict[tuple[str, str], Device], name: str
) -> None:
    sort = SORTS[name]
    start_us = MORNING if name in BY_DAY or sort.kind == "road_works" else EVENING
    began = {"leak": "-26h", "burst": "1min", "gateway_silent": "1min"}.get(name, "-1h")
    (fault,) = plan_faults([f"{name}@{began}"], city, start_us, 3)
    if name in BY_DAY:
        start_us += 3 * HOUR_US
    rule = kinds()[sort.kind].rule(sort.code or "")
    fired = []
    for reading in said_by(play(city, [fault], start_us, 0.1), fault.device):
        if reading["due_us"] >= fault.start_us:
            view = columns(registry[fault.kind, fault.device], reading)
            if is_known(rule.columns, view, optional=rule.optional, any_of=rule.any_of).all():
                fired.append(bool(rule.condition(view)[0]))
    assert any(fired), f"{sort.code} never fires"


def test_messages_stay_readable_under_every_fault_but_the_unreadable(city: City) -> None:
    orders = [f"{name}@10min+40min" for name in SORTS if name != "malformed"]
    faults = plan_faults(orders, city, EVENING, 1)
    for message in play(city, faults, EVENING, 1.1):
        for heard in CODEC.decode(message.topic, message.payload, "nowhere"):
            assert isinstance(heard, Heard), (message, heard)
            assert heard.rest is None


def test_what_is_cut_short_is_refused_whole(small_city: City) -> None:
    (fault,) = plan_faults(["malformed@10min+30min"], small_city, EVENING, 1)
    own = [m for m in play(small_city, [fault], EVENING, 1) if m.topic.endswith(f"/{fault.device}/telemetry")]
    for message in own:
        (heard,) = CODEC.decode(message.topic, message.payload, "nowhere")
        assert isinstance(heard, Reject) is (fault.start_us <= message.due_us < fault.end_us)


def test_a_tunnel_holds_fixes_and_lets_them_go_at_its_end_in_no_order(city: City) -> None:
    faults = plan_faults(["gps_gap:12@10min+30min"], city, MORNING, 1)
    messages, without = (play(city, some, MORNING, 1) for some in (faults, []))
    shuffled = 0
    for fault in faults:
        said, usual = said_by(messages, fault.device), said_by(without, fault.device)
        assert not [r for r in said if fault.start_us <= r["due_us"] < fault.end_us]
        assert {r["ts"] for r in said} == {r["ts"] for r in usual}, "nothing is lost"
        order = [r["ts"] for r in said]
        shuffled += order != sorted(order)
    assert shuffled >= 4


def test_a_silent_device_is_left_out_of_its_gateways_batches(small_city: City) -> None:
    faults = plan_faults(["meter_unreachable:W-DIJ-00007", "controller_silent:J-DIJ-002"], small_city, EVENING, 1)
    messages = play(small_city, faults, EVENING, 13)
    assert said_by(messages, "W-DIJ-00007") == [] and said_by(messages, "W-DIJ-00008")
    assert not [m for m in messages if m.topic.split("/")[3] == "J-DIJ-002"]


def test_a_clock_gains_a_minute_an_hour_and_is_set_right_in_the_end(small_city: City) -> None:
    (fault,) = plan_faults(["clock_drift@0s+3h"], small_city, EVENING, 1)
    for reading in said_by(play(small_city, [fault], EVENING, 4), fault.device):
        ahead_s = reading["ts"] / 1000 - reading["due_us"] // 1000 / 1000
        is_over = reading["due_us"] >= fault.end_us
        assert ahead_s == pytest.approx(0 if is_over else (reading["due_us"] - EVENING) / 1e6 / 60, abs=0.01)


def test_what_is_said_twice_is_the_same_to_the_byte(city: City) -> None:
    (fault,) = plan_faults(["repeating@0s+1h"], city, MORNING, 1)
    own = [m for m in play(city, [fault], MORNING, 0.9) if m.topic.endswith(f"/{fault.device}/telemetry")]
    assert len(own) == 2 * len({m.payload for m in own})


@pytest.mark.parametrize(
    ("name", "counter", "hours"), [("counter_reset", "total_m3", 14), ("energy_counter_reset", "import_wh", 2)]
)
def test_a_new_counter_begins_at_nothing_and_counts_on(small_city: City, name: str, counter: str, hours: int) -> None:
    (fault,) = plan_faults([f"{name}@30min"], small_city, EVENING, 2)
    said = sorted(said_by(play(small_city, [fault], EVENING, hours), fault.device), key=lambda r: r["ts"])
    before = [r[counter] for r in said if r["ts"] * 1000 < fault.start_us]
    after = [r[counter] for r in said if r["ts"] * 1000 >= fault.start_us]
    assert before[-1] > 10 and after == sorted(after)
    assert after[0] < 0.1 * before[-1]


def test_a_blocked_meter_stands_still_and_misses_what_flowed(small_city: City) -> None:
    (fault,) = plan_faults(["meter_blocked@0s+20h"], small_city, EVENING, 2)
    said = sorted(said_by(play(small_city, [fault], EVENING, 40), fault.device), key=lambda r: r["ts"])
    during = {r["total_m3"] for r in said if fault.start_us <= r["ts"] * 1000 < fault.end_us}
    assert len(during) == 1
    assert said[-1]["total_m3"] > max(during) >= said[0]["total_m3"]


def test_an_event_is_told_at_the_beginning_and_at_the_end(small_city: City) -> None:
    for name in ("cabinet_open", "night_flash", "supply_cut", "barrier_down", "feeder_trip"):
        (fault,) = plan_faults([f"{name}@10min+20min"], small_city, EVENING, 1)
        told = [
            (r["due_us"], r["event"])
            for r in said_by(play(small_city, [fault], EVENING, 0.6), fault.device)
            if "event" in r
        ]
        assert told == [(fault.start_us, SORTS[name].event), (fault.end_us, SORTS[name].ended)], name
