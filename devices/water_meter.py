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
    rule,
)
from devices.shown import read_in_24_h, read_in_72_h, silent

METER, ZONE = ("meter",), ("zone",)


def meter_period_s(total_m3: Column, expected_period_h: Column) -> Column:
    """12 h unless the registry says otherwise: fixed networks carry 1 to 4 messages a day."""
    return np.where(np.isnan(expected_period_h), 12.0, expected_period_h) * 3600


def zone_period_s(flow_m3h: Column) -> Column:
    """15 min: the sampling of district metering (UKWIR)."""
    return np.full_like(flow_m3h, 900.0)


@rule(
    type="meter",
    title=Text("Fuite probable", "Leak suspected"),
    help_fr="Le compteur signale un débit continu : aucune heure sans débit sur les dernières 24.",
    priority=3,
    source="leak flag: no hour without flow in 24 h (Kamstrup MULTICAL 21 manual)",
    fires_on=({"leak": 1},),
    silent_on=({"leak": 0},),
)
def leak(leak: Column) -> Mask:
    """The meter reports a continuous flow: no hour without flow in the last 24."""
    return leak == 1


@rule(
    type="meter",
    title=Text("Rupture de canalisation", "Burst"),
    help_fr="Le compteur signale une rupture, ou le débit dépasse le débit permanent Q3.",
    priority=1,
    optional=("q3_m3h",),
    any_of=("burst", "flow_m3h"),
    source="flow over 20 % of Q3 during 30 min, told by the flag (Kamstrup flowIQ 3100); at Q3 itself: our default",
    fires_on=({"burst": 1}, {"flow_m3h": 2.6, "q3_m3h": 2.5}),
    silent_on=({"burst": 0, "flow_m3h": 0.3, "q3_m3h": 2.5},),
)
def burst(burst: Column, flow_m3h: Column, q3_m3h: Column, *, max_q3_ratio: float = 1.0) -> Mask:
    """The meter reports a burst, or the flow is above the meter's permanent flow Q3."""
    return (burst == 1) | (flow_m3h > max_q3_ratio * q3_m3h)


@rule(
    type="meter",
    title=Text("Compteur à sec", "Meter dry"),
    help_fr="Il n'y a pas d'eau dans le compteur.",
    priority=3,
    source="DRY flag (OMS)",
    fires_on=({"dry": 1},),
    silent_on=({"dry": 0},),
)
def dry(dry: Column) -> Mask:
    """There is no water in the meter."""
    return dry == 1


@rule(
    type="meter",
    title=Text("Fraude ou démontage", "Tamper"),
    help_fr="Le compteur signale un démontage, un aimant ou une autre fraude.",
    priority=2,
    source="tamper, fraud and removal flags (OMS, Diehl IZAR)",
    fires_on=({"tamper": 1},),
    silent_on=({"tamper": 0},),
)
def tamper(tamper: Column) -> Mask:
    """The meter reports a removal, a magnet or another fraud."""
    return tamper == 1


@rule(
    type="meter",
    title=Text("Retour d'eau", "Backflow"),
    help_fr="L'eau retourne vers le réseau.",
    priority=2,
    source="REVERSE flag (OMS); a risk to health",
    fires_on=({"backflow": 1},),
    silent_on=({"backflow": 0},),
)
def backflow(backflow: Column) -> Mask:
    """Water flows backwards into the network."""
    return backflow == 1


@rule(
    type="meter",
    title=Text("Pile faible", "Low battery"),
    help_fr="La radio du compteur se taira bientôt.",
    priority=3,
    source="LOW_BATTERY flag (OMS)",
    fires_on=({"low_battery": 1},),
    silent_on=({"low_battery": 0},),
)
def low_battery(low_battery: Column) -> Mask:
    """The meter's radio will soon be silent."""
    return low_battery == 1


@rule(
    type="meter",
    title=Text("Compteur muet", "Meter silent"),
    help_fr="Le compteur n'a pas été lu depuis six de ses périodes.",
    priority=3,
    explained_by=("zone_unread",),
    source="72 h, six periods of 12 h: our default",
    fires_on=({"overdue_periods": 6.5},),
    silent_on=({"overdue_periods": 2.0},),
)
def meter_silent(overdue_periods: Column, *, max_periods: float = 6.0) -> Mask:
    """The meter was not read for six of its periods."""
    return overdue_periods > max_periods


@rule(
    type="meter",
    title=Text("Risque de gel", "Risk of frost"),
    help_fr="L'eau du compteur est à moins de 3 °C.",
    priority=3,
    source="3 °C: our default",
    fires_on=({"water_temp_c": 1.5},),
    silent_on=({"water_temp_c": 11},),
)
def frost(water_temp_c: Column, *, min_temp_c: float = 3.0) -> Mask:
    """The water in the meter is under 3 °C."""
    return water_temp_c < min_temp_c


@rule(
    type="meter",
    title=Text("Compteur bloqué ou en défaut", "Meter blocked or faulty"),
    help_fr="Le compteur se déclare bloqué ou en défaut : il ne compte plus juste.",
    priority=3,
    any_of=("blocked", "meter_fault"),
    source="blocked and fault flags (OMS, Diehl IZAR)",
    fires_on=({"blocked": 1}, {"meter_fault": 1}),
    silent_on=({"blocked": 0, "meter_fault": 0},),
)
def meter_faulty(blocked: Column, meter_fault: Column) -> Mask:
    """The meter tells that it is blocked or faulty: it no longer counts rightly."""
    return (blocked == 1) | (meter_fault == 1)


