"""The rules of feeders and cabinets, and the columns that they are made of. Pure.

Words are TALQ's. Marks of sources: TALQ for conditions; numbers without a source are our defaults, to be tuned.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule
from devices.street_lighting_lamps import STALE_PERIODS


def current_now_a(current_a: Column, overdue_periods: Column) -> Column:
    """The current of a feeder that has spoken lately."""
    return np.where(overdue_periods > STALE_PERIODS, np.nan, current_a)


def expected_a(current_a__usual_hour: Column, rated_current_a: Column) -> Column:
    """What should flow: what usually does at this hour, or what is rated where that is not known."""
    return np.where(current_a__usual_hour > 0, current_a__usual_hour, rated_current_a)


@rule(
    type="feeder",
    title=Text("Départ hors tension", "Feeder out"),
    help_fr=(
        "Le disjoncteur a déclenché, aucun courant ne passe alors que le contacteur est fermé, ou la plupart "
        "de ses lampes sont éteintes ou en retard."
    ),
    priority=1,
    optional=("contactor_closed", "rated_current_a", "current_a__usual_hour", "current_now_a", "current_a__count_30m"),
    any_of=("breaker_tripped", "current_a", "children__dark__share"),
    explained_by=("cabinet_silent",),
    source="conditions: field practice; 20 % of the usual current, or of the rated, 60 % of lamps: our default",
    fires_on=(
        {"breaker_tripped": 1},
        {"contactor_closed": 1, "current_a": 0.4, "rated_current_a": 9},
        {"contactor_closed": 1, "current_a": 0.1, "current_a__usual_hour": 3},
        {"children__dark__share": 0.7},
        {"current_a": 5, "current_now_a": 5, "current_a__count_30m": 14, "children__dark__share": 0.7},
    ),
    silent_on=(
        {"breaker_tripped": 0, "contactor_closed": 0, "current_a": 0, "rated_current_a": 9},
        {
            "breaker_tripped": 0,
            "contactor_closed": 1,
            "current_a": 4,
            "rated_current_a": 9,
            "children__dark__share": 0.2,
        },
        {"contactor_closed": 1, "current_a": 1.2, "rated_current_a": 9, "current_a__usual_hour": 1.3},
        {"contactor_closed": 1, "current_a": 5, "current_a__count_30m": 14, "children__dark__share": 0.9},
        {
            "current_a": 8.7,
            "current_now_a": 8.7,
            "rated_current_a": 9,
            "current_a__count_30m": 14,
            "children__dark__share": 1.0,
        },
        {
            "contactor_closed": 1,
            "current_a": 5,
            "current_now_a": 5,
            "current_a__count_30m": 4,
            "children__dark__share": 0.9,
        },
    ),
)
def feeder_out(
    breaker_tripped: Column,
    contactor_closed: Column,
    current_a: Column,
    rated_current_a: Column,
    current_a__usual_hour: Column,
    children__dark__share: Column,
    current_now_a: Column,
    current_a__count_30m: Column,
    *,
    min_current_ratio: float = 0.2,
    dark_share: float = 0.6,
    min_heard: float = 8,
) -> Mask:
    """The breaker tripped, no current flows through a closed contactor, or most of its lamps are dark or overdue."""
    no_current = (contactor_closed == 1) & (
        current_a < min_current_ratio * expected_a(current_a__usual_hour, rated_current_a)
    )
    # Lamps that are overdue because their gateway is or was away say nothing of the supply, nor do those whose messages
    # were lost while the current flows that they would draw.
    away = ~np.isnan(current_a) & (np.isnan(current_now_a) | (current_a__count_30m < min_heard))
    flows = current_now_a > (1 - dark_share) * expected_a(current_a__usual_hour, rated_current_a)
    most_dark = (children__dark__share >= dark_share) & ~away & ~flows
    return (breaker_tripped == 1) | no_current | most_dark


def supplied(
    breaker_tripped: Column,
    contactor_closed: Column,
    current_a: Column,
    rated_current_a: Column,
    current_a__usual_hour: Column,
    children__dark__share: Column,
    current_now_a: Column,
    *,
    min_current_ratio: float = 0.2,
    clear_dark_share: float = 0.3,
) -> Mask:
    """Breaker closed, current flowing where it should, and few lamps dark."""
    no_current = (contactor_closed == 1) & (
        current_a < min_current_ratio * expected_a(current_a__usual_hour, rated_current_a)
    )
    flows = current_now_a > (1 - clear_dark_share) * expected_a(current_a__usual_hour, rated_current_a)
    return ~(breaker_tripped == 1) & ~no_current & (flows | ~(children__dark__share > clear_dark_share))


@rule(
    type="feeder",
    title=Text("Perte partielle de courant", "Partial loss of current"),
    help_fr=(
        "Le courant du départ est depuis une heure 15 % sous celui des sept dernières nuits à la même heure : "
        "vol de câble, phase perdue, lampes coupées."
    ),
    priority=2,
    hold_s=3600,
    optional=("contactor_closed", "rated_current_a", "children__dim_pct__mean"),
    explained_by=("feeder_out", "cabinet_silent"),
    source=(
        "drop over 15 % against the same hour of 7 nights: our default; an hour, so that lamps that dim within an hour "
        "look like no loss; inferred at the cabinet, as in patent FR2993427A1"
    ),
    fires_on=(
        {"current_now_a": 3.1, "current_a__usual_hour": 6},
        {
            "contactor_closed": 1,
            "current_now_a": 3.1,
            "current_a__usual_hour": 6,
            "rated_current_a": 6.2,
            "children__dim_pct__mean": 100,
        },
    ),
    silent_on=(
        {"current_now_a": 5.7, "current_a__usual_hour": 6},
        {"contactor_closed": 0, "current_now_a": 0, "current_a__usual_hour": 6},
        {"current_now_a": 0.1, "current_a__usual_hour": 6},
        {"current_now_a": 3.1, "current_a__usual_hour": 6, "rated_current_a": 6.2, "children__dim_pct__mean": 50},
    ),
)
def feeder_partial_loss(
    contactor_closed: Column,
    current_now_a: Column,
    current_a__usual_hour: Column,
    rated_current_a: Column,
    children__dim_pct__mean: Column,
    *,
    max_loss: float = 0.15,
    min_current_ratio: float = 0.2,
) -> Mask:
    """The feeder's current has been 15 % under that of the last seven nights at this hour: theft, a lost phase."""
    flows = ~(contactor_closed == 0) & (current_now_a >= min_current_ratio * current_a__usual_hour)
    as_dimmed = current_now_a >= (1 - max_loss) * rated_current_a * children__dim_pct__mean / 100
    return flows & (current_now_a < (1 - max_loss) * current_a__usual_hour) & ~as_dimmed


