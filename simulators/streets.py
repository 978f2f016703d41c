"""The street network of a generated city: radials, rings and streets per commune, roads between them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulators.blocks import BORDER, Block, Draft, Grain, Point, cut_into_streets
from simulators.communes import Commune
from simulators.plane import Plane, Points, Warp, hull, power_cells

OUTSKIRTS_M = 1500.0
"""How far the metropolis reaches beyond its last houses."""
STEP_M = 70.0
"""Streets are drawn in pieces no longer than this, so that they can bend."""
LONGEST_ROAD_M = 7_500.0


@dataclass(frozen=True, slots=True)
class Street:
    """A named street: its commune's place in the list, its rank (0 main road to 3 lane), its nodes in order."""

    commune: int
    rank: int
    group: int
    lit: bool
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """Streets as a graph in metres: nodes at crossroads and bends, straight edges between them."""

    plane: Plane
    warp: Warp
    node: Points
    edge: NDArray[np.int32]
    """Shape (m, 2), nodes; in the order of their streets."""
    edge_street: NDArray[np.int32]
    streets: tuple[Street, ...]
    cells: tuple[Points, ...]
    """The communes' territories, before bending."""

    def edge_length_m(self) -> NDArray[np.float64]:
        """Shape (m,)."""
        east, north = (self.node[self.edge[:, 1]] - self.node[self.edge[:, 0]]).T
        return np.asarray(np.hypot(east, north), dtype=np.float64)


@dataclass(slots=True)
class _Radial:
    angle: float
    towards: int | None
    """The neighbouring commune that this road leads to."""
    line: int = BORDER


def draw_network(communes: Sequence[Commune], rng: np.random.Generator) -> Network:
    """Draw the streets of a metropolis around its first commune."""
    plane = Plane(communes[0].lat, communes[0].lon)
    centres = plane.to_metres(np.array([c.lat for c in communes]), np.array([c.lon for c in communes]))
    radius = np.array([built_radius_m(c.population) for c in communes])
    cells = power_cells(centres, radius, hull(centres, radius + OUTSKIRTS_M))
    neighbours = _neighbours(centres, radius, cells)
    draft = Draft()
    radials = []
    for number in range(len(communes)):
        own = _radials(number, centres, neighbours, float(radius[number]), rng)
        _draw_commune(
            draft,
            number,
            centre=Point(*centres[number].tolist()),
            radius_m=float(radius[number]),
            cell=cells[number],
            radials=own,
            rng=rng,
        )
        radials.append(own)
    for number, own in enumerate(radials):
        for radial in own:
            if radial.towards is not None and radial.towards > number:
                back = next((r for r in radials[radial.towards] if r.towards == number), None)
                if back is not None:
                    _join(draft, radial.line, back.line, number)
    return _network(draft, plane, Warp.of(rng), tuple(cells))


def built_radius_m(population: int) -> float:
    """Radius of the built-up area: denser the larger the town (our fit: Dijon 5,500 a km², a village 1,500)."""
    thousands = population / 1000
    area_km2 = population / (1400 * thousands**0.27)
    return float(np.sqrt(area_km2 / np.pi) * 1000)


def _neighbours(centres: Points, radius: NDArray[np.float64], cells: list[Points]) -> set[tuple[int, int]]:
    """Communes whose territories touch, without those that a third one's road serves anyway."""
    pairs = []
    for i in range(len(centres)):
        for j in range(i + 1, len(centres)):
            apart = float(np.linalg.norm(centres[j] - centres[i]))
            weight_i = (centres[i] ** 2).sum() - radius[i] ** 2
            weight_j = (centres[j] ** 2).sum() - radius[j] ** 2
            off = np.abs(cells[i] @ (2 * (centres[j] - centres[i])) - (weight_j - weight_i)) / (2 * apart)
            if (off < 1.0).sum() >= 2 and apart < LONGEST_ROAD_M:
                pairs.append((apart, i, j))
    kept: set[tuple[int, int]] = set()
    reached = list(range(len(centres)))
    for _, i, j in sorted(pairs):
        is_new_link = reached[i] != reached[j]
        if is_new_link or not (_has_road(kept, centres, i, j) or _has_road(kept, centres, j, i)):
            kept.add((i, j))
            reached = [reached[i] if part == reached[j] else part for part in reached]
    return kept


