"""Why a rule fires or does not, at every step of a lamp's life."""

import numpy as np
import pytest

from devices.kind import kinds
from devices.policy import Override, Policy
from devices.registry import Registry
from rules.board import Board
from rules.explain import NoSuchRule, Wait, rules_for, why
from tests.readings import NOW_US
from tests.unit.rules.test_backtest import registry
from tests.unit.rules.test_evaluate import FEEDER_NO, heard, lighting_board, lit, out, ticked

SECOND_US = 1_000_000


def at(board, no, code, now):
    return why(board, no, code, NOW_US + int(now * SECOND_US))


def columns(told):
    return {column.name: (column.value, column.how) for column in told.columns}


def test_a_lamp_on_its_way_to_firing_and_back():
    board = lighting_board()
    told = at(board, 10, "lamp_out", 5)
    assert (told.is_firing, told.condition, told.clearing) == (False, None, None)
    assert told.missed == ["dim_pct", "power_w", "lamp_failure"], "of the two last, one would do"
    assert columns(told)["rated_power_w"] == (60, "")
    heard(board, lit(10, 60))
    told = at(board, 10, "lamp_out", 100)
    assert (told.condition, told.clearing, told.missed) == (False, True, [])
    decides = {name: told for name, told in columns(told).items() if name in board.kind.rule("lamp_out").columns}
    assert decides == {
        "dim_pct": (100, "live"), "power_w": (60, "live"), "rated_power_w": (60, ""), "lamp_failure": (None, "live"),
    }  # fmt: skip
    heard(board, out(10, 300))
    told = at(board, 10, "lamp_out", 500)
    assert (told.is_firing, told.condition, told.hold) == (False, True, Wait(600, NOW_US + 300 * SECOND_US, 0.0))
    heard(board, out(10, 700))
    assert at(board, 10, "lamp_out", 5000).hold.passed_s == 400, "by the device's own time"
    heard(board, out(10, 900))
    told = at(board, 10, "lamp_out", 1000)
    assert (told.is_firing, told.is_loud, told.priority, told.told_priority) == (True, True, 3, 3)
    assert (told.hold, told.calm) == (Wait(600), Wait(0))
    heard(board, lit(10, 1800))
    assert not at(board, 10, "lamp_out", 1800).is_firing


def test_it_agrees_with_the_engine_on_a_random_walk():
    board, chance = lighting_board(), np.random.default_rng(5)
    for step in range(60):
        heard(board, (out if chance.random() < 0.6 else lit)(10, 300 * step))
        told = at(board, 10, "lamp_out", 300 * step)
        life, slot = board.lives["lamp_out"], board.slot[board.rows(np.array([10]))[0]]
        assert told.is_firing == bool(life.firing[slot])
        assert told.condition is not told.clearing
        assert (told.hold.since_us or told.calm.since_us or 0) == int(life.since_s[slot]) * SECOND_US


def test_silence_goes_by_the_clock_and_a_group_by_its_members():
    board = lighting_board()
    heard(board, *(lit(10 + i, 0) for i in range(10)))
    ticked(board, 1)
    told = at(board, 10, "lamp_silent", 1800)
    assert (told.condition, told.seen_us - NOW_US) == (False, 1800 * SECOND_US)
    assert columns(told) == {"overdue_periods": (2, "")}
    heard(board, *(out(10 + i, 900, replayed=True) for i in range(7)), now=900)
    told = at(board, FEEDER_NO, "feeder_out", 901)
    assert (told.condition, told.missed) == (True, [])
    assert columns(told)["children__dark__share"] == (0.7, "replayed")
    assert columns(told)["breaker_tripped"] == (None, "live")


def test_thresholds_say_where_they_come_from_and_a_rule_that_is_off_says_so():
    tuned = (Override("street_lighting", "lamp_out", "hold_s", 60, "device", "10"),)
    off = (Override("street_lighting", "lamp_out", "enabled", 0, "device", "11"),)
    board = Board.of(kinds()["street_lighting"], registry(), Policy(1, {}, tuned + off))
    mine = {one.name: one for one in at(board, 10, "lamp_out", 0).thresholds}
    assert (mine["hold_s"].value, mine["hold_s"].default, mine["hold_s"].is_tuned) == (60, 600, True)
    assert not mine["min_ratio"].is_tuned
    assert at(board, 11, "lamp_out", 0).is_off and not at(board, 10, "lamp_out", 0).is_off


def test_a_rule_that_comes_and_goes_says_that_it_is_unstable():
    board = lighting_board()
    for turn in range(5):
        heard(board, {"no": 1, "ts": 200 * turn, "door_open": 1}, {"no": 1, "ts": 200 * turn + 70, "door_open": 1})
        if turn < 4:
            heard(board, {"no": 1, "ts": 200 * turn + 100, "door_open": 0})
    told = at(board, 1, "cabinet_door", 900)
    assert (told.is_firing, told.is_unstable, told.calm.needed_s) == (True, True, 3600)


def test_what_cannot_be_explained():
    board = lighting_board()
    with pytest.raises(NoSuchRule, match="no rule that watches device 10"):
        at(board, 10, "feeder_out", 0)
    with pytest.raises(NoSuchRule, match="no device 12345"):
        at(board, 12345, "lamp_out", 0)
    with pytest.raises(NoSuchRule, match="nobody has said of which type"):
        rules_for(board, 99)


def test_a_device_to_commission_says_so():
    row = (5, "dijon", "street_lighting", "L", "lamp", None, None, 47.3, 5.0, False, {})
    board = Board.of(kinds()["street_lighting"], Registry.of_rows(1, [row]))
    assert not at(board, 5, "lamp_out", 0).is_commissioned
