"""Street lighting: lamps on feeders on cabinets; a cabinet is the gateway of its lamps. Pure.

Words are TALQ's. Marks of sources: TALQ for conditions; numbers without a source are our defaults, to be tuned.
"""

import numpy as np

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
    rule,
)
from devices.shown import at_fault, silent, sound

LAMP, FEEDER, CABINET = ("lamp",), ("feeder",), ("cabinet",)


def lamp_period_s(dim_pct: Column) -> Column:
    """15 min while lit, 1 h while off (our default)."""
    return np.where(dim_pct > 0, 900.0, 3600.0)


def feeder_period_s(current_a: Column) -> Column:
    """2 min, by day and by night (our default, field practice is 1 to 5 min)."""
    return np.full_like(current_a, 120.0)


def cabinet_period_s(door_open: Column) -> Column:
    """5 min: the gateway's own sign of life (our default)."""
    return np.full_like(door_open, 300.0)


def lamp_off(dim_pct: Column) -> Mask:
    """Told to be dark."""
    return dim_pct == 0


def contactor_open(contactor_closed: Column) -> Mask:
    """The feeder is switched off on purpose."""
    return contactor_closed == 0


def dark(
    dim_pct: Column,
    power_w: Column,
    rated_power_w: Column,
    overdue_periods: Column,
    *,
    min_ratio: float = 0.15,
) -> Mask:
    """Lamps that should shine and do not, or that are more than a period overdue (with a margin for jitter)."""
    return (dim_pct > 0) & ((power_w < min_ratio * rated_power_w * dim_pct / 100) | (overdue_periods > 1.2))


@rule(
    type="lamp",
    title=Text("Lampadaire éteint", "Lamp out"),
    help_fr="Le lampadaire doit éclairer mais ne consomme rien, ou se déclare en défaut.",
    priority=3,
    hold_s=600,
    any_of=("lamp_failure", "power_w"),
    explained_by=("feeder_out", "cabinet_silent"),
    source="condition: TALQ lampFailure; 15 % and 10 min: our default",
    fires_on=(
        {"dim_pct": 100, "power_w": 0.5, "rated_power_w": 60},
        {"dim_pct": 100, "lamp_failure": 1, "rated_power_w": 60},
    ),
    silent_on=(
        {"dim_pct": 0, "power_w": 0.5, "rated_power_w": 60},
        {"dim_pct": 100, "power_w": 58, "rated_power_w": 60},
    ),
)
def lamp_out(
    dim_pct: Column, power_w: Column, rated_power_w: Column, lamp_failure: Column, *, min_ratio: float = 0.15
) -> Mask:
    """Lamp is told to shine but draws no power, or says that it failed."""
    return (dim_pct > 0) & ((power_w < min_ratio * rated_power_w * dim_pct / 100) | (lamp_failure == 1))


def relit(
    dim_pct: Column, power_w: Column, rated_power_w: Column, lamp_failure: Column, *, clear_ratio: float = 0.3
) -> Mask:
    """Shines again: told to, draws power and declares no failure."""
    return (dim_pct > 0) & ~(power_w < clear_ratio * rated_power_w * dim_pct / 100) & ~(lamp_failure == 1)


@rule(
    type="lamp",
    title=Text("Puissance anormale", "Power deviation"),
    help_fr="Un lampadaire allumé consomme nettement plus ou moins que ne le veut sa gradation.",
    priority=3,
    hold_s=1800,
    explained_by=("feeder_out",),
    source="TALQ lampPowerTolerance; 15 % and 30 min: our default",
    fires_on=({"dim_pct": 100, "power_w": 45, "rated_power_w": 60},),
    silent_on=(
        {"dim_pct": 50, "power_w": 30, "rated_power_w": 60},
        {"dim_pct": 100, "power_w": 0, "rated_power_w": 60},
    ),
)
def power_deviation(
    dim_pct: Column,
    power_w: Column,
    rated_power_w: Column,
    *,
    tolerance: float = 0.15,
    out_ratio: float = 0.15,
) -> Mask:
    """A lit lamp draws clearly more or less than its dimming level asks for."""
    expected_w = rated_power_w * dim_pct / 100
    lit = (dim_pct > 0) & (power_w >= out_ratio * expected_w)
    return lit & (np.abs(power_w - expected_w) > tolerance * expected_w)


