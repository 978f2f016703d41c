"""Disturbances: each at its rate, the same for a seed, whatever the steps; nothing is lost, nothing else is touched."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from hub.clock import to_us
from ingest.codecs.codec import Reject
from ingest.codecs.native import CODEC
from simulators.city import City, make_city
from simulators.disturbances import EVERYDAY, STILL, Disturbances, Rates
from simulators.fault_table import SORTS
from simulators.faults import NORMAL_NIGHT, plan_faults
from simulators.simulate import Town
from simulators.weather import Spell
from simulators.wire import Message, encode

START = to_us(datetime.fromisoformat("2026-11-24T08:00:00+01:00"))
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US


def messages(kind: str, leaf: str, count: int, every_s: float = 1.0, device: str = "X-1") -> list[Message]:
    return [
        Message(at, f"city/dijon/{kind}/{device}/{leaf}", encode({"ts": at // 1000, "n": n}))
        for n, at in ((n, START + int(n * every_s * SECOND_US)) for n in range(count))
    ]


def passed(rates: Rates, sent: list[Message], after_h: float = 0) -> list[Message]:
    return Disturbances(rates, 1).passed_on(sent, sent[-1].due_us + int(after_h * HOUR_US))


def test_without_rates_everything_passes_as_it_is() -> None:
    sent = messages("energy_meter", "telemetry", 100)
    assert passed(STILL, sent) == sent


def test_duplicates_come_as_often_as_told_within_a_minute_to_the_byte() -> None:
    sent = messages("energy_meter", "telemetry", 20_000)
    came = passed(Rates(duplicates=0.02), sent, after_h=1)
    times = Counter(m.payload for m in came)
    assert set(times.values()) == {1, 2}
    assert len(came) - len(sent) == pytest.approx(400, rel=0.2)
    assert {m.payload for m in came} == {m.payload for m in sent}
    due = {m.payload: m.due_us for m in sent}
    assert all(0 <= m.due_us - due[m.payload] <= 60 * SECOND_US for m in came)


def test_some_messages_are_overtaken() -> None:
    sent = messages("energy_meter", "telemetry", 5000)
    came = passed(Rates(out_of_order=0.02), sent, after_h=1)
    numbers = [json.loads(m.payload)["n"] for m in came]
    assert sorted(numbers) == list(range(5000))
    assert sum(b < a for a, b in pairwise(numbers)) == pytest.approx(100, rel=0.4)


def test_only_water_batches_come_hours_late() -> None:
    water, energy = messages("water_meter", "batch", 2000, 1800), messages("energy_meter", "batch", 2000, 1800)
    assert passed(Rates(late_water=0.1), energy, after_h=30) == energy
    came = passed(Rates(late_water=0.1), water, after_h=30)
    due = {m.payload: m.due_us for m in water}
    late_h = [(m.due_us - due[m.payload]) / HOUR_US for m in came if m.due_us > due[m.payload]]
    assert len(came) == 2000 and len(late_h) == pytest.approx(200, rel=0.25)
    assert min(late_h) >= 2 and max(late_h) < 26.01


def test_in_a_tunnel_a_vehicle_is_silent_for_minutes_and_then_tells_everything() -> None:
    sent = messages("fleet_vehicle", "telemetry", 36_000, 10)
    came = passed(Rates(tunnels=0.2), sent, after_h=1)
    assert {m.payload for m in came} == {m.payload for m in sent}
    gaps = [(b.due_us - a.due_us) / 1e6 for a, b in pairwise(came) if b.due_us - a.due_us > 30 * SECOND_US]
    assert len(gaps) == pytest.approx(0.2 * 600, rel=0.3)
    assert min(gaps) > 30 and max(gaps) < 4.5 * 60
    assert passed(Rates(tunnels=0.2), messages("energy_meter", "telemetry", 900, 10)) == messages(
        "energy_meter", "telemetry", 900, 10
    )


def test_malformed_messages_are_refused_as_often_as_told() -> None:
    sent = messages("energy_meter", "telemetry", 10_000)
    came = passed(Rates(malformed=0.01), sent)
    refused = [h for m in came for h in CODEC.decode(m.topic, m.payload, "x") if isinstance(h, Reject)]
    assert len(refused) == pytest.approx(100, rel=0.3)


def test_the_same_share_of_clocks_drifts_and_grows_until_sunday() -> None:
    ahead = {}
    for n in range(400):
        (early, late) = messages("energy_meter", "telemetry", 2, 48 * 3600, device=f"E-{n}")
        came = Disturbances(Rates(clock_drift=0.1), 1).passed_on([early, late], late.due_us)
        ahead[n] = [json.loads(m.payload)["ts"] / 1000 - m.due_us // 1000 / 1000 for m in came]
    drifting = [(a, b) for a, b in ahead.values() if a or b]
    assert len(drifting) == pytest.approx(40, abs=15)
    assert all(abs(b) >= abs(a) and abs(b) <= 17 * 60 for a, b in drifting)


def test_states_and_configurations_are_left_alone() -> None:
    every = Rates(1, 1, 1, 1, 1, 1)
    sent = messages("street_lighting", "state", 50) + messages("street_lighting", "config", 50)
    assert sorted(passed(every, sent), key=str) == sorted(sent, key=str)


@pytest.mark.parametrize("start", ["2026-11-24T17:00:00+01:00", "2027-03-28T01:30:00+01:00"])
def test_how_often_the_simulator_looks_at_the_clock_changes_nothing_at_all(start: str) -> None:
    """Every fault, storm, every disturbance, also in the night of the change."""
    city = make_city(Path("simulators/cities/dijon"), scale=0.08)
    start_us = to_us(datetime.fromisoformat(start))
    orders = [*(f"{name}@{3 + n % 17}min+{5 + n % 11}min" for n, name in enumerate(SORTS)), *NORMAL_NIGHT]
    faults = plan_faults(orders, city, start_us, 1)
    rates = Rates(0.1, 0.3, 0.05, 0.05, 0.02, 0.2)
    spells = (Spell("storm", start_us + HOUR_US // 4, start_us + 2 * HOUR_US),)

    def sent(step_s: float) -> list[tuple[int, str, bytes]]:
        town = Town(city, start_us, seed=4, faults=faults, spells=spells, rates=rates)
        now_us, end_us, found = start_us, start_us + 35 * 60 * SECOND_US, []
        while now_us < end_us:
            now_us = min(end_us, now_us + int(step_s * SECOND_US))
            found += [(m.due_us, m.topic, m.payload) for m in town.step(now_us)]
        return sorted(found)

    assert sent(1.3) == sent(97)


def test_an_ordinary_day_is_hardly_disturbed(small_city: City) -> None:
    town = Town(small_city, START, seed=1, rates=EVERYDAY)
    still = Town(small_city, START, seed=1)
    came, usual = (t.step(START + 2 * HOUR_US) for t in (town, still))
    alike = len({(m.due_us, m.topic, m.payload) for m in came} & {(m.due_us, m.topic, m.payload) for m in usual})
    assert 0.97 * len(usual) < alike < len(usual)
