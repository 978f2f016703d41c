"""Traffic lights: junctions (controllers) and the detectors that hang from them. Pure.

Words and codes are RSMP's signal exchange list for traffic light controllers (S: status, A: alarm). A flash or a dark
junction that was asked for is a planned state; the same unasked is a conflict, and urgent. Longer than other modules,
because a kind is one file and RSMP knows many alarms.
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
from devices.shown import silent

JUNCTION, DETECTOR = ("junction",), ("detector",)
POLICE_DARK, POLICE_FLASH = 1, 2
"""What the police key asks for (S0013)."""
FAIL_SAFE = ("signals_dark", "conflict_flash")


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


@rule(
    type="junction",
    title=Text("Carrefour éteint", "Junction dark"),
    help_fr="Les feux sont éteints sans que le programme, un opérateur ou la clé de police ne le demande.",
    priority=1,
    hold_s=30,
    optional=("dark_planned", "police_key"),
    source="S0007; all signals out is an emergency of 2 h in Lincolnshire's contract; 30 s: our default",
    fires_on=({"switched_on": 0}, {"switched_on": 0, "dark_planned": 0, "police_key": 0}),
    silent_on=({"switched_on": 1}, {"switched_on": 0, "dark_planned": 1}, {"switched_on": 0, "police_key": 1}),
)
def signals_dark(switched_on: Column, dark_planned: Column, police_key: Column) -> Mask:
    """The signals are dark and no timetable, operator or police key asks for it."""
    return (switched_on == 0) & ~(dark_planned == 1) & ~(police_key == POLICE_DARK)


@rule(
    type="junction",
    title=Text("Clignotant de conflit", "Conflict flash"),
    help_fr="Le carrefour clignote au jaune sans que le programme, un opérateur ou la clé de police ne le demande.",
    priority=1,
    hold_s=60,
    optional=("flash_planned", "police_key"),
    explained_by=("signals_dark", "lamp_error_serious"),
    source="S0011; EN 12675's fail-safe state; 60 s: our default",
    fires_on=({"yellow_flash": 1}, {"yellow_flash": 1, "flash_planned": 0, "police_key": 0}),
    silent_on=({"yellow_flash": 0}, {"yellow_flash": 1, "flash_planned": 1}, {"yellow_flash": 1, "police_key": 2}),
)
def conflict_flash(yellow_flash: Column, flash_planned: Column, police_key: Column) -> Mask:
    """The junction flashes yellow and no timetable, operator or police key asks for it."""
    return (yellow_flash == 1) & ~(flash_planned == 1) & ~(police_key == POLICE_FLASH)


@rule(
    type="junction",
    title=Text("Feux bloqués", "Signals stuck"),
    help_fr="La même phase dure plus de deux fois le plus long cycle : des usagers attendent un vert qui ne vient pas.",
    priority=1,
    optional=("yellow_flash", "switched_on", "manual", "police_key"),
    explained_by=FAIL_SAFE,
    source="stuck red is an emergency in Merthyr's contract; twice the longest cycle: our default",
    fires_on=({"stage_age_s": 300, "max_cycle_s": 120},),
    silent_on=(
        {"stage_age_s": 90, "max_cycle_s": 120},
        {"stage_age_s": 300, "max_cycle_s": 120, "yellow_flash": 1},
        {"stage_age_s": 300, "max_cycle_s": 120, "manual": 1},
    ),
)
def signals_stuck(
    stage_age_s: Column,
    max_cycle_s: Column,
    yellow_flash: Column,
    switched_on: Column,
    manual: Column,
    police_key: Column,
    *,
    max_cycles: float = 2.0,
) -> Mask:
    """The same stage lasts for more than two of the longest cycles: people wait for a green that does not come."""
    rests = (yellow_flash == 1) | (switched_on == 0) | (manual == 1) | (police_key > 0)
    return (stage_age_s > max_cycles * max_cycle_s) & ~rests


@rule(
    type="junction",
    title=Text("Défaut grave du contrôleur", "Serious controller error"),
    help_fr="Le contrôleur signale un défaut grave de matériel, de configuration ou de sécurité, ou un interblocage.",
    priority=2,
    hold_s=120,
    any_of=("hardware_error", "configuration_error", "safety_error", "dead_lock"),
    explained_by=FAIL_SAFE,
    source="A0001, A0003, A0006, A0008 (priority 2 in RSMP); 2 min, after a flash or dark junction: our default",
    fires_on=({"hardware_error": 1}, {"safety_error": 1, "dead_lock": 0}, {"dead_lock": 1}),
    silent_on=({"hardware_error": 0, "configuration_error": 0, "safety_error": 0, "dead_lock": 0},),
)
def controller_error(
    hardware_error: Column, configuration_error: Column, safety_error: Column, dead_lock: Column
) -> Mask:
    """The controller tells a serious error of hardware, configuration or safety, or a dead lock."""
    return (hardware_error == 1) | (configuration_error == 1) | (safety_error == 1) | (dead_lock == 1)


@rule(
    type="junction",
    title=Text("Défaut grave de feu", "Serious lamp error"),
    help_fr="Un feu qui protège, comme un rouge, ne s'allume plus.",
    priority=1,
    explained_by=("signals_dark",),
    source="A0201",
    fires_on=({"lamp_error_serious": 1},),
    silent_on=({"lamp_error_serious": 0},),
)
def lamp_error_serious(lamp_error_serious: Column) -> Mask:
    """A signal that protects, such as a red, no longer shines."""
    return lamp_error_serious == 1


@rule(
    type="junction",
    title=Text("Défaut de feu", "Lamp error"),
    help_fr="Un feu dont un autre prend le relais ne s'allume plus.",
    priority=3,
    explained_by=(*FAIL_SAFE, "lamp_error_serious"),
    source="A0202; a single lamp is 12 h in Lincolnshire, 24 h in Shropshire",
    fires_on=({"lamp_error": 1},),
    silent_on=({"lamp_error": 0},),
)
def lamp_error(lamp_error: Column) -> Mask:
    """A signal that another one repeats no longer shines."""
    return lamp_error == 1


@rule(
    type="junction",
    title=Text("Carrefour muet", "Junction silent"),
    help_fr="Le contrôleur n'a pas parlé depuis trois de ses chiens de garde : liaison perdue ou coupure de courant.",
    priority=2,
    source="three watchdogs of 60 s; A0007 is priority 3, but a power cut looks the same: our default",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def junction_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The controller has not spoken for three of its watchdogs: the link is lost, or its power."""
    return overdue_periods > max_periods


