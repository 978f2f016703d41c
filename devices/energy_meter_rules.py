"""The rules of energy meters. Pure.

The conditions are the alerts that Enercoop sells to public bodies and those of uCIFI's power quality object (3421).
Numbers without a source are our defaults, to be tuned.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule

NOMINAL_V = 230.0


@rule(
    type="meter",
    title=Text("Puissance souscrite dépassée", "Subscribed power exceeded"),
    help_fr="La puissance appelée dépasse la puissance souscrite depuis dix minutes : le fournisseur la facture.",
    priority=3,
    hold_s=600,
    any_of=("power_w", "apparent_va"),
    source="Enercoop's alert; 100 % for 10 min: our default",
    fires_on=({"power_w": 42_000, "subscribed_kva": 36}, {"apparent_va": 37_000, "subscribed_kva": 36}),
    silent_on=({"power_w": 30_000, "apparent_va": 33_000, "subscribed_kva": 36},),
)
def subscribed_power_exceeded(
    power_w: Column, apparent_va: Column, subscribed_kva: Column, *, max_ratio: float = 1.0
) -> Mask:
    """The power drawn has been above the subscribed power for ten minutes: the supplier bills it."""
    limit = max_ratio * subscribed_kva * 1000
    return (power_w > limit) | (apparent_va > limit)


def under_subscribed_power(
    power_w: Column, apparent_va: Column, subscribed_kva: Column, *, clear_ratio: float = 0.95
) -> Mask:
    """Clearly under the subscribed power again."""
    limit = clear_ratio * subscribed_kva * 1000
    return ~(power_w > limit) & ~(apparent_va > limit)


@rule(
    type="meter",
    title=Text("Consommation nulle", "Zero consumption"),
    help_fr="Le site ne consomme rien depuis un jour : coupé, ou compteur hors service.",
    priority=3,
    hold_s=86_400,
    optional=("seasonal",),
    any_of=("power_w", "import_wh__day"),
    explained_by=("supply_cut",),
    source="Enercoop's alert; 24 h: our default; by the day's energy where the meter tells no power (Linky)",
    fires_on=({"power_w": 0}, {"power_w": 0, "seasonal": 0}, {"import_wh__day": 0}),
    silent_on=(
        {"power_w": 350},
        {"power_w": 0, "seasonal": 1},
        {"power_w": 350, "import_wh__day": 0},
        {"import_wh__day": 9000},
    ),
)
def zero_consumption(power_w: Column, import_wh__day: Column, seasonal: Column) -> Mask:
    """The site has drawn nothing for a day: cut off, or its meter is out of order."""
    is_idle = (power_w == 0) | (np.isnan(power_w) & (import_wh__day == 0))
    return is_idle & ~(seasonal == 1)


@rule(
    type="meter",
    title=Text("Cos phi faible", "Low power factor"),
    help_fr="Le facteur de puissance reste sous 0,93 en charge : l'énergie réactive est facturée.",
    priority=3,
    hold_s=3600,
    optional=("subscribed_kva",),
    source="0.93 is tan phi 0.4, France's limit for reactive energy; a tenth of the load for 1 h: our default",
    fires_on=({"cos_phi": 0.81, "power_w": 12_000, "subscribed_kva": 36},),
    silent_on=(
        {"cos_phi": 0.97, "power_w": 12_000, "subscribed_kva": 36},
        {"cos_phi": 0.5, "power_w": 300, "subscribed_kva": 36},
    ),
)
def cos_phi_low(
    cos_phi: Column, power_w: Column, subscribed_kva: Column, *, min_cos_phi: float = 0.93, min_load: float = 0.1
) -> Mask:
    """The power factor stays under 0.93 under load: reactive energy is billed."""
    return (np.abs(cos_phi) < min_cos_phi) & ~(power_w < min_load * subscribed_kva * 1000)


@rule(
    type="meter",
    title=Text("Coupure d'alimentation", "Supply cut"),
    help_fr="Le compteur signale une coupure, ou il n'y a plus de tension.",
    priority=2,
    any_of=("supply_cut", "voltage_v"),
    source="uCIFI 3421; an interruption is under 5 % of the nominal voltage in EN 50160; priority: our default",
    fires_on=({"supply_cut": 1}, {"voltage_v": 3}),
    silent_on=({"supply_cut": 0, "voltage_v": 229},),
)
def supply_cut(supply_cut: Column, voltage_v: Column, *, min_ratio: float = 0.05) -> Mask:
    """The meter tells a cut, or there is no voltage left."""
    return (supply_cut == 1) | (voltage_v < min_ratio * NOMINAL_V)


@rule(
    type="meter",
    title=Text("Tension hors limites", "Voltage out of range"),
    help_fr="La tension sort de 230 V ± 10 % depuis cinq minutes.",
    priority=2,
    hold_s=300,
    explained_by=("supply_cut",),
    source="EN 50160: 230 V ± 10 %; 5 min: our default",
    fires_on=({"voltage_v": 256}, {"voltage_v": 190}),
    silent_on=({"voltage_v": 233}, {"voltage_v": 0}),
)
def voltage_out_of_range(
    voltage_v: Column, *, low_v: float = 207.0, high_v: float = 253.0, cut_v: float = 11.5
) -> Mask:
    """The voltage has been outside 230 V ± 10 % for five minutes."""
    return ((voltage_v < low_v) & (voltage_v >= cut_v)) | (voltage_v > high_v)


@rule(
    type="meter",
    title=Text("Phases déséquilibrées", "Phases out of balance"),
    help_fr="Une phase porte nettement plus que la moyenne des trois, en charge, depuis une heure.",
    priority=3,
    hold_s=3600,
    source="60 % over the mean, over 3 kW, for 1 h: our default",
    fires_on=({"power_l1_w": 9000, "power_l2_w": 1500, "power_l3_w": 1200},),
    silent_on=(
        {"power_l1_w": 4000, "power_l2_w": 3600, "power_l3_w": 3900},
        {"power_l1_w": 900, "power_l2_w": 0, "power_l3_w": 0},
    ),
)
def phases_out_of_balance(
    power_l1_w: Column, power_l2_w: Column, power_l3_w: Column, *, max_over: float = 0.6, min_power_w: float = 3000
) -> Mask:
    """One phase has carried clearly more than the mean of the three, under load, for an hour."""
    total_w = power_l1_w + power_l2_w + power_l3_w
    highest_w = np.maximum(np.maximum(power_l1_w, power_l2_w), power_l3_w)
    return (total_w > min_power_w) & (highest_w > (1 + max_over) * total_w / 3)


@rule(
    type="meter",
    title=Text("Injection inattendue", "Unexpected export"),
    help_fr="Le site injecte du courant sans production déclarée : câblage inversé ou installation inconnue.",
    priority=3,
    hold_s=1800,
    source="our default",
    fires_on=({"power_w": -1500, "generates": 0},),
    silent_on=({"power_w": -1500, "generates": 1}, {"power_w": 1500, "generates": 0}),
)
def unexpected_export(power_w: Column, generates: Column, *, min_export_w: float = 100.0) -> Mask:
    """The site feeds in power and no generation is declared: reversed wiring, or a plant that nobody knows."""
    return (power_w < -min_export_w) & (generates == 0)


@rule(
    type="meter",
    title=Text("Capot de compteur ouvert", "Meter cover open"),
    help_fr="Le capot du compteur est ouvert, ou le compteur signale une fraude.",
    priority=2,
    source="cover and fraud flags of DLMS meters; priority: our default",
    fires_on=({"cover_open": 1},),
    silent_on=({"cover_open": 0},),
)
def cover_open(cover_open: Column) -> Mask:
    """The meter's cover is open, or it tells a fraud."""
    return cover_open == 1


