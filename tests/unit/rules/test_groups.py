"""Columns over other devices."""

import math

import numpy as np
import pytest

from devices.columns import Group
from rules.groups import Members, members

NAN = math.nan
PARENT = np.array([-1, 0, 0, 0, 1, 1, -1])
"""0 is a cabinet, 1 to 3 its feeders, 4 and 5 lamps of 1; 6 hangs from nothing."""
COMMUNE = np.array([0, 0, 0, 1, 0, 0, 1])
LAT = np.array([47.0, 47.0, 47.0, 47.0009, 47.0, 47.01, NAN])
LON = np.array([5.0, 5.0, 5.001, 5.0, 5.0, 5.0, 5.0])
EVERYBODY = np.arange(7)


def of(group, commissioned=EVERYBODY):
    return members(Group(group, "x", ""), commissioned=commissioned, parent=PARENT, commune=COMMUNE, lat=LAT, lon=LON)


def belonging(group, owners, commissioned=EVERYBODY):
    """The members of each owner, None for one that has no list."""
    found, place = of(group, commissioned).of(np.array(owners))
    lists = [
        sorted(found.rows[first:last].tolist()) for first, last in zip(found.start[:-1], found.start[1:], strict=True)
    ]
    return [lists[number] if number >= 0 else None for number in place.tolist()]


def test_children():
    assert belonging("children", [0, 1, 2]) == [[1, 2, 3], [4, 5], []]
    assert belonging("children", [1, 0, 1], np.array([2, 5])) == [[5], [2], [5]]


def test_siblings_are_those_of_the_same_parent_and_the_device_itself():
    assert belonging("siblings", [1, 3, 4, 0, 6]) == [[1, 2, 3], [1, 2, 3], [4, 5], None, None]


def test_the_commune():
    assert belonging("commune", [3, 0], np.array([0, 3, 5, 6])) == [[3, 6], [0, 5]]


def test_near_are_those_within_the_radius_and_not_the_device_itself():
    """0.001 degrees of longitude are 76 m at 47 degrees north, 0.0009 of latitude 100 m."""
    assert belonging("near_90m", [0, 2, 3, 6]) == [[1, 2, 4], [0, 1, 4], [], None]
    assert belonging("near_110m", [3]) == [[0, 1, 4]]
    assert belonging("near_2000m", [5], np.array([0, 5, 6])) == [[0]]


def test_who_is_near_is_right_at_any_distance():
    """Against the great circle, over a city of 20 km."""
    chance = np.random.default_rng(5)
    lat, lon = 47.3 + chance.uniform(-0.09, 0.09, 150), 5.0 + chance.uniform(-0.13, 0.13, 150)
    found = Members.within(np.arange(150), lat, lon, 3000)
    north, east = np.radians(lat), np.radians(lon)
    cosine = np.sin(north[:, None]) * np.sin(north) + np.cos(north[:, None]) * np.cos(north) * np.cos(
        east[:, None] - east
    )
    metres = 6_371_008.8 * np.arccos(np.clip(cosine, -1, 1))
    for row in range(150):
        near = set(found.rows[found.start[row] : found.start[row + 1]].tolist())
        assert set(np.flatnonzero(metres[row] < 2985).tolist()) - {row} <= near
        assert near <= set(np.flatnonzero(metres[row] < 3015).tolist()) - {row}


@pytest.mark.parametrize(
    ("how", "figures"),
    [
        ("share", [2 / 3, 0, NAN, NAN]),
        ("count", [2, 0, NAN, NAN]),
        ("known", [3, 1, 0, 0]),
        ("sum", [4, 0, NAN, NAN]),
        ("mean", [4 / 3, 0, NAN, NAN]),
        ("median", [1, 0, NAN, NAN]),
        ("min", [0, 0, NAN, NAN]),
        ("max", [3, 0, NAN, NAN]),
    ],
)
def test_figures_are_of_what_is_known(how, figures):
    """Three known and one unknown; one known; one unknown; nobody."""
    found = Members(np.arange(6), np.array([0, 4, 5, 6, 6]), np.arange(4))
    values = np.array([3, NAN, 0, 1, 0, NAN])
    np.testing.assert_array_equal(found.over(how, values), figures)


def test_the_median_of_an_even_number_is_between_two():
    assert Members(np.arange(4), np.array([0, 4]), np.arange(1)).over("median", np.array([9.0, 1, 4, 2])) == [3]


@pytest.mark.parametrize("group", ["children", "siblings", "commune", "near_500m"])
def test_nobody_at_all_is_no_trouble(group):
    none, nowhere = np.zeros(0, np.intp), np.zeros(0)
    found = members(Group(group, "x", ""), commissioned=none, parent=none, commune=none, lat=nowhere, lon=nowhere)
    some, place = found.of(none)
    assert len(place) == 0 and len(some.over("median", nowhere)) == 0
    assert belonging(group, [0], none) in ([[]], [None])
