"""The rules of water meters: what their flags tell, and what their index tells over hours, nights and months. Pure.

Flags are those that meters publish (OMS, Kamstrup, Diehl); the rules on flow come from Kamstrup's manuals. Numbers
without a source are our defaults, to be tuned.
"""

from devices.kind import Column, Mask, Text, rule

Q4_OVER_Q3 = 1.25
"""The overload flow Q4 of every meter, against its permanent flow (ISO 4064-1)."""


@rule(
    type="meter",
    title=Text("Fuite probable", "Leak suspected"),
    help_fr="Le compteur signale un débit continu : aucune heure sans débit sur les dernières 24.",
    priority=3,
    source="leak flag: no hour without flow in 24 h (Kamstrup MULTICAL 21 manual)",
    fires_on=({"leak": 1},),
    silent_on=({"leak": 0},),
)
def leak(leak: Column) -> Mask:
    """The meter reports a continuous flow: no hour without flow in the last 24."""
    return leak == 1


@rule(
    type="meter",
    title=Text("Rupture de canalisation", "Burst"),
    help_fr="Le compteur signale une rupture, ou le débit dépasse le débit permanent Q3.",
    priority=1,
    optional=("q3_m3h",),
    any_of=("burst", "flow_m3h"),
    source="flow over 20 % of Q3 during 30 min, told by the flag (Kamstrup flowIQ 3100); at Q3 itself: our default",
    fires_on=({"burst": 1}, {"flow_m3h": 2.6, "q3_m3h": 2.5}),
    silent_on=({"burst": 0, "flow_m3h": 0.3, "q3_m3h": 2.5},),
)
def burst(burst: Column, flow_m3h: Column, q3_m3h: Column, *, max_q3_ratio: float = 1.0) -> Mask:
    """The meter reports a burst, or the flow is above the meter's permanent flow Q3."""
    return (burst == 1) | (flow_m3h > max_q3_ratio * q3_m3h)


@rule(
    type="meter",
    title=Text("Compteur à sec", "Meter dry"),
    help_fr="Il n'y a pas d'eau dans le compteur.",
    priority=3,
    source="DRY flag (OMS)",
    fires_on=({"dry": 1},),
    silent_on=({"dry": 0},),
)
def dry(dry: Column) -> Mask:
    """There is no water in the meter."""
    return dry == 1


@rule(
    type="meter",
    title=Text("Fraude ou démontage", "Tamper"),
    help_fr="Le compteur signale un démontage, un aimant ou une autre fraude.",
    priority=2,
    source="tamper, fraud and removal flags (OMS, Diehl IZAR)",
    fires_on=({"tamper": 1},),
    silent_on=({"tamper": 0},),
)
def tamper(tamper: Column) -> Mask:
    """The meter reports a removal, a magnet or another fraud."""
    return tamper == 1


@rule(
    type="meter",
    title=Text("Retour d'eau", "Backflow"),
    help_fr="L'eau retourne vers le réseau : le compteur le signale, ou son volume inverse a pris 10 L en un jour.",
    priority=2,
    any_of=("backflow", "backflow_m3__rise_24h"),
    source="REVERSE flag (OMS), a risk to health; 10 L a day: our default",
    fires_on=({"backflow": 1}, {"backflow": 0, "backflow_m3__rise_24h": 0.014}, {"backflow_m3__rise_24h": 0.014}),
    silent_on=({"backflow": 0}, {"backflow": 0, "backflow_m3__rise_24h": 0.002}, {"backflow_m3__rise_24h": 0}),
)
def backflow(backflow: Column, backflow_m3__rise_24h: Column, *, max_m3: float = 0.010) -> Mask:
    """Water flows backwards into the network: the meter tells it, or its backflow counter took 10 L in a day."""
    return (backflow == 1) | (backflow_m3__rise_24h > max_m3)


