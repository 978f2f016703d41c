"""Applies decisions in order and collects what is to be written: incidents, members, story, calls. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from alerts.decide import Decision, decide
from alerts.scene import Fault, Incident, Scene
from devices.transition import Transition

Purpose = Literal["opened", "closed"]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of an incident's story; `why` names a text of alerts/text.py."""

    incident: Incident
    change: str
    why: str
    about: Incident | None = None
    fault: str | None = None
    """Code of the members that it speaks of."""


@dataclass(slots=True)
class Ledger:
    """One batch: the scene as it changes, and what is to be written in the end."""

    scene: Scene
    notify_priority: int
    """Faults of this priority or more urgent (1 is the most) call at once."""
    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    incidents: dict[Incident, None] = field(default_factory=dict)
    """Touched, in order."""
    members: dict[tuple[Incident, int, str, int], Fault] = field(default_factory=dict)
    """Touched memberships by (incident, device_no, code, since_us); the last word counts."""
    changes: Counter[Change] = field(default_factory=Counter)
    """In order; the count is how many members it speaks of."""
    calls: dict[tuple[Incident, Purpose], None] = field(default_factory=dict)
    folded: set[Incident] = field(default_factory=set)

    def apply(self, transitions: Iterable[Transition]) -> None:
        """Decide on each transition in turn."""
        for transition in transitions:
            decision = decide(transition, self.scene)
            self.decisions[decision.what, decision.reason] += 1
            self._act(transition, decision)

    def _act(self, transition: Transition, decision: Decision) -> None:
        match decision.what:
            case "opened":
                self._open(transition)
            case "joined":
                assert decision.incident is not None
                self._join(_fault(transition, decision.incident))
            case "confirmed":
                self._confirm(self.scene.faults[transition.device_no, transition.code])
            case "regraded":
                assert decision.incident is not None
                self._regrade(decision.incident, transition, decision.reason)
            case "cleared":
                self._clear(self.scene.faults[transition.device_no, transition.code], transition)
            case "left":
                fault = self.scene.faults[transition.device_no, transition.code]
                self._leave(fault, transition.ts_us, cleared=True)
                self._note(fault.incident, "member_left", "member_recovered", fault=fault.code)

    def _open(self, transition: Transition) -> None:
        member = self.scene.faults.get((transition.device_no, transition.code))
        if member:
            self._leave(member, member.since_us, cleared=False)
            self._note(member.incident, "member_left", "confirmed_on_its_own", fault=member.code)
        opened = Incident(
            cause_no=transition.device_no,
            code=transition.code,
            kind=transition.kind,
            priority=transition.priority,
            opened_us=transition.ts_us,
            detected_us=transition.at_us,
            explanation=_json(transition),
            quiet=transition.quiet or None,
        )
        self._begin(_fault(transition, opened), "rule_fired")
        if transition.unstable:
            self._note(opened, "unstable", "unstable")

    def _begin(self, fault: Fault, why: str, about: Incident | None = None) -> None:
        """A new incident of a fault's own: who is called, and what it explains."""
        self.scene.add(fault)
        self._note(fault.incident, "opened", why, about)
        self._call_or_hold(fault.incident)
        self._fold_in(fault.incident)

    def _call_or_hold(self, incident: Incident) -> None:
        if incident.is_confirmed:
            incident.quiet = None if incident.priority <= self.notify_priority else "morning_list"
        if incident.quiet:
            self._note(incident, "held_back", incident.quiet)
        else:
            self._note(incident, "called", "priority_calls")
            self.calls[incident, "opened"] = None

    def _confirm(self, fault: Fault) -> None:
        """A live reading shows what only a replay or a late reading had told: call now."""
        incident = fault.incident
        fault.quiet = None
        if not fault.is_cause:
            self._keep(fault)
            return
        incident.quiet = None
        self._note(incident, "confirmed", "live_reading")
        self._call_or_hold(incident)
        self._fold_in(incident)

    def _regrade(self, incident: Incident, transition: Transition, why: str) -> None:
        """It is more urgent now, or less: who waited for the morning is called if that is due now."""
        incident.priority, incident.explanation = transition.priority, _json(transition)
        self._note(incident, "regraded", why)
        if incident.quiet == "morning_list" and incident.priority <= self.notify_priority:
            self._call_or_hold(incident)

    def _fold_in(self, parent: Incident) -> None:
        """Open incidents below that this one explains become its members, and so do their members."""
        for fault in self.scene.explained_by(parent.cause_no, parent.code):
            child = fault.incident
            hidden = fault.is_live and not parent.is_confirmed
            if fault.is_cause and child is not parent and not hidden:
                self._fold(child, parent, fault)

    def _fold(self, child: Incident, parent: Incident, fault: Fault) -> None:
        members = self.scene.members(child)
        self.scene.remove(fault)
        for member in members:
            self._move(member, parent)
        child.closed_us = parent.detected_us
        self.folded.add(child)
        self._note(child, "folded", "explained_by", parent)
        self._join(_again(fault, parent))

    def _join(self, fault: Fault) -> None:
        self.scene.add(fault)
        self._keep(fault)
        self._note(fault.incident, "member_joined", "member_explained", fault=fault.code)

    def _move(self, member: Fault, to: Incident) -> None:
        self._leave(member, member.since_us, cleared=False)
        self._join(_again(member, to))

    def _leave(self, fault: Fault, until_us: int, *, cleared: bool) -> None:
        self.scene.remove(fault)
        fault.until_us, fault.cleared = until_us, cleared
        self._keep(fault)
        if cleared:
            self._remember(fault, until_us)

    def _keep(self, member: Fault) -> None:
        self.incidents[member.incident] = None
        self.members[member.incident, member.device_no, member.code, member.since_us] = member

    def _remember(self, fault: Fault, until_us: int) -> None:
        """The fault is over: the same firing or clearing, said again, means nothing any more."""
        self.scene.ended.add((fault.device_no, fault.code, "fire", fault.since_us))
        self.scene.ended.add((fault.device_no, fault.code, "clear", until_us))

    def _clear(self, fault: Fault, transition: Transition) -> None:
        """The cause is well again: close, and let members that are still at fault stand for themselves."""
        incident = fault.incident
        members = self.scene.members(incident)
        self.scene.remove(fault)
        self._remember(fault, transition.ts_us)
        incident.cleared_us, incident.closed_us = transition.ts_us, transition.at_us
        self._note(incident, "closed", "rule_cleared")
        if incident.quiet is None:
            self._tell_end(incident, transition)
        for member in members:
            self._stand_alone(member, transition)

    def _tell_end(self, incident: Incident, transition: Transition) -> None:
        if transition.quiet:
            self._note(incident, "held_back", f"end_{transition.quiet}")
        else:
            self.calls[incident, "closed"] = None

    def _stand_alone(self, member: Fault, transition: Transition) -> None:
        closed = member.incident
        self._leave(member, max(transition.ts_us, member.since_us), cleared=False)
        other = self.scene.explaining(member.device_no, member.kind, member.code, live=member.is_live)
        if other:
            self._join(_again(member, other))
            return
        rule = self.scene.rule(member.kind, member.code)
        own = Incident(
            cause_no=member.device_no,
            code=member.code,
            kind=member.kind,
            priority=rule.priority if rule else 3,
            opened_us=member.since_us,
            detected_us=transition.at_us,
            explanation=member.explanation,
            quiet=member.quiet,
        )
        self._begin(_again(member, own), "cause_closed", closed)

    def _note(
        self, incident: Incident, change: str, why: str, about: Incident | None = None, *, fault: str | None = None
    ) -> None:
        self.incidents[incident] = None
        self.changes[Change(incident, change, why, about, fault)] += 1


def _json(transition: Transition) -> str:
    return msgspec.json.encode(transition.explanation).decode()


def _fault(transition: Transition, incident: Incident) -> Fault:
    """The fault that a firing begins."""
    return Fault(
        device_no=transition.device_no,
        code=transition.code,
        kind=transition.kind,
        since_us=transition.ts_us,
        incident=incident,
        explanation=_json(transition),
        quiet=transition.quiet or None,
    )


def _again(fault: Fault, incident: Incident) -> Fault:
    """The same fault, under another incident."""
    return Fault(fault.device_no, fault.code, fault.kind, fault.since_us, incident, fault.explanation, fault.quiet)
