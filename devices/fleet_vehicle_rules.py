"""The rules of vehicles. Pure.

No rule on speeding: an employer may not process it (CNIL, deliberation 2015-165). Numbers without a source are our
defaults, to be tuned.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule

METRES_PER_DEGREE = 111_195.0


@rule(
    type="vehicle",
    title=Text("Boîtier de géolocalisation muet", "Tracker silent"),
    help_fr="Le contact est mis mais aucun message n'est arrivé depuis dix minutes.",
    priority=3,
    source="ignition on and no fix for more than 600 s (Traccar's default)",
    optional=("on_duty",),
    fires_on=({"ignition": 1, "silence_s": 700}, {"ignition": 1, "on_duty": 1, "silence_s": 700}),
    silent_on=(
        {"ignition": 0, "silence_s": 700},
        {"ignition": 1, "on_duty": 0, "silence_s": 700},
        {"ignition": 1, "silence_s": 30},
    ),
)
def tracker_silent(ignition: Column, on_duty: Column, silence_s: Column, *, max_silence_s: float = 600.0) -> Mask:
    """The ignition is on, on duty, but no message came for ten minutes."""
    return (ignition != 0) & ~(on_duty == 0) & (silence_s > max_silence_s)


@rule(
    type="vehicle",
    title=Text("Déplacement contact coupé", "Moved with ignition off"),
    help_fr="Le véhicule se déplace contact coupé : remorqué ou volé.",
    priority=2,
    hold_s=30,
    calm_s=120,
    source="Traccar's tow alarm; 5 km/h for 30 s: our default",
    fires_on=({"ignition": 0, "speed_kmh": 22},),
    silent_on=({"ignition": 1, "speed_kmh": 22}, {"ignition": 0, "speed_kmh": 0}),
)
def moved_without_ignition(ignition: Column, speed_kmh: Column, *, min_speed_kmh: float = 5.0) -> Mask:
    """The vehicle moves with the ignition off: towed or stolen."""
    return (ignition == 0) & (speed_kmh > min_speed_kmh)


@rule(
    type="vehicle",
    title=Text("Moteur tournant à l'arrêt", "Long idling"),
    help_fr="Le moteur tourne à l'arrêt depuis dix minutes sans outil en service.",
    priority=3,
    hold_s=600,
    optional=("pto",),
    source="10 min under 3 km/h: our default",
    fires_on=({"ignition": 1, "speed_kmh": 0}, {"ignition": 1, "speed_kmh": 1, "pto": 0}),
    silent_on=({"ignition": 1, "speed_kmh": 30}, {"ignition": 1, "speed_kmh": 0, "pto": 1}),
)
def long_idling(ignition: Column, speed_kmh: Column, pto: Column, *, max_speed_kmh: float = 3.0) -> Mask:
    """The engine runs at rest for ten minutes with no tool in use."""
    return (ignition == 1) & (speed_kmh < max_speed_kmh) & ~(pto == 1)


@rule(
    type="vehicle",
    title=Text("Batterie faible", "Low vehicle battery"),
    help_fr="La batterie du véhicule reste sous 11,8 V.",
    priority=3,
    hold_s=1800,
    source="11.8 V for 30 min: our default",
    fires_on=({"battery_v": 11.2},),
    silent_on=({"battery_v": 12.6}, {"battery_v": 24.5}),
)
def battery_low(battery_v: Column, *, min_v: float = 11.8) -> Mask:
    """The vehicle's battery stays under 11.8 V."""
    return battery_v < min_v


@rule(
    type="vehicle",
    title=Text("Appel de détresse", "SOS"),
    help_fr="Le conducteur demande de l'aide.",
    priority=1,
    source="Traccar's SOS alarm",
    fires_on=({"sos": 1},),
    silent_on=({"sos": 0},),
)
def sos(sos: Column) -> Mask:
    """The driver asks for help."""
    return sos == 1


