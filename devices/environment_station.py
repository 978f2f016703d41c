"""Environment stations: air, noise, rain, river, wind, temperature; a station has the sensors that it has. Pure.

Thresholds of the air are those of France's décret 2010-1250 as Atmo Nouvelle-Aquitaine publishes them. Only a certified
station may say so; what a low-cost sensor measures is an indication.
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

AIR_SOURCE = "décret 2010-1250 (Atmo Nouvelle-Aquitaine); only certified stations"


def station_period_s(temp_c: Column, expected_period_s: Column) -> Column:
    """5 min unless the registry says otherwise (stations report every 1 to 15 min)."""
    return np.where(np.isnan(expected_period_s), 300.0, expected_period_s)


@rule(
    type="station",
    title=Text("PM10 : seuil d'alerte", "PM10: alert threshold"),
    help_fr="La moyenne de 24 h des particules PM10 atteint 80 µg/m³.",
    priority=1,
    source=f"80 µg/m³ over 24 h; {AIR_SOURCE}",
    fires_on=({"pm10_24h_ug_m3": 84, "certified": 1},),
    silent_on=({"pm10_24h_ug_m3": 60, "certified": 1}, {"pm10_24h_ug_m3": 84, "certified": 0}),
)
def pm10_alert(pm10_24h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 80.0) -> Mask:
    """The 24 h mean of PM10 particles reaches 80 µg/m³."""
    return (pm10_24h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("PM10 : seuil d'information", "PM10: information threshold"),
    help_fr="La moyenne de 24 h des particules PM10 atteint 50 µg/m³.",
    priority=2,
    explained_by=("pm10_alert",),
    source=f"50 µg/m³ over 24 h; {AIR_SOURCE}",
    fires_on=({"pm10_24h_ug_m3": 55, "certified": 1},),
    silent_on=({"pm10_24h_ug_m3": 30, "certified": 1}, {"pm10_24h_ug_m3": 55, "certified": 0}),
)
def pm10_information(pm10_24h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 50.0) -> Mask:
    """The 24 h mean of PM10 particles reaches 50 µg/m³."""
    return (pm10_24h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("Ozone : seuil d'alerte", "Ozone: alert threshold"),
    help_fr="La moyenne horaire de l'ozone atteint 240 µg/m³.",
    priority=1,
    source=f"240 µg/m³ over 1 h; {AIR_SOURCE}",
    fires_on=({"o3_1h_ug_m3": 250, "certified": 1},),
    silent_on=({"o3_1h_ug_m3": 200, "certified": 1}, {"o3_1h_ug_m3": 250, "certified": 0}),
)
def o3_alert(o3_1h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 240.0) -> Mask:
    """The hourly mean of ozone reaches 240 µg/m³."""
    return (o3_1h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("Ozone : seuil d'information", "Ozone: information threshold"),
    help_fr="La moyenne horaire de l'ozone atteint 180 µg/m³.",
    priority=2,
    explained_by=("o3_alert",),
    source=f"180 µg/m³ over 1 h; {AIR_SOURCE}",
    fires_on=({"o3_1h_ug_m3": 185, "certified": 1},),
    silent_on=({"o3_1h_ug_m3": 120, "certified": 1}, {"o3_1h_ug_m3": 185, "certified": 0}),
)
def o3_information(o3_1h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 180.0) -> Mask:
    """The hourly mean of ozone reaches 180 µg/m³."""
    return (o3_1h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("NO2 : seuil d'alerte", "NO2: alert threshold"),
    help_fr="La moyenne horaire du dioxyde d'azote dépasse 400 µg/m³ depuis trois heures.",
    priority=1,
    hold_s=10_800,
    source=f"400 µg/m³ for three hours; {AIR_SOURCE}",
    fires_on=({"no2_1h_ug_m3": 420, "certified": 1},),
    silent_on=({"no2_1h_ug_m3": 250, "certified": 1}, {"no2_1h_ug_m3": 420, "certified": 0}),
)
def no2_alert(no2_1h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 400.0) -> Mask:
    """The hourly mean of nitrogen dioxide has been over 400 µg/m³ for three hours."""
    return (no2_1h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("NO2 : seuil d'information", "NO2: information threshold"),
    help_fr="La moyenne horaire du dioxyde d'azote atteint 200 µg/m³.",
    priority=2,
    explained_by=("no2_alert",),
    source=f"200 µg/m³ over 1 h; {AIR_SOURCE}",
    fires_on=({"no2_1h_ug_m3": 210, "certified": 1},),
    silent_on=({"no2_1h_ug_m3": 60, "certified": 1}, {"no2_1h_ug_m3": 210, "certified": 0}),
)
def no2_information(no2_1h_ug_m3: Column, certified: Column, *, min_ug_m3: float = 200.0) -> Mask:
    """The hourly mean of nitrogen dioxide reaches 200 µg/m³."""
    return (no2_1h_ug_m3 >= min_ug_m3) & (certified == 1)


@rule(
    type="station",
    title=Text("Air : indication de pollution", "Air: indication of pollution"),
    help_fr="Un capteur non certifié mesure un seuil d'information : une indication, à recouper, pas une alerte.",
    priority=3,
    any_of=("pm10_24h_ug_m3", "o3_1h_ug_m3", "no2_1h_ug_m3"),
    explained_by=("fog_as_dust", "sensor_error"),
    source="thresholds of décret 2010-1250; that a low-cost sensor only indicates is our default",
    fires_on=({"pm10_24h_ug_m3": 55, "certified": 0}, {"o3_1h_ug_m3": 190, "certified": 0}),
    silent_on=({"pm10_24h_ug_m3": 20, "certified": 0}, {"pm10_24h_ug_m3": 55, "certified": 1}),
)
def air_indication(
    pm10_24h_ug_m3: Column,
    o3_1h_ug_m3: Column,
    no2_1h_ug_m3: Column,
    certified: Column,
    *,
    min_pm10_ug_m3: float = 50.0,
    min_o3_ug_m3: float = 180.0,
    min_no2_ug_m3: float = 200.0,
) -> Mask:
    """A sensor that is not certified measures an information threshold: an indication to check, no alert."""
    over = (pm10_24h_ug_m3 >= min_pm10_ug_m3) | (o3_1h_ug_m3 >= min_o3_ug_m3) | (no2_1h_ug_m3 >= min_no2_ug_m3)
    return over & (certified == 0)


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


def particles(pm10_24h_ug_m3: Column) -> Column:
    """PM10 over 24 h."""
    return pm10_24h_ug_m3


def noise(noise_laeq_db: Column) -> Column:
    """LAeq of each station."""
    return noise_laeq_db


def sound(sensor_error: Column, overdue_periods: Column) -> Mask:
    """Stations that are heard and tell no error."""
    return (sensor_error == 0) & (overdue_periods <= 3)


def nitrogen_dioxide(no2_1h_ug_m3: Column) -> Column:
    """Nitrogen dioxide, mean of the last hour."""
    return no2_1h_ug_m3


def in_error(sensor_error: Column) -> Mask:
    """Stations that tell an error of a sensor."""
    return sensor_error == 1


KIND = Kind(
    name="environment_station",
    label=Text("Environnement", "Environment"),
    types=(DeviceType("station", Text("Station", "Station"), "diamond", station_period_s),),
    fields=(
        Field("pm1_ug_m3", Text("Particules PM1", "Particles PM1"), "µg/m³", 0, 10_000),
        Field("pm25_ug_m3", Text("Particules PM2,5", "Particles PM2.5"), "µg/m³", 0, 10_000),
        Field("pm10_ug_m3", Text("Particules PM10", "Particles PM10"), "µg/m³", 0, 10_000),
        Field("pm10_24h_ug_m3", Text("PM10, moyenne de 24 h", "PM10, mean of 24 h"), "µg/m³", 0, 10_000),
        Field("no2_1h_ug_m3", Text("NO2, moyenne horaire", "NO2, hourly mean"), "µg/m³", 0, 10_000),
        Field("o3_1h_ug_m3", Text("Ozone, moyenne horaire", "Ozone, hourly mean"), "µg/m³", 0, 10_000),
        Field("co2_ppm", Text("CO2", "CO2"), "ppm", 0, 100_000),
        Field("noise_laeq_db", Text("Bruit LAeq", "Noise LAeq"), "dB(A)", 0, 160),
        Field("temp_c", Text("Température", "Temperature"), "°C", -60, 70),
        Field("rh_pct", Text("Humidité relative", "Relative humidity"), "%", 0, 100),
        Field("rain_15min_mm", Text("Pluie en 15 min", "Rain in 15 min"), "mm", 0, 300),
        Field("river_level_cm", Text("Hauteur de la rivière", "River level"), "cm", -1_000, 3_000),
        Field("wind_kmh", Text("Vent moyen", "Mean wind"), "km/h", 0, 400),
        Field("gust_kmh", Text("Rafales", "Gusts"), "km/h", 0, 450),
        Field("wind_deg", Text("Direction du vent", "Wind direction"), "°", 0, 360),
        Field("battery_v", Text("Tension de la batterie", "Battery voltage"), "V", 0, 60),
        flag("sensor_error", Text("Capteur en défaut", "Sensor error")),
    ),
    attributes=(
        Attribute("certified", Text("Station certifiée (1 oui)", "Certified station (1 yes)"), "", 0.0),
        Attribute("expected_period_s", Text("Période d'envoi", "Reporting period"), "s"),
        Attribute("noise_limit_db", Text("Limite de bruit", "Noise limit"), "dB(A)", 75.0),
        Attribute("river_watch_cm", Text("Cote de surveillance", "Watch level"), "cm"),
        Attribute("river_flood_cm", Text("Cote de crue", "Flood level"), "cm"),
        Attribute("snow_desk", Text("Viabilité hivernale (1 oui)", "Snow desk (1 yes)"), "", 0.0),
    ),
    events=(
        Event("rain_started", Text("Début de pluie", "Rain started")),
        Event("rain_ended", Text("Fin de pluie", "Rain ended")),
        Event("serviced", Text("Entretien", "Serviced")),
    ),
    rules=(
        pm10_alert,
        pm10_information,
        o3_alert,
        o3_information,
        no2_alert,
        no2_information,
        air_indication,
        fog_as_dust,
        co2_high,
        noise_high,
        heavy_rain,
        river_flood,
        river_high,
        strong_gusts,
        ice_risk,
        sensor_error,
        station_silent,
    ),
    indicators=(
        Indicator("sound", "station", Text("Stations saines", "Sound stations"), Formula.of(sound)),
        Indicator("error", "station", Text("Stations en erreur", "Stations in error"), Formula.of(in_error), "sum", ""),
        Indicator("pm10", "station", Text("PM10 sur 24 h", "PM10 over 24 h"), Formula.of(particles), "mean", "µg/m³"),
        Indicator("no2", "station", Text("NO2 sur 1 h", "NO2 over 1 h"), Formula.of(nitrogen_dioxide), "mean", "µg/m³"),
        Indicator("noise", "station", Text("Bruit moyen", "Mean noise"), Formula.of(noise), "mean", "dB(A)"),
    ),
    panels=(
        Panel(Text("Particules", "Particles"), "station", ("pm1_ug_m3", "pm25_ug_m3", "pm10_ug_m3", "pm10_24h_ug_m3")),
        Panel(Text("Gaz", "Gases"), "station", ("no2_1h_ug_m3", "o3_1h_ug_m3")),
        Panel(Text("Vent", "Wind"), "station", ("wind_kmh", "gust_kmh")),
    ),
    left_out={
        "PM10 alert after two days running over 50 µg/m³": "rollups by day",
        "sensor that stands still for 6 h, or jumps": "windows of earlier values",
        "drift against the neighbouring stations": "neighbours and rollups",
        "SO2 300 and 500 µg/m³": "a station that measures it; the same words as for NO2",
    },
    examples={
        "station": {
            "ts": "2026-11-23T09:10:00Z",
            "pm25_ug_m3": 11.2,
            "pm10_ug_m3": 18.5,
            "pm10_24h_ug_m3": 21.0,
            "no2_1h_ug_m3": 34.0,
            "o3_1h_ug_m3": 41.0,
            "noise_laeq_db": 58.3,
            "temp_c": 6.4,
            "rh_pct": 82.0,
            "rain_15min_mm": 0.0,
            "sensor_error": False,
        }
    },
)