@rule(
    type="meter",
    title=Text("Pile faible", "Low battery"),
    help_fr="La radio du compteur se taira bientôt.",
    priority=3,
    source="LOW_BATTERY flag (OMS)",
    fires_on=({"low_battery": 1},),
    silent_on=({"low_battery": 0},),
)
def low_battery(low_battery: Column) -> Mask:
    """The meter's radio will soon be silent."""
    return low_battery == 1


@rule(
    type="meter",
    title=Text("Compteur muet", "Meter silent"),
    help_fr="Le compteur n'a pas été lu depuis six de ses périodes.",
    priority=3,
    explained_by=("zone_unread",),
    source="72 h, six periods of 12 h: our default",
    fires_on=({"overdue_periods": 6.5},),
    silent_on=({"overdue_periods": 2.0},),
)
def meter_silent(overdue_periods: Column, *, max_periods: float = 6.0) -> Mask:
    """The meter was not read for six of its periods."""
    return overdue_periods > max_periods


@rule(
    type="meter",
    title=Text("Risque de gel", "Risk of frost"),
    help_fr="L'eau du compteur est à moins de 3 °C.",
    priority=3,
    source="3 °C: our default",
    fires_on=({"water_temp_c": 1.5},),
    silent_on=({"water_temp_c": 11},),
)
def frost(water_temp_c: Column, *, min_temp_c: float = 3.0) -> Mask:
    """The water in the meter is under 3 °C."""
    return water_temp_c < min_temp_c


@rule(
    type="meter",
    title=Text("Compteur bloqué ou en défaut", "Meter blocked or faulty"),
    help_fr="Le compteur se déclare bloqué ou en défaut : il ne compte plus juste.",
    priority=3,
    any_of=("blocked", "meter_fault"),
    source="blocked and fault flags (OMS, Diehl IZAR)",
    fires_on=({"blocked": 1}, {"meter_fault": 1}),
    silent_on=({"blocked": 0, "meter_fault": 0},),
)
def meter_faulty(blocked: Column, meter_fault: Column) -> Mask:
    """The meter tells that it is blocked or faulty: it no longer counts rightly."""
    return (blocked == 1) | (meter_fault == 1)


# Without lateness, though meters tell their hours late: a message brings them in order, hours that are lost are unknown
# and so no leak, and to let 13 h of a city's meters wait costs a quarter of a second at every tick.
@rule(
    type="meter",
    title=Text("Débit continu", "Continuous flow"),
    help_fr="L'index du compteur a progressé à chacune des 24 dernières heures : une fuite, chasse d'eau ou conduite.",
    priority=3,
    explained_by=("leak", "burst"),
    source=(
        "no hour without flow in 24 h (Kamstrup MULTICAL 21 manual), from the index of meters that raise no flag; "
        "dwellings only, Q3 up to 4 m³/h: our default"
    ),
    fires_on=({"total_m3__still_24h": 0, "q3_m3h": 2.5},),
    silent_on=({"total_m3__still_24h": 6, "q3_m3h": 2.5}, {"total_m3__still_24h": 0, "q3_m3h": 16}),
)
def continuous_flow(
    total_m3__still_24h: Column, q3_m3h: Column, *, min_still_hours: float = 1.0, max_q3_m3h: float = 4.0
) -> Mask:
    """The meter's index rose in each of the last 24 hours: a leak, of a cistern or of a pipe."""
    return (total_m3__still_24h < min_still_hours) & (q3_m3h <= max_q3_m3h)


