"""Figures of indicators as people read them."""

import pytest

from dashboard.overview_words import figure_text, goal_text, range_text
from dashboard.words import load_words
from devices.kind import Formula, Goal, Indicator, Text

WORDS = load_words("Europe/Paris", {})
FR, EN = WORDS["fr"], WORDS["en"]
NO_BREAK, THIN = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


def indicator(unit: str = "%", goal: Goal | None = None) -> Indicator:
    return Indicator("x", "lamp", Text("x", "x"), Formula.of(lambda power_w: power_w), unit=unit, goal=goal)


@pytest.mark.parametrize(
    ("figure", "unit", "french", "english"),
    [
        (97.24, "%", f"97,2{NO_BREAK}%", f"97.2{NO_BREAK}%"),
        (12345.6, "kW", f"12{THIN}346{NO_BREAK}kW", f"12,346{NO_BREAK}kW"),
        (3, "", "3", "3"),
        (float("nan"), "%", "–", "–"),
    ],
)
def test_a_figure_has_its_unit_and_the_decimals_worth_reading(figure, unit, french, english):
    assert figure_text(indicator(unit), figure, FR) == french
    assert figure_text(indicator(unit), figure, EN) == english


def test_a_range_says_its_unit_once_and_one_figure_once():
    assert range_text(indicator("bar"), 4.01, 4.9, EN) == f"4 – 4.9{NO_BREAK}bar"
    assert range_text(indicator("bar"), 4.01, 4.02, EN) == f"4{NO_BREAK}bar"


def test_a_goal_is_told_where_there_is_one():
    assert goal_text(indicator(), EN) == ""
    assert goal_text(indicator(goal=Goal("a contract", high=1.0)), EN) == f"goal: at most 1{NO_BREAK}%"
    assert goal_text(indicator(goal=Goal("a contract", low=99.0)), EN) == f"goal: at least 99{NO_BREAK}%"