def _has_road(kept: set[tuple[int, int]], centres: Points, origin: int, goal: int) -> bool:
    """Does a road leave the origin in the direction of the goal already?"""
    ends = [a + b - origin for a, b in kept if origin in (a, b)]
    return any(_side_by_side(centres, origin, goal, end) for end in ends)


def _side_by_side(centres: Points, origin: int, one: int, other: int) -> bool:
    """Do two neighbours lie in the same direction (within 18 degrees)?"""
    a, b = centres[one] - centres[origin], centres[other] - centres[origin]
    return bool(a @ b > np.cos(np.radians(18)) * np.linalg.norm(a) * np.linalg.norm(b))


def _radials(
    number: int, centres: Points, neighbours: set[tuple[int, int]], radius_m: float, rng: np.random.Generator
) -> list[_Radial]:
    """Roads out of a town: one to each neighbour, and more where the gap between two is wide."""
    found = []
    for pair in sorted(neighbours):
        if number in pair:
            other = pair[0] + pair[1] - number
            arrow = centres[other] - centres[number]
            found.append(_Radial(float(np.arctan2(arrow[1], arrow[0])), other))
    found.sort(key=lambda radial: radial.angle)
    widest = 2 * np.pi / (10 if radius_m > 2000 else 6 if radius_m > 800 else 5)
    start = found[0].angle if found else float(rng.uniform(0, 2 * np.pi))
    angles = [radial.angle for radial in found] or [start]
    filled = found or [_Radial(start, None)]
    for a, b in pairwise([*angles, start + 2 * np.pi]):
        extra = int(np.ceil((b - a) / widest * 0.9)) - 1
        shares = (np.arange(1, extra + 1) + rng.uniform(-0.12, 0.12, extra)) / (extra + 1)
        filled = filled + [_Radial(float(a + (b - a) * share), None) for share in shares]
    return sorted(filled, key=lambda radial: radial.angle)


def _rings_m(radius_m: float) -> list[float]:
    """Radii from the old centre to the edge, wider and wider apart."""
    core = min(380.0, 0.4 * radius_m)
    count = 1 + int(radius_m > 700) + int(radius_m > 1500) + int(radius_m > 2200) + int(radius_m > 2800)
    return [core + (radius_m - core) * (i / count) ** 1.15 for i in range(count + 1)]


def _draw_commune(
    draft: Draft,
    number: int,
    *,
    centre: Point,
    radius_m: float,
    cell: Points,
    radials: list[_Radial],
    rng: np.random.Generator,
) -> None:
    first_line = len(draft.lines)
    rings = _rings_m(radius_m)
    grain = Grain(
        number, centre, 80.0, 125.0 if radius_m < 1500 else 110.0, radius_m, tuple(rng.uniform(0, 2 * np.pi, 3))
    )
    corner = [
        [draft.node(_at(centre, r * (rng.uniform(0.92, 1.08) if 0 < j < len(rings) - 1 else 1), radial.angle))
         for j, r in enumerate(rings)]
        for radial in radials
    ]  # fmt: skip
    for k, radial in enumerate(radials):
        radial.line = draft.line(number, 0, list(corner[k]))
    count = len(radials)
    group = 0
    chords = []
    for j in range(len(rings)):
        for k in range(count):
            if k % 3 == 0:
                group = len(draft.lines)
            ends = [corner[k][j], corner[(k + 1) % count][j]]
            is_edge = j == len(rings) - 1
            chords.append(BORDER if is_edge else draft.line(number, 1 if j % 2 == 0 else 2, ends, group=group))
    blocks = [Block(tuple(c[0] for c in corner), tuple(chords[:count]))]
    for j in range(len(rings) - 1):
        for k in range(count):
            after = (k + 1) % count
            blocks.append(
                Block(
                    (corner[k][j], corner[k][j + 1], corner[after][j + 1], corner[after][j]),
                    (radials[k].line, chords[(j + 1) * count + k], radials[after].line, chords[j * count + k]),
                )
            )
    for block in blocks:
        inside = _clip(draft, block, cell)
        if inside is not None:
            cut_into_streets(draft, inside, grain, rng)
    for line in draft.lines[first_line:]:
        line.nodes = _inside(draft, line.nodes, cell)


