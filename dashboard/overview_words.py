"""Indicators in words: figures with their units, goals, periods. Pure."""

import math
from datetime import timedelta

from dashboard.words import Words
from devices.kind import Indicator

SPACE = "\N{NO-BREAK SPACE}"


def figure_text(indicator: Indicator, figure: float, words: Words) -> str:
    """97,2 %; a dash while nobody knows. Large figures are told without decimals."""
    return f"{_number(figure, words)}{SPACE}{indicator.unit}".strip() if math.isfinite(figure) else "–"


def range_text(indicator: Indicator, low: float, high: float, words: Words) -> str:
    """From the lowest to the highest, which may be one figure: 24,5 – 25,1 µg/m³."""
    lowest, highest = _number(low, words), figure_text(indicator, high, words)
    return highest if _number(high, words) == lowest else f"{lowest} – {highest}"


def _number(figure: float, words: Words) -> str:
    return words.number(figure, 0 if abs(figure) >= 1000 else 1)


def goal_text(indicator: Indicator, words: Words) -> str:
    """What the city agreed on, "" when it did not."""
    goal = indicator.goal
    if goal is None:
        return ""
    if math.isinf(goal.low):
        return words("goal: at most {figure}", figure=figure_text(indicator, goal.high, words))
    return words("goal: at least {figure}", figure=figure_text(indicator, goal.low, words))


def period_text(period: timedelta, words: Words) -> str:
    return words("24 h") if period <= timedelta(days=1) else words("7 d")
