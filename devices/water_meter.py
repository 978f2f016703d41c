"""Water meters read by radio: cumulative volume and alarm flags, often late and in batches. Pure.

The flags are those that meters publish (OMS, Kamstrup, Diehl); the rules on flow come from Kamstrup's manuals.
"""

import numpy as np

from devices.kind import Attribute, Column, DeviceType, Event, Field, Kind, Mask, Text, flag, rule


def meter_period_s(total_m3: Column, expected_period_h: Column) -> Column:
    """12 h unless the registry says otherwise: fixed networks carry 1 to 4 messages a day."""
    return np.where(np.isnan(expected_period_h), 12.0, expected_period_h) * 3600


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
    source="72 h, six periods of 12 h: our default",
    fires_on=({"overdue_periods": 6.5},),
    silent_on=({"overdue_periods": 2.0},),
)
def meter_silent(overdue_periods: Column, *, max_periods: float = 6.0) -> Mask:
    """The meter was not read for six of its periods."""
    return overdue_periods > max_periods


KIND = Kind(
    name="water_meter",
    label=Text("Compteurs d'eau", "Water meters"),
    types=(DeviceType("meter", Text("Compteur d'eau", "Water meter"), "dot", meter_period_s),),
    fields=(
        Field("total_m3", Text("Index", "Volume counter"), "m³", 0, 1e9, "double"),
        Field("backflow_m3", Text("Volume inverse", "Backflow counter"), "m³", 0, 1e9, "double"),
        Field("flow_m3h", Text("Débit", "Flow"), "m³/h", -1_000, 100_000),
        Field("water_temp_c", Text("Température de l'eau", "Water temperature"), "°C", -50, 150),
        Field("ambient_temp_c", Text("Température ambiante", "Ambient temperature"), "°C", -60, 150),
        Field("battery_y", Text("Autonomie restante", "Battery left"), "an", 0, 100),
        Field("rssi_dbm", Text("Niveau radio", "Signal strength"), "dBm", -200, 50),
        flag("leak", Text("Fuite", "Leak")),
        flag("burst", Text("Rupture", "Burst")),
        flag("dry", Text("À sec", "Dry")),
        flag("backflow", Text("Retour d'eau", "Backflow")),
        flag("tamper", Text("Fraude ou démontage", "Tamper")),
        flag("blocked", Text("Bloqué", "Blocked")),
        flag("low_battery", Text("Pile faible", "Low battery")),
        flag("meter_fault", Text("Défaut du compteur", "Meter fault")),
    ),
    attributes=(
        Attribute("q3_m3h", Text("Débit permanent Q3", "Permanent flow Q3"), "m³/h", 2.5),
        Attribute("expected_period_h", Text("Période de relève", "Reading period"), "h"),
    ),
    events=(
        Event("tamper", Text("Fraude ou démontage", "Tamper")),
        Event("leak_start", Text("Début de fuite", "Leak start")),
        Event("leak_end", Text("Fin de fuite", "Leak end")),
    ),
    rules=(leak, burst, dry, tamper, backflow, low_battery, meter_silent),
    examples={"meter": {"ts": "2026-11-23T06:00:00Z", "total_m3": 1234.567, "flow_m3h": 0.0, "leak": False}},
)
