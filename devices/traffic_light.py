"""Traffic lights: junctions (controllers) and the detectors that hang from them. Pure.

Words and codes are RSMP's signal exchange list for traffic light controllers (S: status, A: alarm). A flash or a dark
junction that was asked for is a planned state; the same unasked is a conflict, and urgent.
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
from devices.shown import silent
from devices.traffic_light_safety import SAFETY_COLUMNS, SAFETY_RULES
from devices.traffic_light_service import SERVICE_COLUMNS, SERVICE_RULES

JUNCTION, DETECTOR = ("junction",), ("detector",)


def junction_period_s(switched_on: Column) -> Column:
    """60 s: RSMP's watchdog."""
    return np.full_like(switched_on, 60.0)


def detector_period_s(vehicles: Column) -> Column:
    """300 s: RSMP's counts, on even times."""
    return np.full_like(vehicles, 300.0)


def flashing_or_dark_as_planned(
    yellow_flash: Column, flash_planned: Column, switched_on: Column, dark_planned: Column
) -> Mask:
    """Flashing or dark by timetable or by an operator's order."""
    return ((yellow_flash == 1) & (flash_planned == 1)) | ((switched_on == 0) & (dark_planned == 1))


def working(switched_on: Column, yellow_flash: Column) -> Mask:
    """Signals in operation."""
    return (switched_on == 1) & (yellow_flash == 0)


def healthy(hardware_error: Column, logic_error: Column) -> Mask:
    """Detectors without an error."""
    return (hardware_error == 0) & (logic_error == 0)


def granted(priority_asked_1h: Column, priority_refused_1h: Column) -> Column:
    """Share of a junction's priority requests that were granted."""
    asked = np.where(priority_asked_1h > 0, priority_asked_1h, np.nan)
    return 1 - priority_refused_1h / asked


def flashing_planned(yellow_flash: Column, flash_planned: Column) -> Mask:
    """Junctions that flash as planned."""
    return (yellow_flash == 1) & (flash_planned == 1)


def flashing_unplanned(yellow_flash: Column, flash_planned: Column) -> Mask:
    """Junctions that flash though it is not planned: their controller protects itself."""
    return (yellow_flash == 1) & (flash_planned != 1)


def dark_unplanned(switched_on: Column, dark_planned: Column) -> Mask:
    """Junctions that are dark though it is not planned."""
    return (switched_on == 0) & (dark_planned != 1)


def plan_kept(plan: Column, timetable_plan: Column) -> Mask:
    """Junctions that run the plan of their timetable."""
    return plan == timetable_plan


