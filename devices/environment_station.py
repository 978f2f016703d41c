"""Environment stations: air, noise, rain, river, wind, temperature; a station has the sensors that it has. Pure.

Thresholds of the air are those of France's décret 2010-1250 as Atmo Nouvelle-Aquitaine publishes them. Only a certified
station may say so; what a low-cost sensor measures is an indication.
"""

import numpy as np

from devices.environment_station_air import AIR_COLUMNS, AIR_RULES
from devices.environment_station_rules import STATION_RULES
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


def station_period_s(temp_c: Column, expected_period_s: Column) -> Column:
    """5 min unless the registry says otherwise (stations report every 1 to 15 min)."""
    return np.where(np.isnan(expected_period_s), 300.0, expected_period_s)


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
        Field("no2_ug_m3", Text("NO2", "NO2"), "µg/m³", 0, 10_000),
        Field("o3_1h_ug_m3", Text("Ozone, moyenne horaire", "Ozone, hourly mean"), "µg/m³", 0, 10_000),
        Field("o3_ug_m3", Text("Ozone", "Ozone"), "µg/m³", 0, 10_000),
        Field("so2_1h_ug_m3", Text("SO2, moyenne horaire", "SO2, hourly mean"), "µg/m³", 0, 10_000),
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
    derived=tuple(Formula.of(column) for column in AIR_COLUMNS),
    rules=(*AIR_RULES, *STATION_RULES),
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
        "drift of a certified station": "its laboratory looks after it; it is what the others are held against",
        "a river level or rain that stands still": "healthy: low water does, and so does dry weather",
        "a sensor's drift before it has 3 neighbours within 5 km": "there is nothing to hold it against",
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
