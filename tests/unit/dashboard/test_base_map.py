"""Outlines that a city has, and base maps that it names."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dashboard.base_map import load_base_map, real_outlines
from hub.errors import BadSetting
from hub.settings import Settings, map_origin

COMMUNES = [
    {"name": "Fontaine-lès-Dijon", "slug": "fontaine-les-dijon", "insee": 21278},
    {"name": "Talant", "slug": "talant"},
]
SQUARE = {"type": "Polygon", "coordinates": [[[5.0, 47.3], [5.1, 47.3], [5.1, 47.4], [5.0, 47.3]]]}
TILES = "https://tiles.example/{z}/{x}/{y}.png"


def collection(*properties: dict[str, Any], geometry: object = SQUARE) -> dict[str, Any]:
    features = [{"type": "Feature", "properties": p, "geometry": geometry} for p in properties]
    return {"type": "FeatureCollection", "features": features}


@pytest.mark.parametrize(
    "properties",
    [
        {"slug": "fontaine-les-dijon"},
        {"nom": "FONTAINE LES DIJON"},
        {"NOM_COM": "Fontaine-lès-Dijon", "INSEE_COM": "00000"},
        {"name": "somewhere", "ref:INSEE": "21278"},
        {"code": "21278", "nom": None},
    ],
)
def test_a_commune_is_known_by_slug_name_or_insee_code(properties: dict[str, Any]) -> None:
    (found,) = real_outlines(collection(properties, {"nom": "Beaune"}), COMMUNES)
    assert found["properties"] == {"name": "Fontaine-lès-Dijon", "slug": "fontaine-les-dijon"}
    assert found["geometry"] == SQUARE


@pytest.mark.parametrize(
    ("geojson", "told"),
    [
        ([], "is no GeoJSON with features"),
        ({"type": "Feature"}, "is no GeoJSON with features"),
        (collection({"nom": "Beaune"}, {}), "has none of the city's communes"),
        ({"features": [None, 3]}, "has none of the city's communes"),
        (collection({"nom": "Talant"}, geometry={"type": "Point", "coordinates": [5, 47]}), "no polygon for Talant"),
        (collection({"nom": "Talant"}, geometry=None), "no polygon for Talant"),
        (collection({"nom": "Talant"}, geometry={"type": "Polygon", "coordinates": [[["a", 1]]]}), "cannot be read"),
        (collection({"nom": "Talant"}, geometry={"type": "Polygon", "coordinates": [[]]}), "cannot be read"),
        (collection({"nom": "Talant"}, geometry={"type": "Polygon"}), "cannot be read"),
        (
            collection({"nom": "Talant"}, geometry={"type": "Polygon", "coordinates": [[[854000.0, 6690000.0]]]}),
            "convert it to WGS 84",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_words(geojson: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        real_outlines(geojson, COMMUNES)


def test_without_settings_the_map_is_the_citys_own() -> None:
    own = load_base_map(Settings())
    assert own.communes == (Path("simulators/cities/dijon/communes.geojson")).read_bytes()
    assert not own.are_outlines_real and own.origins == ()


def test_real_outlines_take_the_place_of_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "communes.geojson"
    path.write_text(json.dumps(collection({"nom": "Chenôve", "code": "21166"})))
    real = load_base_map(Settings(outlines=path))
    assert real.are_outlines_real
    assert [f["properties"]["slug"] for f in json.loads(real.communes)["features"]] == ["chenove"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "is no GeoJSON"), (b"\xff\xfe", "is no GeoJSON"), (None, "cannot be read: No such file")],
)
def test_a_file_of_outlines_that_is_none_ends_in_a_sentence(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "outlines.geojson"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSetting, match=rf"BEFFROI_OUTLINES: \S*outlines\.geojson {told}"):
        load_base_map(Settings(outlines=path))


def test_only_the_host_of_a_base_map_is_opened() -> None:
    map_ = load_base_map(
        Settings(map_style="https://maps.example/day.json?key=1", map_style_night=TILES, map_attribution="© them")
    )
    assert map_.origins == ("https://maps.example", "https://tiles.example")
    assert map_origin("http://[::1]:8000/{z}/{x}/{y}.png") == "http://[::1]:8000"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("tiles.example/{z}/{x}/{y}.png", "must look like"),
        ("ftp://tiles.example/style.json", "must look like"),
        ("https://user:secret@tiles.example/style.json", "must look like"),
        ("https://{s}.tiles.example/{z}/{x}/{y}.png", "must look like"),
        ("https://*.example/style.json", "must look like"),
        ("https://a.example;script-src 'unsafe-inline'/style.json", "must look like"),
        ("https://tiles.example/{z}/{y}.png", "no template of tiles"),
    ],
)
def test_an_address_that_is_no_base_map_is_refused(url: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(map_style=url)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"map_style": TILES}, "need BEFFROI_MAP_ATTRIBUTION"),
        ({"map_style_night": "https://tiles.example/night.json"}, "needs BEFFROI_MAP_STYLE"),
    ],
)
def test_settings_that_need_another_say_so(settings: dict[str, str], told: str) -> None:
    with pytest.raises(BadSetting, match=told):
        load_base_map(Settings.model_validate(settings))
