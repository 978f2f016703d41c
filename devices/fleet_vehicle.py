"""Municipal vehicles and buses: where they are and how they are, on duty only. Pure.

Privacy (CNIL, deliberation 2015-165): off duty a position is not kept, only that the vehicle went off duty.
No rule on speeding: an employer may not process it.
"""

import numpy as np

from devices.fleet_vehicle_rules import VEHICLE_RULES
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
        flag("accident", Text("Choc", "Accident")),
        Field("fuel_pct", Text("Carburant", "Fuel"), "%", 0, 100),
        Field("engine_h", Text("Heures moteur", "Engine hours"), "h", 0, 1e6),
    ),
    attributes=(
        Attribute("service_due_km", Text("Prochaine révision", "Next service"), "km"),
        Attribute("service_due_h", Text("Prochaine révision", "Next service"), "h"),
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
    rules=VEHICLE_RULES,
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
        "circuit covered less than 95 % at its end": "neither circuits nor the streets that a vehicle served are known",
        "moved outside its working hours": "off duty a position is dropped at decoding (CNIL)",
        "fuel that drops off duty": "as above: what a tracker tells off duty is not kept",
        "arrival at the depot and the like": (
            "no fault; a rule of one's own on in__depot tells it, its hold_s the dwell and its calm_s the exit delay"
        ),
        "a position that jumped is not used": "it is flagged and kept; geofences wait out one wrong fix by their dwell",
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