def _at(centre: Point, radius_m: float, angle: float) -> Point:
    return Point(centre.x + radius_m * float(np.cos(angle)), centre.y + radius_m * float(np.sin(angle)))


def _sides(cell: Points) -> list[tuple[Point, float]]:
    """Outward normals and limits of a convex polygon, counter-clockwise."""
    sides = []
    for a, b in zip(cell, np.roll(cell, -1, 0), strict=True):
        length = float(np.linalg.norm(b - a))
        if length > 0.01:
            normal = Point(float(b[1] - a[1]) / length, float(a[0] - b[0]) / length)
            sides.append((normal, normal.dot(Point(*a))))
    return sides


def _clip(draft: Draft, block: Block, cell: Points) -> Block | None:
    """The part of a block on its commune's territory."""
    inside: Block | None = block
    for normal, limit in _sides(cell):
        if inside is not None:
            inside, _ = draft.cut(inside, normal, limit, BORDER)
    return inside


def _inside(draft: Draft, nodes: list[int], cell: Points) -> list[int]:
    """The nodes of a line that lie on the territory, in order along the line."""
    sides = _sides(cell)
    kept = {n for n in nodes if all(draft.points[n].dot(normal) <= limit + 20 for normal, limit in sides)}
    if len(kept) < 2:
        return []
    first = draft.points[nodes[0]]
    far = max(nodes, key=lambda n: first.to(draft.points[n]).length)
    along = first.to(draft.points[far])
    return sorted(kept, key=lambda n: first.to(draft.points[n]).dot(along))


def _join(draft: Draft, one: int, other: int, commune: int) -> None:
    """A country road from the end of one town's radial to the end of its neighbour's."""
    a, b = draft.lines[one].nodes, draft.lines[other].nodes
    if a and b:
        draft.line(commune, 0, [a[-1], b[-1]], lit=False)


def _network(draft: Draft, plane: Plane, warp: Warp, cells: tuple[Points, ...]) -> Network:
    """Cut the lines into short edges, keep the connected part, and bend everything."""
    points = list(draft.points)
    chains: list[list[int]] = []
    for line in draft.lines:
        chain = line.nodes[:1]
        for a, b in pairwise(line.nodes):
            pa, pb = points[a], points[b]
            pieces = max(1, int(np.ceil(pa.to(pb).length / STEP_M)))
            for piece in range(1, pieces):
                points.append(Point(pa.x + (pb.x - pa.x) * piece / pieces, pa.y + (pb.y - pa.y) * piece / pieces))
                chain.append(len(points) - 1)
            chain.append(b)
        chains.append(chain)
    main = _largest_part(len(points), chains)
    streets = [
        Street(line.commune, line.rank, line.group, line.lit, tuple(chain))
        for line, chain in zip(draft.lines, chains, strict=True)
        if len(chain) > 1 and main[chain[0]]
    ]
    edges = [(a, b) for street in streets for a, b in pairwise(street.nodes)]
    owner = [number for number, street in enumerate(streets) for _ in pairwise(street.nodes)]
    return Network(
        plane,
        warp,
        warp.bend(np.array(points)),
        np.array(edges, dtype=np.int32).reshape(-1, 2),
        np.array(owner, dtype=np.int32),
        tuple(streets),
        cells,
    )


def _largest_part(count: int, chains: list[list[int]]) -> NDArray[np.bool_]:
    """Which nodes belong to the largest connected part."""
    root = np.arange(count)

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for chain in chains:
        for a, b in pairwise(chain):
            root[find(a)] = find(b)
    roots = np.array([find(node) for node in range(count)])
    return np.asarray(roots == np.bincount(roots).argmax(), dtype=np.bool_)
