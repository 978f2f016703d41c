"""Street lighting: lamps on feeders on cabinets; a cabinet is the gateway of its lamps. Pure.

Words are TALQ's. Marks of sources: TALQ for conditions; numbers without a source are our defaults, to be tuned.
"""

import numpy as np

from devices.kind import (
    Attribute,
    Column,
    DeviceType,
    Event,
    Field,
    Formula,
    Goal,
    Indicator,
    Kind,
    Mask,
    Panel,
    Text,
    flag,
)
from devices.shown import at_fault, silent, sound
from devices.street_lighting_feeders import FEEDER_COLUMNS, FEEDER_RULES
from devices.street_lighting_lamps import LAMP_COLUMNS, LAMP_RULES

LAMP, FEEDER, CABINET = ("lamp",), ("feeder",), ("cabinet",)


def lamp_period_s(dim_pct: Column) -> Column:
    """15 min while lit, 1 h while off (our default)."""
    return np.where(dim_pct > 0, 900.0, 3600.0)


def feeder_period_s(current_a: Column) -> Column:
    """2 min, by day and by night (our default, field practice is 1 to 5 min)."""
    return np.full_like(current_a, 120.0)


def cabinet_period_s(door_open: Column) -> Column:
    """5 min: the gateway's own sign of life (our default)."""
    return np.full_like(door_open, 300.0)


def lamp_off(dim_pct: Column) -> Mask:
    """Told to be dark."""
    return dim_pct == 0


def contactor_open(contactor_closed: Column) -> Mask:
    """The feeder is switched off on purpose."""
    return contactor_closed == 0


def lit(dim_pct: Column, power_w: Column, rated_power_w: Column, *, min_ratio: float = 0.15) -> Column:
    """Of the lamps that are told to shine, those that draw power."""
    return np.where(dim_pct > 0, power_w >= min_ratio * rated_power_w * dim_pct / 100, np.nan)


def power_drawn(power_w: Column) -> Column:
    """What a feeder draws now, in kilowatts."""
    return power_w / 1000


def online_now(online: Column) -> Mask:
    """Cabinets whose gateway is online."""
    return online == 1


def hours_burnt(burning_h: Column) -> Column:
    """Hours that a lamp has shone."""
    return burning_h


