"""Rules of a city's own, as an operator writes them, and all that a city has decided on rules, as it is kept. Pure."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from devices.expression import parsed
from devices.kind import Kind, Rule, Text, kinds
from devices.policy import WIDEST_FIRST, Override, Policy, Scope
from hub.errors import BadSetting

CODE = re.compile(r"[a-z][a-z0-9_]{2,40}")
LONGEST_HOLD_S = 366 * 86_400.0
"""A year: what is held for longer is a matter of windows (our limit)."""
LATENESS_S = (0, 60, 300, 900, 3600)
"""What a rule may wait for late readings. Each needs a board of its own, so there are few."""
LONGEST_TITLE, LONGEST_HELP = 120, 1000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")


class OwnRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that an operator wrote."""

    kind: str
    type: str
    code: str
    condition: str
    clear: str = ""
    """A clearing condition of its own; empty: the contrary of the condition."""
    hold_s: float = 0.0
    calm_s: float = 0.0
    priority: int = 3
    title_fr: str = ""
    title_en: str = ""
    """One of both may be empty: the other is shown in its place."""
    help_fr: str = ""
    help_en: str = ""
    scope: Scope = "city"
    place: str = ""
    """As of devices.policy.Override: the commune, the model, or the number of the group's or the single device."""
    enabled: bool = True
    lateness_s: float = 0.0
    explained_by: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.code

    @property
    def title(self) -> Text:
        """In both languages, its code when nothing was said."""
        return Text(self.title_fr or self.title_en or self.code, self.title_en or self.title_fr or self.code)

    @property
    def help(self) -> Text:
        """In both languages, the condition when nothing was said."""
        return Text(self.help_fr or self.help_en or self.condition, self.help_en or self.help_fr or self.condition)


def compiled(own_rule: OwnRule) -> Rule:
    """The rule that the engine evaluates; BadExpression for its conditions, BadSetting for all else."""
    for why in _faults(own_rule):
        raise BadSetting(why)
    kind = kinds()[own_rule.kind]
    condition = parsed(own_rule.condition, kind, own_rule.type)
    clear = parsed(own_rule.clear, kind, own_rule.type) if own_rule.clear.strip() else None
    optional = (*condition.optional, *(clear.optional if clear else ()))
    needed = {name for one in (condition, clear) if one for name in one.columns if name not in one.optional}
    return Rule(
        code=own_rule.code,
        type=own_rule.type,
        condition=condition.holds,
        title=own_rule.title,
        priority=own_rule.priority,
        help=own_rule.help,
        hold_s=own_rule.hold_s,
        calm_s=own_rule.calm_s,
        optional=tuple(name for name in dict.fromkeys(optional) if name not in needed),
        explained_by=own_rule.explained_by,
        source="the city's own",
        clear=clear.holds if clear else condition.fails,
        lateness_s=own_rule.lateness_s,
    )


def _faults(own_rule: OwnRule) -> Iterator[str]:
    """What is wrong beside the conditions."""
    kind = kinds().get(own_rule.kind)
    if kind is None:
        yield f"kind {own_rule.kind!r} is unknown; the hub knows {', '.join(sorted(kinds()))}"
        return
    types = [t.name for t in kind.types]
    if own_rule.type not in types:
        yield f"type {own_rule.type!r} is unknown; {kind.name} has {', '.join(types)}"
    if not CODE.fullmatch(own_rule.code):
        yield "a code is 3 to 41 small letters, digits and _, and begins with a letter, as in lamp_too_hot"
    if own_rule.code == "new":
        yield "a rule cannot have the code new, which is the address of the form"
    if any(rule.code == own_rule.code for rule in kind.rules):
        yield f"{kind.name} declares a rule of this code; take another, or tune its thresholds"
    if own_rule.priority not in (1, 2, 3):
        yield f"the priority is 1 (now), 2 (next shift) or 3 (next round), not {own_rule.priority}"
    for name in ("hold_s", "calm_s"):
        if not 0 <= getattr(own_rule, name) <= LONGEST_HOLD_S:
            yield f"{name} is 0 to {LONGEST_HOLD_S:.0f} seconds, not {getattr(own_rule, name):g}"
    if own_rule.lateness_s not in LATENESS_S:
        yield f"lateness_s is one of {', '.join(map(str, LATENESS_S))} seconds, not {own_rule.lateness_s:g}"
    codes = {rule.code for one in kinds().values() for rule in one.rules}
    if strange := [code for code in own_rule.explained_by if code not in codes]:
        yield f"explained_by names {', '.join(strange)}, which no kind declares"
    yield from _text_faults(own_rule)
    if why := place_fault(own_rule.scope, own_rule.place):
        yield why


def _text_faults(own_rule: OwnRule) -> Iterator[str]:
    for name, longest in (("title", LONGEST_TITLE), ("help", LONGEST_HELP)):
        for text in (getattr(own_rule, f"{name}_fr"), getattr(own_rule, f"{name}_en")):
            if len(text) > longest:
                yield f"the {name} has more than {longest} characters"
            if _CONTROL.search(text):
                yield f"the {name} holds a control character"
    if not (own_rule.title_fr.strip() or own_rule.title_en.strip()):
        yield "it needs a title: what people read when it fires"


