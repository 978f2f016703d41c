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
    rule,
)
from devices.shown import at_fault

SITE, BARRIER, LIGHT = ("site",), ("barrier",), ("temporary_light",)
DEFAULT = "our default"


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


@rule(
    type="site",
    title=Text("Chantier en dépassement", "Works overrun"),
    help_fr="Le chantier travaille encore, ou occupe encore la voie, après sa fin prévue.",
    priority=3,
    any_of=("active", "lanes_closed"),
    source=f"overrun of the end date; {DEFAULT}",
    fires_on=({"left_h": -3, "active": 1}, {"left_h": -3, "active": 0, "lanes_closed": 1}),
    silent_on=({"left_h": 48, "active": 1}, {"left_h": -3, "active": 0, "lanes_closed": 0}),
)
def site_overrun(left_h: Column, active: Column, lanes_closed: Column, *, grace_h: float = 0.0) -> Mask:
    """The site still works, or still takes up the road, after its planned end."""
    return (left_h < -grace_h) & ((active == 1) | (lanes_closed > 0))


@rule(
    type="site",
    title=Text("Chantier sans arrêté", "Works without an order"),
    help_fr="On travaille ou on occupe la voie sans arrêté de circulation en vigueur.",
    priority=2,
    hold_s=900,
    any_of=("active", "lanes_closed"),
    source=f"site active without order (DiaLog); 15 min: {DEFAULT}",
    fires_on=({"has_order": 0, "active": 1}, {"has_order": 0, "lanes_closed": 2}),
    silent_on=({"has_order": 1, "active": 1}, {"has_order": 0, "active": 0, "lanes_closed": 0}),
)
def works_without_order(has_order: Column, active: Column, lanes_closed: Column) -> Mask:
    """People work or take up the road while no traffic order is in force."""
    return (has_order == 0) & ((active == 1) | (lanes_closed > 0))


@rule(
    type="site",
    title=Text("Arrêté sans activité", "Order without works"),
    help_fr="La voie est occupée sans aucune activité depuis trois jours.",
    priority=3,
    source="order without activity for 2 days (DiaLog, issue 1669); 72 h, to bear a week-end: our default",
    fires_on=({"idle_h": 80, "lanes_closed": 1},),
    silent_on=({"idle_h": 62, "lanes_closed": 1}, {"idle_h": 80, "lanes_closed": 0}),
)
def order_without_works(idle_h: Column, lanes_closed: Column, *, max_idle_h: float = 72.0) -> Mask:
    """The road is taken up and nobody has worked there for three days."""
    return (idle_h > max_idle_h) & (lanes_closed > 0)


@rule(
    type="site",
    title=Text("Travaux hors horaires", "Works out of hours"),
    help_fr="On travaille en dehors des horaires autorisés depuis une demi-heure.",
    priority=3,
    hold_s=1800,
    source=f"hours of the permit; 30 min: {DEFAULT}",
    fires_on=({"active": 1, "in_permitted_hours": 0},),
    silent_on=({"active": 1, "in_permitted_hours": 1}, {"active": 0, "in_permitted_hours": 0}),
)
def works_out_of_hours(active: Column, in_permitted_hours: Column) -> Mask:
    """People have worked outside the permitted hours for half an hour."""
    return (active == 1) & (in_permitted_hours == 0)


@rule(
    type="site",
    title=Text("Bruit hors permis", "Noise over the permit"),
    help_fr="Le bruit du chantier dépasse sa limite depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    source=f"85 dB(A) for 15 min unless the registry says otherwise: {DEFAULT}",
    fires_on=({"noise_laeq_db": 91, "noise_limit_db": 85},),
    silent_on=({"noise_laeq_db": 78, "noise_limit_db": 85},),
)
def works_noise(noise_laeq_db: Column, noise_limit_db: Column) -> Mask:
    """The noise of the site has been over its limit for a quarter of an hour."""
    return noise_laeq_db > noise_limit_db


def displaced(tilt_deg: Column, moved_m: Column, *, max_tilt_deg: float = 45.0, max_moved_m: float = 20.0) -> Mask:
    """Cones and barriers that lie down or are not where they were put."""
    return (tilt_deg > max_tilt_deg) | (moved_m > max_moved_m)


@rule(
    type="site",
    title=Text("Balisage à terre", "Site unguarded"),
    help_fr="Un tiers du balisage est couché ou déplacé : le chantier n'est plus protégé.",
    priority=1,
    hold_s=120,
    source=f"a third of the cones and barriers for 2 min: {DEFAULT}",
    fires_on=({"children__displaced__share": 0.5},),
    silent_on=({"children__displaced__share": 0.2},),
)
def site_unguarded(children__displaced__share: Column, *, max_share: float = 0.34) -> Mask:
    """A third of the cones and barriers lie down or were moved: the site is no longer guarded."""
    return children__displaced__share >= max_share


