"""Where a hub's time starts when a scenario or a person wishes it, and what its simulator is told."""

from datetime import datetime

import pytest

from hub.clock import Clock, to_us
from hub.errors import BadSetting
from hub.settings import Settings
from hub.up import choose_clock, first_hub_time, hub_plan
from simulators.faults import DEMO_FAULTS

NOW_US = to_us(datetime.fromisoformat("2026-11-24T18:00:00+01:00"))
LATER_US = to_us(datetime.fromisoformat("2027-03-27T20:00:00+01:00"))


def test_without_a_wish_time_is_not_moved() -> None:
    assert first_hub_time(Settings(), None, NOW_US) is None
    assert first_hub_time(Settings(), "now", NOW_US) is None


def test_a_start_is_local_time_and_the_clock_runs_on_from_there() -> None:
    assert first_hub_time(Settings(), "2027-03-27T20:00", NOW_US) == LATER_US
    assert first_hub_time(Settings(), "spring_change", NOW_US) == LATER_US
    assert choose_clock(Settings(), LATER_US, 60, real_us=NOW_US) == Clock(NOW_US, LATER_US, 60)


@pytest.mark.parametrize(
    ("start", "says"), [("2020-01-01T00:00", "it never goes back; name a later time"), ("soon", "'soon' is not now")]
)
def test_a_start_that_cannot_be_is_said(start: str, says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        first_hub_time(Settings(), start, NOW_US)


def test_a_scenario_takes_the_place_of_the_demonstrations_faults() -> None:
    def told(scenario: str | None) -> tuple[str, ...]:
        plan = hub_plan(Settings(), Clock(), simulate=True, scenario=scenario)
        program = next(program for program in plan.kept if program.name == "simulate")
        return tuple(map(str, program.argv))

    assert told(None)[-len(DEMO_FAULTS) :] == tuple(f"--fault={fault}" for fault in DEMO_FAULTS)
    assert told("storm_night")[-2:] == ("--scenario", "storm_night")
    assert not any(argument.startswith("--fault") for argument in told("storm_night"))