@rule(
    type="meter",
    title=Text("Débit nocturne", "Night use"),
    help_fr="Deux nuits de suite, de l'eau a coulé à chaque heure entre 1 h et 5 h.",
    priority=3,
    hold_s=129_600,
    explained_by=("leak", "burst", "continuous_flow"),
    source=(
        "a pulse in every hour from 1 to 5 (ha-taggle); two nights running (a hold of 36 h), and dwellings only, "
        "Q3 up to 4 m³/h: our default"
    ),
    fires_on=({"total_m3__night_min": 0.004, "q3_m3h": 2.5},),
    silent_on=({"total_m3__night_min": 0, "q3_m3h": 2.5}, {"total_m3__night_min": 0.2, "q3_m3h": 16}),
)
def night_use(total_m3__night_min: Column, q3_m3h: Column, *, min_m3: float = 0.0005, max_q3_m3h: float = 4.0) -> Mask:
    """Two nights running, water flowed in every hour from 1 to 5."""
    return (total_m3__night_min >= min_m3) & (q3_m3h <= max_q3_m3h)


@rule(
    type="meter",
    title=Text("Rupture probable d'après l'index", "Burst, by the index"),
    help_fr="Depuis une demi-heure au moins, l'index avance plus vite que 20 % du débit permanent Q3.",
    priority=2,
    hold_s=1800,
    explained_by=("burst",),
    source=(
        "20 % of Q3 during 30 min (Kamstrup flowIQ 3100), from index to index, at most an hour apart; dwellings only, "
        "Q3 up to 4 m³/h, where many do not draw at once, and P2, since a garden hose does the same: our default"
    ),
    fires_on=({"total_m3__rate_h": 0.9, "total_m3__gap_s": 900, "q3_m3h": 2.5},),
    silent_on=(
        {"total_m3__rate_h": 0.3, "total_m3__gap_s": 900, "q3_m3h": 2.5},
        {"total_m3__rate_h": 0.9, "total_m3__gap_s": 43_200, "q3_m3h": 2.5},
        {"total_m3__rate_h": 3.6, "total_m3__gap_s": 2, "q3_m3h": 2.5},
        {"total_m3__rate_h": 3, "total_m3__gap_s": 900, "q3_m3h": 10},
    ),
)
def burst_by_index(
    total_m3__rate_h: Column,
    total_m3__gap_s: Column,
    q3_m3h: Column,
    *,
    max_q3_ratio: float = 0.2,
    min_gap_s: float = 60.0,
    max_gap_s: float = 3600.0,
    max_q3_m3h: float = 4.0,
) -> Mask:
    """For half an hour at least the index has risen faster than 20 % of the meter's permanent flow Q3."""
    is_told = (total_m3__gap_s >= min_gap_s) & (total_m3__gap_s <= max_gap_s)
    return is_told & (total_m3__rate_h > max_q3_ratio * q3_m3h) & (q3_m3h <= max_q3_m3h)


@rule(
    type="meter",
    title=Text("Débit au-delà de Q4", "Flow above Q4"),
    help_fr="Le débit dépasse le débit de surcharge Q4 : le compteur est trop petit, ou une conduite a cédé.",
    priority=3,
    optional=("q3_m3h",),
    any_of=("flow_above_q4", "flow_m3h"),
    explained_by=("burst",),
    source="FLOW_ABOVE_Q4 flag; Q4 is 1.25 Q3 (ISO 4064-1)",
    fires_on=({"flow_above_q4": 1}, {"flow_m3h": 3.4, "q3_m3h": 2.5}),
    silent_on=({"flow_above_q4": 0, "flow_m3h": 1.2, "q3_m3h": 2.5},),
)
def flow_above_q4(flow_above_q4: Column, flow_m3h: Column, q3_m3h: Column, *, q4_ratio: float = Q4_OVER_Q3) -> Mask:
    """The flow is above the overload flow Q4: the meter is too small, or a pipe gave way."""
    return (flow_above_q4 == 1) | (flow_m3h > q4_ratio * q3_m3h)


