"""A change of the rules while some are on: what is watched no more is over, what stays keeps its state."""

from typing import Any

import msgspec
import numpy as np

from devices.own_rule import Decisions, OwnRule
from devices.policy import Override
from devices.readings import Readings
from devices.registry import Registry
from devices.transition import Explanation, Transition
from ingest.city import City
from rules.change import orphaned
from rules.evaluate import apply

KIND = "street_lighting"
SECOND_US = 1_000_000
BEGAN_US = 20_000 * 86_400 * SECOND_US
RULE = OwnRule(KIND, "lamp", "draws_much", "power_w > 100", title_fr="Surconsommation", priority=2)
ROWS: list[tuple[Any, ...]] = [
    (1, "dijon", KIND, "L1", "lamp", None, None, None, None, True, {"rated_power_w": 60}),
    (2, "talant", KIND, "L2", "lamp", None, None, None, None, True, {"rated_power_w": 60}),
]


def city(*rules: OwnRule) -> City:
    return City.of(Registry.of_rows(1, ROWS), Decisions(1, rules))


def tell(of: City, power_w: float, at_s: int = 0) -> list[tuple[str, str, int]]:
    """What is told when both lamps say what they draw."""
    board = of.boards[KIND]
    at_us = np.full(2, BEGAN_US + at_s * SECOND_US)
    values = np.full((len(board.kind.fields), 2), np.nan)
    values[board.kind.field_index("power_w")] = power_w
    values[board.kind.field_index("dim_pct")] = 100
    readings = Readings(
        kind=board.kind,
        offset=np.zeros(2, np.int64),
        part=np.zeros(2, np.int32),
        device_no=np.array([1, 2], np.int32),
        ts_us=at_us,
        received_us=at_us,
        time_flagged=np.zeros(2, bool),
        replayed=np.zeros(2, bool),
        values=values,
        rest={},
        strangers={},
    )
    return told(apply(board, readings, now_us=int(at_us[0])))


def told(transitions: list[Transition]) -> list[tuple[str, str, int]]:
    return sorted((one.code, one.action, one.device_no) for one in transitions)


def adopt(of: City, *rules: OwnRule, tuned: tuple[Override, ...] = (), version: int = 2) -> list[tuple[str, str, int]]:
    of.wanted = Decisions(version, rules, tuned)
    return told(of.adopt(BEGAN_US + 3600 * SECOND_US))


BOTH_ON = [("draws_much", "fire", 1), ("draws_much", "fire", 2)]
BOTH_OVER = [("draws_much", "clear", 1), ("draws_much", "clear", 2)]


def test_a_rule_that_is_removed_is_over_and_does_not_come_back():
    here = city(RULE)
    assert tell(here, 150) == BOTH_ON
    assert adopt(here) == BOTH_OVER
    assert tell(here, 150, 60) == []


def test_where_it_no_longer_watches_it_is_over_once():
    here = city(RULE)
    tell(here, 150)
    assert adopt(here, msgspec.structs.replace(RULE, scope="commune", place="dijon")) == [BOTH_OVER[1]]
    assert tell(here, 150, 60) == []
    assert tell(here, 50, 120) == [BOTH_OVER[0]]


def test_a_declared_rule_that_is_switched_off_is_over():
    here = city()
    hold = Override(KIND, "lamp_out", "hold_s", 0)
    adopt(here, tuned=(hold,))
    assert ("lamp_out", "fire", 1) in tell(here, 0)
    off = Override(KIND, "lamp_out", "enabled", 0, "device", "1")
    assert adopt(here, tuned=(hold, off), version=3) == [("lamp_out", "clear", 1)]
    assert ("lamp_out", "clear", 1) not in tell(here, 58, 60)


def test_what_changes_elsewhere_leaves_it_as_it_is():
    here = city(RULE)
    tell(here, 150)
    others = {name: board for name, board in here.boards.items() if name != KIND}
    assert adopt(here, RULE, tuned=(Override(KIND, "lamp_out", "min_ratio", 0.2),)) == []
    assert all(here.boards[name] is board for name, board in others.items())
    assert tell(here, 150, 60) == [], "it is on already"
    assert adopt(here, RULE, version=9) == [] and here.decisions.version == 9


def test_another_condition_is_held_anew():
    held = msgspec.structs.replace(RULE, hold_s=60.0)
    here = city(held)
    assert tell(here, 150) == []
    adopt(here, msgspec.structs.replace(held, condition="power_w > 120"))
    assert tell(here, 150, 90) == []
    assert tell(here, 150, 150) == BOTH_ON


def test_another_text_or_hold_does_not_begin_anew():
    held = msgspec.structs.replace(RULE, hold_s=60.0)
    here = city(held)
    tell(here, 150)
    adopt(here, msgspec.structs.replace(held, title_en="Draws much", hold_s=80.0))
    assert tell(here, 150, 90) == BOTH_ON


def test_what_was_told_to_be_on_by_a_rule_that_nobody_has_is_over():
    here = city(RULE)
    saw = Explanation({}, {}, 0.0)
    on = [Transition(KIND, "draws_much", number, "fire", 1, 1, 2, "", saw) for number in (1, 2)]
    assert list(orphaned(here.boards, on, now_us=5)) == []
    adopt(here)
    assert told(list(orphaned(here.boards, on, now_us=5))) == BOTH_OVER
    overs = [msgspec.structs.replace(one, action="clear") for one in on]
    assert list(orphaned(here.boards, [*on, *overs], now_us=5)) == []
