"""The map under the devices: the city's own, or real outlines and a real base map that the settings name.

Read once at start, when a wrong file or address ends the command with a sentence.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hub.errors import BadSetting
from hub.settings import Settings, map_origin

NAMES = ("slug", "name", "nom", "nom_com", "nom_officiel")
"""Properties that name a commune in the files of IGN, of the state's geographic services and of OpenStreetMap."""
CODES = ("insee", "insee_com", "code_insee", "com_insee", "ref:INSEE", "code")
SHAPES = ("Polygon", "MultiPolygon")

Feature = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BaseMap:
    """What is drawn under the devices, and what the page must allow for it."""

    communes: bytes
    """GeoJSON; each feature has a name and, where the hub knows the commune, a slug."""
    are_outlines_real: bool
    style: str | None = None
    """Address of a MapLibre style, or template of raster tiles; the city's own streets when absent."""
    style_night: str | None = None
    attribution: str | None = None

    @property
    def origins(self) -> tuple[str, ...]:
        """Scheme, host and port of every address that a browser must be allowed to ask; each once."""
        return tuple(dict.fromkeys(map_origin(url) for url in (self.style, self.style_night) if url))


def load_base_map(settings: Settings) -> BaseMap:
    """The map that the settings ask for; BadSetting when a file or an address cannot be used."""
    styles = (settings.map_style, settings.map_style_night)
    if settings.map_style_night and not settings.map_style:
        raise BadSetting("BEFFROI_MAP_STYLE_NIGHT needs BEFFROI_MAP_STYLE, the map of the day")
    if not settings.map_attribution and any("{z}" in style for style in styles if style):
        raise BadSetting("the tiles need BEFFROI_MAP_ATTRIBUTION: the words that their owner wants to read on the map")
    outlines = _outlines(settings.outlines, settings.city) if settings.outlines else None
    return BaseMap(
        outlines or _own_communes(settings.city),
        outlines is not None,
        *styles,
        settings.map_attribution,
    )


def real_outlines(geojson: object, communes: Iterable[Mapping[str, Any]]) -> list[Feature]:
    """The features of a city's communes, found by slug, name or INSEE code. Pure; ValueError says what is wrong."""
    features = geojson.get("features") if isinstance(geojson, dict) else None
    if not isinstance(features, list):
        raise ValueError("is no GeoJSON with features")
    known = {key: commune for commune in communes for key in _keys_of_commune(commune)}
    found = []
    for feature in features:
        properties = feature.get("properties") if isinstance(feature, dict) else None
        keys = _keys_of_feature(properties) if isinstance(properties, dict) else ()
        commune = next((known[key] for key in keys if key in known), None)
        if commune is not None:
            found.append(_outline(feature, commune))
    if not found:
        raise ValueError(
            f"has none of the city's communes; a feature has its commune's name in one of {', '.join(NAMES)}, "
            f"or its INSEE code in one of {', '.join(CODES)}"
        )
    return found


def _outline(feature: Feature, commune: Mapping[str, Any]) -> Feature:
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in SHAPES:
        raise ValueError(f"has no polygon for {commune['name']}")
    try:
        are_degrees = all(abs(lon) <= 180 and abs(lat) <= 90 for lon, lat in _places(geometry["coordinates"]))
    except (TypeError, ValueError, LookupError) as error:
        raise ValueError(f"has coordinates of {commune['name']} that cannot be read") from error
    if not are_degrees:
        raise ValueError("has coordinates that are no longitudes and latitudes; convert it to WGS 84 (EPSG:4326)")
    properties = {"name": commune["name"], "slug": commune["slug"]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _places(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], list):
        for part in coordinates:
            yield from _places(part)
    else:
        yield float(coordinates[0]), float(coordinates[1])


def _keys_of_commune(commune: Mapping[str, Any]) -> Iterator[str]:
    yield _slug(str(commune["slug"]))
    yield _slug(str(commune["name"]))
    if commune.get("insee"):
        yield str(commune["insee"])


def _keys_of_feature(properties: Mapping[str, Any]) -> Iterator[str]:
    lowered = {name.lower(): value for name, value in properties.items() if value}
    yield from (_slug(str(lowered[name])) for name in NAMES if name in lowered)
    yield from (str(lowered[name.lower()]) for name in CODES if name.lower() in lowered)


def _slug(name: str) -> str:
    """A name without accents, capitals and signs, as on the wire."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _outlines(path: Path, city: Path) -> bytes:
    try:
        communes = yaml.safe_load((city / "communes.yaml").read_text(encoding="utf-8"))
        features = real_outlines(json.loads(path.read_text(encoding="utf-8")), communes)
    except OSError as error:
        raise BadSetting(f"BEFFROI_OUTLINES: {error.filename} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no JSON and no UTF-8 are ValueErrors too
        raise BadSetting(f"BEFFROI_OUTLINES: {path} {_told(error)}") from error
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _told(error: Exception) -> str:
    is_ours = type(error) is ValueError
    return str(error) if is_ours else f"is no GeoJSON: {error}"


def _own_communes(city: Path) -> bytes:
    path = city / "communes.geojson"
    return path.read_bytes() if path.is_file() else b'{"type":"FeatureCollection","features":[]}'
