"""What tele-alert knows when it decides: places, the faults that are on, their incidents. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import msgspec

from devices.kind import Kind, Rule

UNCONFIRMED = frozenset({"replayed", "late"})
"""Reasons why nobody was called that a live reading overrules."""


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device in the topology."""

    device_no: int
    kind: str
    type: str | None
    id: str
    commune: str
    label: str | None = None
    street: str | None = None
    parent_no: int | None = None
    gateway_no: int | None = None
    commissioned: bool = True


@dataclass(slots=True, eq=False)
class Incident:
    """A cause at fault, open or just closed; `number` is given when it is first written."""

    cause_no: int
    code: str
    kind: str
    priority: int
    opened_us: int
    """Event time of the fault."""
    detected_us: int
    """Hub time at which the rule fired."""
    explanation: str
    """JSON of devices.transition.Explanation"""
    quiet: str | None = None
    """Why nobody was called; None when somebody was."""
    number: int | None = None
    cleared_us: int | None = None
    closed_us: int | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_us is None

    @property
    def is_confirmed(self) -> bool:
        """Does it rest on a live reading?"""
        return self.quiet not in UNCONFIRMED


@dataclass(slots=True, eq=False)
class Fault:
    """A device's rule that is on, and the incident that stands for it: its own, or one that explains it."""

    device_no: int
    code: str
    kind: str
    since_us: int
    incident: Incident
    explanation: str
    quiet: str | None = None
    """'replayed' or 'late' while no live reading confirms it."""
    until_us: int | None = None
    cleared: bool = False

    @property
    def is_cause(self) -> bool:
        return (self.device_no, self.code) == (self.incident.cause_no, self.incident.code)

    @property
    def is_live(self) -> bool:
        return self.quiet is None


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A fault that is on, with the incident that stands for it, as one row of the database or of the snapshot."""

    device_no: int
    code: str
    since_us: int
    quiet: str | None
    explanation: str
    number: int
    cause_no: int
    cause_code: str
    kind: str
    priority: int
    incident_quiet: str | None
    opened_us: int
    detected_us: int
    incident_explanation: str


FaultKey = tuple[int, str]
Moment = tuple[int, str, str, int]
"""(device_no, code, action, ts_us) of a firing or a clearing"""


@dataclass(slots=True)
class Scene:
    """The faults that are on around the devices of a batch. `add` and `remove` keep its indexes."""

    places: Mapping[int, Place]
    kinds: Mapping[str, Kind]
    ended: set[Moment] = field(default_factory=set)
    """What began or ended a fault that is over."""
    faults: dict[FaultKey, Fault] = field(default_factory=dict)
    _explained: dict[FaultKey, dict[FaultKey, Fault]] = field(default_factory=dict)
    """By the (place, code) that would explain them."""
    _members: dict[Incident, dict[FaultKey, Fault]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, places: Mapping[int, Place], kinds: Mapping[str, Kind], ended: set[Moment], standing: Iterable[Standing]
    ) -> Self:
        """The scene that these rows describe."""
        scene, incidents = cls(places, kinds, ended), dict[int, Incident]()
        for row in standing:
            incident = incidents.get(row.number) or incidents.setdefault(
                row.number,
                Incident(
                    cause_no=row.cause_no,
                    code=row.cause_code,
                    kind=row.kind,
                    priority=row.priority,
                    opened_us=row.opened_us,
                    detected_us=row.detected_us,
                    explanation=row.incident_explanation,
                    quiet=row.incident_quiet,
                    number=row.number,
                ),
            )
            quiet = row.quiet if row.quiet in UNCONFIRMED else None
            scene.add(Fault(row.device_no, row.code, row.kind, row.since_us, incident, row.explanation, quiet))
        return scene

    def rule(self, kind: str, code: str) -> Rule | None:
        """The declared rule; None for one that this version does not know."""
        declared = self.kinds.get(kind)
        return next((rule for rule in declared.rules if rule.code == code), None) if declared else None

    def title(self, kind: str, code: str, language: str) -> str:
        """The rule's title in a language; its code when it is not known."""
        rule = self.rule(kind, code)
        return getattr(rule.title, language) if rule else code

    def around(self, device_no: int) -> Iterator[int]:
        """The device, what it hangs from (nearest first), and its gateway."""
        place = self.places.get(device_no)
        gateway_no, seen = place.gateway_no if place else None, set[int]()
        while place and place.device_no not in seen:
            seen.add(place.device_no)
            yield place.device_no
            place = self.places.get(place.parent_no) if place.parent_no is not None else None
        if gateway_no is not None and gateway_no not in seen:
            yield gateway_no

    def explanations(self, device_no: int, kind: str, code: str) -> Iterable[FaultKey]:
        """Every (place, code) that would explain a fault, the nearest place first."""
        rule = self.rule(kind, code)
        if rule is None or not rule.explained_by:
            return ()
        return ((place, cause) for place in self.around(device_no) for cause in rule.explained_by)

    def explaining(self, device_no: int, kind: str, code: str, *, live: bool) -> Incident | None:
        """The open incident that explains a fault; a live one is not hidden behind what only a replay told."""
        for key in self.explanations(device_no, kind, code):
            fault = self.faults.get(key)
            if fault and fault.incident.is_open and (fault.incident.is_confirmed or not live):
                return fault.incident
        return None

    def explained_by(self, device_no: int, code: str) -> list[Fault]:
        """Faults that are on and that this one would explain."""
        return list(self._explained.get((device_no, code), {}).values())

    def members(self, incident: Incident) -> list[Fault]:
        """The faults that an incident explains, those nearest to the top first."""
        return sorted(self._members.get(incident, {}).values(), key=self._depth)

    def add(self, fault: Fault) -> None:
        key = (fault.device_no, fault.code)
        self.faults[key] = fault
        for cause in self.explanations(fault.device_no, fault.kind, fault.code):
            self._explained.setdefault(cause, {})[key] = fault
        if not fault.is_cause:
            self._members.setdefault(fault.incident, {})[key] = fault

    def remove(self, fault: Fault) -> None:
        key = (fault.device_no, fault.code)
        del self.faults[key]
        for cause in self.explanations(fault.device_no, fault.kind, fault.code):
            self._explained[cause].pop(key, None)
        if not fault.is_cause:
            del self._members[fault.incident][key]

    def _depth(self, fault: Fault) -> int:
        return sum(1 for _ in self.around(fault.device_no))


def children(places: Mapping[int, Place]) -> dict[int, list[int]]:
    """What hangs directly from each device."""
    found: dict[int, list[int]] = {}
    for place in places.values():
        for above in {place.parent_no, place.gateway_no}:
            if above is not None:
                found.setdefault(above, []).append(place.device_no)
    return found


def served(top_no: int, places: Mapping[int, Place], hanging: Mapping[int, Sequence[int]]) -> dict[str, int]:
    """How many commissioned devices hang below one, by type; `hanging` is what `children` says."""
    below, waiting = {top_no}, [top_no]
    while waiting:
        further = [no for no in hanging.get(waiting.pop(), ()) if no not in below]
        below.update(further)
        waiting += further
    return dict(Counter(t for no in below - {top_no} if (t := places[no].type) and places[no].commissioned))
