"""Road works: the works site, its connected cones and barriers, and its temporary lights. Pure.

Words are FIWARE CityWork's. No published thresholds were found: the numbers are our defaults, to be tuned.
"""

import numpy as np

from devices.kind import (
    Attribute,
    Column,
    DeviceType,
    Event,
    Field,
    Formula,
    Indicator,
    Kind,
    Mask,
    Panel,
    Text,
    flag,
)
from devices.road_works_guards import GUARD_COLUMNS, GUARD_RULES, displaced
from devices.road_works_sites import SITE_COLUMNS, SITE_RULES, takes_road
from devices.shown import at_fault

SITE, BARRIER, LIGHT = ("site",), ("barrier",), ("temporary_light",)


def site_period_s(active: Column) -> Column:
    """15 min while people work, 1 h else."""
    return np.where(active == 1, 900.0, 3600.0)


def barrier_period_s(tilt_deg: Column) -> Column:
    """1 h: a cone saves its battery, and speaks at once when it falls or is moved."""
    return np.full_like(tilt_deg, 3600.0)


def light_period_s(switched_on: Column) -> Column:
    """5 min while it guides traffic, 1 h else."""
    return np.where(switched_on == 0, 3600.0, 300.0)


def idle(active: Column) -> Mask:
    """Nobody works now: night, week-end, or suspended."""
    return active == 0


def not_needed(needed: Column) -> Mask:
    """The traffic needs no light now."""
    return needed == 0


def at_work(active: Column) -> Mask:
    """Sites where people work now."""
    return active == 1


def in_time(left_h: Column) -> Mask:
    """Sites before their planned end."""
    return left_h >= 0


def lanes(lanes_closed: Column) -> Column:
    """Lanes that are closed."""
    return lanes_closed


def overrun(left_h: Column, lanes_closed: Column) -> Mask:
    """Sites that hold lanes closed after their planned end."""
    return (left_h < 0) & (lanes_closed > 0)


KIND = Kind(
    name="road_works",
    label=Text("Chantiers", "Road works"),
    types=(
        DeviceType(
            "site",
            Text("Chantier", "Works site"),
            "triangle",
            site_period_s,
            idle,
            resting_label=Text("Personne au travail", "Nobody at work"),
        ),
        DeviceType("barrier", Text("Cône ou barrière", "Cone or barrier"), "dot", barrier_period_s, parent="site"),
        DeviceType(
            "temporary_light",
            Text("Feu de chantier", "Temporary light"),
            "square",
            light_period_s,
            not_needed,
            parent="site",
            resting_label=Text("Sans objet pour l'instant", "Not needed now"),
        ),
    ),
    fields=(
        flag("active", Text("On y travaille", "People at work"), SITE),
        flag("has_order", Text("Arrêté en vigueur", "Order in force"), SITE),
        flag("in_permitted_hours", Text("Dans les horaires autorisés", "Within permitted hours"), SITE),
        Field("left_h", Text("Temps avant la fin prévue", "Time to the planned end"), "h", -1e6, 1e6, types=SITE),
        Field("idle_h", Text("Temps sans activité", "Time without activity"), "h", 0, 1e6, types=SITE),
        Field("lanes_closed", Text("Voies fermées", "Lanes closed"), "", 0, 20, types=SITE),
        Field("noise_laeq_db", Text("Bruit LAeq", "Noise LAeq"), "dB(A)", 0, 160, types=SITE),
        Field("tilt_deg", Text("Inclinaison", "Tilt"), "°", 0, 180, types=BARRIER),
        Field("moved_m", Text("Écart à sa place", "Distance from its place"), "m", 0, 1e6, types=BARRIER),
        Field("battery_pct", Text("Batterie", "Battery"), "%", 0, 100, types=BARRIER + LIGHT),
        flag("needed", Text("Alternat en service", "One-way traffic on"), LIGHT),
        flag("switched_on", Text("Allumé", "Switched on"), LIGHT),
        flag("red_lamp_error", Text("Rouge en panne", "Red lamp error"), LIGHT),
        Field("stage_age_s", Text("Âge de la couleur", "Age of the colour"), "s", 0, 1e6, types=LIGHT),
    ),
    attributes=(Attribute("noise_limit_db", Text("Limite de bruit", "Noise limit"), "dB(A)", 85.0),),
    events=(
        Event("works_started", Text("Début des travaux du jour", "Day's works started")),
        Event("works_ended", Text("Fin des travaux du jour", "Day's works ended")),
        Event("barrier_fell", Text("Balise tombée", "Barrier fell")),
        Event("barrier_raised", Text("Balise relevée", "Barrier raised")),
        Event("lane_closed", Text("Voie fermée", "Lane closed")),
        Event("lane_opened", Text("Voie rouverte", "Lane opened")),
    ),
    derived=tuple(Formula.of(column) for column in (*SITE_COLUMNS, *GUARD_COLUMNS)),
    rules=(*SITE_RULES, *GUARD_RULES),
    indicators=(
        Indicator("open", "site", Text("Chantiers en place", "Sites in place"), Formula.of(takes_road), "sum", ""),
        Indicator("at_work", "site", Text("Chantiers au travail", "Sites at work"), Formula.of(at_work)),
        Indicator("overrun", "site", Text("Dépassements", "Overruns"), Formula.of(overrun), "sum", ""),
        Indicator("in_time", "site", Text("Chantiers dans les délais", "Sites in time"), Formula.of(in_time)),
        Indicator("lanes", "site", Text("Voies fermées", "Lanes closed"), Formula.of(lanes), "sum", ""),
        Indicator(
            "displaced",
            "barrier",
            Text("Balises à redresser", "Barriers to set right"),
            Formula.of(displaced),
            "sum",
            "",
        ),
        Indicator(
            "lights",
            "temporary_light",
            Text("Feux de chantier en panne", "Temporary lights at fault"),
            Formula.of(at_fault),
        ),
    ),
    panels=(Panel(Text("Délais", "Times"), "site", ("left_h", "idle_h")),),
    left_out={
        "two works on the same street, by its name": "rules know places, not names: works_too_near looks 100 m around",
        "works zones that silence lamps and junctions": "maintenance windows by place, a matter of tele-alert",
    },
    examples={
        "site": {
            "ts": "2026-11-23T09:15:00Z",
            "active": True,
            "has_order": True,
            "in_permitted_hours": True,
            "left_h": 96.5,
            "idle_h": 0.0,
            "lanes_closed": 1,
            "noise_laeq_db": 74.2,
        },
        "barrier": {"ts": "2026-11-23T09:00:00Z", "tilt_deg": 2.0, "moved_m": 0.5, "battery_pct": 88.0},
        "temporary_light": {
            "ts": "2026-11-23T09:05:00Z",
            "needed": True,
            "switched_on": True,
            "red_lamp_error": False,
            "stage_age_s": 25.0,
            "battery_pct": 76.0,
        },
    },
)
