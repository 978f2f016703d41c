"""The lamps of a whole city: a normal night, and each fault of lamps and feeders as it shows in their messages."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pytest

from hub.clock import to_us
from simulators.city import City
from simulators.faults import NORMAL_NIGHT, Fault, plan_faults
from simulators.lighting import Lighting
from simulators.night import HOUR_US, Schedule
from simulators.wire import Message

EVENING = to_us(datetime.fromisoformat("2026-11-23T19:00:00+00:00"))
NOON = to_us(datetime.fromisoformat("2026-11-23T11:00:00+00:00"))
MINUTE_US = 60_000_000
FEEDER = "F-DIJ-A001-D1"
Said = dict[str, list[dict[str, float]]]


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return Schedule.of(date(2025, 1, 1), date(2028, 1, 1), lat=47.322, lon=5.0415, timezone="Europe/Paris")


def play(city: City, schedule: Schedule, faults: Sequence[Fault], start_us: int, minutes: int) -> list[Message]:
    return Lighting(city, schedule, faults, start_us, 1).step(start_us + minutes * MINUTE_US)


def said_by(messages: Sequence[Message]) -> Said:
    said: Said = {}
    for message in messages:
        id_, leaf = message.topic.split("/")[3:]
        if leaf in ("telemetry", "batch"):
            parts = json.loads(message.payload)
            for part in parts if isinstance(parts, list) else [parts]:
                said.setdefault(part.get("id", id_), []).append(part | {"due_us": message.due_us})
    return said


def test_a_normal_night_is_97_per_cent_lit_1_faulty_2_cut_off(whole_city: City, schedule: Schedule) -> None:
    faults = plan_faults(NORMAL_NIGHT, whole_city, EVENING, 1)
    said = said_by(play(whole_city, schedule, faults, EVENING, 2))
    rated = dict(zip(whole_city.lamps.id, whole_city.lamp_rated_w.tolist(), strict=True))
    lit = faulty = cut_off = 0
    for id_, watts in rated.items():
        last = said[id_][-1] if id_ in said else None
        if last is None or last["dim_pct"] == 0:
            cut_off += 1
        elif last["lamp_failure"] or abs(last["power_w"] - watts * last["dim_pct"] / 100) > 0.15 * watts:
            faulty += 1
        else:
            lit += 1
    assert lit + faulty + cut_off == 34_000
    assert lit / 34_000 == pytest.approx(0.97, abs=0.004)
    assert faulty / 34_000 == pytest.approx(0.01, abs=0.001)
    assert cut_off / 34_000 == pytest.approx(0.02, abs=0.004)


def test_no_feeder_of_a_normal_night_has_so_many_dark_lamps_that_somebody_is_called(whole_city: City) -> None:
    faults = plan_faults(NORMAL_NIGHT, whole_city, EVENING, 1)
    dark = [fault.row for fault in faults if fault.name in ("lamp_out", "lamp_unreachable")]
    of_feeder = np.bincount(whole_city.lamp_feeder[dark], minlength=len(whole_city.feeders))
    assert (of_feeder / np.bincount(whole_city.lamp_feeder)).max() < 0.6, "the share at which feeder_out fires"


def test_works_switch_a_feeder_off_as_told(small_city: City, schedule: Schedule) -> None:
    faults = plan_faults([f"works_window:{FEEDER}@10min+1h"], small_city, EVENING, 1)
    said = said_by(play(small_city, schedule, faults, EVENING, 100))
    begin, end = EVENING + 10 * MINUTE_US, EVENING + 70 * MINUTE_US
    during = [r for r in said[FEEDER] if begin <= r["due_us"] < end]
    assert during[0]["due_us"] == begin
    assert not any(r["contactor_closed"] or r["current_a"] or r["breaker_tripped"] for r in during)
    for device in small_city.devices():
        if device.parent == FEEDER:
            told = [r for r in said[device.id] if begin <= r["due_us"] < end]
            assert told and all(r["dim_pct"] == 0 and r["power_w"] < 1 and not r["lamp_failure"] for r in told)
            assert said[device.id][-1]["dim_pct"] == 100


def test_a_stolen_cable_silences_the_far_half_and_takes_its_current(small_city: City, schedule: Schedule) -> None:
    stolen = small_city.lamp_is_far & (small_city.lamp_feeder == small_city.feeders.id.index(FEEDER))
    faults = plan_faults([f"cable_theft:{FEEDER}@20min"], small_city, EVENING, 1)
    said = said_by(play(small_city, schedule, faults, EVENING, 70))
    for device in small_city.devices():
        if device.parent == FEEDER:
            is_heard = any(r["due_us"] >= EVENING + 21 * MINUTE_US for r in said[device.id])
            assert is_heard is not bool(stolen[small_city.lamps.id.index(device.id)])
    before, after = said[FEEDER][0]["current_a"], said[FEEDER][-1]["current_a"]
    assert 0.3 * before < after < 0.8 * before


@pytest.mark.parametrize("order", [f"day_burner_feeder:{FEEDER}@30min", "day_burner:L-DIJ-A001-D1-003@30min"])
def test_welded_contacts_burn_by_day_and_count_on(small_city: City, schedule: Schedule, order: str) -> None:
    said = said_by(play(small_city, schedule, plan_faults([order], small_city, NOON, 1), NOON, 150))
    lamp = said["L-DIJ-A001-D1-003"]
    assert lamp[0]["power_w"] < 1 and lamp[-1]["power_w"] > 20
    assert {r["dim_pct"] for r in lamp} == {0}
    burning_h = (lamp[-1]["due_us"] - NOON - 30 * MINUTE_US) / HOUR_US
    watts = small_city.lamp_rated_w[small_city.lamps.id.index("L-DIJ-A001-D1-003")]
    assert lamp[-1]["energy_wh"] - lamp[0]["energy_wh"] == pytest.approx(watts * burning_h, abs=2)
    if order.startswith("day_burner_feeder"):
        assert said[FEEDER][-1]["contactor_closed"] is False and said[FEEDER][-1]["current_a"] > 0.1


def test_the_weak_the_stuck_the_cycling_and_the_replaced(small_city: City, schedule: Schedule) -> None:
    weak, stuck, cycling, replaced = (f"L-DIJ-A001-D1-00{n}" for n in (1, 2, 3, 4))
    orders = [f"lamp_weak:{weak}@-1h", f"dimming_stuck:{stuck}@-1h", f"cycling:{cycling}@-1h"]
    faults = plan_faults([*orders, f"lamp_replaced:{replaced}@-1h"], small_city, EVENING, 1)
    said = said_by(play(small_city, schedule, faults, EVENING, 60))
    watts = {id_: small_city.lamp_rated_w[small_city.lamps.id.index(id_)] for id_ in (weak, stuck)}
    assert all(r["power_w"] < 0.75 * watts[weak] for r in said[weak])
    assert {(r["dim_pct"], r["dim_actual_pct"]) for r in said[stuck]} == {(100, 65)}
    states = [r["power_w"] > 1 for r in said[cycling]]
    assert sum(a != b for a, b in pairwise(states)) >= 10
    assert said[replaced][-1]["energy_wh"] < 250 and said[replaced][-1]["burning_h"] <= 2


def test_a_mad_gateway_announces_all_its_devices_again_and_again(small_city: City, schedule: Schedule) -> None:
    faults = plan_faults(["config_storm:A-DIJ-001@1min+5min"], small_city, EVENING, 1)
    told = [m for m in play(small_city, schedule, faults, EVENING, 10) if m.topic.endswith("/config")]
    behind = {d.id for d in small_city.devices() if "A-DIJ-001" in (d.id, d.gateway)}
    assert {m.topic.split("/")[3] for m in told} == behind
    assert len(told) == 5 * len(behind) and all(m.retain for m in told)