@rule(
    type="feeder",
    title=Text("Départ allumé en plein jour", "Feeder lit by day"),
    help_fr="Le départ alimente ses lampes, ou la plupart éclairent, en plein jour depuis une demi-heure.",
    priority=2,
    hold_s=1800,
    optional=("contactor_closed", "rated_current_a", "day_lit"),
    any_of=("current_now_a", "children__burning__share"),
    explained_by=("feeder_lit_unasked", "cabinet_silent"),
    source="TALQ lampUnexpectedOn of a whole feeder; 10 % of current, 60 % of lamps, 3 degrees of sun: our default",
    fires_on=(
        {"contactor_closed": 1, "current_now_a": 5, "rated_current_a": 9, "sun_elevation_deg": 20},
        {"children__burning__share": 0.8, "sun_elevation_deg": 20},
    ),
    silent_on=(
        {"contactor_closed": 1, "current_now_a": 5, "rated_current_a": 9, "sun_elevation_deg": -4},
        {"contactor_closed": 1, "current_now_a": 0.1, "rated_current_a": 9, "sun_elevation_deg": 20},
        {"contactor_closed": 0, "current_now_a": 5, "rated_current_a": 9, "sun_elevation_deg": 20},
        {"children__burning__share": 0.1, "sun_elevation_deg": 20},
        {"children__burning__share": 0.8, "sun_elevation_deg": 20, "day_lit": 1},
    ),
)
def feeder_lit_by_day(
    contactor_closed: Column,
    current_now_a: Column,
    rated_current_a: Column,
    children__burning__share: Column,
    sun_elevation_deg: Column,
    day_lit: Column,
    *,
    min_ratio: float = 0.1,
    burning_share: float = 0.6,
    min_sun_deg: float = 3.0,
) -> Mask:
    """The feeder supplies its lamps, or most of them have shone, for half an hour of broad daylight."""
    lit = (current_now_a > min_ratio * rated_current_a) | (children__burning__share >= burning_share)
    return lit & (sun_elevation_deg > min_sun_deg) & ~(contactor_closed == 0) & ~(day_lit == 1)