KIND = Kind(
    name="street_lighting",
    label=Text("Éclairage public", "Street lighting"),
    types=(
        DeviceType(
            "lamp",
            Text("Lampadaire", "Street light"),
            "dot",
            lamp_period_s,
            lamp_off,
            parent="feeder",
            resting_label=Text("Éteint sur consigne", "Dark as told"),
        ),
        DeviceType(
            "feeder",
            Text("Départ", "Feeder"),
            "square",
            feeder_period_s,
            contactor_open,
            parent="cabinet",
            resting_label=Text("Coupé sur consigne", "Switched off as told"),
        ),
        DeviceType("cabinet", Text("Armoire", "Cabinet"), "diamond", cabinet_period_s),
    ),
    fields=(
        Field("dim_pct", Text("Consigne de gradation", "Dimming command"), "%", 0, 100, types=LAMP),
        Field("dim_actual_pct", Text("Gradation mesurée", "Measured dimming"), "%", 0, 100, types=LAMP),
        Field("power_w", Text("Puissance", "Power"), "W", 0, 100_000, types=LAMP + FEEDER),
        Field("voltage_v", Text("Tension", "Voltage"), "V", 0, 500, types=LAMP + FEEDER),
        Field("current_a", Text("Courant", "Current"), "A", 0, 1_000, types=LAMP + FEEDER),
        Field("energy_wh", Text("Énergie cumulée", "Energy counter"), "Wh", 0, 1e13, "double", LAMP + FEEDER),
        Field("burning_h", Text("Heures d'allumage", "Burning hours"), "h", 0, 1e6, types=LAMP),
        Field("driver_temp_c", Text("Température du driver", "Driver temperature"), "°C", -60, 200, types=LAMP),
        Field("power_factor", Text("Facteur de puissance", "Power factor"), "", 0, 1, types=LAMP),
        Field("programme", Text("Programme appliqué", "Programme applied"), "", 0, 65_535, types=LAMP),
        Field("clock_offset_s", Text("Écart d'horloge", "Clock offset"), "s", -1e6, 1e6, types=LAMP + CABINET),
        flag("lamp_failure", Text("Défaut déclaré par la lampe", "Failure told by the lamp"), LAMP),
        flag("gear_failure", Text("Défaut d'appareillage", "Control gear failure"), LAMP),
        flag("cycling", Text("Clignotement déclaré", "Cycling told"), LAMP),
        flag("override_active", Text("Forçage en cours", "Override active"), LAMP),
        flag("calendar_invalid", Text("Calendrier refusé", "Calendar refused"), LAMP),
        flag("tilted", Text("Mât penché", "Column leaning"), LAMP),
        flag("breaker_tripped", Text("Disjoncteur déclenché", "Breaker tripped"), FEEDER),
        flag("contactor_closed", Text("Contacteur fermé", "Contactor closed"), FEEDER),
        flag("earth_leakage", Text("Fuite à la terre", "Earth leakage"), FEEDER),
        flag("door_open", Text("Porte ouverte", "Door open"), CABINET),
        flag("online", Text("En ligne", "Online"), CABINET),
    ),
    attributes=(
        Attribute("rated_power_w", Text("Puissance nominale", "Rated power"), "W"),
        Attribute("rated_current_a", Text("Courant nominal", "Rated current"), "A"),
        Attribute("max_burning_h", Text("Heures promises", "Promised burning hours"), "h"),
        Attribute("assigned_programme", Text("Programme attribué", "Programme assigned")),
        Attribute("at_crossing", Text("Éclaire un passage piéton (1 oui)", "Lights a crossing (1 yes)"), "", 0.0),
        Attribute("day_lit", Text("Éclaire aussi de jour (1 oui)", "Lit by day as well (1 yes)"), "", 0.0),
    ),
    events=(
        Event("door_opened", Text("Porte ouverte", "Door opened")),
        Event("door_closed", Text("Porte fermée", "Door closed")),
        Event("breaker_tripped", Text("Disjoncteur déclenché", "Breaker tripped")),
        Event("breaker_closed", Text("Disjoncteur réenclenché", "Breaker closed")),
    ),
    derived=tuple(Formula.of(column) for column in (*LAMP_COLUMNS, *FEEDER_COLUMNS)),
    rules=(*LAMP_RULES, *FEEDER_RULES),
    indicators=(
        Indicator("sound", "lamp", Text("Lampes en état", "Lamps in order"), Formula.of(sound)),
        Indicator(
            "at_fault",
            "lamp",
            Text("Lampes en panne", "Lamps at fault"),
            Formula.of(at_fault),
            goal=Goal("fault rate of a lighting contract in Brittany", high=1.0),
        ),
        Indicator("silent", "lamp", Text("Lampes coupées ou muettes", "Lamps cut off or silent"), Formula.of(silent)),
        Indicator("lit", "lamp", Text("Lampes allumées sur consigne", "Lamps lit as told"), Formula.of(lit)),
        Indicator("power", "feeder", Text("Puissance appelée", "Power drawn"), Formula.of(power_drawn), "sum", "kW"),
        Indicator("online", "cabinet", Text("Armoires en ligne", "Cabinets online"), Formula.of(online_now)),
        Indicator("burnt", "lamp", Text("Heures d'allumage", "Burning hours"), Formula.of(hours_burnt), "mean", "h"),
    ),
    panels=(Panel(Text("Gradation", "Dimming"), "lamp", ("dim_pct", "dim_actual_pct")),),
    left_out={
        "wiring that lies exposed": "no device senses it; it is reported by people",
        "thermal derating and shutdown, told as flags": "the driver's temperature tells it earlier: driver_hot",
        "too many losses of supply (TALQ supplyLossCount)": "a count that no device of ours tells yet",
        "the programme of a whole cabinet": "calendars are told by lamps; a cabinet without lamps that speak has none",
    },
    examples={
        "lamp": {
            "ts": "2026-11-23T19:00:00Z",
            "dim_pct": 100,
            "power_w": 58.2,
            "voltage_v": 231.0,
            "energy_wh": 812345.0,
            "power_factor": 0.96,
        },
        "feeder": {
            "ts": "2026-11-23T19:00:00Z",
            "breaker_tripped": False,
            "contactor_closed": True,
            "current_a": 6.1,
        },
        "cabinet": {"ts": "2026-11-23T19:00:00Z", "door_open": False, "online": True},
    },
)
