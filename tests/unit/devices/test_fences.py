"""Fences from GeoJSON, and what is wrong with a file."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from devices.fences import BadFence, FencePart, as_geojson, corridor, parse_fences, shapes

SQUARE = {"type": "Polygon", "coordinates": [[[5.0, 47.3], [5.1, 47.3], [5.1, 47.4], [5.0, 47.4], [5.0, 47.3]]]}
ROAD = {"type": "LineString", "coordinates": [[5.0, 47.32], [5.02, 47.32], [5.02, 47.33]]}
DEGREE_M = 75_600, 111_170
"""How long a degree of longitude and of latitude are at Dijon, to half a per cent."""


def feature(geometry=SQUARE, **properties):
    return {"type": "Feature", "properties": {"name": "depot", **properties}, "geometry": geometry}


def collection(*features, **more):
    return json.dumps({"type": "FeatureCollection", "features": features, **more})


def test_a_file_says_what_its_fences_are():
    parts, bad = parse_fences(collection(feature(use="winter service"), feature(ROAD, name="line_3", width_m=60)))
    assert bad == []
    assert parts == [FencePart("depot", "winter service", None, SQUARE), FencePart("line_3", "", 60, ROAD)]
    assert parse_fences(as_geojson(parts)) == (parts, [])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (feature(name="Depot"), "name is 'Depot'"),
        (feature(name="a__b"), "name is 'a__b'"),
        (feature(name=None), "name is None"),
        (feature(use=3), "use of depot"),
        (feature(None), "feature without geometry"),
        (feature({"type": "Point", "coordinates": [5, 47]}), "depot is a Point"),
        (feature(ROAD), "width_m, over 0 and at most 10000, is None"),
        (feature(ROAD, width_m=True), "width_m"),
        (feature(width_m=5), "is no line"),
        (feature({"type": "Polygon", "coordinates": [[[847_000, 6_690_000]] * 4]}), "longitude, latitude in degrees"),
        (feature({"type": "Polygon", "coordinates": [[[5, 47], [6, 48]]]}), "make no Polygon"),
        (feature({"type": "Polygon", "coordinates": [["x"]]}), "make no Polygon"),
        (feature({"type": "Polygon", "coordinates": []}), "covers nothing"),
        (feature({"type": "Polygon"}), "make no Polygon"),
        (
            feature({"type": "Polygon", "coordinates": [[[5, 47], [6, 48], [6, 47], [5, 48], [5, 47]]]}),
            "Self-intersection",
        ),
        ("no feature", "name is None"),
    ],
)
def test_what_is_wrong_with_a_feature_is_told_by_its_number(wrong, told):
    parts, bad = parse_fences(collection(feature(), wrong))
    assert len(parts) == 1 and len(bad) == 1
    assert bad[0].startswith("feature 2: ") and told in bad[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "FeatureCollection"),
        (collection(feature(), crs={"properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}), "WGS 84"),
    ],
)
def test_a_file_that_is_no_geojson_of_degrees_is_refused(text, told):
    with pytest.raises(BadFence, match=told):
        parse_fences(text)


def test_features_of_one_name_are_one_fence():
    far = {"type": "MultiPolygon", "coordinates": [[[[6, 47], [6.1, 47], [6.1, 47.1], [6, 47]]]]}
    found = shapes(parse_fences(collection(feature(), feature(far), feature(ROAD, name="route", width_m=20)))[0])
    assert set(found) == {"depot", "route"}
    inside = shapely.contains_xy(found["depot"], [5.05, 6.08, 5.5], [47.35, 47.02, 47.35])
    assert inside.tolist() == [True, True, False] and shapely.is_prepared(found["depot"])


@given(st.floats(-200, 1700), st.floats(-200, 200), st.floats(5, 150))
def test_a_corridor_is_so_many_metres_wide_on_the_ground(along_m, beside_m, half_m):
    line = shapely.from_geojson(json.dumps({"type": "LineString", "coordinates": [[5.0, 47.3], [5.02, 47.3]]}))
    length_m = 0.02 * DEGREE_M[0]
    distance_m = np.hypot(beside_m, max(-along_m, along_m - length_m, 0))
    if abs(distance_m - half_m) > 0.02 * half_m + 10:  # round ends are polygons, degrees here are to half a per cent
        lon, lat = 5.0 + along_m / DEGREE_M[0], 47.3 + beside_m / DEGREE_M[1]
        assert shapely.contains_xy(corridor(line, 2 * half_m), lon, lat) == (distance_m < half_m)


def test_a_corridor_at_the_polar_circle_is_as_wide():
    line = shapely.linestrings([[20.0, 66.5], [20.1, 66.5]])
    _, south, _, north = corridor(line, 100).bounds
    assert (north - south) * 111_560 == pytest.approx(100, rel=2e-3)
    west = corridor(line, 100).bounds[0]
    assert (20.0 - west) * 111_560 * np.cos(np.radians(66.5)) == pytest.approx(50, rel=5e-3)
