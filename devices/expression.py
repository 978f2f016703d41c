"""Conditions that an operator writes, as formulas over columns: read with Python's grammar, never run as Python. Pure.

    dim_pct > 0 and power_w < 0.15 * rated_power_w * dim_pct / 100 and not lamp_failure == 1

There are numbers, names of columns, + - * / %, comparisons (also 5 < x < 9), and, or, not, parentheses, and abs, min,
max, round, floor, known(column), where(condition, a, b). Nothing else is understood.

A condition is true, false or unknown, as in Kleene's logic: what is unknown makes it unknown unless the rest decides it
alone. A division by zero is unknown. Where a truth is used as a number it is 1, 0 or NaN.
"""

import ast
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

import numpy as np

from devices.bad_expression import BadExpression
from devices.columns import CLOCK, SKY
from devices.kind import Column, Formula, Kind, Mask

LONGEST, DEEPEST, MOST_COLUMNS = 1000, 40, 20
"""Characters, parts within parts, and different columns of a condition: more than that nobody reads."""
_TOKEN = re.compile(
    r"\s+|[A-Za-z_][A-Za-z0-9_]*|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z_0-9.])|<=|>=|==|!=|[-+*/%(),<>]"
)
INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "<>": "!=", "≤": "<=", "≥": ">="}
INSTEAD |= {"≠": "!=", "×": "*", "÷": "/", "−": "-", "**": "a * a", "//": "floor(a / b)"}


Columns = Mapping[str, Column]
Part = Callable[[Columns], Column]
"""A number of an expression: columns of shape (n,) to its value, shape (n,) or (); NaN is unknown."""
Test = Callable[[Columns], Mask]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A condition of an expression; where neither is so, it is unknown. Comparisons with NaN are false in numpy."""

    true: Test
    false: Test

    @staticmethod
    def of(part: Part) -> "Truth":
        """A number that is taken for a truth: what is not zero is true."""
        return Truth(lambda columns: different(part(columns), ZERO), lambda columns: part(columns) == 0)

    @property
    def number(self) -> Part:
        """1, 0, or NaN."""
        return lambda columns: np.where(self.true(columns), 1.0, np.where(self.false(columns), 0.0, np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A condition that was understood."""

    text: str
    columns: tuple[str, ...]
    """Every column that it reads, each once."""
    optional: tuple[str, ...]
    """Those of which it asks whether they are known: they may be missing."""
    _truth: Truth

    @property
    def holds(self) -> Formula:
        """Where it is true, as a formula without thresholds."""
        return self._formula(self._truth.true)

    @property
    def fails(self) -> Formula:
        """Where it is false; neither where it is unknown."""
        return self._formula(self._truth.false)

    def _formula(self, test: Test) -> Formula:
        def function(*columns: Column) -> Mask:
            with np.errstate(all="ignore"):
                found = test(dict(zip(self.columns, columns, strict=True)))
            return np.broadcast_to(found, np.shape(columns[0]))

        return Formula(function, self.columns, {})


def parsed(text: str, kind: Kind, type: str) -> Expression:
    """The condition on devices of a type of a kind that a text says; BadExpression when it says none."""
    if not text.strip():
        raise BadExpression("empty", 0)
    if len(text) > LONGEST:
        raise BadExpression("long", LONGEST, most=LONGEST)
    _check_tokens(text)
    indent = len(text) - len(text.lstrip())
    reader = _Reader(kind, type, indent)
    truth = reader.condition(_grammar(text.strip(), indent), 0)
    if not reader.columns:
        raise BadExpression("no_column", indent)
    return Expression(text.strip(), tuple(reader.columns), tuple(reader.optional), truth)


def _check_tokens(text: str) -> None:
    """Only characters that have a meaning, so that positions in the text are those in its UTF-8 too."""
    position = 0
    while position < len(text):
        rest = text[position:]
        wrong = next((sign for sign in sorted(INSTEAD, key=len, reverse=True) if rest.startswith(sign)), None)
        found = _TOKEN.match(text, position)
        if wrong and not (found and len(found[0]) >= len(wrong)):
            raise BadExpression("instead", position, found=wrong, instead=INSTEAD[wrong])
        if not found:
            raise BadExpression("character", position, found=rest.split()[0][:20])
        position = found.end()