@rule(
    type="junction",
    title=Text("Horloge du contrôleur décalée", "Controller clock off"),
    help_fr="L'horloge du contrôleur s'écarte de plus de deux secondes : l'onde verte se défait.",
    priority=3,
    hold_s=300,
    source="S0096; 2 s for 5 min: our default",
    fires_on=({"clock_offset_s": -3.5},),
    silent_on=({"clock_offset_s": 0.4},),
)
def clock_off(clock_offset_s: Column, *, max_offset_s: float = 2.0) -> Mask:
    """The controller's clock is off by more than two seconds: the green wave falls apart."""
    return np.abs(clock_offset_s) > max_offset_s


@rule(
    type="junction",
    title=Text("Plan de feux inattendu", "Unexpected plan"),
    help_fr="Le plan en service n'est pas celui du calendrier depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    optional=("manual", "police_key", "emergency_route"),
    explained_by=FAIL_SAFE,
    source="S0014 against the timetable (S0026, S0027); 15 min: our default",
    fires_on=({"plan": 2, "timetable_plan": 5},),
    silent_on=(
        {"plan": 5, "timetable_plan": 5},
        {"plan": 2, "timetable_plan": 5, "manual": 1},
        {"plan": 2, "timetable_plan": 5, "emergency_route": 3},
    ),
)
def plan_unexpected(
    plan: Column, timetable_plan: Column, manual: Column, police_key: Column, emergency_route: Column
) -> Mask:
    """The plan in force has not been the timetable's for a quarter of an hour."""
    return (plan != timetable_plan) & ~(manual == 1) & ~(police_key > 0) & ~(emergency_route > 0)


@rule(
    type="junction",
    title=Text("Coordination perdue", "Coordination lost"),
    help_fr="Le carrefour n'est plus synchronisé avec ses voisins.",
    priority=3,
    hold_s=300,
    explained_by=(*FAIL_SAFE, "clock_off"),
    source="A0005; 5 min: our default",
    fires_on=({"sync_error": 1},),
    silent_on=({"sync_error": 0},),
)
def coordination_lost(sync_error: Column) -> Mask:
    """The junction is no longer in step with its neighbours."""
    return sync_error == 1


@rule(
    type="junction",
    title=Text("Commande manuelle prolongée", "Manual control for long"),
    help_fr="La commande manuelle ou la clé de police est en service depuis deux heures : oubliée, peut-être.",
    priority=3,
    hold_s=7200,
    any_of=("manual", "police_key"),
    source="S0008, S0013; 2 h: our default",
    fires_on=({"manual": 1}, {"police_key": 2}),
    silent_on=({"manual": 0, "police_key": 0},),
)
def manual_for_long(manual: Column, police_key: Column) -> Mask:
    """Manual control or the police key has been in use for two hours: forgotten, perhaps."""
    return (manual == 1) | (police_key > 0)


