"""Why a rule fires or does not, in one sentence each."""

import pytest
from msgspec.structs import replace

from dashboard.why_words import told
from dashboard.words import load_words
from rules.explain import Grade, SeenColumn, SeenThreshold, Wait, Why

WORDS = load_words("Europe/Paris", {})
AT_US = 1_780_000_000_000_000
QUIET = Why(
    kind="street_lighting",
    code="lamp_out",
    device_no=1,
    at_us=AT_US,
    seen_us=AT_US,
    is_firing=False,
    condition=False,
    clearing=True,
    columns=[SeenColumn("power_w", 60, "live", is_missed=False)],
    thresholds=[SeenThreshold("hold_s", 60, 600), SeenThreshold("min_ratio", 0.15, 0.15)],
    hold=Wait(600),
    calm=Wait(0),
    priority=3,
    told_priority=0,
    grades=[Grade(2, "On a crossing.", holds=False)],
    is_loud=False,
    is_unstable=False,
    is_commissioned=True,
    is_off=False,
)
FIRING = {"is_firing": True, "condition": True, "clearing": False, "is_loud": True}
MISSED = {"condition": None, "clearing": None, "columns": [SeenColumn("dim_pct", None, "live", is_missed=True)]}


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ({}, "It does not fire: its condition does not hold."),
        ({"is_commissioned": False}, "The device is to commission: no rule looks at it."),
        ({"is_off": True, "condition": True}, "It does not fire: the rule is switched off for this device."),
        (MISSED, "It can neither fire nor clear: unknown is Dimming command."),
        (
            {"condition": True, "hold": Wait(600, AT_US, 400.0)},
            "It does not fire yet: its condition has held for 7 minutes of 10 minutes.",
        ),
        (
            {"condition": True},
            "It does not fire yet: its condition holds, and is looked at again with the next reading.",
        ),
        (FIRING, "It fires: its condition holds."),
        (FIRING | MISSED, "It fires, and cannot clear: unknown is Dimming command."),
        (
            FIRING | {"condition": False, "clearing": True, "calm": Wait(1800, AT_US, 600.0)},
            "It fires; what clears it has held for 10 minutes of 30 minutes.",
        ),
        (
            FIRING | {"condition": False},
            "It fires still: its condition holds no more, but what clears it does not hold yet.",
        ),
        (
            FIRING | {"is_off": True},
            "It fires, and clears at once when it is looked at again: the rule is switched off.",
        ),
    ],
)
def test_the_verdict(state, verdict):
    (shown,) = told([replace(QUIET, **state)], WORDS["en"])
    assert shown.verdict == verdict


def test_the_rest_in_french():
    late = SeenColumn("power_w", 1.25, "late", is_missed=False)
    why = replace(QUIET, **FIRING, columns=[late], seen_us=AT_US - 60_000_000)
    (shown,) = told([replace(why, is_loud=False, is_unstable=True, told_priority=2)], WORDS["fr"])
    assert (shown.title, shown.priority) == ("Lampadaire éteint", 2)
    assert shown.columns == [("Puissance", "1,25 W", "reçu tard")]
    assert shown.thresholds == [("hold_s", "60", "réglé ici ; 600 par défaut"), ("min_ratio", "0,15", "")]
    assert shown.grades == [(2, "non", "On a crossing.")]
    assert len(shown.more) == 4 and shown.more[-1].startswith("D'après la dernière mesure de l'équipement, 28 mai 2026")


def test_what_fires_comes_first():
    order = [QUIET, replace(QUIET, code="b", condition=True), replace(QUIET, code="a", **FIRING)]
    assert [shown.code for shown in told(order, WORDS["en"])] == ["a", "b", "lamp_out"]