@rule(
    type="vehicle",
    title=Text("Boîtier débranché ou brouillé", "Tracker unplugged or jammed"),
    help_fr="Le boîtier dit que son alimentation ou son antenne est coupée, ou que le GPS est brouillé.",
    priority=2,
    hold_s=60,
    any_of=("power_cut", "jammed"),
    source="Traccar's power cut, antenna cut and jamming alarms; 1 min: our default",
    fires_on=({"power_cut": 1}, {"jammed": 1}),
    silent_on=({"power_cut": 0, "jammed": 0},),
)
def tracker_cut(power_cut: Column, jammed: Column) -> Mask:
    """The tracker tells that its supply or antenna is cut, or that GPS is jammed."""
    return (power_cut == 1) | (jammed == 1)


@rule(
    type="vehicle",
    title=Text("Portes ouvertes en roulant", "Doors open while driving"),
    help_fr="Le véhicule roule portes ouvertes depuis une demi-minute.",
    priority=2,
    hold_s=30,
    source="10 km/h for 30 s: our default",
    fires_on=({"doors_open": 1, "speed_kmh": 25},),
    silent_on=({"doors_open": 1, "speed_kmh": 0}, {"doors_open": 0, "speed_kmh": 25}),
)
def doors_open_driving(doors_open: Column, speed_kmh: Column, *, min_speed_kmh: float = 10.0) -> Mask:
    """The vehicle has been driving with open doors for half a minute."""
    return (doors_open == 1) & (speed_kmh > min_speed_kmh)


@rule(
    type="vehicle",
    title=Text("Position imprécise", "Position unsure"),
    help_fr="La position du véhicule est imprécise depuis dix minutes.",
    priority=3,
    hold_s=600,
    source="HDOP over 10 for 10 min: our default",
    fires_on=({"hdop": 18, "ignition": 1},),
    silent_on=({"hdop": 1.2, "ignition": 1}, {"hdop": 18, "ignition": 0}),
)
def position_unsure(hdop: Column, ignition: Column, *, max_hdop: float = 10.0) -> Mask:
    """The vehicle's position has been unsure for ten minutes."""
    return (hdop > max_hdop) & (ignition == 1)


@rule(
    type="vehicle",
    title=Text("Accident", "Accident"),
    help_fr="Le boîtier signale un choc violent.",
    priority=1,
    source="Traccar's accident alarm",
    fires_on=({"accident": 1},),
    silent_on=({"accident": 0},),
)
def accident(accident: Column) -> Mask:
    """The tracker tells a violent shock."""
    return accident == 1


@rule(
    type="vehicle",
    title=Text("Entré en zone interdite", "In a forbidden zone"),
    help_fr="Le véhicule est depuis une minute et demie dans une zone interdite (géorepérage « forbidden »).",
    priority=2,
    hold_s=90,
    calm_s=120,
    source="geofence with dwell 60 to 120 s and exit delay 120 s (Traccar's users); silent without such a fence",
    fires_on=({"in__forbidden": 1},),
    silent_on=({"in__forbidden": 0},),
)
def in_forbidden_zone(in__forbidden: Column) -> Mask:
    """The vehicle has been for a minute and a half in a forbidden zone (the geofence "forbidden")."""
    return in__forbidden == 1


@rule(
    type="vehicle",
    title=Text("Arrêté en zone sans arrêt", "Stopped where none may stop"),
    help_fr="Le véhicule est arrêté depuis trois minutes dans une zone sans arrêt (géorepérage « no_stopping »).",
    priority=3,
    hold_s=180,
    calm_s=120,
    source="stopped in a zone for 180 s (Traccar's stop); under 3 km/h: our default; silent without such a fence",
    fires_on=({"in__no_stopping": 1, "speed_kmh": 0},),
    silent_on=({"in__no_stopping": 1, "speed_kmh": 24}, {"in__no_stopping": 0, "speed_kmh": 0}),
)
def stopped_in_zone(in__no_stopping: Column, speed_kmh: Column, *, max_speed_kmh: float = 3.0) -> Mask:
    """The vehicle has stood for three minutes where none may stop (the geofence "no_stopping")."""
    return (in__no_stopping == 1) & (speed_kmh < max_speed_kmh)


