"""Water meters read by radio, and the network zones (DMA) that they hang from. Pure.

A meter tells a cumulative volume and alarm flags, often late and in batches; the flags are those that meters publish
(OMS, Kamstrup, Diehl), the rules on flow come from Kamstrup's manuals. A zone tells the flow and pressure at its inlet.
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
from devices.shown import read_in_24_h, read_in_72_h, silent
from devices.water_meter_rules import METER_RULES
from devices.water_meter_zones import ZONE_COLUMNS, ZONE_RULES

METER, ZONE = ("meter",), ("zone",)


def meter_period_s(total_m3: Column, expected_period_h: Column) -> Column:
    """12 h unless the registry says otherwise: fixed networks carry 1 to 4 messages a day."""
    return np.where(np.isnan(expected_period_h), 12.0, expected_period_h) * 3600


def zone_period_s(flow_m3h: Column) -> Column:
    """15 min: the sampling of district metering (UKWIR)."""
    return np.full_like(flow_m3h, 900.0)


def leaking(leak: Column) -> Mask:
    """Meters that tell a leak."""
    return leak == 1


def inlet(flow_m3h: Column) -> Column:
    """What flows into a zone."""
    return flow_m3h


def running_down(low_battery: Column) -> Mask:
    """Meters whose battery is low."""
    return low_battery == 1


def pressure(pressure_bar: Column) -> Column:
    """Pressure at the inlet of a zone."""
    return pressure_bar


KIND = Kind(
    name="water_meter",
    label=Text("Compteurs d'eau", "Water meters"),
    types=(
        DeviceType(
            "meter", Text("Compteur d'eau", "Water meter"), "dot", meter_period_s, parent="zone", is_household=True
        ),
        DeviceType("zone", Text("Secteur de réseau", "Network zone"), "diamond", zone_period_s),
    ),
    fields=(
        Field("total_m3", Text("Index", "Volume counter"), "m³", 0, 1e9, "double"),
        Field("backflow_m3", Text("Volume inverse", "Backflow counter"), "m³", 0, 1e9, "double", types=METER),
        Field("flow_m3h", Text("Débit", "Flow"), "m³/h", -1_000, 100_000),
        Field("water_temp_c", Text("Température de l'eau", "Water temperature"), "°C", -50, 150, types=METER),
        Field("ambient_temp_c", Text("Température ambiante", "Ambient temperature"), "°C", -60, 150, types=METER),
        Field("battery_y", Text("Autonomie restante", "Battery left"), "an", 0, 100, types=METER),
        Field("rssi_dbm", Text("Niveau radio", "Signal strength"), "dBm", -200, 50, types=METER),
        flag("leak", Text("Fuite", "Leak"), METER),
        flag("burst", Text("Rupture", "Burst"), METER),
        flag("dry", Text("À sec", "Dry"), METER),
        flag("backflow", Text("Retour d'eau", "Backflow"), METER),
        flag("tamper", Text("Fraude ou démontage", "Tamper"), METER),
        flag("blocked", Text("Bloqué", "Blocked"), METER),
        flag("low_battery", Text("Pile faible", "Low battery")),
        flag("flow_above_q4", Text("Débit au-delà de Q4", "Flow above Q4"), METER),
        flag("meter_fault", Text("Défaut du compteur", "Meter fault"), METER),
        Field("pressure_bar", Text("Pression", "Pressure"), "bar", -1, 100, types=ZONE),
        flag("flow_jump", Text("Saut de débit", "Flow jump"), ZONE),
        flag("hammer", Text("Coup de bélier", "Water hammer"), ZONE),
    ),
    attributes=(
        Attribute("q3_m3h", Text("Débit permanent Q3", "Permanent flow Q3"), "m³/h", 2.5),
        Attribute("expected_period_h", Text("Période de relève", "Reading period"), "h"),
        Attribute("occupied", Text("Logement occupé (1 oui)", "Occupied dwelling (1 yes)")),
        Attribute("max_inlet_m3h", Text("Plus fort débit d'entrée prévu", "Highest expected inlet flow"), "m³/h"),
        Attribute("min_pressure_bar", Text("Pression minimale", "Lowest pressure"), "bar", 2.0),
        Attribute("max_pressure_bar", Text("Pression maximale", "Highest pressure"), "bar", 8.0),
    ),
    events=(
        Event("tamper", Text("Fraude ou démontage", "Tamper")),
        Event("leak_start", Text("Début de fuite", "Leak start")),
        Event("leak_end", Text("Fin de fuite", "Leak end")),
    ),
    usual_type="meter",
    derived=tuple(Formula.of(column) for column in ZONE_COLUMNS),
    rules=(*METER_RULES, *ZONE_RULES),
    indicators=(
        Indicator("read_24_h", "meter", Text("Relevés en 24 h", "Read within 24 h"), Formula.of(read_in_24_h)),
        Indicator("read_72_h", "meter", Text("Relevés en 72 h", "Read within 72 h"), Formula.of(read_in_72_h)),
        Indicator("silent", "meter", Text("Compteurs muets", "Meters silent"), Formula.of(silent)),
        Indicator("leaking", "meter", Text("Fuites signalées", "Leaks told"), Formula.of(leaking), "sum", ""),
        Indicator("low_battery", "meter", Text("Piles faibles", "Low batteries"), Formula.of(running_down)),
        Indicator("inlet", "zone", Text("Débit mis en distribution", "Inlet flow"), Formula.of(inlet), "sum", "m³/h"),
        Indicator(
            "pressure", "zone", Text("Pression des secteurs", "Pressure of zones"), Formula.of(pressure), "mean", "bar"
        ),
    ),
    panels=(
        # UKWIR 99/WM/08/21: what a zone draws at its lowest hour of the night is leakage, for the most part.
        Panel(Text("Débit minimum de nuit", "Minimum night flow"), "zone", ("flow_m3h",), nights=True),
        Panel(Text("Volumes", "Volumes"), "meter", ("total_m3", "backflow_m3")),
        Panel(Text("Températures", "Temperatures"), "meter", ("water_temp_c", "ambient_temp_c")),
    ),
    left_out={
        "abnormal consumption against comparable dwellings of the zone, in a meter's first year": (
            "what makes dwellings comparable (size, people) is not in the registry, and must not be (privacy)"
        ),
        "no consumption where the neighbours draw water": "the registry's word that the dwelling is occupied counts",
        "continuous flow of a building of many dwellings": "somebody always draws there: its night flow tells more",
        "underflow and a meter under water, as flags": "told as a fault of the meter: meter_faulty",
    },
    examples={
        "meter": {"ts": "2026-11-23T06:00:00Z", "total_m3": 1234.567, "flow_m3h": 0.0, "leak": False},
        "zone": {
            "ts": "2026-11-23T06:00:00Z",
            "total_m3": 8_451_230.0,
            "flow_m3h": 14.2,
            "pressure_bar": 4.3,
            "flow_jump": False,
        },
    },
)
