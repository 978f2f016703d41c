"""What people read of rules: when they fire, thresholds, changes, and what is wrong with a condition. Pure."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dashboard.words import Words
from devices.bad_expression import BadExpression
from devices.columns import CLOCK
from devices.kind import Kind, Rule
from devices.own_rule import OwnRule
from devices.policy import WIDEST_FIRST, Override, Scope
from hub.errors import BadSetting
from store.policy import Change

OPERATORS = "and or not ( ) + - * / % < <= == != >= > abs min max round floor where known"
Names = Mapping[int, str]
"""Devices as commune/id, by their number."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A column that a rule of a type can read."""

    name: str
    label: str
    unit: str
    is_english: bool = False
    """Derived columns are described in the code's language alone."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold of a rule: its default, and what it is in parts of the city."""

    name: str
    default: str
    others: Sequence[tuple[str, str, Override]]
    """Part of the city, value, and the override."""


def readable_columns(kind: Kind, type_: str, words: Words) -> list[Readable]:
    """What a rule on devices of a type can read, without what two underscores ask for."""
    told = [Readable(f.name, words.of(f.label), f.unit) for f in kind.fields if not f.types or type_ in f.types]
    told += [Readable(a.name, words.of(a.label), a.unit) for a in kind.attributes]
    derived = {formula.function.__name__: inspect.getdoc(formula.function) or "" for formula in kind.derived}
    told += [
        Readable(name, text, "", is_english=True)
        for name, text in derived.items()
        if kind.column_fault(type_, name) is None
    ]
    return told + _everywhere(words)


def _everywhere(words: Words) -> list[Readable]:
    assert {"silence_s", "overdue_periods"} == CLOCK
    return [
        Readable("silence_s", words("silence"), "s"),
        Readable("overdue_periods", words("silence, in expected periods"), ""),
        Readable("sun_elevation_deg", words("height of the sun"), "°"),
        Readable("local_hour", words("hour on the clock"), "h"),
        Readable("weekday", words("day of the week, Monday is 0"), ""),
        Readable("is_holiday", words("public holiday"), ""),
    ]


def grammar(words: Words) -> list[tuple[str, str]]:
    """What two underscores ask for of a column, by example."""
    return [
        (
            "power_w__mean_15m",
            words("over the last 15 minutes: count, sum, mean, min, max, rise, changes, still, p05 to p95; s, m, h, d"),
        ),
        ("total_m3__rise", words("against the value before: rise, prev, diff, rate_h (by the hour), gap_s")),
        ("current_a__usual_hour", words("what is usual at this hour")),
        (
            "siblings__power_w__median",
            words(
                "over other devices (siblings, children, commune, near_500m): share, count, sum, mean, median, min, max"
            ),
        ),
        ("in__depot", words("within the fence of that name")),
    ]


def said_fault(fault: BadSetting, words: Words) -> str:
    """What is wrong, in the person's language where there are words for it."""
    return words.of(fault.said) if isinstance(fault, BadExpression) else str(fault)


def caret_line(text: str, position: int) -> str:
    """The line of a text in which a position lies, and below it a mark at that place."""
    position = min(position, len(text))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    return f"{line}\n{' ' * (position - start)}▲"


def when_it_fires(rule: Rule, own: OwnRule | None, words: Words) -> list[tuple[str, str]]:
    """Facts of a rule: its condition if an operator wrote it, hold, calm and the rest."""
    told = []
    if own is not None:
        told.append((words("Condition"), own.condition))
        if own.clear.strip():
            told.append((words("Clears when"), own.clear))
        told.append((words("Where"), shown_scope(own.scope, own.place, {}, words)))
    told.append((words("Priority"), f"P{rule.priority}"))
    told += [(words("or P{priority} when", priority=p), f.function.__name__) for p, f in rule.grades]
    told.append((words("Must hold for"), lasting(rule.hold_s, words)))
    told.append((words("Clears after a calm of"), lasting(rule.calm_s, words)))
    if rule.lateness_s:
        told.append((words("Waits for late readings"), lasting(rule.lateness_s, words)))
    told.append((words("Source"), rule.source))
    return told


def lasting(seconds: float, words: Words) -> str:
    """How long, in words; nothing is at once."""
    return words.duration(timedelta(seconds=seconds)) if seconds else words("at once")


def threshold_rows(rule: Rule, overrides: Iterable[Override], names: Names, words: Words) -> list[Threshold]:
    """Every threshold with its default and, the widest part first, what it is elsewhere."""
    mine = sorted(overrides, key=lambda one: (WIDEST_FIRST.index(one.scope), one.place))
    return [
        Threshold(
            name,
            words.number(default, 6),
            [
                (shown_scope(one.scope, one.place, names, words), words.number(one.value, 6), one)
                for one in mine
                if one.threshold == name
            ],
        )
        for name, default in rule.thresholds.items()
    ]


def shown_scope(scope: Scope, place: str, names: Names, words: Words) -> str:
    """A part of the city."""
    if scope == "commune":
        return words.commune(place)
    named = names.get(int(place), place) if scope in ("group", "device") and place.isdigit() else place
    return {
        "city": words("the whole city"),
        "model": words("model {name}", name=named),
        "group": words("all that hangs from {name}", name=named),
        "device": words("the device {name}", name=named),
    }[scope]


def change_words(change: Change, names: Names, words: Words) -> str:
    """One change of a version."""
    rule = f"{change.kind} · {change.code}"
    if change.threshold:
        where = shown_scope(change.scope, change.place, names, words)
        was, now = (_value(value, words) for value in (change.before, change.after))
        return f"{rule} · {change.threshold}, {where}{words.colon}{was} → {now}"
    if change.before is None:
        return words("{rule} added", rule=rule)
    if change.after is None:
        return words("{rule} removed", rule=rule)
    return words("{rule} changed: {parts}", rule=rule, parts=", ".join(_parts(change)))


def _parts(change: Change) -> Iterator[str]:
    for name in OwnRule.__struct_fields__:
        if getattr(change.before, name, None) != getattr(change.after, name, None):
            yield name


def _value(value: object, words: Words) -> str:
    return (
        words("as around it") if value is None else words.number(value, 6) if isinstance(value, float) else str(value)
    )
