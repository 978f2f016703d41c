"""What a city decides about rules: rules of its own, and other thresholds for some devices. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from devices.kind import Column, Kind, Mask, Rule, kinds
from devices.registry import Registry

Scope = Literal["city", "commune", "model", "group", "device"]
"""From the widest to the narrowest; the narrower counts, and of two groups the smaller. A group is a device and all
that hangs from it: a feeder with its lamps, a cabinet with its feeders and their lamps."""
WIDEST_FIRST: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Override:
    """Another value of a rule's threshold, for a part of the city."""

    kind: str
    code: str
    threshold: str
    """A threshold of the rule's formulas, or hold_s, calm_s, priority or enabled."""
    value: float
    scope: Scope = "city"
    place: str = ""
    """The commune, the model, or the number of the group's or of the single device."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force, in one version."""

    version: int = 0
    own: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    """The city's own rules, by kind."""
    overrides: Sequence[Override] = ()
    scopes: Mapping[tuple[str, str], tuple[Scope, str]] = field(default_factory=dict)
    """By kind and code, the part of the city that a rule of its own watches, when that is not all of it."""
    off: Collection[tuple[str, str]] = frozenset()
    """Own rules, by kind and code, that watch nobody."""

    def rules(self, kind: Kind) -> tuple[Rule, ...]:
        """All rules of a kind: those of its declaration, then the city's own."""
        return (*kind.rules, *self.own.get(kind.name, ()))

    def thresholds(self, kind: str, rule: Rule, part: Registry) -> dict[str, Column]:
        """The thresholds of a rule that differ somewhere, by name, one value per device of `part`."""
        mine = [
            (WIDEST_FIRST.index(one.scope), -int(np.count_nonzero(where)), one, where)
            for one in self.overrides
            if one.kind == kind and one.code == rule.code and one.threshold in rule.thresholds
            for where in (within(part, one.scope, one.place),)
        ]
        found: dict[str, Column] = {}
        for _, _, override, where in sorted(mine, key=lambda one: one[:2]):
            default = rule.thresholds[override.threshold]
            column = found.setdefault(override.threshold, np.full(len(part), default, np.float64))
            column[where] = override.value
        key = kind, rule.code
        if key in self.off or key in self.scopes:
            watched = ~np.ones(len(part), bool) if key in self.off else within(part, *self.scopes[key])
            enabled = found.setdefault("enabled", np.ones(len(part), np.float64))
            enabled[~watched] = 0
        return found

    def kinds(self, more: Mapping[tuple[str, str], Rule] | None = None) -> Mapping[str, Kind]:
        """Every kind with the city's own rules, and more by kind and code, among its rules."""
        return {
            name: replace(
                kind, rules=(*self.rules(kind), *(rule for (of, _), rule in (more or {}).items() if of == name))
            )
            for name, kind in kinds().items()
        }


def within(part: Registry, scope: Scope, place: str) -> Mask:
    """Which devices of a kind lie within a part of the city, shape (n,)."""
    match scope:
        case "city":
            return np.ones(len(part), bool)
        case "commune":
            return np.array([commune == place for commune in part.commune], bool)
        case "model":
            return part.model == place
        case "group":
            return below(part, int(place))
        case "device":
            return part.device_no == int(place)


def below(part: Registry, top_no: int) -> Mask:
    """A device and everything that hangs from it, however far down, shape (n,)."""
    inside: Mask = part.device_no == top_no
    while True:
        more = inside | np.isin(part.parent_no, part.device_no[inside])
        if (more == inside).all():
            return inside
        inside = more
