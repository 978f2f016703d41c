"""What a city watches of some kinds over time, beside their fields and faults. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.grafana.panels import GREEN, ORANGE, RED
from devices.kind import Text


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure that a city watches of a kind, over time, as a query of the history.

    A kind's declared indicators are functions of live columns, which SQL cannot ask; once they are kept over time,
    they take the place of these.
    """

    query: str
    title: Text
    help: Text
    unit: str = "short"
    high: float | None = None
    steps: tuple[tuple[float | None, str], ...] = ()
    on_overview: bool = False


TRENDS: Mapping[str, tuple[Trend, ...]] = {
    "street_lighting": (
        Trend(
            "trend_street_lighting_lit",
            Text("Part de lampes allumées", "Share of lamps lit"),
            Text(
                "Des lampes qui doivent éclairer, la part qui consomme. Une nuit normale est à 97 %.",
                "Of the lamps told to shine, the share that draws power. A normal night is at 97 %.",
            ),
            "percent",
            100.0,
            ((None, RED), (90.0, ORANGE), (96.0, GREEN)),
            on_overview=True,
        ),
        Trend(
            "trend_street_lighting_power",
            Text("Puissance appelée", "Power drawn"),
            Text("Somme des moyennes de chaque lampe.", "Sum of the means of each lamp."),
            "kwatt",
        ),
    ),
    "water_meter": (
        Trend(
            "trend_water_meter_read",
            Text("Compteurs relevés par jour", "Meters read per day"),
            Text("Part des compteurs du registre relevés ce jour-là.", "Share of the registry's meters read that day."),
            "percent",
            100.0,
            ((None, RED), (80.0, ORANGE), (95.0, GREEN)),
            on_overview=True,
        ),
    ),
    "fleet_vehicle": (
        Trend(
            "trend_fleet_vehicle_on_duty",
            Text("Véhicules en service", "Vehicles on duty"),
            Text("Entendus par tranche de 5 minutes.", "Heard in each 5 minutes."),
        ),
    ),
}
