"""The words in which a kind of device is declared: fields, types, events, columns and rules. Pure.

A file of this folder that holds a `KIND` is a kind, and all that the hub knows of it: decoding and range
checks, table, rules, map and page, simulator and documentation are derived from that one declaration.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.columns import CLOCK, SKY, BadColumn, Fence, Group, Step, Usual, Window, asked

Column = NDArray[np.float64]
"""One value per device, float64; NaN is unknown; a flag is 1 or 0."""
Mask = NDArray[np.bool_]
Storage = Literal["real", "double", "flag"]
INDICATOR_COLUMNS = frozenset({"state", "reading_age_s"})
"""Columns that indicators may read beside those of rules: what a device shows (State), and how old its newest
reading is by the device's own clock, infinite when there is none."""


class Text(NamedTuple):
    """A text for people, in the hub's languages."""

    fr: str
    en: str


AT_REST = Text("Au repos, prévu", "At rest, as planned")


class State(IntEnum):
    """What a device shows on the map, worst last; the live frames carry the number."""

    UNKNOWN = 0
    RESTING = 1
    """A planned state that is no fault: a lamp by day, a parked vehicle."""
    NORMAL = 2
    SILENT = 3
    FAULT_P3 = 4
    FAULT_P2 = 5
    FAULT_P1 = 6


@dataclass(frozen=True, slots=True)
class Field:
    """What a device measures or tells. A value outside `low` to `high` puts the reading into quarantine."""

    name: str
    label: Text
    unit: str = ""
    low: float | None = None
    high: float | None = None
    storage: Storage = "real"
    types: tuple[str, ...] = ()
    """The device types that report it; all when empty."""
    rolls_at: float | None = None
    """Where a counter begins again at 0 because it has no more digits."""

    @property
    def is_counter(self) -> bool:
        """Does it only rise (or begin again), so that its increase is what counts?"""
        return self.storage == "double" and not self.is_place

    @property
    def is_place(self) -> bool:
        """Does it say where a device is? Only the readings themselves keep that."""
        return self.storage == "double" and self.unit == "°"


def flag(name: str, label: Text, types: tuple[str, ...] = ()) -> Field:
    """A yes or no, sent as true, false, 1 or 0."""
    return Field(name, label, low=0, high=1, storage="flag", types=types)


@dataclass(frozen=True, slots=True)
class Attribute:
    """What the registry says of a device and no message does: a column that rules can read."""

    name: str
    label: Text
    unit: str = ""
    default: float = np.nan


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens and is no state: kept in the event table under its code."""

    code: str
    label: Text


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A function of columns: its parameters name the columns it reads, its keywords are thresholds."""

    function: Callable[..., Any]
    columns: tuple[str, ...]
    thresholds: Mapping[str, float]

    @staticmethod
    @cache
    def of(function: Callable[..., Any]) -> "Formula":
        """The formula that a function is."""
        parameters = inspect.signature(function).parameters.values()
        return Formula(
            function,
            tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD),
            {p.name: float(p.default) for p in parameters if p.kind is p.KEYWORD_ONLY},
        )

    def __call__(self, columns: Mapping[str, Column], thresholds: Mapping[str, Column] | None = None) -> Any:
        """Evaluate over columns of equal length, shape (n,), with other thresholds where they are given, shape (n,)."""
        arguments = [columns[name] for name in self.columns]
        if not thresholds:
            return self.function(*arguments, **self.thresholds)
        return self.function(*arguments, **{name: thresholds.get(name, own) for name, own in self.thresholds.items()})


@dataclass(frozen=True, slots=True)
class DeviceType:
    """One sort of device within a kind: a lamp, a feeder, a cabinet."""

    name: str
    label: Text
    symbol: str
    """Shape on the map: dot, square, diamond, triangle or arrow."""
    expected_period_s: Callable[..., Column]
    """How often it should speak, as a function of its columns."""
    resting: Callable[..., Mask] | None = None
    """Where true, its state is planned rest."""
    parent: str | None = None
    """The device type that it hangs from, if any."""
    resting_label: Text = AT_REST
    """What its planned rest is called."""
    is_household: bool = False
    """Do its readings tell how a household lives? Then a contract sees one a day, unless it says why it needs all."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the city agreed on: a figure is good from `low` to `high`. `source` says who set it."""

    source: str
    low: float = -np.inf
    high: float = np.inf

    def is_met(self, figure: float) -> bool:
        """An unknown figure misses no goal."""
        return not (figure < self.low or figure > self.high)


