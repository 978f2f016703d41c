"""Territories: every point of the metropolis belongs to one commune; bending keeps points apart."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.plane import Plane, Points, Warp, area_m2, half_plane, hull, power_cells

CENTRES = np.array([[0.0, 0.0], [4000.0, 500.0], [-2500.0, 3000.0], [800.0, -4200.0], [5200.0, 3900.0]])
RADIUS = np.array([3000.0, 900.0, 900.0, 400.0, 250.0])


def is_inside(polygon: Points, point: Points) -> bool:
    """Counter-clockwise convex polygon."""
    a, b = polygon, np.roll(polygon, -1, 0)
    cross = (b[:, 0] - a[:, 0]) * (point[1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (point[0] - a[:, 0])
    return bool((cross >= 0).all())


@settings(deadline=None)
@given(st.floats(-8000, 8000), st.floats(-8000, 8000))
def test_a_point_lies_in_the_cell_of_the_nearest_circle_and_in_no_other(x: float, y: float) -> None:
    point = np.array([x, y])
    outline = hull(CENTRES, RADIUS + 1500)
    power = ((point - CENTRES) ** 2).sum(1) - RADIUS**2
    nearest, second = np.argsort(power)[:2]
    if power[second] - power[nearest] < 1 or not is_inside(outline, point):
        return  # on a border, or outside
    owners = [i for i, cell in enumerate(power_cells(CENTRES, RADIUS, outline)) if is_inside(cell, point)]
    assert owners == [nearest]


def test_cells_fill_the_outline() -> None:
    outline = hull(CENTRES, RADIUS + 1500)
    cells = power_cells(CENTRES, RADIUS, outline)
    assert np.isclose(sum(map(area_m2, cells)), area_m2(outline))
    assert min(map(area_m2, cells)) > 0


def test_half_plane_can_leave_all_or_nothing() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert np.array_equal(half_plane(square, np.array([1.0, 0.0]), 2.0), square)
    assert half_plane(square, np.array([1.0, 0.0]), -1.0).shape == (0, 2)
    assert area_m2(half_plane(square, np.array([1.0, 0.0]), 0.25)) == 0.25


def test_degrees_come_back_from_metres() -> None:
    plane = Plane(47.322, 5.0415)
    lat, lon = np.array([47.3, 47.4]), np.array([4.9, 5.2])
    assert np.allclose(plane.to_degrees(plane.to_metres(lat, lon)), (lat, lon))


@settings(deadline=None)
@given(st.integers(0, 50))
def test_bending_never_folds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    warp = Warp.of(rng)
    here = rng.uniform(-10_000, 10_000, (200, 2))
    there = here + rng.uniform(-100, 100, (200, 2))
    apart = np.linalg.norm(there - here, axis=1)
    bent = np.linalg.norm(warp.bend(there) - warp.bend(here), axis=1)
    assert (bent >= 0.29 * apart).all()
