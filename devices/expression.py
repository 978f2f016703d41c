"""Conditions that an operator writes, as formulas over columns: read with Python's grammar, never run as Python. Pure.

    dim_pct > 0 and power_w < 0.15 * rated_power_w * dim_pct / 100 and not lamp_failure == 1

There are numbers, names of columns, + - * / %, comparisons (also 5 < x < 9), and, or, not, parentheses, and abs, min,
max, round, floor, known(column), where(condition, a, b). Nothing else is understood.

A truth is 1, 0 or NaN, unknown, as in Kleene's logic: what is unknown makes a condition unknown unless the rest decides
it alone. A division by zero is unknown.
"""

import ast
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce

import numpy as np

from devices.columns import CLOCK, SKY
from devices.kind import Column, Formula, Kind, Mask, Text
from hub.errors import BadSetting

LONGEST, DEEPEST, MOST_COLUMNS = 1000, 40, 20
"""Characters, parts within parts, and different columns of a condition: more than that nobody reads."""
_TOKEN = re.compile(
    r"\s+|[A-Za-z_][A-Za-z0-9_]*|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z_0-9.])|<=|>=|==|!=|[-+*/%(),<>]"
)
SAID = {
    "empty": Text("La condition est vide.", "The condition is empty."),
    "long": Text(
        "La condition dépasse {most} caractères : faites-en deux règles.",
        "The condition has more than {most} characters: make two rules of it.",
    ),
    "deep": Text(
        "Trop de parenthèses ou d'opérations imbriquées : faites-en deux règles.",
        "Too many parts within parts: make two rules of it.",
    ),
    "many": Text(
        "La condition lit plus de {most} colonnes : faites-en deux règles.",
        "The condition reads more than {most} columns: make two rules of it.",
    ),
    "character": Text("« {found} » n'a pas de sens ici.", "{found!r} means nothing here."),
    "instead": Text("Écrivez « {instead} » au lieu de « {found} ».", "Write {instead!r} in place of {found!r}."),
    "grammar": Text(
        "La condition ne se lit pas à partir d'ici : il manque un opérateur, une valeur ou une parenthèse.",
        "The condition cannot be read from here on: an operator, a value or a parenthesis is missing.",
    ),
    "comma": Text(
        "Une virgule ne sépare que les valeurs d'une fonction ; les décimales s'écrivent avec un point : 0.15.",
        "A comma only separates the values of a function; decimals are written with a point: 0.15.",
    ),
    "not_understood": Text(
        "Cette écriture n'est pas permise : il y a des nombres, des colonnes, + - * / %, des comparaisons, and, or,"
        " not et les fonctions {functions}.",
        "This is not allowed: there are numbers, columns, + - * / %, comparisons, and, or, not, and the functions"
        " {functions}.",
    ),
    "number": Text("Ce nombre est trop grand.", "This number is too large."),
    "column": Text(
        "La colonne « {name} » n'existe pas pour ce type ({why}).{hint_fr}",
        "There is no column {name!r} for this type ({why}).{hint_en}",
    ),
    "function": Text(
        "La fonction « {name} » n'existe pas ; il y a {functions}.",
        "There is no function {name!r}; there are {functions}.",
    ),
    "values": Text("{name} prend {wanted} valeur(s), et non {given}.", "{name} takes {wanted} value(s), not {given}."),
    "known": Text(
        "known prend le nom d'une colonne, comme known(power_w).",
        "known takes the name of a column, as in known(power_w).",
    ),
    "no_condition": Text(
        "Ceci est un nombre et non une condition : comparez-le, comme power_w > 0.",
        "This is a number and no condition: compare it, as in power_w > 0.",
    ),
    "no_column": Text(
        "La condition ne lit aucune colonne : elle serait toujours vraie ou toujours fausse.",
        "The condition reads no column: it would always be true, or never.",
    ),
}
"""What is wrong with a condition, by code."""
INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "<>": "!=", "≤": "<=", "≥": ">="}
INSTEAD |= {"≠": "!=", "×": "*", "÷": "/", "−": "-", "**": "a * a", "//": "floor(a / b)"}


class BadExpression(BadSetting):
    """A condition cannot be read: `code` of SAID with its parameters, at `position`, counted in characters from 0."""

    def __init__(self, code: str, position: int, **parameters: object) -> None:
        self.code, self.position, self.parameters = code, position, parameters
        super().__init__(f"{self.said.en} (character {position + 1})")

    @property
    def said(self) -> Text:
        """The reason in the hub's languages, without the position."""
        return Text(*(text.format(**self.parameters) for text in SAID[self.code]))


