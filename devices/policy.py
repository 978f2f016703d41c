"""What a city decides about rules: rules of its own, and other thresholds for some devices. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from devices.kind import Column, Kind, Mask, Rule
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

    def rules(self, kind: Kind) -> tuple[Rule, ...]:
        """All rules of a kind: those of its declaration, then the city's own."""
        return (*kind.rules, *self.own.get(kind.name, ()))

    def thresholds(self, kind: str, rule: Rule, part: Registry) -> dict[str, Column]:
        """The thresholds of a rule that differ somewhere, by name, one value per device of `part`."""
        mine = [
            (WIDEST_FIRST.index(one.scope), -int(np.count_nonzero(where)), one, where)
            for one in self.overrides
            if one.kind == kind and one.code == rule.code and one.threshold in rule.thresholds
            for where in (_where(one, part),)
        ]
        found: dict[str, Column] = {}
        for _, _, override, where in sorted(mine, key=lambda one: one[:2]):
            default = rule.thresholds[override.threshold]
            column = found.setdefault(override.threshold, np.full(len(part), default, np.float64))
            column[where] = override.value
        return found


def _where(override: Override, part: Registry) -> Mask:
    match override.scope:
        case "city":
            return np.ones(len(part), bool)
        case "commune":
            return np.array([commune == override.place for commune in part.commune], bool)
        case "model":
            return np.zeros(len(part), bool)  # no registry of ours tells it yet
        case "group":
            return _hangs_from(int(override.place), part)
        case "device":
            return part.device_no == int(override.place)


def _hangs_from(device_no: int, part: Registry) -> Mask:
    """A device and all that hangs from it, at any depth."""
    within: Mask = part.device_no == device_no
    while True:
        more: Mask = within | np.isin(part.parent_no, part.device_no[within])
        if (more == within).all():
            return within
        within = more
