"""`beffroi rules list`: what the hub watches for, out of the declarations of the kinds."""

from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from devices.kind import Kind, Rule
from hub.commands.devices import kinds_asked_for

PIPE_WIDTH = 240
"""Columns where there is no terminal whose width could be asked."""


def list_rules(kind: str | None, *, as_json: bool) -> None:
    """Print the rules of a kind, of all without one; as JSON, one rule per line."""
    told = [tell(found, rule) for found in kinds_asked_for(kind) for rule in found.rules]
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
    yield ", ".join(f"{name} {value:g}" for name, value in rule["thresholds"].items())
    yield rule["source"]
