"""Conditions of operators: what is understood, what is refused and where, and what they are worth."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.bad_expression import BadExpression
from devices.expression import LONGEST, parsed
from devices.kind import kinds

LIGHTING = kinds()["street_lighting"]
NAMES = ("dim_pct", "power_w", "rated_power_w", "lamp_failure")
Scalar = Callable[[dict[str, float]], float]


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("", "empty", 0),
        ("power_w > 1" + " " * LONGEST, "long", LONGEST),
        ("power_w", "no_condition", 0),
        ("lamp_failure and power_w", "no_condition", 17),
        ("not power_w + 1", "no_condition", 4),
        ("power_w = 3", "instead", 8),
        ("power_w > 3 && dim_pct > 0", "instead", 12),
        ("power_w ≥ 3", "instead", 8),
        ("power_w > 0,15", "comma", 11),
        ("  powr_w > 3", "column", 2),
        ("power_w__mean_15y > 3", "column", 0),
        ("power_w > ", "grammar", 9),
        ("((power_w > 1)", "grammar", 0),
        ("power_w.real > 1", "character", 7),
        ("power_w > 'a'", "character", 10),
        ("power_w > 0x10", "character", 10),
        ("power_w > 1_0", "character", 10),
        ("__import__(power_w) > 1", "function", 0),
        ("abs(power_w, 2) > 1", "values", 0),
        ("known(power_w + 1)", "known", 0),
        ("power_w > 1e999", "number", 10),
        ("1 > 0", "no_column", 0),
        ("True", "not_understood", 0),
        ("power_w in dim_pct", "not_understood", 0),
        ("power_w if dim_pct else 1", "not_understood", 0),
        ("-" * 200 + "power_w > 1", "deep", 40),
        ("(" * 300 + "power_w", "grammar", 200),
        (" or ".join(f"power_w__mean_{minutes}m > 1" for minutes in range(1, 30)), "many", 491),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, code: str, position: int):
    with pytest.raises(BadExpression) as raised:
        parsed(text, LIGHTING, "lamp")
    assert (raised.value.code, raised.value.position) == (code, position)
    assert all("{" not in said and said for said in raised.value.said)


def test_a_name_that_is_nearly_right_is_suggested():
    with pytest.raises(BadExpression, match="Did you mean power_w"):
        parsed("powerw > 3", LIGHTING, "lamp")


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("power_w > 3", [0, 1, math.nan]),
        ("not power_w > 3", [1, 0, math.nan]),
        ("power_w > 3 or dim_pct == 100", [1, 1, 1]),
        ("known(power_w) and power_w < 3", [1, 0, 0]),
        ("dim_pct / power_w > 1", [math.nan, 1, math.nan]),
        ("dim_pct % power_w == 0", [math.nan, 1, math.nan]),
        ("0 <= power_w < 10", [1, 0, math.nan]),
        ("where(known(power_w), power_w, 7) == 7", [0, 0, 1]),
        ("min(power_w, dim_pct, 5) == 5 or lamp_failure", [0, 1, math.nan]),
        ("max(power_w, 1) == 1\n or round(power_w) == 20", [1, 1, math.nan]),
    ],
)
def test_truth_is_yes_no_or_unknown(text: str, truth: list[float]):
    columns = {
        "power_w": np.array([0.0, 20.0, math.nan]),
        "dim_pct": np.full(3, 100.0),
        "lamp_failure": np.zeros(3),
    }
    expression = parsed(text, LIGHTING, "lamp")
    assert expression.holds(columns).tolist() == [one == 1 for one in truth]
    assert expression.fails(columns).tolist() == [one == 0 for one in truth]


def test_what_it_asks_to_be_known_is_optional():
    expression = parsed("known(power_w) and power_w > 3 or dim_pct > 3", LIGHTING, "lamp")
    assert expression.columns == ("power_w", "dim_pct")
    assert expression.optional == ("power_w",)


# The same in plain Python, one device at a time; it shares nothing with the engine.


def _sum(sides: Any, sign: str) -> tuple[str, Scalar]:
    (one_text, one), (other_text, other) = sides

    def value(row: dict[str, float]) -> float:
        a, b = one(row), other(row)
        if sign in "/%" and b == 0:
            return math.nan
        match sign:
            case "+":
                return a + b
            case "-":
                return a - b
            case "*":
                return a * b
            case "/":
                return a / b
        return math.nan if math.isnan(a) or math.isinf(a) else a % b

    return f"({one_text} {sign} {other_text})", value


def _comparison(sides: Any, sign: str) -> tuple[str, Scalar]:
    (one_text, one), (other_text, other) = sides

    def value(row: dict[str, float]) -> float:
        a, b = one(row), other(row)
        if math.isnan(a) or math.isnan(b):
            return math.nan
        return float({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[sign])

    return f"{one_text} {sign} {other_text}", value


def _both(sides: Any, word: str) -> tuple[str, Scalar]:
    (one_text, one), (other_text, other) = sides
    deciding = 0 if word == "and" else 1

    def value(row: dict[str, float]) -> float:
        found = {one(row), other(row)}
        if deciding in found:
            return deciding
        return math.nan if any(math.isnan(a) for a in found) else 1 - deciding

    return f"({one_text} {word} {other_text})", value


def _not(part: Any) -> tuple[str, Scalar]:
    text, inner = part
    return f"(not {text})", lambda row: 1 - inner(row)


LEAVES = st.one_of(
    st.sampled_from(NAMES).map(lambda name: (name, lambda row: row[name])),
    st.integers(0, 300).map(lambda n: (f"{n / 10}", lambda row: n / 10)),
)
NUMBERS = st.recursive(
    LEAVES, lambda part: st.builds(_sum, st.tuples(part, part), st.sampled_from("+-*/%")), max_leaves=6
)
COMPARED = st.builds(_comparison, st.tuples(NUMBERS, NUMBERS), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
CONDITIONS = st.recursive(
    COMPARED,
    lambda part: st.one_of(st.builds(_both, st.tuples(part, part), st.sampled_from(["and", "or"])), part.map(_not)),
    max_leaves=5,
)
VALUES = st.one_of(st.sampled_from([math.nan, 0.0, 1.0, -1.0]), st.floats(-1e6, 1e6).map(lambda value: round(value, 2)))
ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES)), min_size=1, max_size=6)


@given(CONDITIONS, ROWS)
def test_it_is_worth_what_plain_python_says(condition: Any, rows: list[dict[str, float]]):
    text, scalar = condition
    columns = {name: np.array([row[name] for row in rows]) for name in NAMES}
    try:
        expression = parsed(text, LIGHTING, "lamp")
    except BadExpression as error:
        assert error.code in ("no_column", "long")
        return
    truth = [scalar(row) for row in rows]
    assert expression.holds(columns).tolist() == [one == 1 for one in truth]
    assert expression.fails(columns).tolist() == [one == 0 for one in truth]


@given(st.text(alphabet="power_wdim_pct knotadr<>=!+-*/%()., 0123456789e#\n\"'[]{}:;@\\é", max_size=60))
def test_whatever_is_written_is_understood_or_refused(text: str):
    try:
        parsed(text, LIGHTING, "lamp")
    except BadExpression as error:
        assert 0 <= error.position <= len(text)
