"""`beffroi rules list`: what the hub watches for, out of the declarations of the kinds, and what the city decided."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from devices.kind import Kind, Rule
from devices.own_rule import Decisions
from hub.commands import policy
from hub.commands.devices import kinds_asked_for
from hub.settings import Settings

PIPE_WIDTH = 240
"""Columns where there is no terminal whose width could be asked."""


def list_rules(settings: Settings, kind: str | None, *, as_json: bool) -> None:
    """Print the rules of a kind, of all without one; as JSON, one rule per line.

    Without the database those that are declared, and on standard error why there are no others.
    """
    asked, (decided, names) = kinds_asked_for(kind), policy.decided(settings)
    told = [
        tell(found, rule) | tell_decided(found, rule, decided, names)
        for found in asked
        for rule in decided.policy.rules(found)
    ]
    if as_json:
        plain = Console(soft_wrap=True, highlight=False, markup=False)
        for rule in told:
            plain.print(msgspec.json.encode(rule).decode())
        return
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=PIPE_WIDTH)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("code", "kind", "type", "priority", "hold", "thresholds", "source"):
        table.add_column(name, no_wrap=name not in ("thresholds", "source"), overflow="fold")
    for row in map(_cells, told):
        table.add_row(*row)
    console.print(table)


def tell_decided(kind: Kind, rule: Rule, decided: Decisions, names: Mapping[int, str]) -> dict[str, Any]:
    """What a city has decided on a rule: its condition when it is one of its own, and its thresholds."""
    tuned = [
        {"threshold": one.threshold, "value": one.value, "where": policy.shown_place(one.scope, one.place, names)}
        for one in decided.policy.overrides
        if (one.kind, one.code) == (kind.name, rule.code)
    ]
    mine = next((one for one in decided.rules if one.key == (kind.name, rule.code)), None)
    if mine is None:
        return {"tuned": tuned}
    where = policy.shown_place(mine.scope, mine.place, names)
    return {"tuned": tuned, "condition": mine.condition, "where": where, "enabled": mine.enabled}


def tell(kind: Kind, rule: Rule) -> dict[str, Any]:
    """What there is to say of a rule."""
    return {
        "code": rule.code,
        "kind": kind.name,
        "type": rule.type,
        "title": rule.title.en,
        "priority": rule.priority,
        "hold_s": rule.hold_s,
        "calm_s": rule.calm_s,
        "thresholds": dict(rule.condition.thresholds),
        "clears_at": dict(rule.clear.thresholds) if rule.clear else {},
        "source": rule.source,
    }


def _cells(rule: dict[str, Any]) -> Iterator[str]:
    yield from (rule["code"], rule["kind"], rule["type"], f"P{rule['priority']}")
    yield f"{rule['hold_s']:g} s" if rule["hold_s"] else ""
    thresholds = [f"{name} {value:g}" for name, value in rule["thresholds"].items()]
    tuned = [f"{one['threshold']} {one['value']:g} {one['where']}" for one in rule["tuned"]]
    yield ", ".join([*thresholds, *tuned])
    own = f"{rule['condition']} ({rule['where']})" if "condition" in rule else ""
    yield f"{rule['source']}{': ' if own else ''}{own}{'' if rule.get('enabled', True) else ', switched off'}"
