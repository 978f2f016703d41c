"""Why a rule fires on a device or does not: what it sees at a moment, against what it waits for. Pure."""

import inspect
from typing import Annotated, Literal

import msgspec
import numpy as np

from devices.columns import Group, asked
from devices.kind import Column, Formula, Rule
from hub.clock import SECOND_US
from rules.board import LATE, LIVE, REPLAYED, Board, fields_of
from rules.evaluate import heard_of_members, look, priority_now
from rules.life import FIRING, FLAPPING_S, LONG_AGO, LOUD, NEVER, UNSTABLE
from rules.view import View, heard, is_known

How = Literal["", "live", "late", "replayed"]
HOW: dict[int, How] = {LIVE: "live", LATE: "late", REPLAYED: "replayed"}


class SeenColumn(msgspec.Struct, frozen=True):
    """A column that the rule reads, now."""

    name: str
    value: float | None
    """None: unknown."""
    how: How
    """How the readings that it is made of came, the worst of them; empty when it is made of none."""
    is_missed: bool
    """Is it unknown, and without it nothing can be believed?"""


class SeenThreshold(msgspec.Struct, frozen=True):
    """A threshold as it is in force for the device."""

    name: str
    value: float
    default: float
    """As the rule declares it."""

    @property
    def is_tuned(self) -> bool:
        return self.value != self.default


class Grade(msgspec.Struct, frozen=True):
    """Another priority that the rule may have."""

    priority: int
    when: str
    """In the words of its declaration, English."""
    holds: bool | None
    """None: a column that it reads is unknown."""


class Wait(msgspec.Struct, frozen=True):
    """How long a condition has held, and how long it must."""

    needed_s: float
    since_us: int | None = None
    """Since when it has held; None: it does not, or since before the hub can tell."""
    passed_s: float | None = None
    """In the rule's own time: that of the device's readings, or the clock's for a rule of silence or of others."""


class Why(msgspec.Struct, frozen=True):
    """A rule on a device at a moment."""

    kind: str
    code: str
    device_no: int
    at_us: int
    """The moment."""
    seen_us: int
    """Up to when the rule has seen the device: its newest reading, or the moment for a rule that follows the clock."""
    is_firing: bool
    condition: bool | None
    """Does it hold? None: that is unknown."""
    clearing: bool | None
    """Does the clearing condition hold?"""
    columns: list[SeenColumn]
    thresholds: list[SeenThreshold]
    hold: Wait
    """Before it fires."""
    calm: Wait
    """Before it clears."""
    priority: int
    """That it has, or would have."""
    told_priority: int
    """That was told when it fired; 0 while it does not."""
    grades: list[Grade]
    is_loud: bool
    """Fires, and somebody was to be called for it."""
    is_unstable: bool
    is_commissioned: bool
    is_off: bool

    @property
    def missed(self) -> list[str]:
        """Columns for want of which it can neither fire nor clear."""
        return [column.name for column in self.columns if column.is_missed]


class Question(msgspec.Struct, frozen=True):
    """What the worker is asked: a device by its number or by its names, and one rule or all."""

    kind: str = ""
    device_no: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    id: str = ""
    commune: str | None = None
    code: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What it says: one for each rule of the device's type."""

    device_no: int = 0
    whys: list[Why] = []
    fault: str = ""
    """Why there is no answer, in English."""


class NoSuchRule(LookupError):
    """The device is not on the board, its type is unknown, or no rule of that code watches it."""


def rules_for(board: Board, device_no: int) -> tuple[Rule, ...]:
    """The rules that watch a device; NoSuchRule when the board does not have it, or not its type."""
    row = int(board.rows(np.array([device_no]))[0])
    if row < 0:
        raise NoSuchRule(f"no device {device_no} is on the board of {board.kind.name}")
    if board.type[row] < 0:
        raise NoSuchRule("nobody has said of which type the device is, so no rule watches it")
    type_ = board.kind.types[board.type[row]].name
    return tuple(rule for rule in board.rules if rule.type == type_)