def _grammar(text: str, indent: int) -> ast.expr:
    try:
        return ast.parse(re.sub(r"\s", " ", text), mode="eval").body
    except SyntaxError as error:
        position = error.offset - 1 if error.offset else len(text)
        raise BadExpression("grammar", indent + min(position, len(text))) from None
    except (ValueError, MemoryError, RecursionError):
        raise BadExpression("deep", indent) from None


@dataclass(slots=True)
class _Reader:
    """Makes parts of what Python's grammar found, and notes the columns."""

    kind: Kind
    type: str
    indent: int
    columns: dict[str, None] = field(default_factory=dict)
    optional: dict[str, None] = field(default_factory=dict)

    def condition(self, node: ast.expr, depth: int) -> Truth:
        """A part that is true or not."""
        if (truth := self._logic(node, depth)) is not None:
            return truth
        part = self.part(node, depth)
        if self._is_number(node):
            raise self._bad("no_condition", node)
        return Truth.of(part)

    def _logic(self, node: ast.expr, depth: int) -> Truth | None:
        """A part that is made of conditions or comparisons; None for any other."""
        if depth > DEEPEST:
            raise self._bad("deep", node)
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.condition(operand, depth + 1)
                return Truth(inner.false, inner.true)
            case ast.BoolOp(op=op, values=values):
                truths = [self.condition(value, depth + 1) for value in values]
                return all_of(truths) if isinstance(op, ast.And) else any_of(truths)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
                terms = [self.part(term, depth + 1) for term in (left, *others)]
                pairs = zip(ops, pairwise(terms), strict=True)
                return all_of([compared(*COMPARISONS[type(op)], *pair) for op, pair in pairs])
            case ast.Call(func=ast.Name(id="known"), args=arguments, keywords=[]):
                return self._known(node, arguments)
        return None

    def _is_number(self, node: ast.expr) -> bool:
        """Is it surely something to be compared? Flags and the columns of a kind's own may be truths."""
        match node:
            case ast.Name(id=name):
                flags = {told.name for told in self.kind.fields if told.storage == "flag"}
                attributes = {told.name for told in self.kind.attributes}
                return name in {*self.kind.field_names, *attributes, *CLOCK, *SKY} - flags - {"is_holiday"}
            case ast.Call(func=ast.Name(id=name)):
                return name not in ("where", "known")
            case ast.UnaryOp(op=operator):
                return not isinstance(operator, ast.Not)
        return isinstance(node, ast.Constant | ast.BinOp)

    def part(self, node: ast.expr, depth: int) -> Part:
        """Any part, as a number."""
        if (truth := self._logic(node, depth)) is not None:
            return truth.number
        match node:
            case ast.Constant(value=value):
                return self._number(node, value)
            case ast.Name(id=name):
                return self._column(node, name)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments, depth)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _applied(np.negative, [self.part(operand, depth + 1)])
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in ARITHMETIC:
                sides = [self.part(left, depth + 1), self.part(right, depth + 1)]
                return _applied(ARITHMETIC[type(operator)], sides)
            case ast.Tuple(elts=[first, *_]):
                raise BadExpression("comma", self.indent + (first.end_col_offset or 0))
        raise self._bad("not_understood", node, functions=_NAMES)

    def _column(self, node: ast.expr, name: str) -> Part:
        self._read(node, name)
        return lambda columns: columns[name]

    def _number(self, node: ast.expr, value: object) -> Part:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._bad("not_understood", node, functions=_NAMES)
        try:
            number = np.asarray(float(value))
        except OverflowError:
            number = np.asarray(np.inf)
        if not np.isfinite(number):
            raise self._bad("number", node)
        return lambda columns: number

    def _read(self, node: ast.expr, name: str) -> None:
        if (why := self.kind.column_fault(self.type, name)) is not None:
            near = difflib.get_close_matches(name, column_names(self.kind, self.type), 1)
            hints = (
                {"hint_fr": f" Vouliez-vous dire {near[0]} ?", "hint_en": f" Did you mean {near[0]}?"} if near else {}
            )
            raise self._bad("column", node, **{"name": name, "why": why, "hint_fr": "", "hint_en": "", **hints})
        self.columns[name] = None
        if len(self.columns) > MOST_COLUMNS:
            raise self._bad("many", node, most=MOST_COLUMNS)

    def _call(self, node: ast.expr, name: str, arguments: Sequence[ast.expr], depth: int) -> Part:
        if name not in FUNCTIONS:
            raise self._bad("function", node, name=name, functions=_NAMES)
        function, least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least}+"
            raise self._bad("values", node, name=name, wanted=wanted, given=len(arguments))
        first, *others = arguments
        begins = self.condition(first, depth + 1).number if name == "where" else self.part(first, depth + 1)
        return _applied(function, [begins, *(self.part(one, depth + 1) for one in others)])

    def _known(self, node: ast.expr, arguments: Sequence[ast.expr]) -> Truth:
        match arguments:
            case [ast.Name(id=name) as column]:
                self._read(column, name)
                self.optional[name] = None
                return Truth(lambda columns: ~np.isnan(columns[name]), lambda columns: np.isnan(columns[name]))
        raise self._bad("known", node)

    def _bad(self, code: str, node: ast.expr, **parameters: object) -> BadExpression:
        return BadExpression(code, self.indent + node.col_offset, **parameters)


