"""Rules of a city's own: what is refused, what they become, and whom they watch."""

from typing import Any

import msgspec
import numpy as np
import pytest

from devices.bad_expression import BadExpression
from devices.kind import kinds
from devices.own_rule import Decisions, OwnRule, compiled, override_fault
from devices.policy import Override, within
from devices.registry import Registry
from hub.errors import BadSetting

KIND = "street_lighting"
RULE = OwnRule(KIND, "lamp", "draws_much", "power_w > 100", title_fr="Surconsommation")
ROWS: list[tuple[Any, ...]] = [
    (1, "dijon", KIND, "A1", "cabinet", None, None, None, None, True, {}),
    (2, "dijon", KIND, "F1", "feeder", 1, 1, None, None, True, {}),
    (3, "dijon", KIND, "L1", "lamp", 2, 1, None, None, True, {}),
    (4, "talant", KIND, "L2", "lamp", None, None, None, None, True, {}),
]
CITY = Registry.of_rows(1, ROWS, [None, None, "Teceo 1", "Citea"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "lamps"}, "kind 'lamps' is unknown"),
        ({"type": "junction"}, "street_lighting has lamp, feeder, cabinet"),
        ({"code": "Draws much"}, "small letters"),
        ({"code": "lamp_out"}, "declares a rule of this code"),
        ({"priority": 4}, "not 4"),
        ({"hold_s": -1.0}, "hold_s is 0 to"),
        ({"calm_s": float("nan")}, "calm_s is 0 to"),
        ({"lateness_s": 7200.0}, "lateness_s is one of 0, 60"),
        ({"explained_by": ("lamp_in",)}, "explained_by names lamp_in"),
        ({"title_fr": " "}, "it needs a title"),
        ({"title_fr": "x" * 121}, "more than 120"),
        ({"help_en": "a\x00b"}, "control character"),
        ({"scope": "commune"}, "say which commune"),
        ({"scope": "district", "place": "x"}, "not 'district'"),
        ({"place": "dijon"}, "no place 'dijon'"),
        ({"scope": "group", "place": "F1"}, "no number"),
    ],
)
def test_a_rule_that_cannot_be_says_why(change: dict[str, Any], why: str):
    with pytest.raises(BadSetting, match=why):
        compiled(msgspec.structs.replace(RULE, **change))


def test_a_mistake_in_the_clearing_condition_is_found_too():
    with pytest.raises(BadExpression):
        compiled(msgspec.structs.replace(RULE, clear="power_w <"))


def test_what_one_condition_asks_to_be_known_may_be_needed_by_the_other():
    rule = compiled(msgspec.structs.replace(RULE, condition="known(power_w) and power_w > 9 or dim_pct > 50"))
    assert rule.optional == ("power_w",)
    rule = compiled(msgspec.structs.replace(RULE, condition="known(power_w)", clear="power_w < 3"))
    assert rule.optional == ()


def test_without_a_clearing_condition_what_is_unknown_does_not_clear():
    rule = compiled(msgspec.structs.replace(RULE, condition="dim_pct / power_w > 2"))
    assert rule.clear is not None
    columns = {"dim_pct": np.array([100.0, 100.0, 100.0]), "power_w": np.array([10.0, 90.0, 0.0])}
    assert rule.condition(columns).tolist() == [True, False, False]
    assert rule.clear(columns).tolist() == [False, True, False]


def test_a_missing_language_is_the_other():
    assert compiled(RULE).title == ("Surconsommation", "Surconsommation")
    assert compiled(RULE).help == ("power_w > 100", "power_w > 100")


@pytest.mark.parametrize(
    ("scope", "place", "numbers"),
    [
        ("city", "", [1, 2, 3, 4]),
        ("commune", "talant", [4]),
        ("model", "Teceo 1", [3]),
        ("group", "1", [1, 2, 3]),
        ("group", "2", [2, 3]),
        ("device", "3", [3]),
        ("device", "99", []),
    ],
)
def test_a_part_of_the_city(scope: Any, place: str, numbers: list[int]):
    assert CITY.device_no[within(CITY, scope, place)].tolist() == numbers


def enabled(decisions: Decisions) -> list[float] | None:
    rule = decisions.policy.own[KIND][0]
    found = decisions.policy.thresholds(KIND, rule, CITY).get("enabled")
    return None if found is None else found.tolist()


def test_a_rule_watches_its_part_of_the_city_alone_whatever_is_tuned():
    in_dijon = msgspec.structs.replace(RULE, scope="commune", place="dijon")
    assert enabled(Decisions(1, (RULE,))) is None
    assert enabled(Decisions(1, (in_dijon,))) == [1, 1, 1, 0]
    off = Override(KIND, "draws_much", "enabled", 0, "device", "3")
    on = Override(KIND, "draws_much", "enabled", 1)
    assert enabled(Decisions(1, (in_dijon,), (off, on))) == [1, 1, 0, 0]
    assert enabled(Decisions(1, (msgspec.structs.replace(in_dijon, enabled=False),), (on,))) == [0, 0, 0, 0]


def test_what_this_hub_does_not_understand_is_not_in_force_and_said():
    strange = msgspec.structs.replace(RULE, code="of_tomorrow", condition="colour_k > 3000")
    tuned = Override(KIND, "lamp_out", "of_tomorrow", 1)
    decisions = Decisions(3, (RULE, strange), (tuned,))
    assert [rule.code for rule in decisions.policy.rules(kinds()[KIND])][-1] == "draws_much"
    assert decisions.policy.overrides == ()
    (fault,) = decisions.faults
    assert "of_tomorrow" in fault and "colour_k" in fault


def test_they_are_read_back_as_they_were_written():
    decisions = Decisions(3, (RULE,), (Override(KIND, "lamp_out", "hold_s", 5.0, "commune", "dijon"),), (RULE,))
    assert decisions.policy.version == 3
    assert Decisions.decode(decisions.encode()) == decisions


def test_every_threshold_of_every_declared_rule_may_be_set_to_its_default():
    for kind in kinds().values():
        for rule in kind.rules:
            for name, value in rule.thresholds.items():
                assert override_fault(Override(kind.name, rule.code, name, value), rule) is None