@dataclass(frozen=True, slots=True, eq=False)
class Indicator:
    """A figure that a city watches: the share (in per cent), sum or mean of a formula over the devices of a type.

    A device of which a column is unknown, or for which the formula gives NaN, is not counted.
    """

    name: str
    type: str
    title: Text
    formula: Formula
    how: Literal["share", "sum", "mean"] = "share"
    unit: str = "%"
    goal: Goal | None = None
    optional: tuple[str, ...] = ()
    """Columns that may be unknown, as in a rule."""

    def values(self, columns: Mapping[str, Column]) -> Column:
        """What each device adds, shape (n,); NaN where it is not counted."""
        value = np.asarray(self.formula(columns), np.float64)
        needed = [name for name in self.formula.columns if name not in self.optional]
        known = np.logical_and.reduce([~np.isnan(columns[name]) for name in needed])
        counted: Column = np.where(known, value, np.nan)
        return counted

    def figure(self, total: float, counted: float) -> float:
        """The figure of devices whose values add up to `total`; NaN when no device counts."""
        if not counted:
            return float("nan")
        return total if self.how == "sum" else total / counted * (100 if self.how == "share" else 1)

    def of(self, columns: Mapping[str, Column]) -> float:
        """The figure over columns of the type's devices, shape (n,)."""
        values = self.values(columns)
        return self.figure(float(np.nansum(values)), int(np.count_nonzero(~np.isnan(values))))


class Figure(NamedTuple):
    """An indicator over the devices of one commune: what they add up to, and how many counted."""

    kind: str
    indicator: str
    commune: str
    total: float
    counted: int


@dataclass(frozen=True, slots=True)
class Panel:
    """Fields of one unit that a person compares on one graph."""

    title: Text
    type: str
    fields: tuple[str, ...]
    nights: bool = False
    """Only the lowest hour of each night, from 1 to 5, is drawn: what flows while all sleep."""


