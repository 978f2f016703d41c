"""The rules of the network zones that water meters hang from. Pure.

Numbers without a source are our defaults, to be tuned.
"""

from devices.kind import Column, Mask, Text, rule


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


@rule(
    type="zone",
    title=Text("Débit minimum de nuit en hausse", "Minimum night flow up"),
    help_fr="Trois nuits de suite, le débit minimum du secteur dépasse nettement sa médiane de quatre semaines.",
    priority=2,
    hold_s=194_400,
    explained_by=("zone_burst",),
    source=(
        "UKWIR 99/WM/08/21; a fifth or 1 m³/h over the median of 28 nights for 3 nights, which is a hold of 54 h, and "
        "never under 0.3 m³/h or 5 %, which a few households make: our default"
    ),
    fires_on=(
        {"flow_m3h__night_min": 4.1, "flow_m3h__usual_night_min": 2.9, "flow_m3h__nights_over": 1},
        {"flow_m3h__night_min": 12.4, "flow_m3h__usual_night_min": 11.1, "flow_m3h__nights_over": 0},
    ),
    silent_on=(
        {"flow_m3h__night_min": 3.1, "flow_m3h__usual_night_min": 2.9, "flow_m3h__nights_over": 0},
        {"flow_m3h__night_min": 0.5, "flow_m3h__usual_night_min": 0.35, "flow_m3h__nights_over": 4},
        {"flow_m3h__night_min": 61.5, "flow_m3h__usual_night_min": 60, "flow_m3h__nights_over": 0},
    ),
)
def night_flow_up(
    flow_m3h__night_min: Column,
    flow_m3h__usual_night_min: Column,
    flow_m3h__nights_over: Column,
    *,
    max_more_m3h: float = 1.0,
    min_more_m3h: float = 0.3,
    min_more_share: float = 0.05,
) -> Mask:
    """Three nights running, the zone's lowest flow is clearly over its median of four weeks."""
    more_m3h = flow_m3h__night_min - flow_m3h__usual_night_min
    by_a_fifth = (flow_m3h__nights_over >= 1) & (more_m3h > min_more_m3h)
    return by_a_fifth | ((more_m3h > max_more_m3h) & (more_m3h > min_more_share * flow_m3h__usual_night_min))


ZONE_COLUMNS = (unread,)
"""Derived columns, of the zone's meters."""
ZONE_RULES = (
    zone_burst,
    zone_pressure_low,
    zone_pressure_high,
    zone_hammer,
    zone_unread,
    zone_silent,
    night_flow_up,
)
