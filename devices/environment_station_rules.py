"""The rules of environment stations beside those of the air: noise, weather, river, and sensors out of order. Pure.

Numbers without a source are our defaults, to be tuned.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule


@rule(
    type="station",
    title=Text("CO2 élevé", "High CO2"),
    help_fr="Le CO2 reste au-dessus de 1 500 ppm : il faut aérer.",
    priority=3,
    hold_s=1800,
    source="1,500 ppm for 30 min: our default",
    fires_on=({"co2_ppm": 1800},),
    silent_on=({"co2_ppm": 620},),
)
def co2_high(co2_ppm: Column, *, max_ppm: float = 1500.0) -> Mask:
    """CO2 stays over 1,500 ppm: the place needs air."""
    return co2_ppm > max_ppm


@rule(
    type="station",
    title=Text("Bruit excessif", "Excessive noise"),
    help_fr="Le niveau sonore dépasse la limite du lieu depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    calm_s=900,
    source="75 dB(A) for 15 min unless the registry says otherwise: our default",
    fires_on=({"noise_laeq_db": 82, "noise_limit_db": 75},),
    silent_on=({"noise_laeq_db": 64, "noise_limit_db": 75},),
)
def noise_high(noise_laeq_db: Column, noise_limit_db: Column) -> Mask:
    """The noise has been over the limit of the place for a quarter of an hour."""
    return noise_laeq_db > noise_limit_db


@rule(
    type="station",
    title=Text("Pluie intense", "Heavy rain"),
    help_fr="Plus de 10 mm sont tombés en un quart d'heure : les avaloirs peuvent déborder.",
    priority=2,
    calm_s=1800,
    source="10 mm in 15 min, for the gullies: our default",
    fires_on=({"rain_15min_mm": 14},),
    silent_on=({"rain_15min_mm": 3},),
)
def heavy_rain(rain_15min_mm: Column, *, max_mm: float = 10.0) -> Mask:
    """More than 10 mm fell in a quarter of an hour: gullies may overflow."""
    return rain_15min_mm > max_mm


@rule(
    type="station",
    title=Text("Crue", "Flood"),
    help_fr="La rivière atteint la cote de crue du site.",
    priority=1,
    source="levels of each site, as for flood watch (Vigicrues); none without them",
    fires_on=({"river_level_cm": 320, "river_flood_cm": 300},),
    silent_on=({"river_level_cm": 120, "river_flood_cm": 300},),
)
def river_flood(river_level_cm: Column, river_flood_cm: Column) -> Mask:
    """The river reaches the flood level of the site."""
    return river_level_cm >= river_flood_cm


@rule(
    type="station",
    title=Text("Rivière haute", "River high"),
    help_fr="La rivière atteint la cote de surveillance du site.",
    priority=2,
    explained_by=("river_flood",),
    source="levels of each site, as for flood watch (Vigicrues); none without them",
    fires_on=({"river_level_cm": 230, "river_watch_cm": 200},),
    silent_on=({"river_level_cm": 120, "river_watch_cm": 200},),
)
def river_high(river_level_cm: Column, river_watch_cm: Column) -> Mask:
    """The river reaches the watch level of the site."""
    return river_level_cm >= river_watch_cm


@rule(
    type="station",
    title=Text("Rafales fortes", "Strong gusts"),
    help_fr="Les rafales dépassent 80 km/h : les parcs sont à fermer.",
    priority=2,
    calm_s=1800,
    source="80 km/h: our default",
    fires_on=({"gust_kmh": 96},),
    silent_on=({"gust_kmh": 42},),
)
def strong_gusts(gust_kmh: Column, *, max_kmh: float = 80.0) -> Mask:
    """Gusts are over 80 km/h: parks are to be closed."""
    return gust_kmh > max_kmh


@rule(
    type="station",
    title=Text("Risque de verglas", "Risk of ice"),
    help_fr="Il fait moins de 2 °C dans un air humide, à une station de la viabilité hivernale.",
    priority=2,
    hold_s=1800,
    calm_s=3600,
    source="T under 2 °C and RH over 85 %, for the snow desk: our default",
    fires_on=({"temp_c": 0.5, "rh_pct": 92, "snow_desk": 1},),
    silent_on=({"temp_c": 0.5, "rh_pct": 92, "snow_desk": 0}, {"temp_c": 8, "rh_pct": 92, "snow_desk": 1}),
)
def ice_risk(
    temp_c: Column, rh_pct: Column, snow_desk: Column, *, max_temp_c: float = 2.0, min_rh_pct: float = 85.0
) -> Mask:
    """It is under 2 °C in damp air, at a station of the snow desk."""
    return (temp_c < max_temp_c) & (rh_pct > min_rh_pct) & (snow_desk == 1)


@rule(
    type="station",
    title=Text("Capteur en défaut", "Sensor error"),
    help_fr="La station signale un capteur ou un ventilateur en panne.",
    priority=3,
    source="self-test of the station; priority: our default",
    fires_on=({"sensor_error": 1},),
    silent_on=({"sensor_error": 0},),
)
def sensor_error(sensor_error: Column) -> Mask:
    """The station tells that a sensor or a fan is out of order."""
    return sensor_error == 1


@rule(
    type="station",
    title=Text("Station muette", "Station silent"),
    help_fr="La station n'a pas parlé depuis trois de ses périodes.",
    priority=3,
    source="3 expected periods: our default",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def station_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The station has not spoken for three of its periods."""
    return overdue_periods > max_periods


