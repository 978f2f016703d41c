"""Geofences: parts of a city under names that rules read as `in__NAME`; from GeoJSON, and as shapes. Pure.

A fence is what all features of its name cover together: polygons, and lines with a width, which are the corridors of
routes. Coordinates are longitude and latitude in degrees (WGS 84).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")
AREAS, LINES = ("Polygon", "MultiPolygon"), ("LineString", "MultiLineString")
WGS_84 = ("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326")
WIDEST_M = 10_000
MOST_POINTS = 100_000
"""In one feature."""
LONGEST_USE = 80


class BadFence(ValueError):
    """A feature that is no part of a fence; the message says why."""


class FencePart(NamedTuple):
    """One feature of a fence. `use` is what it is for, in the city's own words ("" when it does not say)."""

    name: str
    use: str
    width_m: float | None
    """How wide a corridor is, of lines only: half of it to each side."""
    geometry: Mapping[str, Any]
    """GeoJSON."""


def parse_fences(text: str | bytes) -> tuple[list[FencePart], list[str]]:
    """The features of a GeoJSON file, and what is wrong with those that are no fence, by their number from 1 on.

    BadFence when it is no such file.
    """
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadFence(f"it is not JSON: {error}") from error
    features = told.get("features") if isinstance(told, dict) else None
    if not isinstance(features, list) or told.get("type") != "FeatureCollection":
        raise BadFence("it is no GeoJSON FeatureCollection")
    crs = _member(told, "crs", "properties", "name")
    if crs is not None and crs not in WGS_84:
        raise BadFence(f"its coordinates are {crs}: export it as WGS 84 (EPSG:4326), in degrees")
    good, bad = [], []
    for number, feature in enumerate(features, 1):
        try:
            good.append(_part(feature))
        except BadFence as error:
            bad.append(f"feature {number}: {error}")
    return good, bad


def _part(feature: object) -> FencePart:
    name, use, width = (_member(feature, "properties", word) for word in ("name", "use", "width_m"))
    if not isinstance(name, str) or not NAME.fullmatch(name) or "__" in name or name.endswith("_"):
        raise BadFence(
            f"the property name is {name!r}: it must begin with a letter, then up to 40 of a-z, 0-9 and single _ inside"
        )
    if use is not None and (not isinstance(use, str) or len(use) > LONGEST_USE):
        raise BadFence(f"the property use of {name} is no text of at most {LONGEST_USE} letters")
    geometry = _member(feature, "geometry")
    type_ = _member(geometry, "type")
    if type_ in LINES:
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= WIDEST_M:
            raise BadFence(f"{name} is a line: its property width_m, over 0 and at most {WIDEST_M}, is {width!r}")
    elif type_ not in AREAS:
        raise BadFence(
            f"{name} is a {type_ or 'feature without geometry'}: a fence is a polygon, or a line with width_m"
        )
    elif width is not None:
        raise BadFence(f"{name} has a width_m but is no line")
    part = FencePart(name, use or "", float(width) if width else None, geometry)
    _check(part)
    return part


def _check(part: FencePart) -> None:
    """Its coordinates are degrees, and make a shape."""
    try:
        points = sum(1 for point in _points(part.geometry.get("coordinates")) if _is_place(part.name, point))
        if points > MOST_POINTS:
            raise BadFence(f"{part.name} has {points} points: at most {MOST_POINTS}, simplify it")
        shape = _shape(part)
    except (ValueError, TypeError, IndexError, shapely.errors.ShapelyError) as error:
        if isinstance(error, BadFence):
            raise
        raise BadFence(f"the coordinates of {part.name} make no {part.geometry['type']}: {error}") from error
    if shape.is_empty:
        raise BadFence(f"{part.name} covers nothing")
    if not shape.is_valid:
        raise BadFence(f"{part.name} is no proper shape: {shapely.is_valid_reason(shape)}")


def _points(coordinates: object) -> Iterator[Sequence[object]]:
    if not isinstance(coordinates, list):
        raise TypeError("a list of coordinates is missing")
    if coordinates and not isinstance(coordinates[0], list):
        yield coordinates
        return
    for inner in coordinates:
        yield from _points(inner)


def _is_place(name: str, point: Sequence[object]) -> bool:
    lon, lat = point[:2]
    if not isinstance(lon, int | float) or not isinstance(lat, int | float):
        raise TypeError(f"{point!r} is no point")
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise BadFence(f"{name} has a point {lon:g}, {lat:g}: a point is longitude, latitude in degrees")
    return True


def _member(told: object, *path: str) -> Any:
    """What is under names within names, None where there is nothing."""
    for name in path:
        told = told.get(name) if isinstance(told, Mapping) else None
    return told


def shapes(parts: Iterable[FencePart]) -> dict[str, shapely.Geometry]:
    """The fences by name, as prepared shapes in degrees (lon, lat)."""
    by_name: dict[str, list[shapely.Geometry]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(_shape(part))
    found = {name: shapely.union_all(shapes) for name, shapes in by_name.items()}
    shapely.prepare(list(found.values()))
    return found


def _shape(part: FencePart) -> shapely.Geometry:
    shape = shapely.from_geojson(msgspec.json.encode(part.geometry))
    return shape if part.width_m is None else corridor(shape, part.width_m)


def corridor(line: shapely.Geometry, width_m: float) -> shapely.Geometry:
    """What lies within half the width of a line in degrees (lon, lat); its ends are round.

    Measured in metres of the ellipsoid at the line's middle latitude: over 50 km from south to north, off by 1 %.
    """
    _, south, _, north = shapely.bounds(line)
    degree_m = _degree_m(np.radians((south + north) / 2))
    in_metres = shapely.transform(line, lambda points: points * degree_m)
    return shapely.transform(shapely.buffer(in_metres, width_m / 2), lambda points: points / degree_m)


def _degree_m(lat: float) -> NDArray[np.float64]:
    """How long a degree of longitude and one of latitude are at a latitude (radians), on WGS 84; to a metre."""
    east = 111_412.84 * np.cos(lat) - 93.5 * np.cos(3 * lat) + 0.118 * np.cos(5 * lat)
    north = 111_132.92 - 559.82 * np.cos(2 * lat) + 1.175 * np.cos(4 * lat)
    return np.array([east, north])


def as_geojson(parts: Iterable[FencePart]) -> bytes:
    """A FeatureCollection that `parse_fences` reads."""
    features = [
        _feature(
            part.geometry,
            name=part.name,
            **({"use": part.use} if part.use else {}),
            **({"width_m": part.width_m} if part.width_m else {}),
        )
        for part in parts
    ]
    return msgspec.json.format(msgspec.json.encode(_collection(features)), indent=1)


def as_shapes(parts: Iterable[FencePart]) -> bytes:
    """A FeatureCollection of what each fence covers, to be drawn."""
    drawn = {name: msgspec.Raw(shapely.to_geojson(shape).encode()) for name, shape in shapes(parts).items()}
    return msgspec.json.encode(_collection([_feature(shape, name=name) for name, shape in drawn.items()]))


def _feature(geometry: object, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _collection(features: Sequence[object]) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": features}