@rule(
    type="zone",
    title=Text("Rupture sur le réseau", "Main burst"),
    help_fr="La sonde signale un saut de débit, ou le débit d'entrée dépasse le plus fort débit prévu du secteur.",
    priority=1,
    optional=("max_inlet_m3h",),
    any_of=("flow_jump", "flow_m3h"),
    source="flow jump told by the logger; highest expected inlet flow of the zone, where the registry tells it",
    fires_on=({"flow_jump": 1}, {"flow_m3h": 95, "max_inlet_m3h": 70}),
    silent_on=({"flow_jump": 0, "flow_m3h": 40, "max_inlet_m3h": 70}, {"flow_m3h": 95}),
)
def zone_burst(flow_jump: Column, flow_m3h: Column, max_inlet_m3h: Column) -> Mask:
    """The logger tells a jump of flow, or the inlet flow is above the highest that is expected of the zone."""
    return (flow_jump == 1) | (flow_m3h > max_inlet_m3h)


@rule(
    type="zone",
    title=Text("Pression basse", "Low pressure"),
    help_fr="La pression d'entrée du secteur reste sous son minimum depuis une demi-heure.",
    priority=2,
    hold_s=1800,
    explained_by=("zone_burst",),
    source="2 bar for 30 min unless the registry says otherwise: our default",
    fires_on=({"pressure_bar": 1.2, "min_pressure_bar": 2},),
    silent_on=({"pressure_bar": 4.1, "min_pressure_bar": 2},),
)
def zone_pressure_low(pressure_bar: Column, min_pressure_bar: Column) -> Mask:
    """The zone's inlet pressure has stayed under its minimum for half an hour."""
    return pressure_bar < min_pressure_bar


@rule(
    type="zone",
    title=Text("Pression haute", "High pressure"),
    help_fr="La pression d'entrée du secteur dépasse son maximum depuis une demi-heure : les conduites souffrent.",
    priority=3,
    hold_s=1800,
    source="8 bar for 30 min unless the registry says otherwise: our default",
    fires_on=({"pressure_bar": 9.4, "max_pressure_bar": 8},),
    silent_on=({"pressure_bar": 4.1, "max_pressure_bar": 8},),
)
def zone_pressure_high(pressure_bar: Column, max_pressure_bar: Column) -> Mask:
    """The zone's inlet pressure has been over its maximum for half an hour: mains suffer."""
    return pressure_bar > max_pressure_bar


@rule(
    type="zone",
    title=Text("Coup de bélier", "Water hammer"),
    help_fr="La sonde de pression signale un coup de bélier.",
    priority=2,
    source="uCIFI 3427 (hammer); priority: our default",
    fires_on=({"hammer": 1},),
    silent_on=({"hammer": 0},),
)
def zone_hammer(hammer: Column) -> Mask:
    """The pressure probe tells a water hammer."""
    return hammer == 1


def unread(overdue_periods: Column, *, max_periods: float = 6.0) -> Mask:
    """Meters that were not read for six of their periods."""
    return overdue_periods > max_periods


@rule(
    type="zone",
    title=Text("Secteur non relevé", "Zone not read"),
    help_fr="La moitié des compteurs du secteur ne sont plus relevés : une passerelle radio est perdue.",
    priority=2,
    source="half of the meters: our default",
    fires_on=({"children__unread__share": 0.6},),
    silent_on=({"children__unread__share": 0.02},),
)
def zone_unread(children__unread__share: Column, *, max_share: float = 0.5) -> Mask:
    """Half of the zone's meters are no longer read: a radio gateway is lost."""
    return children__unread__share >= max_share


@rule(
    type="zone",
    title=Text("Sonde de secteur muette", "Zone logger silent"),
    help_fr="La sonde d'entrée du secteur n'a pas parlé depuis huit de ses périodes.",
    priority=2,
    source="2 h, as for a gateway: our default",
    fires_on=({"overdue_periods": 9},),
    silent_on=({"overdue_periods": 2.0},),
)
def zone_silent(overdue_periods: Column, *, max_periods: float = 8.0) -> Mask:
    """The logger at the zone's inlet has not spoken for eight of its periods."""
    return overdue_periods > max_periods


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
        flag("meter_fault", Text("Défaut du compteur", "Meter fault"), METER),
        Field("pressure_bar", Text("Pression", "Pressure"), "bar", -1, 100, types=ZONE),
        flag("flow_jump", Text("Saut de débit", "Flow jump"), ZONE),
        flag("hammer", Text("Coup de bélier", "Water hammer"), ZONE),
    ),
    attributes=(
        Attribute("q3_m3h", Text("Débit permanent Q3", "Permanent flow Q3"), "m³/h", 2.5),
        Attribute("expected_period_h", Text("Période de relève", "Reading period"), "h"),
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
    derived=(Formula.of(unread),),
    rules=(
        leak,
        burst,
        dry,
        tamper,
        backflow,
        low_battery,
        frost,
        meter_faulty,
        meter_silent,
        zone_burst,
        zone_pressure_low,
        zone_pressure_high,
        zone_hammer,
        zone_unread,
        zone_silent,
    ),
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
        "minimum night flow of a zone, 20 % or 1 m³/h over its baseline for 3 nights": "rollups and a baseline",
        "night use: at least one pulse in every hour from 1 to 5": "windows",
        "abnormal consumption (loi Warsmann): twice the mean of the same period in 3 years": "rollups over years",
        "no consumption for 30 days in an occupied dwelling": "rollups by day",
        "flow above Q4": "a flag that few meters tell",
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