def column_names(kind: Kind, type: str) -> list[str]:
    """The plain names that a rule on devices of a type can read."""
    names = [
        *(field.name for field in kind.fields),
        *(attribute.name for attribute in kind.attributes),
        *(formula.function.__name__ for formula in kind.derived),
        *sorted(CLOCK | SKY),
    ]
    return [name for name in names if kind.column_fault(type, name) is None]


# The operations, over float64 arrays of shape (n,) or (); NaN is unknown.

Comparison = Callable[[Column, Column], Mask]
ZERO = np.zeros(())


def all_of(truths: Sequence[Truth]) -> Truth:
    """Each of them; one that is false decides alone."""
    return Truth(
        lambda columns: reduce(np.logical_and, (truth.true(columns) for truth in truths)),
        lambda columns: reduce(np.logical_or, (truth.false(columns) for truth in truths)),
    )


def any_of(truths: Sequence[Truth]) -> Truth:
    """At least one of them, which then decides alone."""
    return Truth(
        lambda columns: reduce(np.logical_or, (truth.true(columns) for truth in truths)),
        lambda columns: reduce(np.logical_and, (truth.false(columns) for truth in truths)),
    )


def compared(how: Comparison, contrary: Comparison, one: Part, other: Part) -> Truth:
    """Two numbers, by a comparison and by its contrary: both are false where one of them is unknown."""
    return Truth(
        lambda columns: how(one(columns), other(columns)), lambda columns: contrary(one(columns), other(columns))
    )


def different(one: Column, other: Column) -> Mask:
    """Unlike numpy's, false where one of them is unknown."""
    return (one < other) | (one > other)


def divided(one: Column, other: Column) -> Column:
    return np.where(other == 0, np.nan, one / other)


def remainder(one: Column, other: Column) -> Column:
    """With the sign of the divisor, as in Python."""
    return np.where(other == 0, np.nan, np.mod(one, other))


def chosen(condition: Column, one: Column, other: Column) -> Column:
    return np.where(np.isnan(condition), np.nan, np.where(condition == 1, one, other))


def least(*values: Column) -> Column:
    return reduce(np.minimum, values)


def greatest(*values: Column) -> Column:
    return reduce(np.maximum, values)


def _applied(function: Callable[..., Column], parts: Sequence[Part]) -> Part:
    return lambda columns: function(*(part(columns) for part in parts))


ARITHMETIC: Mapping[type[ast.operator], Callable[[Column, Column], Column]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: divided,
    ast.Mod: remainder,
}
COMPARISONS: Mapping[type[ast.cmpop], tuple[Comparison, Comparison]] = {
    ast.Lt: (np.less, np.greater_equal),
    ast.LtE: (np.less_equal, np.greater),
    ast.Gt: (np.greater, np.less_equal),
    ast.GtE: (np.greater_equal, np.less),
    ast.Eq: (np.equal, different),
    ast.NotEq: (different, np.equal),
}
"""Each with its contrary."""
FUNCTIONS: Mapping[str, tuple[Callable[..., Column], int, int]] = {
    "abs": (np.abs, 1, 1),
    "min": (least, 2, 10),
    "max": (greatest, 2, 10),
    "round": (np.rint, 1, 1),
    "floor": (np.floor, 1, 1),
    "where": (chosen, 3, 3),
}
"""By name: over arrays, with how many values at least and at most."""
_NAMES = ", ".join((*FUNCTIONS, "known"))