Sample = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Rule:
    """When a device is at fault: a pure condition over columns, with its hold, its clearing and its text.

    Fires when the condition has held for `hold_s` of event time, clears when `clear` (or the contrary of the
    condition) has held for `calm_s`. A device of which a column is unknown neither fires nor clears; but columns in
    `optional` may be missing for good, and of those in `any_of` one is enough (not every feeder has a breaker contact).
    """

    code: str
    type: str
    condition: Formula
    title: Text
    priority: int
    help: Text
    hold_s: float = 0.0
    calm_s: float = 0.0
    optional: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    """Codes of an ancestor's (or gateway's) open incident that already explain this one."""
    source: str = ""
    fires_on: tuple[Sample, ...] = ()
    silent_on: tuple[Sample, ...] = ()
    clear: Formula | None = None
    grades: tuple[tuple[int, Formula], ...] = ()
    """Other priorities, and when each holds while the rule fires; the most urgent of them counts."""
    lateness_s: float = 0.0
    """How late a reading may come and still be seen in its place: the rule waits for so long. 0 waits for nobody,
    and what is older than its device's newest reading then never rewinds the rule."""

    def clears(self, function: Callable[..., Mask]) -> "Rule":
        """This rule with a clearing condition of its own."""
        return replace(self, clear=Formula.of(function))

    def graded(self, priority: int, function: Callable[..., Mask]) -> "Rule":
        """This rule with another priority where a condition holds."""
        return replace(self, grades=(*self.grades, (priority, Formula.of(function))))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column that decides whether the rule fires or clears, each once."""
        return tuple(dict.fromkeys(self.condition.columns + (self.clear.columns if self.clear else ())))

    @cached_property
    def all_columns(self) -> tuple[str, ...]:
        """Those, and what decides its priority."""
        graded = (name for _, formula in self.grades for name in formula.columns)
        return tuple(dict.fromkeys((*self.columns, *graded)))

    @cached_property
    def thresholds(self) -> Mapping[str, float]:
        """Everything of the rule that a city may tune, with its default; `enabled` is 1 or 0."""
        formulas = (self.condition, *((self.clear,) if self.clear else ()), *(formula for _, formula in self.grades))
        of_formulas = {name: value for formula in formulas for name, value in formula.thresholds.items()}
        own = {"hold_s": self.hold_s, "calm_s": self.calm_s, "priority": float(self.priority), "enabled": 1.0}
        return of_formulas | own

    @cached_property
    def is_silence(self) -> bool:
        """Does it speak of a device that does not?"""
        return not CLOCK.isdisjoint(self.condition.columns)


def rule(
    *,
    type: str,
    title: Text,
    help_fr: str,
    priority: int,
    hold_s: float = 0.0,
    calm_s: float = 0.0,
    optional: tuple[str, ...] = (),
    any_of: tuple[str, ...] = (),
    explained_by: tuple[str, ...] = (),
    lateness_s: float = 0.0,
    source: str = "",
    fires_on: tuple[Sample, ...],
    silent_on: tuple[Sample, ...],
) -> Callable[[Callable[..., Mask]], Rule]:
    """Make a rule of a condition (decorator): its name is the code, its docstring the help in English.

    `priority` has RSMP's meaning: 1 now, 2 next shift, 3 next planned round. `source` says where the numbers come
    from; a default of our own says so.
    """

    def declare(function: Callable[..., Mask]) -> Rule:
        return Rule(
            code=function.__name__,
            type=type,
            condition=Formula.of(function),
            title=title,
            priority=priority,
            help=Text(fr=help_fr, en=inspect.getdoc(function) or ""),
            hold_s=hold_s,
            calm_s=calm_s,
            optional=optional,
            any_of=any_of,
            explained_by=explained_by,
            lateness_s=lateness_s,
            source=source,
            fires_on=fires_on,
            silent_on=silent_on,
        )

    return declare


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Everything that the hub knows of one kind of device."""

    name: str
    label: Text
    types: tuple[DeviceType, ...]
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    attributes: tuple[Attribute, ...] = ()
    events: tuple[Event, ...] = ()
    derived: tuple[Formula, ...] = ()
    """More columns, computed from the others: a rule can read them, and ask for more of them."""
    withheld: Callable[..., Mask] | None = None
    """Readings that privacy forbids to keep: a function of columns of readings."""
    withheld_event: str | None = None
    """The event kept in place of a withheld reading."""
    keep_days: int | None = None
    """Raw readings older than this are removed; None keeps them."""
    examples: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """One example payload per device type."""
    indicators: tuple[Indicator, ...] = ()
    panels: tuple[Panel, ...] = ()
    """Graphs that belong together; a field that is in none has a graph of its own."""
    usual_type: str | None = None
    """What a device is taken for that says nothing of its type; a kind of one type need not say it."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Rules of the trade that are not here yet, and what each waits for."""

    def derived_formula(self, name: str) -> Formula:
        """A derived column by its name."""
        return next(formula for formula in self.derived if formula.function.__name__ == name)

    def field_index(self, name: str) -> int:
        return self.field_names.index(name)

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)

    @property
    def is_mobile(self) -> bool:
        """Do its devices tell where they are?"""
        return {"lat", "lon"} <= set(self.field_names)

    @property
    def unsaid_type(self) -> str | None:
        """The type of a device that does not say it, where that can be told."""
        return self.types[0].name if len(self.types) == 1 else self.usual_type

    def type(self, name: str) -> DeviceType:
        """The device type of that name; KeyError when there is none."""
        return {t.name: t for t in self.types}[name]

    def rule(self, code: str) -> Rule:
        """The rule of that code; KeyError when there is none."""
        return {r.code: r for r in self.rules}[code]

    def is_timed(self, rule: Rule | Formula) -> bool:
        """Does it depend on the wall clock or on other devices, so that every tick must evaluate it?"""
        derived = {formula.function.__name__: formula for formula in self.derived}
        return any(
            name in CLOCK or isinstance(asked(name), Group) or (name in derived and self.is_timed(derived[name]))
            for name in rule.columns
        )

    def member_type(self, group: Group, type: str) -> str | None:
        """The type of the members that a group has for devices of a type, None when it has none."""
        return type if group.group != "children" else next((t.name for t in self.types if t.parent == type), None)

    def column_fault(self, type: str, name: str) -> str | None:
        """Why a rule on devices of a type cannot read a column of that name, None when it can."""
        try:
            question = asked(name)
        except BadColumn as error:
            return str(error)
        match question:
            case None:
                return self._plain_fault(type, name)
            case Group(subject=subject) as group:
                members = self.member_type(group, type)
                return self.column_fault(members, subject) if members else f"nothing hangs from a {type}"
            case Fence():
                return None
            case Usual(field=subject):
                # Where a device was is in its readings alone.
                subjects: tuple[str, ...] = tuple(field.name for field in self.fields if not field.is_place)
            case Step(subject=subject) | Window(subject=subject):
                subjects = (*self.field_names, *(formula.function.__name__ for formula in self.derived))
        return self._plain_fault(type, subject) if subject in subjects else f"{subject} is no field of {self.name}"

    def _plain_fault(self, type: str, name: str) -> str | None:
        if name in CLOCK or name in SKY or name in (attribute.name for attribute in self.attributes):
            return None
        if (told := next((field for field in self.fields if field.name == name), None)) is not None:
            return None if not told.types or type in told.types else f"a {type} does not tell {name}"
        formula = next((formula for formula in self.derived if formula.function.__name__ == name), None)
        if formula is None:
            return f"{name} is no field, attribute or other column of {self.name}"
        return next((fault for column in formula.columns if (fault := self.column_fault(type, column))), None)


@cache
def kinds() -> Mapping[str, Kind]:
    """Every declared kind by name: the files of this folder that hold a `KIND`."""
    found = {}
    for module_info in pkgutil.iter_modules(__import__("devices").__path__):
        kind = getattr(importlib.import_module(f"devices.{module_info.name}"), "KIND", None)
        if isinstance(kind, Kind):
            found[kind.name] = kind
    return found