@rule(
    type="station",
    title=Text("Capteur figé", "Sensor stands still"),
    help_fr="Une mesure qui devrait bouger n'a pas changé depuis six heures.",
    priority=3,
    any_of=("pm10_ug_m3__changes_6h", "no2_1h_ug_m3__changes_6h", "temp_c__changes_6h", "noise_laeq_db__changes_6h"),
    optional=(
        "pm10_ug_m3",
        "pm10_ug_m3__count_6h",
        "no2_1h_ug_m3",
        "no2_1h_ug_m3__count_6h",
        "temp_c__count_6h",
        "noise_laeq_db__count_6h",
    ),
    explained_by=("sensor_error",),
    source=(
        "flat line of 6 h (QARTOD's flat line test, field practice); particles and NO2 over 5 µg/m³, since clean air "
        "stands still, and 12 messages at least: our default"
    ),
    fires_on=(
        {"pm10_ug_m3": 18, "pm10_ug_m3__changes_6h": 0, "pm10_ug_m3__count_6h": 70},
        {"temp_c__changes_6h": 0, "temp_c__count_6h": 24},
        {"noise_laeq_db__changes_6h": 0, "noise_laeq_db__count_6h": 24},
    ),
    silent_on=(
        {"pm10_ug_m3": 18, "pm10_ug_m3__changes_6h": 31, "pm10_ug_m3__count_6h": 70},
        {"pm10_ug_m3": 2, "pm10_ug_m3__changes_6h": 0, "pm10_ug_m3__count_6h": 70},
        {"temp_c__changes_6h": 0, "temp_c__count_6h": 4},
    ),
)
def sensor_flat(
    pm10_ug_m3: Column,
    pm10_ug_m3__changes_6h: Column,
    pm10_ug_m3__count_6h: Column,
    no2_1h_ug_m3: Column,
    no2_1h_ug_m3__changes_6h: Column,
    no2_1h_ug_m3__count_6h: Column,
    temp_c__changes_6h: Column,
    temp_c__count_6h: Column,
    noise_laeq_db__changes_6h: Column,
    noise_laeq_db__count_6h: Column,
    *,
    min_ug_m3: float = 5.0,
    min_messages: float = 12,
) -> Mask:
    """A measure that should move has not changed for six hours."""
    dust = (pm10_ug_m3__changes_6h == 0) & (pm10_ug_m3__count_6h >= min_messages) & (pm10_ug_m3 > min_ug_m3)
    gas = (no2_1h_ug_m3__changes_6h == 0) & (no2_1h_ug_m3__count_6h >= min_messages) & (no2_1h_ug_m3 > min_ug_m3)
    warm = (temp_c__changes_6h == 0) & (temp_c__count_6h >= min_messages)
    return dust | gas | warm | ((noise_laeq_db__changes_6h == 0) & (noise_laeq_db__count_6h >= min_messages))