@rule(
    type="feeder",
    title=Text("Fuite à la terre", "Earth leakage"),
    help_fr="Le départ signale une fuite à la terre : un mât ou une armoire peut être sous tension.",
    priority=1,
    source="TALQ leakageDetected; exposed wiring is a 2 h emergency in East Sussex's contract",
    fires_on=({"earth_leakage": 1},),
    silent_on=({"earth_leakage": 0},),
)
def earth_leakage(earth_leakage: Column) -> Mask:
    """The feeder tells an earth leakage: a column or a cabinet may be live."""
    return earth_leakage == 1


@rule(
    type="feeder",
    title=Text("Tension d'alimentation anormale", "Supply voltage out of range"),
    help_fr="La tension d'alimentation sort de 230 V ± 10 %.",
    priority=2,
    hold_s=300,
    explained_by=("feeder_out",),
    source="EN 50160: 230 V ± 10 %; 5 min: our default",
    fires_on=({"voltage_v": 260},),
    silent_on=({"voltage_v": 231},),
)
def supply_voltage(voltage_v: Column, *, low_v: float = 207.0, high_v: float = 253.0) -> Mask:
    """Supply voltage is outside 230 V ± 10 %."""
    return (voltage_v < low_v) | (voltage_v > high_v)


@rule(
    type="feeder",
    title=Text("Départ allumé sans consigne", "Feeder lit without command"),
    help_fr="Du courant passe alors que le contacteur est ouvert : contact collé, rue éclairée de jour.",
    priority=2,
    hold_s=1800,
    source="TALQ lampUnexpectedOn of a whole feeder; 10 % for 30 min: our default",
    fires_on=({"contactor_closed": 0, "current_a": 5, "rated_current_a": 9},),
    silent_on=(
        {"contactor_closed": 0, "current_a": 0.1, "rated_current_a": 9},
        {"contactor_closed": 1, "current_a": 5, "rated_current_a": 9},
    ),
)
def feeder_lit_unasked(
    contactor_closed: Column, current_a: Column, rated_current_a: Column, *, min_ratio: float = 0.1
) -> Mask:
    """Current flows though the contactor is open: welded contacts, a street lit by day."""
    return (contactor_closed == 0) & (current_a > min_ratio * rated_current_a)


@rule(
    type="cabinet",
    title=Text("Passerelle d'armoire muette", "Cabinet gateway silent"),
    help_fr=(
        "La passerelle de l'armoire a disparu : son testament MQTT le dit, ou deux de ses périodes et demie "
        "sont passées sans message."
    ),
    priority=2,
    any_of=("online", "overdue_periods"),
    source="12.5 min without a word from a gateway, so that one lost message is none: our default",
    fires_on=({"online": 0}, {"overdue_periods": 2.8}),
    silent_on=({"online": 1, "overdue_periods": 0.5}, {"online": 1, "overdue_periods": 2.2}),
)
def cabinet_silent(online: Column, overdue_periods: Column, *, max_periods: float = 2.5) -> Mask:
    """The cabinet's gateway is gone: its last will says so, or 2.5 of its periods passed without a word."""
    return (online == 0) | (overdue_periods > max_periods)


@rule(
    type="cabinet",
    title=Text("Porte d'armoire ouverte", "Cabinet door open"),
    help_fr="La porte d'une armoire sous tension est ouverte.",
    priority=1,
    hold_s=60,
    source="TALQ leakageDetected family; exposed wiring is a 2 h emergency in East Sussex's contract",
    fires_on=({"door_open": 1},),
    silent_on=({"door_open": 0},),
)
def cabinet_door(door_open: Column) -> Mask:
    """The door of a live cabinet stands open."""
    return door_open == 1


@rule(
    type="cabinet",
    title=Text("Horloge d'armoire décalée", "Cabinet clock off"),
    help_fr="L'horloge de l'armoire s'écarte de plus d'une minute : ses départs s'allument à contretemps.",
    priority=3,
    hold_s=3600,
    source="TALQ lastSyncError; 60 s: our default, for an hour, in which it should have been set right",
    fires_on=({"clock_offset_s": 400},),
    silent_on=({"clock_offset_s": -4},),
)
def cabinet_clock_off(clock_offset_s: Column, *, max_offset_s: float = 60.0) -> Mask:
    """The clock of the cabinet is off by more than a minute: its feeders are switched at the wrong time."""
    return np.abs(clock_offset_s) > max_offset_s


FEEDER_COLUMNS = (current_now_a,)
"""Derived columns."""
FEEDER_RULES = (
    feeder_out.clears(supplied),
    feeder_partial_loss,
    supply_voltage,
    feeder_lit_unasked,
    feeder_lit_by_day,
    earth_leakage,
    cabinet_silent,
    cabinet_door,
    cabinet_clock_off,
)
