"""The life of a rule on a device: hold, calm, hysteresis, flapping, priority."""

import numpy as np
import pytest

from rules.life import Life, Seen, live

SECOND_US = 1_000_000
BEGAN_S = 1_780_000_000
ONE = np.array([0])


class Rule:
    """A rule on one device, seen at seconds."""

    def __init__(self, hold_s=0, calm_s=0):
        self.life, self.hold_s, self.calm_s = Life.blank(1), np.array(float(hold_s)), np.array(float(calm_s))

    def __call__(self, at_s, what, *, worth=True, priority=2):
        """`what` is bad, good, both, neither or unknown; returns what is told."""
        seen = Seen(
            np.array([what in ("bad", "both")]),
            np.array([what in ("good", "both")]),
            np.array([what != "unknown"]),
            np.array([worth]),
            np.array([priority], np.uint8),
        )
        at_us = np.array([(BEGAN_S + at_s) * SECOND_US])
        outcome = live(self.life, ONE, seen, at_us, hold_s=self.hold_s, calm_s=self.calm_s)
        words = [name for name in ("fired", "confirmed", "regraded", "cleared") if getattr(outcome, name).any()]
        assert len(words) <= 1 and bool(words) == outcome.told.any()
        return " ".join([*words, *(["unstable"] if words and outcome.unstable[0] else [])])

    def through(self, *seen):
        return [self(at_s, what) for at_s, what in seen]


def test_it_fires_once_its_hold_is_over():
    rule = Rule(hold_s=60)
    assert rule.through((0, "bad"), (59, "bad"), (60, "bad"), (61, "bad")) == ["", "", "fired", ""]


def test_a_good_moment_ends_the_hold_and_an_unknown_one_does_not():
    assert Rule(60).through((0, "bad"), (30, "good"), (60, "bad"), (119, "bad"), (120, "bad"))[-2:] == ["", "fired"]
    assert Rule(60).through((0, "bad"), (30, "unknown"), (60, "bad"))[-1] == "fired"


def test_it_clears_once_it_was_calm():
    rule = Rule(calm_s=60)
    assert rule.through((0, "bad"), (1, "good"), (60, "good"), (61, "good")) == ["fired", "", "", "cleared"]
    assert rule.through((70, "bad"), (71, "good"), (100, "bad"), (140, "good"), (160, "unknown"), (200, "good")) == [
        "fired",
        "",
        "",
        "",
        "",
        "cleared",
    ]


def test_between_firing_and_clearing_nothing_moves():
    rule = Rule()
    assert rule.through((0, "neither"), (1, "bad"), (2, "neither"), (3, "good")) == ["", "fired", "", "cleared"]


def test_neither_ends_a_calm_that_has_begun():
    assert Rule(calm_s=10).through((0, "bad"), (1, "good"), (5, "neither"), (11, "good"))[-1] == ""


def test_a_rule_that_comes_and_goes_says_once_that_it_is_unstable_and_clears_after_a_calm_hour():
    rule = Rule()
    for turn in range(4):
        assert rule.through((turn * 10, "bad"), (turn * 10 + 5, "good")) == ["fired", "cleared"]
    assert rule(40, "bad") == "fired unstable"
    assert {rule(at_s, what) for at_s in range(45, 3600, 10) for what in ("bad", "good")} == {""}
    assert rule.through((3605, "bad"), (3610, "good"), (7209, "good"), (7210, "good")) == ["", "", "", "cleared"]
    assert rule(7300, "bad") == "fired", "and begins anew"


def test_four_times_an_hour_is_not_unstable():
    rule = Rule()
    for at_s in range(0, 40_000, 1000):
        assert rule.through((at_s, "bad"), (at_s + 500, "good")) == ["fired", "cleared"]


def test_an_unstable_rule_that_is_confirmed_or_regraded_says_that_it_is_unstable():
    rule = Rule()
    for turn in range(4):
        rule.through((turn * 10, "bad"), (turn * 10 + 5, "good"))
    assert rule(40, "bad", worth=False) == "fired unstable"
    assert rule(41, "bad") == "confirmed unstable"
    assert rule(42, "bad", priority=1) == "regraded unstable"


def test_priorities_rise_and_fall_while_it_fires():
    rule = Rule()
    told = [rule(at_s, "bad", priority=priority) for at_s, priority in enumerate((3, 3, 1, 1, 2))]
    assert told == ["fired", "", "regraded", "", "regraded"] and rule.life.priority[0] == 2
    assert rule(9, "neither", priority=1) == "", "what does not hold has no new priority"
    assert rule(10, "good", priority=1) == "cleared"


def test_a_quiet_firing_is_confirmed_once():
    rule = Rule()
    told = [rule(at_s, "bad", worth=worth) for at_s, worth in enumerate((False, False, True, True, False))]
    assert told == ["fired", "", "confirmed", "", ""]
    assert rule(5, "good") == "cleared"


@pytest.mark.parametrize("what", ["bad", "good", "both", "neither", "unknown"])
def test_nobody_at_all_is_no_trouble(what):
    none = np.zeros(0, bool)
    seen = Seen(none, none, none, none, np.zeros(0, np.uint8))
    outcome = live(
        Life.blank(0), np.zeros(0, np.intp), seen, np.zeros(0, np.int64), hold_s=np.array(0.0), calm_s=np.array(0.0)
    )
    assert not outcome.told.any()


def test_clearing_wins_where_both_conditions_hold():
    assert Rule().through((0, "both"), (1, "both")) == ["fired", "cleared"]