@rule(
    type="station",
    title=Text("Saut de mesure", "Measure jumps"),
    help_fr="Une mesure a sauté plus que la nature ne le peut en une demi-heure : capteur ou câble à vérifier.",
    priority=3,
    calm_s=3600,
    any_of=("temp_c__diff", "river_level_cm__diff", "pm10_ug_m3__diff"),
    optional=("temp_c__gap_s", "river_level_cm__gap_s", "pm10_ug_m3__gap_s"),
    explained_by=("sensor_error", "fog_as_dust"),
    source="data quality: 10 °C, 100 cm of river or 500 µg/m³ of PM10 within half an hour: our default",
    fires_on=(
        {"temp_c__diff": -31, "temp_c__gap_s": 300},
        {"river_level_cm__diff": 180, "river_level_cm__gap_s": 300},
        {"pm10_ug_m3__diff": 900, "pm10_ug_m3__gap_s": 300},
    ),
    silent_on=(
        {"temp_c__diff": -2, "temp_c__gap_s": 300},
        {"temp_c__diff": 12, "temp_c__gap_s": 43_200},
        {"river_level_cm__diff": 18, "river_level_cm__gap_s": 900},
        {"pm10_ug_m3__diff": 120, "pm10_ug_m3__gap_s": 300},
    ),
)
def sensor_jump(
    temp_c__diff: Column,
    temp_c__gap_s: Column,
    river_level_cm__diff: Column,
    river_level_cm__gap_s: Column,
    pm10_ug_m3__diff: Column,
    pm10_ug_m3__gap_s: Column,
    *,
    max_temp_c: float = 10.0,
    max_river_cm: float = 100.0,
    max_pm10_ug_m3: float = 500.0,
    max_gap_s: float = 1800.0,
) -> Mask:
    """A measure jumped further than nature can within half an hour: see to the sensor or its cable."""
    warm = (np.abs(temp_c__diff) > max_temp_c) & (temp_c__gap_s <= max_gap_s)
    river = (np.abs(river_level_cm__diff) > max_river_cm) & (river_level_cm__gap_s <= max_gap_s)
    return warm | river | ((np.abs(pm10_ug_m3__diff) > max_pm10_ug_m3) & (pm10_ug_m3__gap_s <= max_gap_s))


@rule(
    type="station",
    title=Text("Thermomètre qui dérive", "Thermometer drifts"),
    help_fr="Depuis trois jours, la température moyenne s'écarte de plus de 5 °C de celle des stations voisines.",
    priority=3,
    hold_s=259_200,
    explained_by=("sensor_error", "sensor_flat"),
    source=(
        "drift against the neighbours (field practice); the mean of 24 h over 5 °C away from the median of 3 others at "
        "least within 5 km, for 3 days: our default"
    ),
    fires_on=(
        {
            "temp_c__mean_24h": 21,
            "near_5000m__temp_c__mean_24h__median": 12,
            "near_5000m__temp_c__mean_24h__known": 8,
        },
    ),
    silent_on=(
        {
            "temp_c__mean_24h": 13.5,
            "near_5000m__temp_c__mean_24h__median": 12,
            "near_5000m__temp_c__mean_24h__known": 8,
        },
        {
            "temp_c__mean_24h": 21,
            "near_5000m__temp_c__mean_24h__median": 12,
            "near_5000m__temp_c__mean_24h__known": 2,
        },
    ),
)
def thermometer_drifts(
    temp_c__mean_24h: Column,
    near_5000m__temp_c__mean_24h__median: Column,
    near_5000m__temp_c__mean_24h__known: Column,
    *,
    max_away_c: float = 5.0,
    min_neighbours: float = 3,
) -> Mask:
    """For three days the mean temperature has been over 5 °C away from that of the stations around it."""
    away_c = np.abs(temp_c__mean_24h - near_5000m__temp_c__mean_24h__median)
    return (away_c > max_away_c) & (near_5000m__temp_c__mean_24h__known >= min_neighbours)


STATION_RULES = (
    co2_high,
    noise_high,
    heavy_rain,
    river_flood,
    river_high,
    strong_gusts,
    ice_risk,
    sensor_error,
    sensor_flat,
    sensor_jump,
    thermometer_drifts,
    station_silent,
)
