"""The decision on one transition, by name and with its reason. Pure.

fire ──▶ on already? ── repeated | confirmed | regraded ──▶ over already? ── ignored ──▶ commissioned? ── ignored
     ──▶ explained by an open incident? ── joined ──▶ opened
clear ──▶ on? ── ignored ──▶ of a fault that is over? ── ignored ──▶ cleared (its own incident) | left (as a member)
"""

from dataclasses import dataclass
from typing import Literal

from alerts.scene import Fault, Incident, Scene
from devices.transition import Transition

What = Literal["opened", "joined", "confirmed", "regraded", "repeated", "cleared", "left", "ignored"]
Reason = Literal[
    "new_fault",
    "explained",
    "live_reading",
    "already_on",
    "more_urgent",
    "less_urgent",
    "rule_cleared",
    "nothing_to_clear",
    "already_dealt_with",
    "unknown_device",
    "not_commissioned",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a transition, and why."""

    what: What
    reason: Reason
    incident: Incident | None = None
    """The incident concerned; None when there is none yet."""


def decide(transition: Transition, scene: Scene) -> Decision:
    """What a transition means, given the faults that are on."""
    fault = scene.faults.get((transition.device_no, transition.code))
    if transition.action == "clear":
        return _clear(transition, scene, fault)
    return _fire_again(transition, fault) if fault else _fire(transition, scene)


def _clear(transition: Transition, scene: Scene, fault: Fault | None) -> Decision:
    if fault is None:
        return Decision("ignored", "nothing_to_clear")
    if transition.ts_us < fault.since_us and _came_before(transition, scene):
        return Decision("ignored", "already_dealt_with", fault.incident)
    return Decision("cleared" if fault.is_cause else "left", "rule_cleared", fault.incident)


def _fire_again(transition: Transition, fault: Fault) -> Decision:
    """A fault that is on: a live reading may confirm what only a replay or a late reading had told, or change how
    urgent it is."""
    if transition.quiet or fault.is_live:
        return _fires_on(transition, fault)
    if fault.is_cause or fault.incident.is_confirmed:
        return Decision("confirmed", "live_reading", fault.incident)
    # A member of an incident that nobody was called for: it stands for itself now.
    return Decision("opened", "live_reading")


def _fires_on(transition: Transition, fault: Fault) -> Decision:
    incident = fault.incident
    if fault.is_cause and not transition.quiet and transition.priority != incident.priority:
        return Decision(
            "regraded", "more_urgent" if transition.priority < incident.priority else "less_urgent", incident
        )
    return Decision("repeated", "already_on", incident)


def _fire(transition: Transition, scene: Scene) -> Decision:
    if _came_before(transition, scene):
        return Decision("ignored", "already_dealt_with")
    place = scene.places.get(transition.device_no)
    if place is None:
        return Decision("ignored", "unknown_device")
    if not place.commissioned:
        return Decision("ignored", "not_commissioned")
    live = not transition.quiet
    parent = scene.explaining(transition.device_no, transition.kind, transition.code, live=live)
    return Decision("joined", "explained", parent) if parent else Decision("opened", "new_fault")


def _came_before(transition: Transition, scene: Scene) -> bool:
    """Did this very transition begin or end a fault that is over? The rules may say it again after a crash."""
    return (transition.device_no, transition.code, transition.action, transition.ts_us) in scene.ended
