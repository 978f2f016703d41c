"""The rules of the air at environment stations: pollution, and sensors that take something else for it. Pure.

Thresholds are those of France's décret 2010-1250 as Atmo Nouvelle-Aquitaine publishes them. Only a certified station
may say so; what a low-cost sensor measures is an indication.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule

AIR_SOURCE = "décret 2010-1250 (Atmo Nouvelle-Aquitaine); only certified stations"


def told_or(told: Column, computed: Column) -> Column:
    """The mean that a station tells, or the one that its values give."""
    return np.where(np.isnan(told), computed, told)


@rule(
    type="station",
    title=Text("PM10 : seuil d'alerte", "PM10: alert threshold"),
    help_fr="La moyenne de 24 h des particules PM10 atteint 80 µg/m³.",
    priority=1,
    source=f"80 µg/m³ over 24 h; {AIR_SOURCE}",
    any_of=("pm10_24h_ug_m3", "pm10_ug_m3__mean_24h"),
    fires_on=({"pm10_24h_ug_m3": 84, "certified": 1}, {"pm10_ug_m3__mean_24h": 84, "certified": 1}),
    silent_on=(
        {"pm10_24h_ug_m3": 60, "certified": 1},
        {"pm10_24h_ug_m3": 84, "certified": 0},
        {"pm10_24h_ug_m3": 79, "pm10_ug_m3__mean_24h": 81, "certified": 1},
    ),
)
def pm10_alert(
    pm10_24h_ug_m3: Column, pm10_ug_m3__mean_24h: Column, certified: Column, *, min_ug_m3: float = 80.0
) -> Mask:
    """The 24 h mean of PM10 particles reaches 80 µg/m³."""
    return (told_or(pm10_24h_ug_m3, pm10_ug_m3__mean_24h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("PM10 : alerte sur persistance", "PM10: alert by persistence"),
    help_fr="La moyenne de 24 h des particules PM10 reste au-dessus de 50 µg/m³ depuis un jour.",
    priority=1,
    hold_s=86_400,
    any_of=("pm10_24h_ug_m3", "pm10_ug_m3__mean_24h"),
    explained_by=("pm10_alert",),
    source=f"50 µg/m³ two days running, which is a mean of 24 h that stays over it for a day; {AIR_SOURCE}",
    fires_on=({"pm10_24h_ug_m3": 55, "certified": 1}, {"pm10_ug_m3__mean_24h": 55, "certified": 1}),
    silent_on=({"pm10_24h_ug_m3": 30, "certified": 1}, {"pm10_24h_ug_m3": 55, "certified": 0}),
)
def pm10_persists(
    pm10_24h_ug_m3: Column, pm10_ug_m3__mean_24h: Column, certified: Column, *, min_ug_m3: float = 50.0
) -> Mask:
    """The 24 h mean of PM10 particles has stayed over 50 µg/m³ for a day."""
    return (told_or(pm10_24h_ug_m3, pm10_ug_m3__mean_24h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("PM10 : seuil d'information", "PM10: information threshold"),
    help_fr="La moyenne de 24 h des particules PM10 atteint 50 µg/m³.",
    priority=2,
    explained_by=("pm10_alert", "pm10_persists"),
    source=f"50 µg/m³ over 24 h; {AIR_SOURCE}",
    any_of=("pm10_24h_ug_m3", "pm10_ug_m3__mean_24h"),
    fires_on=({"pm10_24h_ug_m3": 55, "certified": 1}, {"pm10_ug_m3__mean_24h": 55, "certified": 1}),
    silent_on=({"pm10_24h_ug_m3": 30, "certified": 1}, {"pm10_24h_ug_m3": 55, "certified": 0}),
)
def pm10_information(
    pm10_24h_ug_m3: Column, pm10_ug_m3__mean_24h: Column, certified: Column, *, min_ug_m3: float = 50.0
) -> Mask:
    """The 24 h mean of PM10 particles reaches 50 µg/m³."""
    return (told_or(pm10_24h_ug_m3, pm10_ug_m3__mean_24h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("Ozone : seuil d'alerte", "Ozone: alert threshold"),
    help_fr="La moyenne horaire de l'ozone atteint 240 µg/m³.",
    priority=1,
    source=f"240 µg/m³ over 1 h; {AIR_SOURCE}",
    any_of=("o3_1h_ug_m3", "o3_ug_m3__mean_1h"),
    fires_on=({"o3_1h_ug_m3": 250, "certified": 1}, {"o3_ug_m3__mean_1h": 250, "certified": 1}),
    silent_on=({"o3_1h_ug_m3": 200, "certified": 1}, {"o3_1h_ug_m3": 250, "certified": 0}),
)
def o3_alert(o3_1h_ug_m3: Column, o3_ug_m3__mean_1h: Column, certified: Column, *, min_ug_m3: float = 240.0) -> Mask:
    """The hourly mean of ozone reaches 240 µg/m³."""
    return (told_or(o3_1h_ug_m3, o3_ug_m3__mean_1h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("Ozone : seuil d'information", "Ozone: information threshold"),
    help_fr="La moyenne horaire de l'ozone atteint 180 µg/m³.",
    priority=2,
    explained_by=("o3_alert",),
    source=f"180 µg/m³ over 1 h; {AIR_SOURCE}",
    any_of=("o3_1h_ug_m3", "o3_ug_m3__mean_1h"),
    fires_on=({"o3_1h_ug_m3": 185, "certified": 1}, {"o3_ug_m3__mean_1h": 185, "certified": 1}),
    silent_on=({"o3_1h_ug_m3": 120, "certified": 1}, {"o3_1h_ug_m3": 185, "certified": 0}),
)
def o3_information(
    o3_1h_ug_m3: Column, o3_ug_m3__mean_1h: Column, certified: Column, *, min_ug_m3: float = 180.0
) -> Mask:
    """The hourly mean of ozone reaches 180 µg/m³."""
    return (told_or(o3_1h_ug_m3, o3_ug_m3__mean_1h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("NO2 : seuil d'alerte", "NO2: alert threshold"),
    help_fr="La moyenne horaire du dioxyde d'azote dépasse 400 µg/m³ depuis trois heures.",
    priority=1,
    hold_s=10_800,
    source=f"400 µg/m³ for three hours; {AIR_SOURCE}",
    any_of=("no2_1h_ug_m3", "no2_ug_m3__mean_1h"),
    fires_on=({"no2_1h_ug_m3": 420, "certified": 1}, {"no2_ug_m3__mean_1h": 420, "certified": 1}),
    silent_on=({"no2_1h_ug_m3": 250, "certified": 1}, {"no2_1h_ug_m3": 420, "certified": 0}),
)
def no2_alert(no2_1h_ug_m3: Column, no2_ug_m3__mean_1h: Column, certified: Column, *, min_ug_m3: float = 400.0) -> Mask:
    """The hourly mean of nitrogen dioxide has been over 400 µg/m³ for three hours."""
    return (told_or(no2_1h_ug_m3, no2_ug_m3__mean_1h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("NO2 : seuil d'information", "NO2: information threshold"),
    help_fr="La moyenne horaire du dioxyde d'azote atteint 200 µg/m³.",
    priority=2,
    explained_by=("no2_alert",),
    source=f"200 µg/m³ over 1 h; {AIR_SOURCE}",
    any_of=("no2_1h_ug_m3", "no2_ug_m3__mean_1h"),
    fires_on=({"no2_1h_ug_m3": 210, "certified": 1}, {"no2_ug_m3__mean_1h": 210, "certified": 1}),
    silent_on=({"no2_1h_ug_m3": 60, "certified": 1}, {"no2_1h_ug_m3": 210, "certified": 0}),
)
def no2_information(
    no2_1h_ug_m3: Column, no2_ug_m3__mean_1h: Column, certified: Column, *, min_ug_m3: float = 200.0
) -> Mask:
    """The hourly mean of nitrogen dioxide reaches 200 µg/m³."""
    return (told_or(no2_1h_ug_m3, no2_ug_m3__mean_1h) >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("SO2 : seuil d'alerte", "SO2: alert threshold"),
    help_fr="La moyenne horaire du dioxyde de soufre dépasse 500 µg/m³ depuis trois heures.",
    priority=1,
    hold_s=10_800,
    source=f"500 µg/m³ for three hours; {AIR_SOURCE}",
    fires_on=({"so2_1h_ug_m3": 520, "certified": 1},),
    silent_on=({"so2_1h_ug_m3": 350, "certified": 1}, {"so2_1h_ug_m3": 520, "certified": 0}),
)
def so2_alert(so2_1h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 500.0) -> Mask:
    """The hourly mean of sulphur dioxide has been over 500 µg/m³ for three hours."""
    return (so2_1h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("SO2 : seuil d'information", "SO2: information threshold"),
    help_fr="La moyenne horaire du dioxyde de soufre atteint 300 µg/m³.",
    priority=2,
    explained_by=("so2_alert",),
    source=f"300 µg/m³ over 1 h; {AIR_SOURCE}",
    fires_on=({"so2_1h_ug_m3": 320, "certified": 1},),
    silent_on=({"so2_1h_ug_m3": 20, "certified": 1}, {"so2_1h_ug_m3": 320, "certified": 0}),
)
def so2_information(so2_1h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 300.0) -> Mask:
    """The hourly mean of sulphur dioxide reaches 300 µg/m³."""
    return (so2_1h_ug_m3 >= min_ug_m3) & (certified == 1)


def pm10_dry_ug_m3(pm10_ug_m3: Column, rh_pct: Column, *, max_rh_pct: float = 90.0) -> Column:
    """PM10 in air that is dry enough for an optical counter; unknown in fog."""
    return np.where(rh_pct > max_rh_pct, np.nan, pm10_ug_m3)


@rule(
    type="station",
    title=Text("Air : indication de pollution", "Air: indication of pollution"),
    help_fr="Un capteur non certifié mesure un seuil d'information : une indication, à recouper, pas une alerte.",
    priority=3,
    any_of=(
        "pm10_24h_ug_m3",
        "pm10_dry_ug_m3__mean_24h",
        "o3_1h_ug_m3",
        "o3_ug_m3__mean_1h",
        "no2_1h_ug_m3",
        "no2_ug_m3__mean_1h",
        "so2_1h_ug_m3",
    ),
    explained_by=("fog_as_dust", "sensor_error", "sensor_flat"),
    source=(
        "thresholds of décret 2010-1250; that a low-cost sensor only indicates, and that its particles count in dry "
        "air only: our default"
    ),
    fires_on=(
        {"pm10_24h_ug_m3": 55, "certified": 0},
        {"pm10_dry_ug_m3__mean_24h": 55, "certified": 0},
        {"o3_1h_ug_m3": 190, "certified": 0},
        {"no2_ug_m3__mean_1h": 230, "certified": 0},
    ),
    silent_on=({"pm10_24h_ug_m3": 20, "certified": 0}, {"pm10_24h_ug_m3": 55, "certified": 1}),
)
def air_indication(
    pm10_24h_ug_m3: Column,
    pm10_dry_ug_m3__mean_24h: Column,
    o3_1h_ug_m3: Column,
    o3_ug_m3__mean_1h: Column,
    no2_1h_ug_m3: Column,
    no2_ug_m3__mean_1h: Column,
    so2_1h_ug_m3: Column,
    certified: Column,
    *,
    min_pm10_ug_m3: float = 50.0,
    min_o3_ug_m3: float = 180.0,
    min_no2_ug_m3: float = 200.0,
    min_so2_ug_m3: float = 300.0,
) -> Mask:
    """A sensor that is not certified measures an information threshold: an indication to check, no alert."""
    dusty = told_or(pm10_24h_ug_m3, pm10_dry_ug_m3__mean_24h) >= min_pm10_ug_m3
    o3 = told_or(o3_1h_ug_m3, o3_ug_m3__mean_1h) >= min_o3_ug_m3
    no2 = told_or(no2_1h_ug_m3, no2_ug_m3__mean_1h) >= min_no2_ug_m3
    return (dusty | o3 | no2 | (so2_1h_ug_m3 >= min_so2_ug_m3)) & (certified == 0)


@rule(
    type="station",
    title=Text("Brouillard pris pour des poussières", "Fog taken for dust"),
    help_fr="Les particules montent dans un air saturé : un capteur optique compte les gouttes du brouillard.",
    priority=3,
    hold_s=1800,
    source="RH over 90 % with a PM spike (field practice); 75 µg/m³ for 30 min: our default",
    fires_on=({"pm10_ug_m3": 120, "rh_pct": 97, "certified": 0},),
    silent_on=({"pm10_ug_m3": 120, "rh_pct": 60, "certified": 0}, {"pm10_ug_m3": 20, "rh_pct": 97, "certified": 0}),
)
def fog_as_dust(
    pm10_ug_m3: Column, rh_pct: Column, certified: Column, *, min_pm10_ug_m3: float = 75.0, min_rh_pct: float = 90.0
) -> Mask:
    """Particles rise in saturated air: an optical sensor counts the droplets of the fog."""
    return (pm10_ug_m3 > min_pm10_ug_m3) & (rh_pct > min_rh_pct) & (certified == 0)


@rule(
    type="station",
    title=Text("Capteur de particules qui dérive", "Particle sensor drifts"),
    help_fr="Depuis trois jours, les PM10 de ce capteur sont très loin de ceux des stations voisines.",
    priority=3,
    hold_s=259_200,
    explained_by=("sensor_error", "sensor_flat"),
    source=(
        "drift against the neighbours (field practice); the mean of 24 h over 2.5 times or under 0.4 times the median "
        "of 3 others at least within 5 km, and 15 µg/m³ away, for 3 days: our default"
    ),
    fires_on=(
        {
            "pm10_dry_ug_m3__mean_24h": 70,
            "near_5000m__pm10_dry_ug_m3__mean_24h__median": 18,
            "near_5000m__pm10_dry_ug_m3__mean_24h__known": 6,
            "certified": 0,
        },
        {
            "pm10_dry_ug_m3__mean_24h": 4,
            "near_5000m__pm10_dry_ug_m3__mean_24h__median": 25,
            "near_5000m__pm10_dry_ug_m3__mean_24h__known": 6,
            "certified": 0,
        },
    ),
    silent_on=(
        {
            "pm10_dry_ug_m3__mean_24h": 30,
            "near_5000m__pm10_dry_ug_m3__mean_24h__median": 18,
            "near_5000m__pm10_dry_ug_m3__mean_24h__known": 6,
            "certified": 0,
        },
        {
            "pm10_dry_ug_m3__mean_24h": 70,
            "near_5000m__pm10_dry_ug_m3__mean_24h__median": 18,
            "near_5000m__pm10_dry_ug_m3__mean_24h__known": 1,
            "certified": 0,
        },
    ),
)
def particles_drift(
    pm10_dry_ug_m3__mean_24h: Column,
    near_5000m__pm10_dry_ug_m3__mean_24h__median: Column,
    near_5000m__pm10_dry_ug_m3__mean_24h__known: Column,
    certified: Column,
    *,
    max_ratio: float = 2.5,
    min_ratio: float = 0.4,
    min_away_ug_m3: float = 15.0,
    min_neighbours: float = 3,
) -> Mask:
    """For three days this sensor's PM10 has been far from that of the stations around it."""
    own, theirs = pm10_dry_ug_m3__mean_24h, near_5000m__pm10_dry_ug_m3__mean_24h__median
    is_apart = (own > max_ratio * theirs) | (own < min_ratio * theirs)
    has_neighbours = near_5000m__pm10_dry_ug_m3__mean_24h__known >= min_neighbours
    return is_apart & (np.abs(own - theirs) > min_away_ug_m3) & has_neighbours & (certified == 0)


AIR_COLUMNS = (pm10_dry_ug_m3,)
"""Derived columns."""
AIR_RULES = (
    pm10_alert,
    pm10_persists,
    pm10_information,
    o3_alert,
    o3_information,
    no2_alert,
    no2_information,
    so2_alert,
    so2_information,
    air_indication,
    fog_as_dust,
    particles_drift,
)
