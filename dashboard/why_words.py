"""Why a rule fires on a device or does not, in words. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dashboard.incident_words import column_label, columns_seen, title_of
from dashboard.words import Words
from devices.kind import Kind, kinds
from hub.clock import to_datetime
from rules.explain import SeenColumn, Wait, Why


@dataclass(frozen=True, slots=True)
class Told:
    """A rule on a device, in words."""

    code: str
    title: str
    is_firing: bool
    priority: int
    """That was told, or that it would have."""
    verdict: str
    """One sentence."""
    more: Sequence[str]
    """Sentences for what else bears on it."""
    columns: Sequence[tuple[str, str, str]]
    """Label, value, and how it came when that is not as usual."""
    thresholds: Sequence[tuple[str, str, str]]
    """Name, value, and where it comes from."""
    grades: Sequence[tuple[int, str, str]]
    """Another priority, whether it holds, and when it does (English)."""


def told(whys: Sequence[Why], words: Words) -> list[Told]:
    """Rules in words, those that fire first."""
    return [_told(why, words) for why in sorted(whys, key=lambda why: (not why.is_firing, why.condition is not True))]


def _told(why: Why, words: Words) -> Told:
    kind = kinds()[why.kind]
    return Told(
        code=why.code,
        title=title_of(why.kind, why.code, words),
        is_firing=why.is_firing,
        priority=why.told_priority or why.priority,
        verdict=_verdict(why, kind, words),
        more=list(_more(why, words)),
        columns=_columns(kind, why.columns, words),
        thresholds=[
            (one.name, words.number(one.value, 4), _where_from(one.default, words) if one.is_tuned else "")
            for one in why.thresholds
        ],
        grades=[(one.priority, _holds(one.holds, words), one.when) for one in why.grades],
    )


def _verdict(why: Why, kind: Kind, words: Words) -> str:
    """Why it fires, or what it waits for."""
    missed = ", ".join(column_label(kind, name, words) for name in why.missed)
    if not why.is_commissioned:
        return words("The device is to commission: no rule looks at it.")
    if why.is_firing:
        return _of_firing(why, missed, words)
    if why.is_off:
        return words("It does not fire: the rule is switched off for this device.")
    if why.condition is None:
        return words("It can neither fire nor clear: unknown is {columns}.", columns=missed)
    return _of_waiting(why, words) if why.condition else words("It does not fire: its condition does not hold.")


def _of_waiting(why: Why, words: Words) -> str:
    if why.hold.passed_s is None:
        return words("It does not fire yet: its condition holds, and is looked at again with the next reading.")
    return words("It does not fire yet: its condition has held for {passed} of {needed}.", **_wait(why.hold, words))


def _of_firing(why: Why, missed: str, words: Words) -> str:
    if why.is_off:
        return words("It fires, and clears at once when it is looked at again: the rule is switched off.")
    if why.clearing is None:
        return words("It fires, and cannot clear: unknown is {columns}.", columns=missed)
    if why.calm.passed_s is not None:
        return words("It fires; what clears it has held for {passed} of {needed}.", **_wait(why.calm, words))
    if why.condition:
        return words("It fires: its condition holds.")
    return words("It fires still: its condition holds no more, but what clears it does not hold yet.")


def _more(why: Why, words: Words) -> Iterator[str]:
    if why.is_firing and not why.is_loud:
        yield words("Nobody was called: only late or replayed readings have told it.")
    if why.is_unstable:
        yield words("It came and went too often and says so once; it clears after an hour of calm.")
    if any(column.how in ("late", "replayed") for column in why.columns):
        yield words("What only late or replayed readings have told calls nobody.")
    if why.seen_us < why.at_us:
        yield words("As of the device's newest reading, {at}.", at=words.moment(to_datetime(why.seen_us)))


def _wait(wait: Wait, words: Words) -> dict[str, str]:
    """How long of how long."""
    return {
        "passed": words.duration(timedelta(seconds=wait.passed_s or 0)),
        "needed": words.duration(timedelta(seconds=wait.needed_s)),
    }


def _columns(kind: Kind, columns: Sequence[SeenColumn], words: Words) -> list[tuple[str, str, str]]:
    how = {"late": words("told late"), "replayed": words("replayed")}
    values = columns_seen(kind, {column.name: column.value for column in columns}, words)
    return [
        (seen.label, seen.value, how.get(column.how, "") if column.value is not None else "")
        for seen, column in zip(values, columns, strict=True)
    ]


def _where_from(default: float, words: Words) -> str:
    return words("tuned here; {default} by default", default=words.number(default, 4))


def _holds(holds: bool | None, words: Words) -> str:
    return words("unknown") if holds is None else words("yes") if holds else words("no")
