"""The offline base map of a generated city: communes and streets as GeoJSON in the city's folder.

Draw it again after a change to the city: `python -m simulators.basemap simulators/cities/dijon`.
"""

import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from simulators.city import City, make_city
from simulators.plane import Points

BEND_M = 250.0
"""Borders get a point every so often, so that they bend as the streets do."""


def communes_geojson(city: City) -> dict[str, object]:
    """The communes' territories as polygons; properties: name, slug, population, and lat, lon for a label."""
    plane = city.network.plane
    centres = plane.to_metres(np.array([c.lat for c in city.communes]), np.array([c.lon for c in city.communes]))
    labels = np.column_stack(plane.to_degrees(city.network.warp.bend(centres))).round(4).tolist()
    features = []
    for commune, cell, (lat, lon) in zip(city.communes, city.network.cells, labels, strict=True):
        ring = city.network.warp.bend(_densified(np.vstack([cell, cell[:1]])))
        properties = {
            "name": commune.name,
            "slug": commune.slug,
            "population": commune.population,
            "lat": lat,
            "lon": lon,
        }
        features.append(_feature("Polygon", [_coordinates(city, ring, 4)], properties))
    return {"type": "FeatureCollection", "features": features}


def streets_geojson(city: City) -> dict[str, object]:
    """Every street as a line; properties: name, and rank from 0 (main road) to 3 (lane)."""
    features = []
    for street, name in zip(city.network.streets, city.street_names, strict=True):
        line = _straightened(city.network.node[list(street.nodes)])
        features.append(_feature("LineString", _coordinates(city, line, 5), {"name": name, "rank": street.rank}))
    return {"type": "FeatureCollection", "features": features}


def write_basemap(city: City, folder: Path) -> None:
    """Write communes.geojson and streets.geojson into a folder."""
    for name, geojson in (("communes", communes_geojson(city)), ("streets", streets_geojson(city))):
        lines = msgspec.json.encode(geojson).replace(b'{"type":"Feature",', b'\n{"type":"Feature",')
        (folder / f"{name}.geojson").write_bytes(lines + b"\n")


def _feature(shape: str, coordinates: object, properties: dict[str, object]) -> dict[str, object]:
    return {"type": "Feature", "geometry": {"type": shape, "coordinates": coordinates}, "properties": properties}


def _coordinates(city: City, points: Points, digits: int) -> list[list[float]]:
    lat, lon = city.network.plane.to_degrees(points)
    return [[round(x, digits), round(y, digits)] for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]


def _densified(ring: Points) -> Points:
    parts = [
        a + (b - a) * np.linspace(0, 1, max(2, int(np.linalg.norm(b - a) // BEND_M) + 1))[:-1, None]
        for a, b in pairwise(ring)
    ]
    return np.vstack([*parts, ring[-1:]])


def _straightened(line: Points, tolerance_m: float = 1.0) -> Points:
    """Without the points that lie within a metre of the straight line (Douglas and Peucker)."""
    if len(line) < 3:
        return line
    along = line[-1] - line[0]
    arrow = line - line[0]
    length = float(np.linalg.norm(along))
    off = (
        np.abs(arrow[:, 0] * along[1] - arrow[:, 1] * along[0]) / length
        if length > 0
        else np.linalg.norm(arrow, axis=1)
    )
    worst = int(off.argmax())
    if off[worst] < tolerance_m:
        return line[[0, -1]]
    return np.vstack([_straightened(line[: worst + 1]), _straightened(line[worst:])[1:]])


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_basemap(make_city(target), target)
