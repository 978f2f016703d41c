"""Energy meters of buildings, cabinets and charging points: power, quality of supply, cumulative energy. Pure.

The conditions are the alerts that Enercoop sells to public bodies and those of uCIFI's power quality object (3421).
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
from devices.shown import read_in_24_h

NOMINAL_V = 230.0


def meter_period_s(power_w: Column, expected_period_s: Column) -> Column:
    """10 min, a load curve's step, unless the registry says otherwise (a Linky tells its day the day after)."""
    return np.where(np.isnan(expected_period_s), 600.0, expected_period_s)


def shut_down(power_w: Column, seasonal: Column) -> Mask:
    """A site that is used for a season only, and draws nothing."""
    return (power_w == 0) & (seasonal == 1)


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
    explained_by=("supply_cut",),
    source="Enercoop's alert; 24 h: our default",
    fires_on=({"power_w": 0}, {"power_w": 0, "seasonal": 0}),
    silent_on=({"power_w": 350}, {"power_w": 0, "seasonal": 1}),
)
def zero_consumption(power_w: Column, seasonal: Column) -> Mask:
    """The site has drawn nothing for a day: cut off, or its meter is out of order."""
    return (power_w == 0) & ~(seasonal == 1)


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


def power_drawn(power_w: Column) -> Column:
    """What is drawn now, in kilowatts."""
    return np.maximum(power_w, 0) / 1000


def load(power_w: Column, subscribed_kva: Column) -> Column:
    """Power drawn over power subscribed."""
    return power_w / (1000 * subscribed_kva)


def read_in_time(overdue_periods: Column) -> Mask:
    """Meters that were heard within two of their periods."""
    return overdue_periods <= 2


def power_subscribed(subscribed_kva: Column) -> Column:
    """What the contract of a site allows, in kilovolt-amperes."""
    return subscribed_kva


def over_subscribed(power_w: Column, subscribed_kva: Column) -> Mask:
    """Sites that draw more than they subscribed to."""
    return power_w / 1000 > subscribed_kva


KIND = Kind(
    name="energy_meter",
    label=Text("Énergie", "Energy"),
    types=(
        DeviceType(
            "meter",
            Text("Compteur d'énergie", "Energy meter"),
            "square",
            meter_period_s,
            shut_down,
            resting_label=Text("Fermé hors saison", "Closed out of season"),
        ),
    ),
    fields=(
        Field("power_w", Text("Puissance active", "Active power"), "W", -5e6, 5e6),
        Field("power_l1_w", Text("Puissance phase 1", "Power phase 1"), "W", -2e6, 2e6),
        Field("power_l2_w", Text("Puissance phase 2", "Power phase 2"), "W", -2e6, 2e6),
        Field("power_l3_w", Text("Puissance phase 3", "Power phase 3"), "W", -2e6, 2e6),
        Field("apparent_va", Text("Puissance apparente", "Apparent power"), "VA", 0, 5e6),
        Field("reactive_var", Text("Puissance réactive", "Reactive power"), "var", -5e6, 5e6),
        Field("cos_phi", Text("Cos phi", "Power factor"), "", -1, 1),
        Field("voltage_v", Text("Tension", "Voltage"), "V", 0, 1_000),
        Field("current_a", Text("Courant", "Current"), "A", 0, 10_000),
        Field("import_wh", Text("Énergie soutirée", "Energy drawn"), "Wh", 0, 1e13, "double"),
        Field("export_wh", Text("Énergie injectée", "Energy fed in"), "Wh", 0, 1e13, "double"),
        flag("supply_cut", Text("Coupure", "Supply cut")),
        flag("cover_open", Text("Capot ouvert", "Cover open")),
    ),
    attributes=(
        Attribute("subscribed_kva", Text("Puissance souscrite", "Subscribed power"), "kVA"),
        Attribute("expected_period_s", Text("Période de relève", "Reading period"), "s"),
        Attribute("seasonal", Text("Site saisonnier (1 oui)", "Seasonal site (1 yes)"), "", 0.0),
        Attribute("generates", Text("Production déclarée (1 oui)", "Declared generation (1 yes)"), "", 0.0),
    ),
    events=(
        Event("voltage_sag", Text("Creux de tension", "Voltage sag")),
        Event("voltage_swell", Text("Surtension", "Voltage swell")),
        Event("supply_cut", Text("Coupure", "Supply cut")),
        Event("supply_back", Text("Retour de l'alimentation", "Supply back")),
    ),
    rules=(
        subscribed_power_exceeded.clears(under_subscribed_power),
        zero_consumption,
        cos_phi_low,
        supply_cut,
        voltage_out_of_range,
        phases_out_of_balance,
        unexpected_export,
        cover_open,
        meter_silent,
    ),
    indicators=(
        Indicator("power", "meter", Text("Puissance appelée", "Power drawn"), Formula.of(power_drawn), "sum", "kW"),
        Indicator(
            "subscribed",
            "meter",
            Text("Puissance souscrite", "Subscribed power"),
            Formula.of(power_subscribed),
            "sum",
            "kVA",
        ),
        Indicator("load", "meter", Text("Charge moyenne", "Mean load"), Formula.of(load)),
        Indicator("over", "meter", Text("Sites au-dessus", "Sites above it"), Formula.of(over_subscribed), "sum", ""),
        Indicator("read", "meter", Text("Compteurs relevés à temps", "Meters read in time"), Formula.of(read_in_time)),
        Indicator("read_24_h", "meter", Text("Relevés en 24 h", "Read within 24 h"), Formula.of(read_in_24_h)),
    ),
    panels=(
        Panel(Text("Puissance par phase", "Power by phase"), "meter", ("power_l1_w", "power_l2_w", "power_l3_w")),
        Panel(Text("Énergie cumulée", "Energy counters"), "meter", ("import_wh", "export_wh")),
    ),
    left_out={
        "significant rise, new peak power, unused power": "rollups over weeks",
        "night base load (talon) 20 % over its median of 4 weeks for 3 nights": "rollups and a baseline",
        "week-end use over 60 % of a weekday's": "rollups by day and a calendar",
    },
    examples={
        "meter": {
            "ts": "2026-11-23T09:10:00Z",
            "power_w": 14_250.0,
            "cos_phi": 0.97,
            "voltage_v": 231.4,
            "import_wh": 182_345_600.0,
        }
    },
)