@rule(
    type="lamp",
    title=Text("Gradation non suivie", "Dimming not followed"),
    help_fr="Un lampadaire allumé s'écarte de plus de 10 points de sa consigne de gradation.",
    priority=3,
    hold_s=900,
    explained_by=("lamp_out", "feeder_out"),
    source="TALQ (dimming failure); 10 points for 15 min: our default",
    fires_on=({"dim_pct": 100, "dim_actual_pct": 60},),
    silent_on=(
        {"dim_pct": 50, "dim_actual_pct": 52},
        {"dim_pct": 100, "dim_actual_pct": 0},
        {"dim_pct": 0, "dim_actual_pct": 60},
    ),
)
def dimming_not_followed(dim_pct: Column, dim_actual_pct: Column, *, max_points: float = 10.0) -> Mask:
    """A lit lamp is more than 10 points away from its dimming command."""
    return (dim_pct > 0) & (dim_actual_pct > 0) & (np.abs(dim_actual_pct - dim_pct) > max_points)


@rule(
    type="lamp",
    title=Text("Allumé sans consigne", "Lit without command"),
    help_fr="Le lampadaire doit être éteint et consomme depuis une demi-heure.",
    priority=3,
    hold_s=1800,
    explained_by=("feeder_lit_unasked",),
    source="TALQ lampUnexpectedOn, uCIFI day burner; 15 % for 30 min: our default",
    fires_on=({"dim_pct": 0, "power_w": 55, "rated_power_w": 60},),
    silent_on=(
        {"dim_pct": 0, "power_w": 0.4, "rated_power_w": 60},
        {"dim_pct": 100, "power_w": 58, "rated_power_w": 60},
    ),
)
def lit_unasked(dim_pct: Column, power_w: Column, rated_power_w: Column, *, min_ratio: float = 0.15) -> Mask:
    """The lamp is told to be dark and has drawn power for half an hour."""
    return (dim_pct == 0) & (power_w > min_ratio * rated_power_w)


@rule(
    type="lamp",
    title=Text("Driver trop chaud", "Driver too hot"),
    help_fr="Le driver de la lampe dépasse 90 °C depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    source="uCIFI thermal derating; 90 °C for 15 min: our default",
    fires_on=({"driver_temp_c": 97},),
    silent_on=({"driver_temp_c": 55},),
)
def driver_hot(driver_temp_c: Column, *, max_temp_c: float = 90.0) -> Mask:
    """The lamp's driver has been over 90 °C for a quarter of an hour."""
    return driver_temp_c > max_temp_c


@rule(
    type="lamp",
    title=Text("Fin de vie proche", "End of life near"),
    help_fr="La lampe a brûlé 90 % des heures que son fabricant promet : à prévoir au prochain marché.",
    priority=3,
    source="TALQ: 0.9 of maxOperatingHours, where the registry tells it",
    fires_on=({"burning_h": 95_000, "max_burning_h": 100_000},),
    silent_on=({"burning_h": 12_000, "max_burning_h": 100_000},),
)
def end_of_life(burning_h: Column, max_burning_h: Column, *, max_share: float = 0.9) -> Mask:
    """The lamp has burnt 90 % of the hours that its maker promises: plan its replacement."""
    return burning_h > max_share * max_burning_h


@rule(
    type="lamp",
    title=Text("Lampadaire muet", "Lamp silent"),
    help_fr="Le lampadaire n'a pas parlé depuis trois de ses périodes attendues.",
    priority=3,
    explained_by=("feeder_out", "cabinet_silent"),
    source="3 expected periods: our default; nobody is paged for one lamp (Clermont-Ferrand's practice)",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.0},),
)
def lamp_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """Lamp has not spoken for three of its expected periods."""
    return overdue_periods > max_periods