def why(board: Board, device_no: int, code: str, now_us: int) -> Why:
    """How a rule stands on a device; NoSuchRule when it does not watch it."""
    rule = next((rule for rule in rules_for(board, device_no) if rule.code == code), None)
    if rule is None:
        raise NoSuchRule(f"{code} is no rule that watches device {device_no}")
    board = board.watching(rule)
    rows = board.rows(np.array([device_no]))
    last_us = int(board.last_us[rows[0]])
    seen_us = now_us if code in board.timed or last_us == NEVER else last_us
    view = View(board, rows, now_us, rule.type, np.array([seen_us]))
    tuned = {name: column[view.slots] for name, column in board.thresholds.get(code, {}).items()}
    bad, good, known = (bool(mask[0]) for mask in look(rule, view, tuned))
    thresholds = _thresholds(rule, tuned)
    life, slot = board.lives[code], view.slots[0]
    flags, since_s = int(life.flags[slot]), int(life.since_s[slot])
    is_firing, is_unstable = bool(flags & FIRING), bool(flags & UNSTABLE)
    in_force = {threshold.name: threshold.value for threshold in thresholds}
    calm_s = max(in_force["calm_s"], FLAPPING_S) if is_unstable else in_force["calm_s"]
    return Why(
        kind=board.kind.name,
        code=code,
        device_no=device_no,
        at_us=now_us,
        seen_us=seen_us,
        is_firing=is_firing,
        condition=bad if known else None,
        clearing=good if known else None,
        columns=_columns(rule, view),
        thresholds=thresholds,
        hold=_wait(in_force["hold_s"], NEVER if is_firing else since_s, seen_us),
        calm=_wait(calm_s, since_s if is_firing else NEVER, seen_us),
        priority=int(priority_now(rule, view, tuned, np.ones(1, bool))[0]),
        told_priority=int(life.priority[slot]) if is_firing else 0,
        grades=[_grade(priority, formula, view) for priority, formula in rule.grades],
        is_loud=bool(flags & LOUD),
        is_unstable=is_unstable,
        is_commissioned=bool(board.commissioned[rows[0]]),
        is_off=in_force["enabled"] == 0,
    )


def _wait(needed_s: float, since_s: int, seen_us: int) -> Wait:
    if since_s == NEVER:
        return Wait(needed_s)
    if since_s == LONG_AGO:
        return Wait(needed_s, None, needed_s)
    return Wait(needed_s, since_s * SECOND_US, float(max(seen_us // SECOND_US - since_s, 0)))


def _thresholds(rule: Rule, tuned: dict[str, Column]) -> list[SeenThreshold]:
    return [
        SeenThreshold(name, float(tuned[name][0]) if name in tuned else default, default)
        for name, default in rule.thresholds.items()
    ]


def _columns(rule: Rule, view: View) -> list[SeenColumn]:
    none_of_any = bool(rule.any_of) and all(np.isnan(view[name][0]) for name in rule.any_of)
    found = []
    for name in rule.all_columns:
        value = float(view[name][0])
        is_needed = name in rule.columns and name not in rule.optional and (name not in rule.any_of or none_of_any)
        known = None if np.isnan(value) else value
        found.append(SeenColumn(name, known, _how(name, view), is_missed=known is None and is_needed))
    return found


def _how(name: str, view: View) -> How:
    if not any(True for _ in fields_of(view.board.kind, (name,))):
        return ""
    how = heard_of_members(name, view) if isinstance(asked(name), Group) else heard(view.board, (name,), view.rows)
    return HOW[int(how[0])]


def _grade(priority: int, formula: Formula, view: View) -> Grade:
    holds = bool(formula(view)[0]) if is_known(formula.columns, view)[0] else None
    return Grade(priority, inspect.getdoc(formula.function) or formula.function.__name__, holds)
