"""The rules of lamps, and the columns that they and their feeders' rules are made of. Pure.

Words are TALQ's. Marks of sources: TALQ and uCIFI for conditions; numbers without a source are our defaults, to be
tuned.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule

STALE_PERIODS = 1.5
"""What a device told is no longer what is, once it is so many periods overdue."""


def dark(
    dim_pct: Column,
    power_w: Column,
    rated_power_w: Column,
    overdue_periods: Column,
    *,
    min_ratio: float = 0.15,
) -> Mask:
    """Lamps that should shine and do not, or that are more than a period overdue (with a margin for jitter)."""
    return (dim_pct > 0) & ((power_w < min_ratio * rated_power_w * dim_pct / 100) | (overdue_periods > 1.2))


def unlit(dim_pct: Column, power_w: Column, rated_power_w: Column, *, min_ratio: float = 0.15) -> Mask:
    """Lamps that should shine and draw nothing."""
    return (dim_pct > 0) & (power_w < min_ratio * rated_power_w * dim_pct / 100)


def disobeys(dim_pct: Column, power_w: Column, rated_power_w: Column, *, min_ratio: float = 0.05) -> Mask:
    """Lamps that draw power though they should be dark, or none though they should shine."""
    return (dim_pct > 0) != (power_w > min_ratio * rated_power_w)


def burning(power_w: Column, rated_power_w: Column, overdue_periods: Column, *, min_ratio: float = 0.15) -> Column:
    """Of the lamps that have spoken lately, those that draw power."""
    return np.where(overdue_periods > STALE_PERIODS, np.nan, power_w > min_ratio * rated_power_w)


@rule(
    type="lamp",
    title=Text("Lampadaire éteint", "Lamp out"),
    help_fr="Le lampadaire doit éclairer mais ne consomme rien, ou se déclare en défaut.",
    priority=3,
    hold_s=600,
    any_of=("lamp_failure", "power_w"),
    explained_by=("feeder_out", "cabinet_silent", "feeder_partial_loss", "lamp_cycling"),
    source="condition: TALQ lampFailure; 15 % and 10 min: our default; P2 where it leaves a dark stretch",
    fires_on=(
        {"dim_pct": 100, "power_w": 0.5, "rated_power_w": 60},
        {"dim_pct": 100, "lamp_failure": 1, "rated_power_w": 60},
    ),
    silent_on=(
        {"dim_pct": 0, "power_w": 0.5, "rated_power_w": 60},
        {"dim_pct": 100, "power_w": 58, "rated_power_w": 60},
    ),
)
def lamp_out(
    dim_pct: Column, power_w: Column, rated_power_w: Column, lamp_failure: Column, *, min_ratio: float = 0.15
) -> Mask:
    """Lamp is told to shine but draws no power, or says that it failed."""
    return (dim_pct > 0) & ((power_w < min_ratio * rated_power_w * dim_pct / 100) | (lamp_failure == 1))


def relit(
    dim_pct: Column, power_w: Column, rated_power_w: Column, lamp_failure: Column, *, clear_ratio: float = 0.3
) -> Mask:
    """Shines again: told to, draws power and declares no failure."""
    return (dim_pct > 0) & ~(power_w < clear_ratio * rated_power_w * dim_pct / 100) & ~(lamp_failure == 1)


def beside_another(near_50m__unlit__count: Column, *, min_neighbours: float = 1) -> Mask:
    """A lamp next to it is out as well: a stretch of road is dark."""
    return near_50m__unlit__count >= min_neighbours


def beside_a_failed_one(near_50m__lamp_failure__count: Column, *, min_neighbours: float = 1) -> Mask:
    """A lamp next to it has told a failure as well."""
    return near_50m__lamp_failure__count >= min_neighbours


def lights_a_crossing(at_crossing: Column) -> Mask:
    """It lights a pedestrian crossing."""
    return at_crossing == 1


@rule(
    type="lamp",
    title=Text("Puissance anormale", "Power deviation"),
    help_fr="Un lampadaire allumé consomme nettement plus ou moins que ne le veut sa gradation.",
    priority=3,
    hold_s=1800,
    explained_by=("feeder_out",),
    source="TALQ lampPowerTolerance; 15 % and 30 min: our default",
    fires_on=({"dim_pct": 100, "power_w": 45, "rated_power_w": 60},),
    silent_on=(
        {"dim_pct": 50, "power_w": 30, "rated_power_w": 60},
        {"dim_pct": 100, "power_w": 0, "rated_power_w": 60},
    ),
)
def power_deviation(
    dim_pct: Column,
    power_w: Column,
    rated_power_w: Column,
    *,
    tolerance: float = 0.15,
    out_ratio: float = 0.15,
) -> Mask:
    """A lit lamp draws clearly more or less than its dimming level asks for."""
    expected_w = rated_power_w * dim_pct / 100
    lit = (dim_pct > 0) & (power_w >= out_ratio * expected_w)
    return lit & (np.abs(power_w - expected_w) > tolerance * expected_w)


@rule(
    type="lamp",
    title=Text("Gradation non suivie", "Dimming not followed"),
    help_fr="Un lampadaire allumé s'écarte de plus de 10 points de sa consigne de gradation.",
    priority=3,
    hold_s=900,
    explained_by=("lamp_out", "feeder_out"),
    source="TALQ (dimming failure); 10 points for 15 min: our default",
    fires_on=({"dim_pct": 100, "dim_actual_pct": 60},),
    silent_on=(
        {"dim_pct": 50, "dim_actual_pct": 52},
        {"dim_pct": 100, "dim_actual_pct": 0},
        {"dim_pct": 0, "dim_actual_pct": 60},
    ),
)
def dimming_not_followed(dim_pct: Column, dim_actual_pct: Column, *, max_points: float = 10.0) -> Mask:
    """A lit lamp is more than 10 points away from its dimming command."""
    return (dim_pct > 0) & (dim_actual_pct > 0) & (np.abs(dim_actual_pct - dim_pct) > max_points)


@rule(
    type="lamp",
    title=Text("Allumé sans consigne", "Lit without command"),
    help_fr="Le lampadaire doit être éteint et consomme depuis une demi-heure.",
    priority=3,
    hold_s=1800,
    optional=("override_active",),
    explained_by=("feeder_lit_unasked",),
    source="TALQ lampUnexpectedOn, uCIFI day burner; 15 % for 30 min: our default",
    fires_on=({"dim_pct": 0, "power_w": 55, "rated_power_w": 60},),
    silent_on=(
        {"dim_pct": 0, "power_w": 0.4, "rated_power_w": 60},
        {"dim_pct": 100, "power_w": 58, "rated_power_w": 60},
        {"dim_pct": 0, "power_w": 55, "rated_power_w": 60, "override_active": 1},
    ),
)
def lit_unasked(
    dim_pct: Column, power_w: Column, rated_power_w: Column, override_active: Column, *, min_ratio: float = 0.15
) -> Mask:
    """The lamp is told to be dark and has drawn power for half an hour; nobody overrides it."""
    return (dim_pct == 0) & (power_w > min_ratio * rated_power_w) & ~(override_active == 1)


@rule(
    type="lamp",
    title=Text("Allumé en plein jour", "Lit by day"),
    help_fr="Le lampadaire a reçu l'ordre d'éclairer et éclaire en plein jour : calendrier ou cellule en défaut.",
    priority=3,
    hold_s=1800,
    optional=("override_active",),
    explained_by=("feeder_lit_by_day", "feeder_lit_unasked"),
    source="TALQ lampUnexpectedOn, uCIFI day burner: 30 min after sunrise; 3 degrees of sun: our default",
    fires_on=({"dim_pct": 100, "power_w": 58, "rated_power_w": 60, "day_lit": 0, "sun_elevation_deg": 20},),
    silent_on=(
        {"dim_pct": 100, "power_w": 58, "rated_power_w": 60, "day_lit": 0, "sun_elevation_deg": -3},
        {"dim_pct": 100, "power_w": 58, "rated_power_w": 60, "day_lit": 1, "sun_elevation_deg": 20},
        {"dim_pct": 100, "power_w": 0, "rated_power_w": 60, "day_lit": 0, "sun_elevation_deg": 20},
        {
            "dim_pct": 100,
            "power_w": 58,
            "rated_power_w": 60,
            "day_lit": 0,
            "sun_elevation_deg": 20,
            "override_active": 1,
        },
    ),
)
def lit_by_day(
    dim_pct: Column,
    power_w: Column,
    rated_power_w: Column,
    day_lit: Column,
    sun_elevation_deg: Column,
    override_active: Column,
    *,
    min_ratio: float = 0.15,
    min_sun_deg: float = 3.0,
) -> Mask:
    """The lamp is told to shine and shines in broad daylight: its calendar or photocell is wrong."""
    shines = (dim_pct > 0) & (power_w > min_ratio * rated_power_w)
    return shines & (sun_elevation_deg > min_sun_deg) & (day_lit == 0) & ~(override_active == 1)


@rule(
    type="lamp",
    title=Text("Lampe qui clignote", "Lamp cycling"),
    help_fr="La lampe s'est allumée ou éteinte cinq fois en une heure sans qu'on le lui demande.",
    priority=3,
    any_of=("cycling", "disobeys__changes_1h"),
    explained_by=("feeder_out",),
    source="TALQ and uCIFI cycling; 5 unexpected switches in an hour, over when there is one at most: our default",
    fires_on=({"disobeys__changes_1h": 6}, {"cycling": 1}),
    silent_on=({"disobeys__changes_1h": 2}, {"cycling": 0}, {"disobeys__changes_1h": 0, "cycling": 0}),
)
def lamp_cycling(cycling: Column, disobeys__changes_1h: Column, *, min_switches: float = 5) -> Mask:
    """The lamp went on or off five times within an hour though nobody asked for it."""
    return (cycling == 1) | (disobeys__changes_1h >= min_switches)


def steady(cycling: Column, disobeys__changes_1h: Column, *, clear_switches: float = 1) -> Mask:
    """Does what it is told, and has for most of an hour."""
    return ~(cycling == 1) & ~(disobeys__changes_1h > clear_switches)


@rule(
    type="lamp",
    title=Text("Facteur de puissance faible", "Low power factor"),
    help_fr="Le facteur de puissance d'une lampe allumée est sous le seuil de son niveau de gradation.",
    priority=3,
    hold_s=1800,
    explained_by=("lamp_out", "power_deviation"),
    source=(
        "TALQ LampType.powerFactorThresholdDimmingCurve, as a line from 10 % to full light; "
        "0.5 there, 0.85 here, 30 min: our default"
    ),
    fires_on=({"dim_pct": 100, "power_factor": 0.7}, {"dim_pct": 30, "power_factor": 0.45}),
    silent_on=(
        {"dim_pct": 100, "power_factor": 0.95},
        {"dim_pct": 30, "power_factor": 0.7},
        {"dim_pct": 0, "power_factor": 0.2},
    ),
)
def low_power_factor(
    dim_pct: Column, power_factor: Column, *, min_at_full: float = 0.85, min_at_tenth: float = 0.5
) -> Mask:
    """The power factor of a lit lamp is under the threshold of its dimming level."""
    share = np.clip((dim_pct - 10) / 90, 0, 1)
    return (dim_pct > 0) & (power_factor < min_at_tenth + share * (min_at_full - min_at_tenth))


@rule(
    type="lamp",
    title=Text("Appareillage en défaut", "Control gear failure"),
    help_fr="Le contrôleur signale un défaut du driver, de son relais ou de leur liaison.",
    priority=3,
    hold_s=600,
    explained_by=("lamp_out", "feeder_out"),
    source="TALQ controlGearFailure, relayFailure, controlGearCommFailure; 10 min: our default",
    fires_on=({"gear_failure": 1},),
    silent_on=({"gear_failure": 0},),
)
def gear_failure(gear_failure: Column) -> Mask:
    """The controller tells a failure of the driver, of its relay or of the line between them."""
    return gear_failure == 1


@rule(
    type="lamp",
    title=Text("Candélabre penché", "Column leaning"),
    help_fr="Le candélabre penche : danger pour les passants, mettre en sécurité.",
    priority=1,
    source="a leaning column is a 2 h emergency in East Sussex's contract",
    fires_on=({"tilted": 1},),
    silent_on=({"tilted": 0},),
)
def column_leaning(tilted: Column) -> Mask:
    """The column leans: a danger to passers-by, make it safe."""
    return tilted == 1


@rule(
    type="lamp",
    title=Text("Calendrier non appliqué", "Calendar not applied"),
    help_fr="Depuis un jour, le contrôleur refuse son calendrier ou suit un autre programme que celui attribué.",
    priority=3,
    hold_s=86_400,
    any_of=("calendar_invalid", "programme"),
    optional=("assigned_programme",),
    source="TALQ invalidCalendar, invalidProgram; programme other than assigned for 24 h",
    fires_on=({"calendar_invalid": 1}, {"programme": 3, "assigned_programme": 7}),
    silent_on=({"calendar_invalid": 0}, {"programme": 7, "assigned_programme": 7}, {"programme": 3}),
)
def calendar_not_applied(calendar_invalid: Column, programme: Column, assigned_programme: Column) -> Mask:
    """For a day the controller has refused its calendar, or run another programme than the one assigned to it."""
    other = (programme != assigned_programme) & ~np.isnan(programme) & ~np.isnan(assigned_programme)
    return (calendar_invalid == 1) | other


@rule(
    type="lamp",
    title=Text("Horloge de lampe décalée", "Lamp clock off"),
    help_fr="L'horloge du contrôleur de lampe s'écarte de plus d'une minute.",
    priority=3,
    hold_s=3600,
    explained_by=("cabinet_clock_off",),
    source="TALQ lastSyncError; 60 s: our default, for an hour, in which it should have been set right",
    fires_on=({"clock_offset_s": -75},),
    silent_on=({"clock_offset_s": 4},),
)
def lamp_clock_off(clock_offset_s: Column, *, max_offset_s: float = 60.0) -> Mask:
    """The clock of the lamp's controller is off by more than a minute."""
    return np.abs(clock_offset_s) > max_offset_s


