"""Incidents in words: title, place, members, and why a rule fired. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.words import Words
from devices.kind import Attribute, Field, Kind, Rule, Text, kinds
from devices.place import said_once
from store.pages import IncidentCard

UNSAID = Text("", "")


@dataclass(frozen=True, slots=True)
class Seen:
    """One column that a rule read: its name for people, its value then, with its unit."""

    name: str
    label: str
    value: str


def title_of(kind_name: str, code: str, words: Words) -> str:
    """A rule's title; its code when the kind no longer declares it."""
    rule = rule_of(kind_name, code)
    return words.of(rule.title) if rule else code


def rule_of(kind_name: str, code: str) -> Rule | None:
    kind = kinds().get(kind_name)
    return next((rule for rule in kind.rules if rule.code == code), None) if kind else None


def type_label(kind_name: str, type_name: str | None, words: Words) -> str:
    """What sort of device it is, "" when nobody knows."""
    return words.of(_type_text(kind_name, type_name))


def _type_text(kind_name: str, type_name: str | None) -> Text:
    kind = kinds().get(kind_name)
    return next((t.label for t in kind.types if t.name == type_name), UNSAID) if kind else UNSAID


def device_name(kind_name: str, type_name: str | None, label: str | None, id: str, words: Words) -> str:
    """How people call a device: its label, said with its type when the label does not begin with the type's word."""
    name, sort = label or id, _type_text(kind_name, type_name)
    says_it = any(text and name.casefold().startswith(text.casefold().split()[0]) for text in sort)
    return name if says_it else f"{words.of(sort)} {name}".strip()


def place_of(card: IncidentCard, words: Words) -> str:
    """Départ D3, armoire A45, rue Monge, Dijon."""
    parts = [device_name(card.kind, card.type, card.label, card.id, words)]
    if card.parent_label:
        parts.append(device_name(card.kind, card.parent_type, card.parent_label, card.parent_label, words))
    return ", ".join(said_once([*parts, card.street, words.commune(card.commune)]))


def shown_card(card: IncidentCard, words: Words) -> dict[str, Any]:
    """An incident as the browser's list gets it."""
    return {
        "no": card.incident_no,
        "title": title_of(card.kind, card.code, words),
        "place": place_of(card, words),
        "priority": card.priority,
        "state": card.state,
        "quiet": card.quiet,
        "kind": card.kind,
        "cause_no": card.cause_no,
        "since_us": int(card.opened_at.timestamp() * 1e6),
        "members": card.members,
        "acknowledged_by": card.acknowledged_by,
        "lat": card.lat,
        "lon": card.lon,
    }


def columns_seen(kind: Kind, columns: Mapping[str, float | None], words: Words) -> list[Seen]:
    """What the rule read, in words."""
    return [
        Seen(name, column_label(kind, name, words), _value(kind, name, value, words)) for name, value in columns.items()
    ]


def thresholds_seen(thresholds: Mapping[str, float], words: Words) -> list[Seen]:
    return [Seen(name, name, words.number(value, 4)) for name, value in thresholds.items()]


def column_label(kind: Kind, name: str, words: Words) -> str:
    """A column's name for people: a field's, an attribute's, or one of those that the rules compute."""
    declared = _declared(kind)
    if name in declared:
        return words.of(declared[name].label)
    computed = {
        "silence_s": words("Silent for"),
        "overdue_periods": words("Expected periods without a word"),
        "children__dark__share": words("Share of its lamps that are dark"),
    }
    return computed.get(name, name)


def _value(kind: Kind, name: str, value: float | None, words: Words) -> str:
    if value is None:
        return words("unknown")
    declared = _declared(kind)
    field = declared.get(name)
    if isinstance(field, Field) and field.storage == "flag":
        return words("yes") if value else words("no")
    if name.endswith("__share"):
        return f"{words.number(100 * value, 1)} %"
    unit = "s" if name == "silence_s" else declared[name].unit if name in declared else ""
    return f"{words.number(value)} {unit}".strip()


def _declared(kind: Kind) -> dict[str, Field | Attribute]:
    declared: tuple[Field | Attribute, ...] = (*kind.fields, *kind.attributes)
    return {item.name: item for item in declared}


def state_words(words: Words) -> dict[str, str]:
    return {
        "new": words("new"),
        "acknowledged": words("acknowledged"),
        "on_site": words("on site"),
        "on_hold": words("on hold"),
        "fixed": words("fixed"),
        "closed": words("closed"),
    }


def quiet_words(words: Words) -> dict[str, str]:
    """Why nobody was called."""
    return {
        "replayed": words("Nobody was called: replayed from a recording."),
        "late": words("Nobody was called: the reading came late."),
        "morning_list": words("Nobody was called at once: it waits for the morning list."),
        "to_commission": words("Nobody was called: the device is not commissioned."),
    }


def change_words(words: Words) -> dict[str, str]:
    """What can happen to an incident, in words."""
    return {
        "opened": words("opened"),
        "reopened": words("opened again"),
        "member_joined": words("device joined"),
        "member_left": words("device left"),
        "acknowledged": words("acknowledged"),
        "on_site": words("on site"),
        "on_hold": words("put on hold"),
        "fixed": words("said to be fixed"),
        "taken_back": words("last step taken back"),
        "unacknowledged": words("acknowledgement taken back"),
        "cleared": words("fault gone"),
        "closed": words("closed"),
        "held_back": words("call held back"),
        "notified": words("somebody was called"),
        "not_notified": words("call failed"),
        "confirmed": words("confirmed by a live reading"),
        "regraded": words("priority changed"),
        "unstable": words("unstable"),
        "folded": words("explained by another incident"),
        "called": words("call decided"),
    }


HOLD_REASONS = ("material", "access", "grid", "police", "weather", "other")
"""Why an incident is on hold, as the story keeps it: `grid` is the operator of the power grid."""


def hold_words(words: Words) -> dict[str, str]:
    return {
        "material": words("material awaited"),
        "access": words("no access"),
        "grid": words("grid operator awaited"),
        "police": words("police awaited"),
        "weather": words("weather"),
        "other": words("other reason"),
    }


def reason_text(reason: str | None, words: Words) -> str:
    """A reason of a story: a code of HOLD_REASONS in words, with its note; tele-alert's are texts already."""
    code, colon, note = (reason or "").partition(":")
    said = hold_words(words).get(code)
    return f"{said}{words.colon}{note.strip()}" if said and colon else said or reason or ""


def codes_titled(text: str) -> list[str]:
    """Codes of the rules whose title holds a text, in any language."""
    sought = text.casefold()
    return [
        rule.code
        for kind in kinds().values()
        for rule in kind.rules
        if sought and any(sought in title.casefold() for title in rule.title)
    ]


def geo_address(card: IncidentCard) -> str | None:
    """A link that a phone opens with its own maps, to be led there (RFC 5870)."""
    if card.lat is None or card.lon is None:
        return None
    return f"geo:{card.lat:.5f},{card.lon:.5f}?q={card.lat:.5f},{card.lon:.5f}"
