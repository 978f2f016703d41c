"""The rules of junctions that are about their service, and those of detectors. Pure.

Words and codes are RSMP's signal exchange list for traffic light controllers (S: status, A: alarm).
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule
from devices.traffic_light_safety import FAIL_SAFE


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
    any_of=("hardware_error", "logic_error", "serious_error"),
    explained_by=("detection_out",),
    source="A0301, A0302; A0303 and A0304 are priority 2; loops have 5 business days in a British PPP contract",
    fires_on=({"hardware_error": 1}, {"hardware_error": 0, "logic_error": 1}, {"serious_error": 1}),
    silent_on=({"hardware_error": 0, "logic_error": 0},),
)
def detector_fault(hardware_error: Column, logic_error: Column, serious_error: Column) -> Mask:
    """The controller tells an error of the detector's hardware or logic."""
    return (hardware_error == 1) | (logic_error == 1) | (serious_error == 1)


def is_serious(serious_error: Column) -> Mask:
    """The controller holds the error for a serious one."""
    return serious_error == 1


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
    title=Text("Détecteur qui ne compte plus", "Detector without counts"),
    help_fr="Le détecteur n'a rien compté depuis deux heures de jour alors que ses voisins du carrefour comptent.",
    priority=3,
    explained_by=("detection_out", "detector_fault", "detector_stuck", *FAIL_SAFE),
    source="no count for 2 h by day while neighbours count; 8 to 21 h, 60 vehicles, 12 readings: our default",
    fires_on=(
        {
            "vehicles__sum_2h": 0,
            "vehicles__count_2h": 24,
            "siblings__vehicles__sum_2h__sum": 400,
            "local_hour": 11,
        },
    ),
    silent_on=(
        {
            "vehicles__sum_2h": 35,
            "vehicles__count_2h": 24,
            "siblings__vehicles__sum_2h__sum": 400,
            "local_hour": 11,
        },
        {"vehicles__sum_2h": 0, "vehicles__count_2h": 24, "siblings__vehicles__sum_2h__sum": 0, "local_hour": 11},
        {"vehicles__sum_2h": 0, "vehicles__count_2h": 24, "siblings__vehicles__sum_2h__sum": 400, "local_hour": 3},
        {"vehicles__sum_2h": 0, "vehicles__count_2h": 2, "siblings__vehicles__sum_2h__sum": 400, "local_hour": 11},
    ),
)
def detector_without_counts(
    vehicles__sum_2h: Column,
    vehicles__count_2h: Column,
    siblings__vehicles__sum_2h__sum: Column,
    local_hour: Column,
    *,
    min_neighbours_count: float = 60,
    min_readings: float = 12,
    from_h: float = 8,
    until_h: float = 21,
) -> Mask:
    """The detector has counted nothing for two hours of the day while the others of its junction count."""
    by_day = (local_hour >= from_h) & (local_hour < until_h)
    tells_nothing = (vehicles__sum_2h == 0) & (vehicles__count_2h >= min_readings)
    return tells_nothing & by_day & (siblings__vehicles__sum_2h__sum >= min_neighbours_count)


def counts_again(vehicles__sum_2h: Column) -> Mask:
    """Has counted somebody."""
    return vehicles__sum_2h > 0


@rule(
    type="detector",
    title=Text("Détecteur muet", "Detector silent"),
    help_fr="Le détecteur n'a rien compté depuis trois de ses périodes.",
    priority=3,
    explained_by=("junction_silent", "signals_dark", "power_cut"),
    source="3 expected periods: our default",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def detector_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The detector has told no count for three of its periods."""
    return overdue_periods > max_periods


SERVICE_COLUMNS = (unhealthy,)
"""Derived columns."""
SERVICE_RULES = (
    clock_off,
    plan_unexpected,
    coordination_lost,
    manual_for_long,
    controller_door,
    push_button,
    priority_refused,
    detection_out,
    detector_fault.graded(2, is_serious),
    detector_stuck,
    detector_without_counts.clears(counts_again),
    detector_silent,
)
