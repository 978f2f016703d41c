"""Municipal vehicles and buses: where they are and how they are, on duty only. Pure.

Privacy (CNIL, deliberation 2015-165): off duty a position is not kept, only that the vehicle went off duty.
No rule on speeding: an employer may not process it.
"""

import numpy as np

from devices.kind import Column, DeviceType, Event, Field, Formula, Goal, Indicator, Kind, Mask, Panel, Text, flag, rule
from devices.shown import at_fault


def vehicle_period_s(ignition: Column, speed_kmh: Column) -> Column:
    """10 s while moving, 5 min with the ignition off (our default), 60 s while idling."""
    return np.where(ignition == 0, 300.0, np.where(speed_kmh > 3, 10.0, 60.0))


def parked(ignition: Column, on_duty: Column) -> Mask:
    """Ignition off, or off duty."""
    return (ignition == 0) | (on_duty == 0)


def off_duty(on_duty: Column) -> Mask:
    """Told to be off duty; a vehicle that says nothing of it is on duty."""
    return on_duty == 0


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


def driving(ignition: Column, speed_kmh: Column) -> Mask:
    """Vehicles that move."""
    return (ignition == 1) & (speed_kmh > 3)


def idling(ignition: Column, speed_kmh: Column) -> Mask:
    """Vehicles whose engine runs at rest."""
    return (ignition == 1) & (speed_kmh <= 3)


def at_duty(on_duty: Column) -> Mask:
    """Vehicles on duty."""
    return on_duty == 1


def fix_age(on_duty: Column, ignition: Column, reading_age_s: Column) -> Column:
    """How old the last position is of vehicles that are on duty with their ignition on."""
    return np.where((on_duty == 1) & (ignition == 1), reading_age_s, np.nan)


KIND = Kind(
    name="fleet_vehicle",
    label=Text("Véhicules", "Vehicles"),
    types=(
        DeviceType(
            "vehicle",
            Text("Véhicule", "Vehicle"),
            "arrow",
            vehicle_period_s,
            parked,
            resting_label=Text("Garé ou hors service", "Parked or off duty"),
        ),
    ),
    fields=(
        Field("lat", Text("Latitude", "Latitude"), "°", -90, 90, "double"),
        Field("lon", Text("Longitude", "Longitude"), "°", -180, 180, "double"),
        Field("speed_kmh", Text("Vitesse", "Speed"), "km/h", 0, 400),
        Field("course_deg", Text("Cap", "Course"), "°", 0, 360),
        Field("odometer_m", Text("Compteur kilométrique", "Odometer"), "m", 0, 1e10, "double"),
        Field("hdop", Text("Précision GPS", "HDOP"), "", 0, 1_000),
        Field("battery_v", Text("Tension batterie", "Battery voltage"), "V", 0, 100),
        flag("ignition", Text("Contact", "Ignition")),
        flag("on_duty", Text("En service", "On duty")),
        flag("pto", Text("Prise de force", "Power take-off")),
        flag("doors_open", Text("Portes ouvertes", "Doors open")),
        flag("sos", Text("Appel de détresse", "SOS")),
        flag("power_cut", Text("Alimentation du boîtier coupée", "Tracker's supply cut")),
        flag("jammed", Text("GPS brouillé", "GPS jammed")),
    ),
    events=(
        Event("door_opened", Text("Portes ouvertes", "Doors opened")),
        Event("door_closed", Text("Portes fermées", "Doors closed")),
        Event("stop_due", Text("Arrêt imminent", "Stop ahead")),
        Event("stop_near", Text("Entrée dans la zone de l'arrêt", "Entered stop area")),
        Event("stop_arrived", Text("Arrivée à l'arrêt", "Arrived at stop")),
        Event("stop_waiting", Text("Attente à l'arrêt", "Waiting at stop")),
        Event("stop_ready", Text("Prêt à partir", "Ready to leave stop")),
        Event("stop_left", Text("Départ de l'arrêt", "Left stop")),
        Event("stop_passed", Text("Arrêt passé sans arrêt", "Passed stop")),
        Event("priority_asked", Text("Priorité aux feux demandée", "Signal priority asked")),
        Event("priority_answered", Text("Réponse à la demande de priorité", "Signal priority answered")),
        Event("driver_on", Text("Conducteur connecté", "Driver signed on")),
        Event("driver_off", Text("Conducteur déconnecté", "Driver signed off")),
        Event("block_on", Text("Service voiture pris", "Vehicle block taken")),
        Event("block_off", Text("Service voiture quitté", "Vehicle block left")),
        Event("signed_on", Text("Début de course", "Journey signed on")),
        Event("signed_off", Text("Fin de course", "Journey signed off")),
        Event("on_duty", Text("En service", "On duty")),
        Event("off_duty", Text("Hors service", "Off duty")),
    ),
    withheld=off_duty,
    withheld_event="off_duty",
    keep_days=60,  # CNIL: two months for the monitoring of activity
    rules=(
        tracker_silent,
        moved_without_ignition,
        long_idling,
        battery_low,
        sos,
        tracker_cut,
        doors_open_driving,
        position_unsure,
    ),
    indicators=(
        Indicator(
            "on_duty", "vehicle", Text("Véhicules en service", "Vehicles on duty"), Formula.of(at_duty), "sum", ""
        ),
        Indicator("driving", "vehicle", Text("Véhicules en mouvement", "Vehicles moving"), Formula.of(driving)),
        Indicator("idling", "vehicle", Text("Moteurs tournant à l'arrêt", "Idling engines"), Formula.of(idling)),
        Indicator(
            "fix_age",
            "vehicle",
            Text("Âge des positions", "Age of positions"),
            Formula.of(fix_age),
            "mean",
            "s",
            Goal("GTFS Realtime: 90 s at most", high=90.0),
        ),
        Indicator("at_fault", "vehicle", Text("Véhicules en défaut", "Vehicles at fault"), Formula.of(at_fault)),
    ),
    panels=(Panel(Text("Vitesse", "Speed"), "vehicle", ("speed_kmh",)),),
    left_out={
        "geofence with dwell, stopped in a zone": "zones drawn by the city",
        "circuit covered less than 95 %": "circuits and the street network",
        "maintenance due by odometer or engine hours": "a service book",
        "fuel that drops by 10 % in 5 min": "windows, and a field that few trackers tell",
        "GPS jump, implied speed over 200 km/h": "the earlier position",
        "speeding": "never: an employer may not process it (CNIL)",
    },
    examples={
        "vehicle": {
            "ts": "2026-11-23T08:00:00Z",
            "lat": 47.322,
            "lon": 5.041,
            "speed_kmh": 31.0,
            "course_deg": 84.0,
            "ignition": True,
            "on_duty": True,
        }
    },
)