KIND = Kind(
    name="traffic_light",
    label=Text("Feux tricolores", "Traffic lights"),
    types=(
        DeviceType(
            "junction",
            Text("Carrefour à feux", "Junction"),
            "triangle",
            junction_period_s,
            flashing_or_dark_as_planned,
            resting_label=Text("Clignotant ou éteint, programmé", "Flashing or dark, as planned"),
        ),
        DeviceType("detector", Text("Détecteur", "Detector"), "square", detector_period_s, parent="junction"),
    ),
    fields=(
        Field("plan", Text("Plan de feux (S0014)", "Plan (S0014)"), "", 0, 255, types=JUNCTION),
        Field("timetable_plan", Text("Plan du calendrier", "Plan of the timetable"), "", 0, 255, types=JUNCTION),
        Field(
            "control_mode",
            Text(
                "Régulation (S0020) : 0 démarrage, 1 normale, 2 veille, 3 défaut, 4 essai",
                "Control mode (S0020): 0 startup, 1 control, 2 standby, 3 failure, 4 test",
            ),
            low=0,
            high=4,
            types=JUNCTION,
        ),
        Field("stage", Text("Phase (S0001)", "Stage (S0001)"), "", 0, 255, types=JUNCTION),
        Field("stage_age_s", Text("Âge de la phase", "Age of the stage"), "s", 0, 1e6, types=JUNCTION),
        Field("cycle_s", Text("Durée du cycle (S0028)", "Cycle time (S0028)"), "s", 0, 999, types=JUNCTION),
        Field("offset_s", Text("Décalage (S0024)", "Offset (S0024)"), "s", 0, 999, types=JUNCTION),
        Field("clock_offset_s", Text("Écart d'horloge", "Clock offset"), "s", -1e6, 1e6, types=JUNCTION),
        Field(
            "police_key",
            Text("Clé de police (S0013) : 0 non, 1 éteint, 2 jaune", "Police key (S0013): 0 off, 1 dark, 2 flash"),
            low=0,
            high=2,
            types=JUNCTION,
        ),
        Field("emergency_route", Text("Itinéraire d'urgence", "Emergency route (S0035)"), "", 0, 255, types=JUNCTION),
        Field("priority_asked_1h", Text("Priorités demandées", "Priorities asked"), "/h", 0, 10_000, types=JUNCTION),
        Field("priority_refused_1h", Text("Priorités refusées", "Priorities refused"), "/h", 0, 10_000, types=JUNCTION),
        flag("switched_on", Text("En service (S0007)", "Switched on (S0007)"), JUNCTION),
        flag("dark_planned", Text("Extinction prévue", "Dark as planned"), JUNCTION),
        flag("yellow_flash", Text("Jaune clignotant (S0011)", "Yellow flash (S0011)"), JUNCTION),
        flag("flash_planned", Text("Clignotant prévu", "Flash as planned"), JUNCTION),
        flag("manual", Text("Commande manuelle (S0008)", "Manual control (S0008)"), JUNCTION),
        flag("fixed_time", Text("Temps fixe (S0009)", "Fixed time (S0009)"), JUNCTION),
        flag("isolated", Text("Isolé (S0010)", "Isolated (S0010)"), JUNCTION),
        flag("all_red", Text("Rouge intégral (S0012)", "All red (S0012)"), JUNCTION),
        flag("hardware_error", Text("Défaut de matériel", "Hardware error (A0001, A0301)")),
        flag("configuration_error", Text("Défaut de configuration", "Configuration error (A0003)"), JUNCTION),
        flag("safety_error", Text("Défaut de sécurité", "Safety error (A0006)"), JUNCTION),
        flag("dead_lock", Text("Interblocage", "Dead lock (A0008)"), JUNCTION),
        flag("sync_error", Text("Défaut de synchronisation", "Synchronisation error (A0005)"), JUNCTION),
        flag("lamp_error_serious", Text("Défaut grave de feu", "Serious lamp error (A0201)"), JUNCTION),
        flag("lamp_error", Text("Défaut de feu", "Lamp error (A0202)"), JUNCTION),
        flag("push_button_error", Text("Défaut de bouton", "Push button error (A0101)"), JUNCTION),
        flag("door_open", Text("Porte ouverte", "Door open (A0010)"), JUNCTION),
        Field("vehicles", Text("Véhicules en 5 min", "Vehicles in 5 min (S0201)"), "", 0, 1_000, types=DETECTOR),
        Field("speed_kmh", Text("Vitesse moyenne", "Mean speed (S0202)"), "km/h", 0, 250, types=DETECTOR),
        Field("occupancy_pct", Text("Occupation", "Occupancy (S0203)"), "%", 0, 100, types=DETECTOR),
        flag("logic_error", Text("Défaut de logique", "Logic error (A0302)"), DETECTOR),
        flag("serious_error", Text("Défaut grave de détecteur", "Serious detector error (A0303, A0304)"), DETECTOR),
    ),
    attributes=(
        Attribute("max_cycle_s", Text("Plus long cycle", "Longest cycle"), "s", 120.0),
        Attribute("bus_priority", Text("Priorité aux bus (1 oui)", "Bus priority (1 yes)"), "", 0.0),
    ),
    events=(
        Event("plan_changed", Text("Changement de plan", "Plan changed")),
        Event("flash_started", Text("Début du clignotant", "Flash started")),
        Event("flash_ended", Text("Fin du clignotant", "Flash ended")),
        Event("police_key_turned", Text("Clé de police tournée", "Police key turned")),
        Event("door_opened", Text("Porte ouverte", "Door opened")),
        Event("door_closed", Text("Porte fermée", "Door closed")),
    ),
    derived=tuple(Formula.of(column) for column in (*SAFETY_COLUMNS, *SERVICE_COLUMNS)),
    rules=(*SAFETY_RULES, *SERVICE_RULES),
    indicators=(
        Indicator("working", "junction", Text("Carrefours en service", "Junctions working"), Formula.of(working)),
        Indicator(
            "flash_planned",
            "junction",
            Text("Au clignotant, prévu", "Flashing as planned"),
            Formula.of(flashing_planned),
            "sum",
            "",
        ),
        Indicator(
            "flash_unplanned",
            "junction",
            Text("Au clignotant, en défaut", "Flashing, not planned"),
            Formula.of(flashing_unplanned),
            "sum",
            "",
            optional=("flash_planned",),
        ),
        Indicator(
            "dark",
            "junction",
            Text("Éteints, en défaut", "Dark, not planned"),
            Formula.of(dark_unplanned),
            "sum",
            "",
            optional=("dark_planned",),
        ),
        Indicator("silent", "junction", Text("Carrefours muets", "Junctions silent"), Formula.of(silent)),
        Indicator("healthy", "detector", Text("Détecteurs sains", "Healthy detectors"), Formula.of(healthy)),
        Indicator(
            "plan_kept", "junction", Text("Plan du calendrier suivi", "On the timetable's plan"), Formula.of(plan_kept)
        ),
        Indicator("granted", "junction", Text("Priorités accordées", "Priorities granted"), Formula.of(granted)),
    ),
    panels=(
        Panel(Text("Plan en service et prévu", "Plan in force and planned"), "junction", ("plan", "timetable_plan")),
        Panel(Text("Priorité aux bus", "Bus priority"), "junction", ("priority_asked_1h", "priority_refused_1h")),
    ),
    left_out={
        "one incident for a whole power cut": "an incident has one device as its cause: each junction tells power_cut",
        "junctions that fall silent together as a power cut": "a lost link of the whole town looks the same",
        "A0007's loss of the time server": "told by what it leads to: clock_off",
        "a stage that stays, of a controller that tells no age": "a stage seen once a minute may be the same by chance",
    },
    examples={
        "junction": {
            "ts": "2026-11-23T17:30:00Z",
            "plan": 3,
            "timetable_plan": 3,
            "control_mode": 1,
            "stage": 2,
            "stage_age_s": 12,
            "cycle_s": 80,
            "switched_on": True,
            "yellow_flash": False,
            "flash_planned": False,
            "clock_offset_s": 0.2,
        },
        "detector": {
            "ts": "2026-11-23T17:30:00Z",
            "vehicles": 41,
            "speed_kmh": 32.5,
            "occupancy_pct": 18.0,
            "hardware_error": False,
            "logic_error": False,
        },
    },
)
