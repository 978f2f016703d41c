"""The page docs/kinds.md: what the hub knows of each kind, out of its declaration. Pure.

Write it again after a change to a kind: `python -m devices.kinds_page`.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite, isnan
from pathlib import Path

from devices.kind import DeviceType, Field, Goal, Kind, Rule, Text, kinds

PAGE = Path("docs/kinds.md")
HEAD = """# The kinds of devices

Everything on this page is made of the declarations in `devices/` by `python -m devices.kinds_page`; a test holds it
to them. Priorities have RSMP's meaning: P1 now, P2 next shift, P3 next planned round. A rule is shown with its
thresholds, how long its condition must hold, and where its numbers come from. How to add a kind:
[adding-a-kind.md](adding-a-kind.md).
"""


def kinds_page(declared: Mapping[str, Kind]) -> str:
    """The whole page."""
    return "\n".join([HEAD, *("\n".join(_kind(kind)) for _, kind in sorted(declared.items()))])


def _kind(kind: Kind) -> Iterator[str]:
    yield f"## {_both(kind.label)}\n\nTopics `city/{{commune}}/{kind.name}/{{device}}/telemetry`.\n"
    yield _table(
        ("type", "what", "hangs from", "symbol", "planned rest"),
        ((f"`{t.name}`", _both(t.label), f"`{t.parent}`" if t.parent else "", t.symbol, _rest(t)) for t in kind.types),
    )
    yield _table(
        ("field", "what", "unit", "from", "to", "types"),
        ((f"`{f.name}`", _both(f.label), f.unit, *_range(f), ", ".join(f.types)) for f in kind.fields),
    )
    if kind.attributes:
        yield _table(
            ("attribute", "what", "unit", "default"),
            ((f"`{a.name}`", _both(a.label), a.unit, _number(a.default)) for a in kind.attributes),
        )
    yield _table(("rule", "what", "priority", "when"), (_rule(rule) for rule in kind.rules))
    if kind.indicators:
        yield _table(
            ("indicator", "what", "unit", "goal"),
            (
                (f"`{i.name}`", f"{_both(i.title)} ({i.how} over {i.type}s)", i.unit, _goal(i.goal))
                for i in kind.indicators
            ),
        )
    if kind.events:
        yield _table(("event", "what"), ((f"`{e.code}`", _both(e.label)) for e in kind.events))
    if kind.left_out:
        yield _table(("not here yet", "waits for"), kind.left_out.items())


def _rule(rule: Rule) -> tuple[str, ...]:
    thresholds = ", ".join(f"`{name}` {_number(value)}" for name, value in rule.condition.thresholds.items())
    hold = f"for {_number(rule.hold_s)} s" if rule.hold_s else ""
    details = "; ".join(part for part in (thresholds, hold, f"source: {rule.source}") if part)
    return f"`{rule.code}` ({rule.type})", _both(rule.title), f"P{rule.priority}", f"{_line(rule.help.en)} {details}"


def _goal(goal: Goal | None) -> str:
    if goal is None:
        return ""
    limits = (("at least", goal.low), ("at most", goal.high))
    told = " and ".join(f"{word} {_number(limit)}" for word, limit in limits if isfinite(limit))
    return f"{told} ({goal.source})"


def _rest(type_: DeviceType) -> str:
    return _both(type_.resting_label) if type_.resting else ""


def _range(field: Field) -> tuple[str, str]:
    return ("no", "yes") if field.storage == "flag" else (_number(field.low), _number(field.high))


def _number(value: float | None) -> str:
    return "" if value is None or isnan(value) else f"{value:,.10g}"


def _both(text: Text) -> str:
    return text.en if text.en == text.fr else f"{text.en} ({text.fr})"


def _line(text: str) -> str:
    return " ".join(text.split())


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "/") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(kinds_page(kinds()), encoding="utf-8")