@rule(
    type="site",
    title=Text("Chantier muet", "Site silent"),
    help_fr="La passerelle du chantier n'a pas parlé depuis trois de ses périodes.",
    priority=3,
    source=f"3 expected periods: {DEFAULT}",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def site_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The gateway of the site has not spoken for three of its periods."""
    return overdue_periods > max_periods


@rule(
    type="barrier",
    title=Text("Balise couchée", "Barrier down"),
    help_fr="Le cône ou la barrière est couché.",
    priority=2,
    explained_by=("site_unguarded",),
    source=f"45 degrees: {DEFAULT}",
    fires_on=({"tilt_deg": 88},),
    silent_on=({"tilt_deg": 6},),
)
def barrier_down(tilt_deg: Column, *, max_tilt_deg: float = 45.0) -> Mask:
    """The cone or barrier lies on its side."""
    return tilt_deg > max_tilt_deg


@rule(
    type="barrier",
    title=Text("Balise déplacée", "Barrier moved"),
    help_fr="Le cône ou la barrière est à plus de 20 m de sa place.",
    priority=2,
    explained_by=("site_unguarded",),
    source=f"20 m: {DEFAULT}",
    fires_on=({"moved_m": 35},),
    silent_on=({"moved_m": 4},),
)
def barrier_moved(moved_m: Column, *, max_moved_m: float = 20.0) -> Mask:
    """The cone or barrier is more than 20 m from its place."""
    return moved_m > max_moved_m


@rule(
    type="barrier",
    title=Text("Pile de balise faible", "Barrier battery low"),
    help_fr="Il reste moins de 20 % à la pile de la balise.",
    priority=3,
    source=f"20 %: {DEFAULT}",
    fires_on=({"battery_pct": 12},),
    silent_on=({"battery_pct": 64},),
)
def barrier_battery(battery_pct: Column, *, min_pct: float = 20.0) -> Mask:
    """The battery of the cone or barrier is under 20 %."""
    return battery_pct < min_pct


@rule(
    type="barrier",
    title=Text("Balise muette", "Barrier silent"),
    help_fr="La balise n'a pas parlé depuis trois de ses périodes.",
    priority=3,
    explained_by=("site_silent",),
    source=f"3 expected periods: {DEFAULT}",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def barrier_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The cone or barrier has not spoken for three of its periods."""
    return overdue_periods > max_periods


@rule(
    type="temporary_light",
    title=Text("Feu de chantier éteint", "Temporary light out"),
    help_fr="L'alternat a besoin de son feu et il est éteint, ou son rouge ne s'allume plus.",
    priority=1,
    any_of=("switched_on", "red_lamp_error"),
    source=f"as a junction that is dark or has a serious lamp error (RSMP A0201); priority: {DEFAULT}",
    fires_on=({"switched_on": 0, "needed": 1}, {"red_lamp_error": 1, "needed": 1}),
    silent_on=({"switched_on": 0, "needed": 0}, {"switched_on": 1, "needed": 1, "red_lamp_error": 0}),
)
def temporary_light_out(switched_on: Column, needed: Column, red_lamp_error: Column) -> Mask:
    """One-way traffic needs its light and it is dark, or its red no longer shines."""
    return ((switched_on == 0) | (red_lamp_error == 1)) & (needed == 1)


@rule(
    type="temporary_light",
    title=Text("Feu de chantier bloqué", "Temporary light stuck"),
    help_fr="Le feu garde la même couleur depuis plus de cinq minutes.",
    priority=1,
    explained_by=("temporary_light_out",),
    source=f"stuck red is an emergency in Merthyr's contract; 5 min: {DEFAULT}",
    fires_on=({"stage_age_s": 420, "needed": 1},),
    silent_on=({"stage_age_s": 40, "needed": 1}, {"stage_age_s": 900, "needed": 0}),
)
def temporary_light_stuck(stage_age_s: Column, needed: Column, *, max_age_s: float = 300.0) -> Mask:
    """The light has kept its colour for more than five minutes."""
    return (stage_age_s > max_age_s) & (needed == 1)


@rule(
    type="temporary_light",
    title=Text("Batterie de feu de chantier faible", "Temporary light battery low"),
    help_fr="Il reste moins de 20 % à la batterie du feu : il s'éteindra dans la journée.",
    priority=2,
    source=f"20 %: {DEFAULT}",
    fires_on=({"battery_pct": 15},),
    silent_on=({"battery_pct": 80},),
)
def temporary_light_battery(battery_pct: Column, *, min_pct: float = 20.0) -> Mask:
    """The light's battery is under 20 %: it will go dark within the day."""
    return battery_pct < min_pct


@rule(
    type="temporary_light",
    title=Text("Feu de chantier muet", "Temporary light silent"),
    help_fr="Le feu n'a pas parlé depuis trois de ses périodes.",
    priority=2,
    explained_by=("site_silent",),
    source=f"3 expected periods: {DEFAULT}",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def temporary_light_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The light has not spoken for three of its periods."""
    return overdue_periods > max_periods


def at_work(active: Column) -> Mask:
    """Sites where people work now."""
    return active == 1


def in_time(left_h: Column) -> Mask:
    """Sites before their planned end."""
    return left_h >= 0


def lanes(lanes_closed: Column) -> Column:
    """Lanes that are closed."""
    return lanes_closed


def holds_lanes(lanes_closed: Column) -> Mask:
    """Sites that hold lanes closed."""
    return lanes_closed > 0


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
    derived=(Formula.of(displaced),),
    rules=(
        site_overrun,
        works_without_order,
        order_without_works,
        works_out_of_hours,
        works_noise,
        site_unguarded,
        site_silent,
        barrier_down,
        barrier_moved,
        barrier_battery,
        barrier_silent,
        temporary_light_out,
        temporary_light_stuck,
        temporary_light_battery,
        temporary_light_silent,
    ),
    indicators=(
        Indicator("open", "site", Text("Chantiers en place", "Sites in place"), Formula.of(holds_lanes), "sum", ""),
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
        "two works on the same street": "neighbours by street",
        "works that cut a snow or bus route": "routes",
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