@rule(
    type="lamp",
    title=Text("Driver trop chaud", "Driver too hot"),
    help_fr="Le driver de la lampe dépasse 90 °C depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    source="uCIFI thermal derating; 90 °C for 15 min: our default",
    fires_on=({"driver_temp_c": 97},),
    silent_on=({"driver_temp_c": 55},),
)
def driver_hot(driver_temp_c: Column, *, max_temp_c: float = 90.0) -> Mask:
    """The lamp's driver has been over 90 °C for a quarter of an hour."""
    return driver_temp_c > max_temp_c


@rule(
    type="lamp",
    title=Text("Fin de vie proche", "End of life near"),
    help_fr="La lampe a brûlé 90 % des heures que son fabricant promet : à prévoir au prochain marché.",
    priority=3,
    source="TALQ: 0.9 of maxOperatingHours, where the registry tells it",
    fires_on=({"burning_h": 95_000, "max_burning_h": 100_000},),
    silent_on=({"burning_h": 12_000, "max_burning_h": 100_000},),
)
def end_of_life(burning_h: Column, max_burning_h: Column, *, max_share: float = 0.9) -> Mask:
    """The lamp has burnt 90 % of the hours that its maker promises: plan its replacement."""
    return burning_h > max_share * max_burning_h


@rule(
    type="lamp",
    title=Text("Lampadaire muet", "Lamp silent"),
    help_fr="Le lampadaire n'a pas parlé depuis trois de ses périodes attendues.",
    priority=3,
    explained_by=("feeder_out", "cabinet_silent", "feeder_partial_loss"),
    source="3 expected periods: our default; nobody is paged for one lamp (Clermont-Ferrand's practice)",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.0},),
)
def lamp_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """Lamp has not spoken for three of its expected periods."""
    return overdue_periods > max_periods


LAMP_COLUMNS = (dark, unlit, disobeys, burning)
"""Derived columns."""
LAMP_RULES = (
    lamp_out.clears(relit).graded(2, beside_another).graded(2, beside_a_failed_one).graded(2, lights_a_crossing),
    power_deviation,
    dimming_not_followed,
    lit_unasked,
    lit_by_day,
    lamp_cycling.clears(steady),
    low_power_factor,
    gear_failure,
    driver_hot,
    end_of_life,
    column_leaning,
    calendar_not_applied,
    lamp_clock_off,
    lamp_silent,
)