@rule(
    type="meter",
    title=Text("Consommation anormale (loi Warsmann)", "Abnormal consumption"),
    help_fr="Depuis 30 jours, la consommation dépasse le double de celle des années passées : avertir l'abonné.",
    priority=3,
    explained_by=("burst",),
    source=(
        "CGCT L2224-12-4 III bis: twice the mean of the same period of up to three years; silent in a meter's first "
        "year; at least 0.1 m³ a day more, and over under 1.8 times: our default"
    ),
    fires_on=({"total_m3__month": 0.95, "total_m3__usual_season": 0.33},),
    silent_on=(
        {"total_m3__month": 0.5, "total_m3__usual_season": 0.33},
        {"total_m3__month": 0.02, "total_m3__usual_season": 0.004},
    ),
)
def abnormal_consumption(
    total_m3__month: Column, total_m3__usual_season: Column, *, max_ratio: float = 2.0, min_more_m3_day: float = 0.1
) -> Mask:
    """For 30 days more than twice as much was drawn as in the same season of earlier years: tell the subscriber."""
    is_more = total_m3__month - total_m3__usual_season > min_more_m3_day
    return is_more & (total_m3__month > max_ratio * total_m3__usual_season)


def usual_again(total_m3__month: Column, total_m3__usual_season: Column, *, clear_ratio: float = 1.8) -> Mask:
    """Clearly under twice what is usual."""
    return total_m3__month < clear_ratio * total_m3__usual_season


@rule(
    type="meter",
    title=Text("Aucune consommation", "No consumption"),
    help_fr="Un logement déclaré occupé n'a rien consommé depuis 30 jours : compteur bloqué ou contourné.",
    priority=3,
    explained_by=("meter_faulty", "tamper"),
    source="30 days without a litre, where the registry says that somebody lives there: our default",
    fires_on=({"total_m3__month": 0, "occupied": 1},),
    silent_on=({"total_m3__month": 0.21, "occupied": 1}, {"total_m3__month": 0}, {"total_m3__month": 0, "occupied": 0}),
)
def no_consumption(total_m3__month: Column, occupied: Column) -> Mask:
    """A dwelling that is said to be occupied drew nothing for 30 days: its meter is blocked or by-passed."""
    return (total_m3__month == 0) & (occupied == 1)


@rule(
    type="meter",
    title=Text("Index incohérent", "Index not plausible"),
    help_fr="L'index a reculé, ou avancé plus que le compteur ne peut compter : compteur changé ou donnée fausse.",
    priority=3,
    calm_s=86_400,
    source=(
        "data quality, no leak: the index goes back, or jumps by more than Q4 times the time and 50 L; "
        "shown for a day after: our default"
    ),
    fires_on=(
        {"total_m3__diff": -812.4, "total_m3__gap_s": 3600, "q3_m3h": 2.5},
        {"total_m3__diff": 100, "total_m3__gap_s": 3600, "q3_m3h": 2.5},
    ),
    silent_on=(
        {"total_m3__diff": 0.4, "total_m3__gap_s": 3600, "q3_m3h": 2.5},
        {"total_m3__diff": 0.002, "total_m3__gap_s": 1, "q3_m3h": 2.5},
        {"total_m3__diff": 30, "total_m3__gap_s": 43_200, "q3_m3h": 2.5},
    ),
)
def index_not_plausible(
    total_m3__diff: Column,
    total_m3__gap_s: Column,
    q3_m3h: Column,
    *,
    q4_ratio: float = Q4_OVER_Q3,
    spare_m3: float = 0.05,
) -> Mask:
    """The index went back, or further than the meter can count: the meter was changed, or the data are wrong."""
    return (total_m3__diff < 0) | (total_m3__diff > q4_ratio * q3_m3h * total_m3__gap_s / 3600 + spare_m3)


METER_RULES = (
    leak,
    burst,
    dry,
    tamper,
    backflow,
    low_battery,
    frost,
    meter_faulty,
    meter_silent,
    continuous_flow,
    night_use,
    burst_by_index,
    flow_above_q4,
    abnormal_consumption.clears(usual_again),
    no_consumption,
    index_not_plausible,
)