def place_fault(scope: Scope, place: str) -> str | None:
    """Why a place cannot be one of its scope, None when it can; whether it is there, only the registry can tell."""
    if scope not in WIDEST_FIRST:
        return f"the scope is {', '.join(WIDEST_FIRST)}, not {scope!r}"
    if scope == "city":
        return f"the whole city has no place {place!r}" if place else None
    if not place:
        return f"say which {scope}"
    if scope in ("group", "device") and not (place.isascii() and place.isdigit() and 0 < int(place) < 2**31):
        return f"{place!r} is no number of a device"
    return None


def override_fault(override: Override, rule: Rule) -> str | None:
    """Why a rule's threshold cannot be set to that, None when it can."""
    if override.threshold not in rule.thresholds:
        return f"{rule.code} has no threshold {override.threshold!r}; it has {', '.join(sorted(rule.thresholds))}"
    value = override.value
    if not math.isfinite(value):
        return f"{value} is no number"
    if override.threshold == "priority" and value not in (1, 2, 3):
        return f"the priority is 1 (now), 2 (next shift) or 3 (next round), not {value:g}"
    if override.threshold == "enabled" and value not in (0, 1):
        return f"enabled is 1 or 0, not {value:g}"
    if override.threshold in ("hold_s", "calm_s") and not 0 <= value <= LONGEST_HOLD_S:
        return f"{override.threshold} is 0 to {LONGEST_HOLD_S:.0f} seconds, not {value:g}"
    return place_fault(override.scope, override.place)


@dataclass(frozen=True)
class Decisions:
    """All that a city has decided on rules, in one version."""

    version: int = 0
    rules: tuple[OwnRule, ...] = ()
    overrides: tuple[Override, ...] = ()
    removed: tuple[OwnRule, ...] = ()
    """Rules that are no more, as they last were: their incidents still need their words."""

    @cached_property
    def compiled(self) -> Mapping[tuple[str, str], Rule]:
        """The own rules by kind and code, without those that this version of the hub no longer understands."""
        return {one.key: rule for one in self.rules if isinstance(rule := _tried(one), Rule)}

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """Why some own rules are not in force: their kind has changed since they were written."""
        return tuple(why for one in self.rules if isinstance(why := _tried(one), str))

    @cached_property
    def policy(self) -> Policy:
        """What the engine works with. A rule that is off is part of it, on no device."""
        own: dict[str, list[Rule]] = {}
        for (kind, _), rule in self.compiled.items():
            own.setdefault(kind, []).append(rule)
        overrides = tuple(one for one in self.overrides if self._is_in_force(one))
        scopes = {one.key: (one.scope, one.place) for one in self.rules if one.scope != "city" and one.enabled}
        off = frozenset(one.key for one in self.rules if not one.enabled)
        return Policy(self.version, own, overrides, scopes, off)

    def _is_in_force(self, override: Override) -> bool:
        rule = self.rule(override.kind, override.code)
        return rule is not None and override_fault(override, rule) is None

    def rule(self, kind: str, code: str) -> Rule | None:
        """A declared rule or one of the city's own, None when there is none."""
        declared = next((rule for rule in kinds()[kind].rules if rule.code == code), None) if kind in kinds() else None
        return declared or self.compiled.get((kind, code))

    def kinds(self) -> Mapping[str, Kind]:
        """Every kind, with the city's own rules among its rules, the removed ones included: for words, not to watch."""
        return self.policy.kinds(self.removed_rules)

    @cached_property
    def removed_rules(self) -> Mapping[tuple[str, str], Rule]:
        """The removed rules of which there are still words."""
        return {one.key: rule for one in self.removed if isinstance(rule := _tried(one), Rule)}

    def of_kind(self, kind: str) -> tuple[object, ...]:
        """What was decided on one kind; equal means that nothing has changed there."""
        rules = tuple(sorted((one for one in self.rules if one.kind == kind), key=lambda one: one.code))
        overrides = sorted((one for one in self.overrides if one.kind == kind), key=str)
        return (*rules, *overrides)

    def other_conditions(self, before: "Decisions") -> set[tuple[str, str]]:
        """The own rules, by kind and code, that look for something else than before."""
        were = {one.key: (one.condition, one.clear) for one in before.rules}
        return {one.key for one in self.rules if were.get(one.key, one) != (one.condition, one.clear)}

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(content: bytes) -> "Decisions":
        """Read them back; msgspec.MsgspecError when the content is something else."""
        return msgspec.json.decode(content, type=Decisions)


def _tried(own_rule: OwnRule) -> Rule | str:
    try:
        return compiled(own_rule)
    except BadSetting as error:
        return f"{own_rule.kind} {own_rule.code}: {error}"
