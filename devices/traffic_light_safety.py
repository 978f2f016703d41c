"""The rules of junctions that are about safety: dark, flashing, stuck, at fault, silent. Pure.

Words and codes are RSMP's signal exchange list for traffic light controllers (S: status, A: alarm).
"""

from devices.kind import Column, Mask, Text, rule

POLICE_DARK, POLICE_FLASH = 1, 2
"""What the police key asks for (S0013)."""
FAIL_SAFE = ("signals_dark", "conflict_flash", "power_cut")


def unlit(switched_on: Column) -> Mask:
    """Junctions that say that their signals are dark."""
    return switched_on == 0


@rule(
    type="junction",
    title=Text("Coupure de courant", "Power cut"),
    help_fr="Le carrefour et un voisin se sont éteints à moins de deux minutes l'un de l'autre : coupure de secteur.",
    priority=1,
    optional=(
        "dark_planned",
        "police_key",
        "switched_on__changes_2m",
        "near_500m__unlit__count",
        "near_500m__switched_on__changes_2m__count",
    ),
    source="several neighbouring junctions dark within 2 min are one cut; one neighbour within 500 m: our default",
    fires_on=(
        {
            "switched_on": 0,
            "switched_on__changes_2m": 1,
            "near_500m__unlit__count": 2,
            "near_500m__switched_on__changes_2m__count": 2,
        },
    ),
    silent_on=(
        {"switched_on": 0, "switched_on__changes_2m": 1},
        {
            "switched_on": 0,
            "switched_on__changes_2m": 0,
            "near_500m__unlit__count": 2,
            "near_500m__switched_on__changes_2m__count": 0,
        },
        {
            "switched_on": 0,
            "dark_planned": 1,
            "switched_on__changes_2m": 1,
            "near_500m__unlit__count": 2,
            "near_500m__switched_on__changes_2m__count": 2,
        },
    ),
)
def power_cut(
    switched_on: Column,
    dark_planned: Column,
    police_key: Column,
    switched_on__changes_2m: Column,
    near_500m__unlit__count: Column,
    near_500m__switched_on__changes_2m__count: Column,
    *,
    min_neighbours: float = 1,
) -> Mask:
    """The junction and a neighbour went dark within two minutes of each other: the supply was cut."""
    unasked = (switched_on == 0) & ~(dark_planned == 1) & ~(police_key == POLICE_DARK)
    neighbours = (near_500m__unlit__count >= min_neighbours) & (
        near_500m__switched_on__changes_2m__count >= min_neighbours
    )
    return unasked & (switched_on__changes_2m >= 1) & neighbours


def lit_again(switched_on: Column) -> Mask:
    """Its signals shine again."""
    return switched_on == 1


@rule(
    type="junction",
    title=Text("Carrefour éteint", "Junction dark"),
    help_fr="Les feux sont éteints sans que le programme, un opérateur ou la clé de police ne le demande.",
    priority=1,
    hold_s=30,
    optional=("dark_planned", "police_key"),
    explained_by=("power_cut",),
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
    title=Text("Rouge intégral prolongé", "All red for long"),
    help_fr="Tous les feux sont au rouge depuis trois minutes sans clé de police, commande ni itinéraire d'urgence.",
    priority=1,
    hold_s=180,
    optional=("manual", "police_key", "emergency_route"),
    explained_by=FAIL_SAFE,
    source="S0012; stuck red is an emergency in Merthyr's contract; 3 min: our default",
    fires_on=({"all_red": 1},),
    silent_on=({"all_red": 0}, {"all_red": 1, "manual": 1}, {"all_red": 1, "emergency_route": 2}),
)
def all_red_stuck(all_red: Column, manual: Column, police_key: Column, emergency_route: Column) -> Mask:
    """All signals have been red for three minutes, without police key, manual control or emergency route."""
    return (all_red == 1) & ~(manual == 1) & ~(police_key > 0) & ~(emergency_route > 0)


@rule(
    type="junction",
    title=Text("Défaut grave du contrôleur", "Serious controller error"),
    help_fr="Le contrôleur signale un défaut grave de matériel, de configuration ou de sécurité, ou un interblocage.",
    priority=2,
    hold_s=120,
    any_of=("hardware_error", "configuration_error", "safety_error", "dead_lock"),
    explained_by=FAIL_SAFE,
    source="A0001, A0003, A0006, A0008 (2 in RSMP, 1 in fail-safe); 2 min, after a flash or dark junction: our default",
    fires_on=({"hardware_error": 1}, {"safety_error": 1, "dead_lock": 0}, {"dead_lock": 1}),
    silent_on=({"hardware_error": 0, "configuration_error": 0, "safety_error": 0, "dead_lock": 0},),
)
def controller_error(
    hardware_error: Column, configuration_error: Column, safety_error: Column, dead_lock: Column
) -> Mask:
    """The controller tells a serious error of hardware, configuration or safety, or a dead lock."""
    return (hardware_error == 1) | (configuration_error == 1) | (safety_error == 1) | (dead_lock == 1)


def in_fail_safe(yellow_flash: Column, switched_on: Column) -> Mask:
    """It flashes or is dark, so the error has put it out of service."""
    return (yellow_flash == 1) | (switched_on == 0)


@rule(
    type="junction",
    title=Text("Défaut grave de feu", "Serious lamp error"),
    help_fr="Un feu qui protège, comme un rouge, ne s'allume plus.",
    priority=1,
    explained_by=("signals_dark", "power_cut"),
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
    priority=3,
    explained_by=("power_cut",),
    source="three watchdogs of 60 s; A0007 is priority 3; priority 2 after 30 min: our default",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def junction_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The controller has not spoken for three of its watchdogs: the link is lost, or its power."""
    return overdue_periods > max_periods


def silent_for_long(silence_s: Column, *, long_s: float = 1800.0) -> Mask:
    """Not heard for half an hour."""
    return silence_s > long_s


SAFETY_COLUMNS = (unlit,)
"""Derived columns."""
SAFETY_RULES = (
    power_cut.clears(lit_again),
    signals_dark,
    conflict_flash,
    signals_stuck,
    all_red_stuck,
    controller_error.graded(1, in_fail_safe),
    lamp_error_serious,
    lamp_error,
    junction_silent.graded(2, silent_for_long),
)
