"""Which threshold counts where."""

import numpy as np
import pytest

from devices.kind import Formula, Rule, Text, kinds
from devices.policy import Override, Policy
from devices.registry import Registry

ROWS = [
    (1, "dijon", "street_lighting", "A", "cabinet", None, None, None, None, True, {}),
    (2, "dijon", "street_lighting", "F", "feeder", 1, 1, None, None, True, {}),
    (3, "dijon", "street_lighting", "L", "lamp", 2, 1, None, None, True, {}),
    (4, "dijon", "street_lighting", "M", "lamp", 5, 1, None, None, True, {}),
    (5, "quetigny", "street_lighting", "G", "feeder", 1, 1, None, None, True, {}),
    (6, "quetigny", "street_lighting", "N", "lamp", None, None, None, None, True, {}),
]
PART = Registry.of_rows(1, ROWS).of_kind("street_lighting")
RULE = kinds()["street_lighting"].rule("lamp_out")
OWN = 0.15


def tuned(*overrides):
    made = [Override("street_lighting", "lamp_out", "min_ratio", *one) for one in overrides]
    return Policy(1, {}, made).thresholds("street_lighting", RULE, PART)


@pytest.mark.parametrize(
    ("scope", "place", "where"),
    [
        ("city", "", [1, 2, 3, 4, 5, 6]),
        ("commune", "quetigny", [5, 6]),
        ("group", "1", [1, 2, 3, 4, 5]),
        ("group", "2", [2, 3]),
        ("device", "4", [4]),
        ("device", "99", []),
        ("model", "x", []),
    ],
)
def test_an_override_is_for_a_part_of_the_city(scope, place, where):
    found = tuned((0.5, scope, place))["min_ratio"]
    assert PART.device_no[found == 0.5].tolist() == where
    assert (found[found != 0.5] == OWN).all()


def test_the_narrower_counts_in_whatever_order_they_were_made():
    made = [(1, "city", ""), (2, "commune", "dijon"), (3, "group", "1"), (4, "group", "2"), (5, "device", "3")]
    for order in (made, made[::-1]):
        assert tuned(*order)["min_ratio"].tolist() == [3, 4, 5, 3, 3, 1]


def test_what_nobody_tuned_and_what_is_no_threshold_is_left_out():
    assert tuned() == {}
    other = [Override("street_lighting", "lamp_out", "nonsense", 1), Override("street_lighting", "other", "hold_s", 1)]
    assert Policy(1, {}, other).thresholds("street_lighting", RULE, PART) == {}


def test_a_citys_own_rules_come_after_those_of_the_kind():
    own = Rule("own", "lamp", Formula.of(lambda dim_pct: dim_pct > 1), Text("", ""), 2, Text("", ""))
    assert Policy(1, {"street_lighting": [own]}).rules(kinds()["street_lighting"])[-1] is own


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_a_threshold_of_two_conditions_has_one_default(kind):
    """Else another value for one device would change it for all."""
    for rule in kind.rules:
        formulas = (rule.condition, *((rule.clear,) if rule.clear else ()), *(formula for _, formula in rule.grades))
        for formula in formulas:
            assert formula.thresholds.items() <= dict(rule.thresholds).items(), rule.code


def test_a_board_without_such_devices_has_empty_thresholds():
    nobody = Registry.of_rows(1, []).of_kind("street_lighting")
    found = Policy(1, {}, [Override("street_lighting", "lamp_out", "hold_s", 5, "group", "1")])
    assert len(found.thresholds("street_lighting", RULE, nobody)["hold_s"]) == 0
    assert np.isfinite(found.thresholds("street_lighting", RULE, PART)["hold_s"]).all()