Columns = Mapping[str, Column]
Part = Callable[[Columns], Column]
"""A part of an expression: columns of shape (n,) to its value, shape (n,) or ()."""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A condition that was understood."""

    text: str
    columns: tuple[str, ...]
    """Every column that it reads, each once."""
    optional: tuple[str, ...]
    """Those of which it asks whether they are known: they may be missing."""
    _part: Part

    def truth(self, columns: Columns) -> Column:
        """1 where it holds, 0 where it does not, NaN where that is unknown; shape (n,)."""
        shape = np.shape(next(iter(columns[name] for name in self.columns)))
        with np.errstate(all="ignore"):
            return np.broadcast_to(truth_of(self._part(columns)), shape)

    @property
    def holds(self) -> Formula:
        """Where it is true, as a formula without thresholds."""
        return self._formula(1)

    @property
    def fails(self) -> Formula:
        """Where it is false; neither where it is unknown."""
        return self._formula(0)

    def _formula(self, wanted: int) -> Formula:
        def function(*columns: Column) -> Mask:
            return self.truth(dict(zip(self.columns, columns, strict=True))) == wanted

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
    part = reader.condition(_grammar(text.strip(), indent), 0)
    if not reader.columns:
        raise BadExpression("no_column", indent)
    return Expression(text.strip(), tuple(reader.columns), tuple(reader.optional), part)


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

    def condition(self, node: ast.expr, depth: int) -> Part:
        """A part that is true or not."""
        part = self.part(node, depth)
        if self._is_number(node):
            raise self._bad("no_condition", node)
        return part

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
        """Any part, a number or a truth."""
        if depth > DEEPEST:
            raise self._bad("deep", node)
        match node:
            case ast.Constant(value=value):
                return self._number(node, value)
            case ast.Name(id=name):
                return self._column(node, name)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments, depth)
            case ast.Tuple(elts=[first, *_]):
                raise BadExpression("comma", self.indent + (first.end_col_offset or 0))
        return self._operation(node, depth)

    def _operation(self, node: ast.expr, depth: int) -> Part:
        """Something that is made of other parts with an operator."""
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _applied(np.negative, [self.part(operand, depth + 1)])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _applied(negation, [self.condition(operand, depth + 1)])
            case ast.BoolOp(op=op, values=values):
                both = conjunction if isinstance(op, ast.And) else disjunction
                return _applied(partial(_folded, both), [self.condition(value, depth + 1) for value in values])
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in ARITHMETIC:
                sides = [self.part(left, depth + 1), self.part(right, depth + 1)]
                return _applied(ARITHMETIC[type(operator)], sides)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
                terms = [self.part(term, depth + 1) for term in (left, *others)]
                return _applied(partial(compared, [COMPARISONS[type(op)] for op in ops]), terms)
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
        if name == "known":
            return self._known(node, arguments)
        if name not in FUNCTIONS:
            raise self._bad("function", node, name=name, functions=_NAMES)
        function, least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least}+"
            raise self._bad("values", node, name=name, wanted=wanted, given=len(arguments))
        first = self.condition if name == "where" else self.part
        parts = [first(arguments[0], depth + 1), *(self.part(one, depth + 1) for one in arguments[1:])]
        return _applied(function, parts)

    def _known(self, node: ast.expr, arguments: Sequence[ast.expr]) -> Part:
        match arguments:
            case [ast.Name(id=name) as column]:
                self._read(column, name)
                self.optional[name] = None
                return lambda columns: (~np.isnan(columns[name])).astype(np.float64)
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


def truth_of(value: Column) -> Column:
    """1 for what is not zero."""
    return np.where(np.isnan(value), np.nan, value != 0)


def negation(value: Column) -> Column:
    return 1 - truth_of(value)


def conjunction(one: Column, other: Column) -> Column:
    """Both; what is false is so whatever the other is."""
    return np.where((one == 0) | (other == 0), 0.0, np.minimum(one, other))


def disjunction(one: Column, other: Column) -> Column:
    """Either; what is true is so whatever the other is."""
    return np.where((one == 1) | (other == 1), 1.0, np.maximum(one, other))


def compared(how: Sequence[Callable[[Column, Column], Mask]], *terms: Column) -> Column:
    """One comparison after the other, all of which must hold."""
    pairs = zip(how, terms[:-1], terms[1:], strict=True)
    return reduce(conjunction, (np.where(np.isnan(a) | np.isnan(b), np.nan, one(a, b)) for one, a, b in pairs))


def divided(one: Column, other: Column) -> Column:
    return np.where(other == 0, np.nan, one / other)


def remainder(one: Column, other: Column) -> Column:
    """With the sign of the divisor, as in Python."""
    return np.where(other == 0, np.nan, np.mod(one, other))


def chosen(condition: Column, one: Column, other: Column) -> Column:
    truth = truth_of(condition)
    return np.where(np.isnan(truth), np.nan, np.where(truth == 1, one, other))


def least(*values: Column) -> Column:
    return reduce(np.minimum, values)


def greatest(*values: Column) -> Column:
    return reduce(np.maximum, values)


def _folded(both: Callable[[Column, Column], Column], *values: Column) -> Column:
    return reduce(both, map(truth_of, values))


def _applied(function: Callable[..., Column], parts: Sequence[Part]) -> Part:
    return lambda columns: function(*(part(columns) for part in parts))


ARITHMETIC: Mapping[type[ast.operator], Callable[[Column, Column], Column]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: divided,
    ast.Mod: remainder,
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Column, Column], Mask]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
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
