"""A rule tried over recorded history, beside the one in force: the same engine, the same readings. Pure.

The recorded readings come in the order of event time, so that what was late is seen in its place; ticks are simulated.
Both rules see them on one board that holds no more than what the two read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from devices.columns import CLOCK, Fence, Group, Step, Usual, Window, asked
from devices.kind import Formula, Kind, Rule
from devices.policy import Override, Policy
from devices.readings import Readings
from devices.registry import Registry
from devices.transition import Transition
from hub.clock import SECOND_US
from rules.board import Board, remembered
from rules.evaluate import apply, tick
from rules.firings import Firings, Sheet
from rules.view import View

TRIED = "__tried"
"""What the code of a rule on trial ends with, on its board."""
TICK_S = 60.0
"""Simulated time between two ticks (the worker's are a second apart: a silence may be told up to so much later)."""
WARM_UP_S = 86_400.0
"""So much is read before the time that is asked for, or as much as the windows and holds need if that is more, to
know what was on already when it begins."""


class BadTrial(ValueError):
    """A rule cannot be tried as was asked; the message says why."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A rule as it would be, and the one in force beside it if there is one.

    `changes` are thresholds that are to be the same everywhere, in place of what the city has tuned; the other tuned
    ones count for both. A rule that is switched off is tried as if it were on.
    """

    kind: Kind
    rule: Rule
    in_force: Rule | None = None
    changes: Mapping[str, float] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if unknown := [name for name in self.changes if name not in self.rule.thresholds]:
            known = ", ".join(self.rule.thresholds)
            raise BadTrial(f"{self.rule.code} has no threshold {unknown[0]!r}; it has {known}")
        for name, value in self.changes.items():
            if not np.isfinite(value) or (name in ("hold_s", "calm_s") and value < 0):
                raise BadTrial(f"{name} cannot be {value:g}")
        if self.changes.get("priority", 1) not in (1, 2, 3):
            raise BadTrial("priority is 1, 2 or 3")
        for name in self.rule.all_columns:
            if (fault := self.kind.column_fault(self.rule.type, name)) is not None:
                raise BadTrial(f"{self.rule.code} cannot read {name}: {fault}")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """As they are on the board: on the sorted stream nobody has to wait for late readings."""
        tried = replace(self.rule, code=self.rule.code + TRIED, lateness_s=0.0)
        return (tried, *((replace(self.in_force, lateness_s=0.0),) if self.in_force else ()))

    @cached_property
    def needs(self) -> Mapping[str, frozenset[str]]:
        """The fields that the rules read, by the types of devices that are read of."""
        found: dict[str, set[str]] = {}
        waiting = [(rule.type, name) for rule in self.rules for name in rule.all_columns]
        seen = set(waiting)
        while waiting:
            type_, name = waiting.pop()
            fields, more = _needed(self.kind, type_, name)
            found.setdefault(type_, set()).update(fields)
            waiting += [one for one in more if one not in seen]
            seen.update(more)
        return {type_: frozenset(fields) for type_, fields in found.items()}

    @cached_property
    def _kind(self) -> Kind:
        """The kind as if it had no other fields and no other rules."""
        wanted = frozenset[str]().union(*self.needs.values())
        return replace(self.kind, fields=tuple(f for f in self.kind.fields if f.name in wanted), rules=self.rules)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are read, in the order in which `Run.see` wants their values."""
        return self._kind.field_names

    @property
    def is_timed(self) -> bool:
        """Must ticks be simulated?"""
        return any(map(self.kind.is_timed, self.rules))

    @cached_property
    def warm_up_s(self) -> float:
        """How long before the time that is asked for reading begins."""
        spans = [
            one.span_s + one.pane_s
            for questions in remembered(self.kind, self.rules).values()
            for one in questions
            if isinstance(one, Window)
        ]
        return max(WARM_UP_S, max(spans, default=0) + max(rule.hold_s for rule in self.rules))

    def thresholds(self, rule: Rule) -> dict[str, float]:
        """The thresholds of a rule for the city as a whole: as declared, or as tuned."""
        tuned = {one.threshold: one.value for one in self._overrides if one.scope == "city"}
        return {name: tuned.get(name, value) for name, value in rule.thresholds.items()}

    @property
    def _overrides(self) -> list[Override]:
        return [one for one in self.policy.overrides if (one.kind, one.code) == (self.kind.name, self.rule.code)]

    def board(self, registry: Registry, timezone: str) -> Board:
        """A blank board with the rules of the trial."""
        tried, mine = self.rules[0].code, self._overrides
        left_alone = [one for one in mine if one.threshold not in self.changes and one.threshold != "enabled"]
        overrides = [
            *(mine if self.in_force else ()),
            *(replace(one, code=tried) for one in left_alone),
            *(Override(self.kind.name, tried, name, value) for name, value in self.changes.items()),
        ]
        return Board.of(self._kind, registry, Policy(self.policy.version, {}, overrides), timezone)


def _needed(kind: Kind, type_: str, name: str) -> tuple[set[str], list[tuple[str, str]]]:
    """The fields that a column is made of at once, and (type, column) of what else it is made of."""
    match asked(name):
        case Group(subject=subject) as group:
            members = kind.member_type(group, type_)
            return set(), [(members, subject)] if members else []
        case Step(subject=subject) | Window(subject=subject):
            return set(), [(type_, subject)]
        case Usual(field=subject):
            return {subject}, []
        case Fence():
            return {"lat", "lon"} & set(kind.field_names), []
        case None:
            made_of = _made_of(kind, type_, name)
            return {name} & set(kind.field_names), [(type_, column) for column in made_of]


def _made_of(kind: Kind, type_: str, name: str) -> tuple[str, ...]:
    """The columns that a plain one is computed from; none for fields, attributes and the sky."""
    if name in CLOCK:
        return Formula.of(kind.type(type_).expected_period_s).columns
    derived = next((formula for formula in kind.derived if formula.function.__name__ == name), None)
    return derived.columns if derived else ()


@dataclass(slots=True, eq=False)
class Run:
    """A trial on its way through history, from `since_us` to `until_us` (microseconds since 1970)."""

    trial: Trial
    board: Board
    since_us: int
    until_us: int
    tick_us: int
    readings: int = 0
    """How many were seen, those of the warm-up too."""
    seen_us: int = 0
    """Event time up to which everything was seen."""
    tried: Firings = field(default_factory=Firings)
    in_force: Firings = field(default_factory=Firings)
    _next_tick_us: int = 0

    @classmethod
    def of(
        cls, trial: Trial, registry: Registry, since_us: int, until_us: int, *, timezone: str, tick_s: float = TICK_S
    ) -> "Run":
        """A run that has seen nothing yet; it wants readings from `reads_from_us` on."""
        run = cls(trial, trial.board(registry, timezone), since_us, until_us, int(tick_s * SECOND_US))
        run.seen_us = run.reads_from_us
        run._next_tick_us = run.reads_from_us + run.tick_us
        run.board.watch(run.reads_from_us)
        return run

    @property
    def reads_from_us(self) -> int:
        return self.since_us - int(self.trial.warm_up_s * SECOND_US)

    @property
    def devices(self) -> NDArray[np.int32]:
        """The numbers of the devices that are read of, sorted."""
        rows = [self.board.rows_of_type(type_) for type_ in self.trial.needs]
        return np.sort(self.board.device_no[np.concatenate(rows)])

    def see(self, device_no: NDArray[np.integer], ts_us: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Readings in the order of event time, none before what was seen: shapes (n,), (n,) and (fields, n)."""
        if not len(ts_us):
            return
        readings = _readings(self.board.kind, device_no, ts_us, values)
        self.readings += len(readings)
        if not self.trial.is_timed:
            self._take(apply(self.board, readings, now_us=int(ts_us[-1])))
        else:
            first = 0
            while first < len(ts_us):
                self._tick_before(int(ts_us[first]))
                last = int(np.searchsorted(ts_us, self._next_tick_us))
                part = readings.take(np.arange(first, last))
                self._take(apply(self.board, part, now_us=int(ts_us[last - 1])))
                first = last
        self.seen_us = int(ts_us[-1])

    def end(self, seen_to_us: int | None = None) -> None:
        """Nothing more comes: everything was seen up to the end, or up to another moment."""
        self.seen_us = self.until_us if seen_to_us is None else seen_to_us
        if self.trial.is_timed:
            self._tick_before(self.seen_us + 1)

    def sheets(self) -> tuple[Sheet, Sheet | None]:
        """What the rule on trial fired, and what the one in force did."""
        bounds = self.since_us, max(self.seen_us, self.since_us)
        return self.tried.sheet(*bounds), self.in_force.sheet(*bounds) if self.trial.in_force else None

    def unknown(self) -> dict[str, float]:
        """The share of the devices of which a column that the rule reads is unknown at the end; those above 0."""
        rows = self.board.rows_of_type(self.trial.rule.type)
        if not len(rows):
            return {}
        view = View(self.board, rows, self.seen_us, self.trial.rule.type)
        shares = {name: float(np.mean(np.isnan(view[name]))) for name in self.trial.rule.all_columns}
        return {name: share for name, share in shares.items() if share}

    def _tick_before(self, until_us: int) -> None:
        while self._next_tick_us <= until_us:
            self._take(tick(self.board, now_us=self._next_tick_us))
            self._next_tick_us += self.tick_us

    def _take(self, transitions: list[Transition]) -> None:
        for told in transitions:
            (self.tried if told.code.endswith(TRIED) else self.in_force).take(told)


def _readings(
    kind: Kind, device_no: NDArray[np.integer], ts_us: NDArray[np.int64], values: NDArray[np.float64]
) -> Readings:
    """As if each had been heard when it was measured."""
    n = len(ts_us)
    nothing, no = np.zeros(n, np.int64), np.zeros(n, bool)
    return Readings(
        kind, nothing, np.zeros(n, np.int32), device_no.astype(np.int64), ts_us, ts_us, no, no, values, {}, {}
    )