@rule(
    type="junction",
    title=Text("Porte du contrôleur ouverte", "Controller door open"),
    help_fr="La porte du contrôleur est ouverte depuis un quart d'heure.",
    priority=2,
    hold_s=900,
    source="A0010; priority and 15 min: our default",
    fires_on=({"door_open": 1},),
    silent_on=({"door_open": 0},),
)
def controller_door(door_open: Column) -> Mask:
    """The controller's door has stood open for a quarter of an hour."""
    return door_open == 1


@rule(
    type="junction",
    title=Text("Bouton piéton en panne", "Push button out of order"),
    help_fr="Un bouton d'appel piéton ne répond plus.",
    priority=3,
    source="A0101",
    fires_on=({"push_button_error": 1},),
    silent_on=({"push_button_error": 0},),
)
def push_button(push_button_error: Column) -> Mask:
    """A pedestrians' push button no longer answers."""
    return push_button_error == 1


@rule(
    type="junction",
    title=Text("Priorité aux bus refusée", "Bus priority refused"),
    help_fr="Plus d'une demande de priorité sur cinq a été refusée dans l'heure.",
    priority=3,
    explained_by=FAIL_SAFE,
    source="S0033 counted over an hour; 20 % of at least 10 requests: our default",
    fires_on=({"priority_asked_1h": 20, "priority_refused_1h": 9},),
    silent_on=({"priority_asked_1h": 20, "priority_refused_1h": 2}, {"priority_asked_1h": 2, "priority_refused_1h": 2}),
)
def priority_refused(
    priority_asked_1h: Column, priority_refused_1h: Column, *, max_share: float = 0.2, min_requests: float = 10
) -> Mask:
    """More than one priority request in five was refused within the hour."""
    return (priority_asked_1h >= min_requests) & (priority_refused_1h > max_share * priority_asked_1h)


def unhealthy(hardware_error: Column, logic_error: Column) -> Mask:
    """Detectors that the controller does not trust."""
    return (hardware_error == 1) | (logic_error == 1)


@rule(
    type="junction",
    title=Text("Détection hors service", "Detection out of order"),
    help_fr="La moitié des détecteurs du carrefour sont en défaut : il tourne à l'aveugle.",
    priority=2,
    source="A0303, A0304 are priority 2; half of the detectors: our default",
    fires_on=({"children__unhealthy__share": 0.5},),
    silent_on=({"children__unhealthy__share": 0.25},),
)
def detection_out(children__unhealthy__share: Column, *, max_share: float = 0.5) -> Mask:
    """Half of the junction's detectors are at fault: it runs blind."""
    return children__unhealthy__share >= max_share


@rule(
    type="detector",
    title=Text("Détecteur en défaut", "Detector fault"),
    help_fr="Le contrôleur signale un défaut de matériel ou de logique du détecteur.",
    priority=3,
    any_of=("hardware_error", "logic_error"),
    explained_by=("detection_out",),
    source="A0301, A0302; loops have 5 business days in a British PPP contract",
    fires_on=({"hardware_error": 1}, {"hardware_error": 0, "logic_error": 1}),
    silent_on=({"hardware_error": 0, "logic_error": 0},),
)
def detector_fault(hardware_error: Column, logic_error: Column) -> Mask:
    """The controller tells an error of the detector's hardware or logic."""
    return (hardware_error == 1) | (logic_error == 1)


@rule(
    type="detector",
    title=Text("Détecteur bloqué", "Detector stuck on"),
    help_fr="Le détecteur est occupé sans interruption depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    explained_by=("detection_out",),
    source="always_on of A0302; 99 % for 15 min: our default",
    fires_on=({"occupancy_pct": 100},),
    silent_on=({"occupancy_pct": 70},),
)
def detector_stuck(occupancy_pct: Column, *, min_occupancy_pct: float = 99.0) -> Mask:
    """The detector has been occupied without a break for a quarter of an hour."""
    return occupancy_pct >= min_occupancy_pct


@rule(
    type="detector",
    title=Text("Détecteur muet", "Detector silent"),
    help_fr="Le détecteur n'a rien compté depuis trois de ses périodes.",
    priority=3,
    explained_by=("junction_silent", "signals_dark"),
    source="3 expected periods: our default",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def detector_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The detector has told no count for three of its periods."""
    return overdue_periods > max_periods


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
    derived=(Formula.of(unhealthy),),
    rules=(
        signals_dark,
        conflict_flash,
        signals_stuck,
        controller_error,
        lamp_error_serious,
        lamp_error,
        junction_silent,
        clock_off,
        plan_unexpected,
        coordination_lost,
        manual_for_long,
        controller_door,
        push_button,
        priority_refused,
        detection_out,
        detector_fault,
        detector_stuck,
        detector_silent,
    ),
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
        "detector without counts by day while its neighbours count": "windows and neighbours",
        "several neighbouring junctions dark within 2 min as one power cut": "neighbours of a junction",
        "silence that rises from P3 to P2 after 30 min": "a priority that changes with time",
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
