"""Energy meters of buildings, cabinets and charging points: power, quality of supply, cumulative energy. Pure.

The conditions are the alerts that Enercoop sells to public bodies and those of uCIFI's power quality object (3421).
"""

import numpy as np

from devices.energy_meter_rules import METER_COLUMNS, METER_RULES
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
from devices.shown import read_in_24_h


def meter_period_s(power_w: Column, expected_period_s: Column) -> Column:
    """10 min, a load curve's step, unless the registry says otherwise (a Linky tells its day the day after)."""
    return np.where(np.isnan(expected_period_s), 600.0, expected_period_s)


def shut_down(power_w: Column, seasonal: Column) -> Mask:
    """A site that is used for a season only, and draws nothing."""
    return (power_w == 0) & (seasonal == 1)


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
        Attribute(
            "closed_weekends",
            Text("Fermé le week-end, ouvert toute l'année (1 oui)", "Closed at week-ends, open all year (1 yes)"),
            "",
            0.0,
        ),
        Attribute("generates", Text("Production déclarée (1 oui)", "Declared generation (1 yes)"), "", 0.0),
    ),
    events=(
        Event("voltage_sag", Text("Creux de tension", "Voltage sag")),
        Event("voltage_swell", Text("Surtension", "Voltage swell")),
        Event("supply_cut", Text("Coupure", "Supply cut")),
        Event("supply_back", Text("Retour de l'alimentation", "Supply back")),
    ),
    derived=tuple(Formula.of(column) for column in METER_COLUMNS),
    rules=METER_RULES,
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
        "heating set-points by use (sport 14 °C, offices 19, nurseries 21)": "no meter tells a room's temperature",
        "a rise against the day before": "the end of the school holidays is one; the season of earlier years is not",
        "consumption against the baseline, corrected for the weather": (
            "degree days are not known; the base load is held against that of the commune's other sites instead"
        ),
        "unexpected load (uCIFI 3421)": "it needs the hours of each site; base load and week-end use see most of it",
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