@rule(
    type="feeder",
    title=Text("Départ hors tension", "Feeder out"),
    help_fr=(
        "Le disjoncteur a déclenché, aucun courant ne passe alors que le contacteur est fermé, ou la plupart "
        "de ses lampes sont éteintes ou en retard."
    ),
    priority=1,
    optional=("contactor_closed", "rated_current_a"),
    any_of=("breaker_tripped", "current_a", "children__dark__share"),
    explained_by=("cabinet_silent",),
    source="conditions: field practice; 20 % of current and 60 % of lamps: our default",
    fires_on=(
        {"breaker_tripped": 1},
        {"contactor_closed": 1, "current_a": 0.4, "rated_current_a": 9},
        {"children__dark__share": 0.7},
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
    ),
)
def feeder_out(
    breaker_tripped: Column,
    contactor_closed: Column,
    current_a: Column,
    rated_current_a: Column,
    children__dark__share: Column,
    *,
    min_current_ratio: float = 0.2,
    dark_share: float = 0.6,
) -> Mask:
    """The breaker tripped, no current flows through a closed contactor, or most of its lamps are dark or overdue."""
    no_current = (contactor_closed == 1) & (current_a < min_current_ratio * rated_current_a)
    return (breaker_tripped == 1) | no_current | (children__dark__share >= dark_share)


def supplied(
    breaker_tripped: Column,
    contactor_closed: Column,
    current_a: Column,
    rated_current_a: Column,
    children__dark__share: Column,
    *,
    min_current_ratio: float = 0.2,
    clear_dark_share: float = 0.3,
) -> Mask:
    """Breaker closed, current flowing where it should, and few lamps dark."""
    no_current = (contactor_closed == 1) & (current_a < min_current_ratio * rated_current_a)
    return ~(breaker_tripped == 1) & ~no_current & ~(children__dark__share > clear_dark_share)


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
        "La passerelle de l'armoire a disparu : son testament MQTT le dit, ou deux de ses périodes sont "
        "passées sans message."
    ),
    priority=2,
    any_of=("online", "overdue_periods"),
    source="10 min without a word from a gateway: our default",
    fires_on=({"online": 0}, {"overdue_periods": 2.5}),
    silent_on=({"online": 1, "overdue_periods": 0.5},),
)
def cabinet_silent(online: Column, overdue_periods: Column, *, max_periods: float = 2.0) -> Mask:
    """The cabinet's gateway is gone: its last will says so, or two of its periods passed without a word."""
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


def lit(dim_pct: Column, power_w: Column, rated_power_w: Column, *, min_ratio: float = 0.15) -> Column:
    """Of the lamps that are told to shine, those that draw power."""
    return np.where(dim_pct > 0, power_w >= min_ratio * rated_power_w * dim_pct / 100, np.nan)


def power_drawn(power_w: Column) -> Column:
    """What a feeder draws now, in kilowatts."""
    return power_w / 1000


def online_now(online: Column) -> Mask:
    """Cabinets whose gateway is online."""
    return online == 1


def hours_burnt(burning_h: Column) -> Column:
    """Hours that a lamp has shone."""
    return burning_h


