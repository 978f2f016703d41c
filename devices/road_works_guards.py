"""The rules of what guards works sites: cones, barriers, temporary lights. Pure.

Words are FIWARE CityWork's. No published thresholds were found: the numbers are our defaults, to be tuned.
"""

from devices.kind import Column, Mask, Text, rule

DEFAULT = "our default"


def displaced(tilt_deg: Column, moved_m: Column, *, max_tilt_deg: float = 45.0, max_moved_m: float = 20.0) -> Mask:
    """Cones and barriers that lie down or are not where they were put."""
    return (tilt_deg > max_tilt_deg) | (moved_m > max_moved_m)


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


GUARD_COLUMNS = (displaced,)
"""Derived columns."""
GUARD_RULES = (
    barrier_down,
    barrier_moved,
    barrier_battery,
    barrier_silent,
    temporary_light_out,
    temporary_light_stuck,
    temporary_light_battery,
    temporary_light_silent,
)