@rule(
    type="vehicle",
    title=Text("Chute de carburant", "Fuel drop"),
    help_fr="Moteur coupé, le réservoir a perdu plus de 10 % en dix minutes : vol ou fuite.",
    priority=2,
    calm_s=3600,
    source=(
        "Traccar's fuel drop; 10 % in 10 min with the engine off all the time, since a parked tracker speaks every "
        "5 min: our default"
    ),
    fires_on=({"fuel_pct": 61, "fuel_pct__max_10m": 78, "ignition__max_10m": 0},),
    silent_on=(
        {"fuel_pct": 77, "fuel_pct__max_10m": 78, "ignition__max_10m": 0},
        {"fuel_pct": 61, "fuel_pct__max_10m": 78, "ignition__max_10m": 1},
    ),
)
def fuel_drop(
    fuel_pct: Column, fuel_pct__max_10m: Column, ignition__max_10m: Column, *, max_drop_pct: float = 10.0
) -> Mask:
    """With the engine off the tank lost over 10 % in ten minutes: theft or leak."""
    return (ignition__max_10m == 0) & (fuel_pct__max_10m - fuel_pct > max_drop_pct)


@rule(
    type="vehicle",
    title=Text("Révision à faire", "Service due"),
    help_fr="Le véhicule a atteint le kilométrage ou les heures moteur de sa prochaine révision.",
    priority=3,
    any_of=("odometer_m", "engine_h"),
    optional=("service_due_km", "service_due_h"),
    source="Traccar's maintenance alarm; the registry tells the next service, and a new one ends the alert",
    fires_on=(
        {"odometer_m": 120_400_000, "service_due_km": 120_000},
        {"engine_h": 5012, "service_due_h": 5000},
    ),
    silent_on=(
        {"odometer_m": 118_000_000, "service_due_km": 120_000},
        {"engine_h": 5012},
        {"odometer_m": 120_400_000, "engine_h": 4100, "service_due_h": 5000},
    ),
)
def service_due(odometer_m: Column, engine_h: Column, service_due_km: Column, service_due_h: Column) -> Mask:
    """The vehicle has reached the mileage or the engine hours of its next service."""
    return (odometer_m >= 1000 * service_due_km) | (engine_h >= service_due_h)


@rule(
    type="vehicle",
    title=Text("Saut de position", "Position jumps"),
    help_fr="D'une position à la suivante, le véhicule aurait roulé à plus de 200 km/h : GPS à vérifier.",
    priority=3,
    calm_s=600,
    explained_by=("tracker_cut", "position_unsure"),
    source="data quality: an implied speed over 200 km/h (Traccar's filter.maxSpeed), over 500 m at least: our default",
    fires_on=({"lat": 47.32, "lat__diff": 0.3, "lon__diff": 0.1, "lat__gap_s": 10},),
    silent_on=(
        {"lat": 47.32, "lat__diff": 0.001, "lon__diff": 0.001, "lat__gap_s": 10},
        {"lat": 47.32, "lat__diff": 0.0005, "lon__diff": 0, "lat__gap_s": 0.5},
        {"lat": 47.32, "lat__diff": 0.3, "lon__diff": 0.1, "lat__gap_s": 3600},
    ),
)
def position_jump(
    lat: Column,
    lat__diff: Column,
    lon__diff: Column,
    lat__gap_s: Column,
    *,
    max_speed_kmh: float = 200.0,
    min_jump_m: float = 500.0,
) -> Mask:
    """From one fix to the next the vehicle would have driven over 200 km/h: see to its GPS."""
    jump_m = METRES_PER_DEGREE * np.hypot(lat__diff, lon__diff * np.cos(np.radians(lat)))
    return (jump_m > min_jump_m) & (3.6 * jump_m > max_speed_kmh * lat__gap_s)


VEHICLE_RULES = (
    tracker_silent,
    moved_without_ignition,
    long_idling,
    battery_low,
    sos,
    accident,
    tracker_cut,
    doors_open_driving,
    position_unsure,
    position_jump,
    in_forbidden_zone,
    stopped_in_zone,
    fuel_drop,
    service_due,
)
