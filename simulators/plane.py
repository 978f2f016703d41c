"""Plane geometry of a city: metres around a point, and convex polygons cut by lines. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Shape (n, 2): metres east and north."""
METRES_PER_DEGREE = 111_195.0
"""Along a meridian, on a sphere of 6,371 km: good to 0.3 %, which a simulated city can bear."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Metres east and north of a point, for an area small enough to be flat."""

    lat: float
    lon: float

    def to_metres(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> Points:
        """Degrees to metres, shape (n, 2)."""
        return np.column_stack(
            [(lon - self.lon) * METRES_PER_DEGREE * self._shrink, (lat - self.lat) * METRES_PER_DEGREE]
        )

    def to_degrees(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Metres to (latitudes, longitudes), shape (n,) each."""
        return (
            self.lat + points[:, 1] / METRES_PER_DEGREE,
            self.lon + points[:, 0] / (METRES_PER_DEGREE * self._shrink),
        )

    @property
    def _shrink(self) -> float:
        return float(np.cos(np.radians(self.lat)))


def half_plane(polygon: Points, normal: Points, limit: float) -> Points:
    """The part of a convex polygon where `point @ normal <= limit`; shape (0, 2) when nothing is left."""
    if not len(polygon):
        return polygon
    over = polygon @ normal - limit
    kept: list[Points] = []
    for a, b, over_a, over_b in zip(polygon, np.roll(polygon, -1, 0), over, np.roll(over, -1), strict=True):
        if over_a <= 0:
            kept.append(a)
        if (over_a < 0 < over_b) or (over_b < 0 < over_a):
            kept.append(a + (b - a) * (over_a / (over_a - over_b)))
    return np.array(kept).reshape(-1, 2)


def hull(centres: Points, reach: NDArray[np.float64], sides: int = 48) -> Points:
    """A convex polygon around circles of radius `reach`, shape (n,), metres."""
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    size = float(np.abs(centres).max() + reach.max()) * 2
    polygon = np.array([[-size, -size], [size, -size], [size, size], [-size, size]])
    for normal in np.column_stack([np.cos(angles), np.sin(angles)]):
        polygon = half_plane(polygon, normal, float((centres @ normal + reach).max()))
    return polygon


def power_cells(centres: Points, radius: NDArray[np.float64], outline: Points) -> list[Points]:
    """Voronoi cells of circles (a power diagram) inside a convex outline: one convex polygon per centre.

    A point belongs to the centre with the least `distance² - radius²`, so that the border of two built-up areas
    that touch runs between them, and a large city's cell is larger than a village's.
    """
    cells = []
    weight = (centres**2).sum(1) - radius**2
    for own, centre in enumerate(centres):
        cell = outline
        for other, neighbour in enumerate(centres):
            if other != own:
                cell = half_plane(cell, 2 * (neighbour - centre), float(weight[other] - weight[own]))
        cells.append(cell)
    return cells


def area_m2(polygon: Points) -> float:
    """Area of a polygon given counter-clockwise (negative when clockwise)."""
    x, y = polygon.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


@dataclass(frozen=True, slots=True)
class Warp:
    """A smooth bending of the plane, so that what was drawn with a ruler looks grown.

    A sum of waves whose slopes add up to less than 1, so that no two points fall on each other.
    """

    wave: Points
    """Wave vectors in radians per metre, shape (k, 2)."""
    phase: NDArray[np.float64]
    shift_m: Points
    """Displacement at the crest, shape (k, 2)."""

    @classmethod
    def of(cls, rng: np.random.Generator, lengths_m: tuple[float, ...] = (5200, 3700, 1900, 1300, 700)) -> "Warp":
        """Waves of the given lengths, in random directions; steepness in all under 0.7."""
        heading = rng.uniform(0, 2 * np.pi, len(lengths_m))
        push = rng.uniform(0, 2 * np.pi, len(lengths_m))
        length = np.array(lengths_m)
        wave = np.column_stack([np.cos(heading), np.sin(heading)]) * (2 * np.pi / length)[:, None]
        crest = 0.7 / len(lengths_m) * length / (2 * np.pi)
        return cls(
            wave, rng.uniform(0, 2 * np.pi, len(length)), np.column_stack([np.cos(push), np.sin(push)]) * crest[:, None]
        )

    def bend(self, points: Points) -> Points:
        """Displaced points, same shape."""
        return points + np.sin(points @ self.wave.T + self.phase) @ self.shift_m