KIND = Kind(
    name="street_lighting",
    label=Text("Éclairage public", "Street lighting"),
    types=(
        DeviceType(
            "lamp",
            Text("Lampadaire", "Street light"),
            "dot",
            lamp_period_s,
            lamp_off,
            parent="feeder",
            resting_label=Text("Éteint sur consigne", "Dark as told"),
        ),
        DeviceType(
            "feeder",
            Text("Départ", "Feeder"),
            "square",
            feeder_period_s,
            contactor_open,
            parent="cabinet",
            resting_label=Text("Coupé sur consigne", "Switched off as told"),
        ),
        DeviceType("cabinet", Text("Armoire", "Cabinet"), "diamond", cabinet_period_s),
    ),
    fields=(
        Field("dim_pct", Text("Consigne de gradation", "Dimming command"), "%", 0, 100, types=LAMP),
        Field("dim_actual_pct", Text("Gradation mesurée", "Measured dimming"), "%", 0, 100, types=LAMP),
        Field("power_w", Text("Puissance", "Power"), "W", 0, 100_000, types=LAMP + FEEDER),
        Field("voltage_v", Text("Tension", "Voltage"), "V", 0, 500, types=LAMP + FEEDER),
        Field("current_a", Text("Courant", "Current"), "A", 0, 1_000, types=LAMP + FEEDER),
        Field("energy_wh", Text("Énergie cumulée", "Energy counter"), "Wh", 0, 1e13, "double", LAMP + FEEDER),
        Field("burning_h", Text("Heures d'allumage", "Burning hours"), "h", 0, 1e6, types=LAMP),
        Field("driver_temp_c", Text("Température du driver", "Driver temperature"), "°C", -60, 200, types=LAMP),
        flag("lamp_failure", Text("Défaut déclaré par la lampe", "Failure told by the lamp"), LAMP),
        flag("breaker_tripped", Text("Disjoncteur déclenché", "Breaker tripped"), FEEDER),
        flag("contactor_closed", Text("Contacteur fermé", "Contactor closed"), FEEDER),
        flag("door_open", Text("Porte ouverte", "Door open"), CABINET),
        flag("online", Text("En ligne", "Online"), CABINET),
    ),
    attributes=(
        Attribute("rated_power_w", Text("Puissance nominale", "Rated power"), "W"),
        Attribute("rated_current_a", Text("Courant nominal", "Rated current"), "A"),
        Attribute("max_burning_h", Text("Heures promises", "Promised burning hours"), "h"),
    ),
    events=(
        Event("door_opened", Text("Porte ouverte", "Door opened")),
        Event("door_closed", Text("Porte fermée", "Door closed")),
        Event("breaker_tripped", Text("Disjoncteur déclenché", "Breaker tripped")),
        Event("breaker_closed", Text("Disjoncteur réenclenché", "Breaker closed")),
    ),
    derived=(Formula.of(dark),),
    rules=(
        lamp_out.clears(relit),
        power_deviation,
        dimming_not_followed,
        lit_unasked,
        driver_hot,
        end_of_life,
        lamp_silent,
        feeder_out.clears(supplied),
        supply_voltage,
        feeder_lit_unasked,
        cabinet_silent,
        cabinet_door,
    ),
    indicators=(
        Indicator("sound", "lamp", Text("Lampes en état", "Lamps in order"), Formula.of(sound)),
        Indicator(
            "at_fault",
            "lamp",
            Text("Lampes en panne", "Lamps at fault"),
            Formula.of(at_fault),
            goal=Goal("fault rate of a lighting contract in Brittany", high=1.0),
        ),
        Indicator("silent", "lamp", Text("Lampes coupées ou muettes", "Lamps cut off or silent"), Formula.of(silent)),
        Indicator("lit", "lamp", Text("Lampes allumées sur consigne", "Lamps lit as told"), Formula.of(lit)),
        Indicator("power", "feeder", Text("Puissance appelée", "Power drawn"), Formula.of(power_drawn), "sum", "kW"),
        Indicator("online", "cabinet", Text("Armoires en ligne", "Cabinets online"), Formula.of(online_now)),
        Indicator("burnt", "lamp", Text("Heures d'allumage", "Burning hours"), Formula.of(hours_burnt), "mean", "h"),
    ),
    panels=(Panel(Text("Gradation", "Dimming"), "lamp", ("dim_pct", "dim_actual_pct")),),
    left_out={
        "cycling, 5 unexpected switches in an hour": "windows",
        "feeder that lost 15 % of its current against the same hour of 7 nights (cable theft)": "a baseline",
        "low power factor": "TALQ's curve of the threshold over the dimming level",
        "calendar not applied, clock drift of a controller": "fields that no device of ours tells yet",
        "two adjacent lamps out, or one at a crossing, as P2": "neighbours",
    },
    examples={
        "lamp": {
            "ts": "2026-11-23T19:00:00Z",
            "dim_pct": 100,
            "power_w": 58.2,
            "voltage_v": 231.0,
            "energy_wh": 812345.0,
        },
        "feeder": {
            "ts": "2026-11-23T19:00:00Z",
            "breaker_tripped": False,
            "contactor_closed": True,
            "current_a": 6.1,
        },
        "cabinet": {"ts": "2026-11-23T19:00:00Z", "door_open": False, "online": True},
    },
)
