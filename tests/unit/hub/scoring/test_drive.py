"""A short scenario is played to its end, and what it did is found."""

from pathlib import Path

import pytest

from hub.clock import SECOND_US
from hub.scoring.drive import Run, at_least, play
from hub.scoring.match import compare
from simulators.fault_table import HARMLESS, SORTS
from simulators.faults import Order
from simulators.scenario import read_scenario

DIJON = Path("simulators/cities/dijon")
TEXT = """
title: A quarter of an hour
lasts: 15min
normal_night: false
faults: [conflict_flash@3min+5min, sos@4min+2min, counter_reset@5min]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path, shares = tmp_path_factory.mktemp("scoring") / "short.yaml", list[float]()
    path.write_text(TEXT)
    run = play(read_scenario(str(path)), city_dir=DIJON, seed=3, scale=0.01, each=1, told=shares.append)
    assert (len(shares), shares[-1]) == (15, 1)
    return run


def test_a_short_scenario_is_played_and_compared(run: Run) -> None:
    assert run.end_us - run.begin_us == 900 * SECOND_US
    verdict = compare(run.faults, run.scene, run.firings, run.incidents)
    delays = {one.fault.name: at_us and at_us - one.start_us for one, at_us in verdict.found}
    assert all(delays[name] is not None and 0 <= delays[name] < 200 * SECOND_US for name in ("conflict_flash", "sos"))
    assert [one.fault.name for one, _ in verdict.unseen] == ["counter_reset"]


def test_a_city_is_known_with_parents_and_gateways(run: Run) -> None:
    places = run.scene.places
    lamp = next(place for place in places.values() if place.type == "lamp")
    assert lamp.parent_no is not None and places[lamp.parent_no].type == "feeder"
    assert lamp.gateway_no is not None and places[lamp.gateway_no].type == "cabinet"
    assert [place.kind for place in places.values()] == sorted(place.kind for place in places.values())


def test_counted_faults_are_made_more_and_others_are_left() -> None:
    orders = [Order.parse(text) for text in ("burst:2", "burst:30", "lamp_out:0.8%", "lamp_out:L-1")]
    assert [order.count for order in at_least(orders, 10)] == [10, 30, 0.008, 1]


def test_what_is_harmless_is_a_fault_of_the_table_that_no_rule_should_notice() -> None:
    assert all(SORTS[name].code is None for name in HARMLESS)