@rule(
    type="meter",
    title=Text("Compteur muet", "Meter silent"),
    help_fr="Le compteur n'a pas été lu depuis trois de ses périodes.",
    priority=3,
    explained_by=("supply_cut",),
    source="Enercoop's alert; 3 expected periods: our default",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def meter_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The meter was not read for three of its periods."""
    return overdue_periods > max_periods


def base_load_ratio(power_w__night_min: Column, power_w__usual_night_min: Column) -> Column:
    """Last night's base load over its median of four weeks; unknown where there usually is none."""
    is_some = power_w__usual_night_min > 0
    return np.divide(
        power_w__night_min, power_w__usual_night_min, out=np.full_like(power_w__night_min, np.nan), where=is_some
    )


@rule(
    type="meter",
    title=Text("Talon de nuit en hausse", "Base load up"),
    help_fr="Trois nuits de suite, le talon dépasse d'un cinquième sa médiane, bien plus que sur les autres sites.",
    priority=3,
    optional=("commune__base_load_ratio__median", "commune__base_load_ratio__known"),
    source=(
        "Enercoop's alert; a fifth over the median of 28 nights for 3 nights, 200 W at least, and a fifth over the "
        "median of the commune's sites, so that a cold week calls nobody (half, with under 5 sites): our default"
    ),
    fires_on=(
        {
            "power_w__nights_over": 3,
            "power_w__night_min": 6000,
            "power_w__usual_night_min": 4000,
            "base_load_ratio": 1.5,
            "commune__base_load_ratio__median": 1.05,
            "commune__base_load_ratio__known": 12,
        },
        {
            "power_w__nights_over": 4,
            "power_w__night_min": 6400,
            "power_w__usual_night_min": 4000,
            "base_load_ratio": 1.6,
        },
    ),
    silent_on=(
        {
            "power_w__nights_over": 3,
            "power_w__night_min": 6000,
            "power_w__usual_night_min": 4000,
            "base_load_ratio": 1.5,
            "commune__base_load_ratio__median": 1.4,
            "commune__base_load_ratio__known": 12,
        },
        {
            "power_w__nights_over": 1,
            "power_w__night_min": 6000,
            "power_w__usual_night_min": 4000,
            "base_load_ratio": 1.5,
        },
        {
            "power_w__nights_over": 3,
            "power_w__night_min": 60,
            "power_w__usual_night_min": 30,
            "base_load_ratio": 2,
        },
    ),
)
def base_load_up(
    power_w__nights_over: Column,
    power_w__night_min: Column,
    power_w__usual_night_min: Column,
    base_load_ratio: Column,
    commune__base_load_ratio__median: Column,
    commune__base_load_ratio__known: Column,
    *,
    min_nights: float = 3,
    min_ratio: float = 1.2,
    min_ratio_alone: float = 1.5,
    min_sites: float = 5,
    min_more_w: float = 200.0,
) -> Mask:
    """Three nights running the base load is a fifth over its median, and clearly more so than at other sites."""
    is_more = (power_w__nights_over >= min_nights) & (power_w__night_min - power_w__usual_night_min > min_more_w)
    has_others = commune__base_load_ratio__known >= min_sites
    theirs = np.fmax(commune__base_load_ratio__median, 1.0)
    limit = np.where(has_others, min_ratio * theirs, min_ratio_alone)
    return is_more & (base_load_ratio > limit)


@rule(
    type="meter",
    title=Text("Hausse nette de consommation", "Significant rise"),
    help_fr="Depuis 30 jours, le site consomme 30 % de plus que dans la même saison des années passées.",
    priority=3,
    source="Enercoop's alert; 30 % over the same 30 days of up to three years: our default, over under 20 %",
    fires_on=({"import_wh__month": 140_000, "import_wh__usual_season": 100_000},),
    silent_on=({"import_wh__month": 115_000, "import_wh__usual_season": 100_000}, {"import_wh__month": 140_000}),
)
def significant_rise(import_wh__month: Column, import_wh__usual_season: Column, *, max_ratio: float = 1.3) -> Mask:
    """For 30 days the site has drawn 30 % more than in the same season of earlier years."""
    return import_wh__month > max_ratio * import_wh__usual_season


def risen_no_more(import_wh__month: Column, import_wh__usual_season: Column, *, clear_ratio: float = 1.2) -> Mask:
    """Near to what is usual again."""
    return import_wh__month < clear_ratio * import_wh__usual_season


@rule(
    type="meter",
    title=Text("Nouvelle pointe", "New peak power"),
    help_fr="La plus forte heure du dernier jour dépasse celle de l'année et approche la puissance souscrite.",
    priority=3,
    explained_by=("subscribed_power_exceeded",),
    source="Enercoop's alert; 10 % over the year's highest hour and over 80 % of the subscribed power: our default",
    fires_on=({"power_w__peak_day": 33_000, "power_w__peak_year": 28_000, "subscribed_kva": 36},),
    silent_on=(
        {"power_w__peak_day": 28_500, "power_w__peak_year": 28_000, "subscribed_kva": 36},
        {"power_w__peak_day": 12_000, "power_w__peak_year": 9_000, "subscribed_kva": 36},
    ),
)
def new_peak(
    power_w__peak_day: Column,
    power_w__peak_year: Column,
    subscribed_kva: Column,
    *,
    min_ratio: float = 1.1,
    min_load: float = 0.8,
) -> Mask:
    """The highest hour of the last day is clearly over the year's, and near the subscribed power."""
    is_near = power_w__peak_day > min_load * subscribed_kva * 1000
    return is_near & (power_w__peak_day > min_ratio * power_w__peak_year)


@rule(
    type="meter",
    title=Text("Puissance souscrite inutile", "Subscribed power unused"),
    help_fr="Depuis plus de six mois, aucune heure n'atteint la moitié de la puissance souscrite : contrat trop grand.",
    priority=3,
    hold_s=15_552_000,
    optional=("seasonal",),
    source="Enercoop's alert; half, for 180 days, so that a summer alone says nothing: our default",
    fires_on=({"power_w__peak_year": 15_000, "subscribed_kva": 36},),
    silent_on=(
        {"power_w__peak_year": 25_000, "subscribed_kva": 36},
        {"power_w__peak_year": 15_000, "subscribed_kva": 36, "seasonal": 1},
    ),
)
def subscribed_power_unused(
    power_w__peak_year: Column, subscribed_kva: Column, seasonal: Column, *, min_load: float = 0.5
) -> Mask:
    """For over six months the highest hour has been under half of the subscribed power: the contract is too large."""
    return (power_w__peak_year < min_load * subscribed_kva * 1000) & ~(seasonal == 1)


@rule(
    type="meter",
    title=Text("Consommation de week-end", "Week-end use"),
    help_fr="Un site fermé le week-end y consomme plus de 60 % d'un jour de semaine : programmation à revoir.",
    priority=3,
    source="60 % of a weekday, over four weeks, where the registry says that the site is closed: our default",
    fires_on=({"import_wh__weekend_share": 0.8, "closed_weekends": 1},),
    silent_on=(
        {"import_wh__weekend_share": 0.4, "closed_weekends": 1},
        {"import_wh__weekend_share": 1.1, "closed_weekends": 0},
    ),
)
def weekend_use(import_wh__weekend_share: Column, closed_weekends: Column, *, max_share: float = 0.6) -> Mask:
    """A site that is closed at week-ends draws then over 60 % of a weekday: its programme is wrong."""
    return (import_wh__weekend_share > max_share) & (closed_weekends == 1)


METER_COLUMNS = (base_load_ratio,)
"""Derived columns."""
METER_RULES = (
    subscribed_power_exceeded.clears(under_subscribed_power),
    zero_consumption,
    cos_phi_low,
    supply_cut,
    voltage_out_of_range,
    phases_out_of_balance,
    unexpected_export,
    cover_open,
    meter_silent,
    base_load_up,
    significant_rise.clears(risen_no_more),
    new_peak,
    subscribed_power_unused,
    weekend_use,
)
