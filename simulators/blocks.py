"""Streets as the lines that cut a town into blocks: convex polygons, halved again and again. Pure.

Every cut is a street that ends on two older ones, so the streets are connected by construction and fall into
avenues, streets and lanes by age, as those of a grown town do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

BORDER = -1
"""In place of a line: a side of a polygon that is no street."""
SNAP_M = 28.0
"""Two corners nearer than this become one crossroads."""


class Point(NamedTuple):
    x: float
    y: float

    def to(self, other: "Point") -> "Point":
        return Point(other.x - self.x, other.y - self.y)

    def dot(self, other: "Point") -> float:
        return self.x * other.x + self.y * other.y

    @property
    def length(self) -> float:
        return math.hypot(self.x, self.y)

    def turned(self, angle: float) -> "Point":
        c, s = math.cos(angle), math.sin(angle)
        return Point(c * self.x - s * self.y, s * self.x + c * self.y)

    def times(self, factor: float) -> "Point":
        return Point(self.x * factor, self.y * factor)


@dataclass(slots=True)
class Line:
    """A straight line of the draft with the nodes on it."""

    commune: int
    rank: int
    """0 main road, 1 boulevard, 2 street, 3 lane."""
    group: int
    """Lines of one group have one name."""
    nodes: list[int]
    lit: bool = True


class Block(NamedTuple):
    """A convex polygon: corner i and the line that leads from it to corner i + 1."""

    corners: tuple[int, ...]
    sides: tuple[int, ...]


@dataclass(slots=True)
class Draft:
    """Nodes and lines of a town while it is drawn."""

    points: list[Point] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def node(self, point: Point) -> int:
        self.points.append(point)
        return len(self.points) - 1

    def line(self, commune: int, rank: int, nodes: list[int], *, group: int | None = None, lit: bool = True) -> int:
        number = len(self.lines)
        self.lines.append(Line(commune, rank, number if group is None else group, nodes, lit))
        return number

    def polygon(self, block: Block) -> list[Point]:
        return [self.points[corner] for corner in block.corners]

    def node_on(self, line: int, a: int, b: int, at: Point) -> int:
        """The node at a point between nodes a and b of a line, or one that is near enough to be the same."""
        for near in (a, b):
            if self.points[near].to(at).length < SNAP_M / 2:
                return near
        if line == BORDER:
            return self.node(at)
        first, last = self.points[a], self.points[b]
        along = first.to(last)
        for near in self.lines[line].nodes:
            place = first.to(self.points[near])
            if place.to(first.to(at)).length < SNAP_M and 0 < place.dot(along) < along.dot(along):
                return near
        made = self.node(at)
        self.lines[line].nodes.append(made)
        return made

    def cut(self, block: Block, normal: Point, limit: float, street: int) -> tuple[Block | None, Block | None]:
        """Halve a block along `point . normal = limit`; `street` is the line of the new side.

        Gives the half below the limit and the half above; None for a half that is not there.
        """
        over = [point.dot(normal) - limit for point in self.polygon(block)]
        if max(over) <= 0:
            return block, None
        if min(over) >= 0:
            return None, block
        corners: list[int] = []
        sides: list[int] = []
        ends: list[int] = []
        count = len(block.corners)
        for i, side in enumerate(block.sides):
            a, b = block.corners[i], block.corners[(i + 1) % count]
            here, there = over[i], over[(i + 1) % count]
            corners.append(a)
            sides.append(side)
            if here * there < 0:
                pa, pb = self.points[a], self.points[b]
                t = here / (here - there)
                end = self.node_on(side, a, b, Point(pa.x + (pb.x - pa.x) * t, pa.y + (pb.y - pa.y) * t))
                ends.append(end)
                if end not in (a, b):
                    corners.append(end)
                    sides.append(side)
        ends += [c for c, o in zip(block.corners, over, strict=True) if o == 0]
        return self._between(corners, sides, ends, normal, street)

    def _between(
        self, corners: list[int], sides: list[int], ends: list[int], normal: Point, street: int
    ) -> tuple[Block | None, Block | None]:
        if len(set(ends)) != 2:
            return None, None
        i, j = sorted(corners.index(end) for end in set(ends))
        one = Block(tuple(corners[i : j + 1]), (*sides[i:j], street))
        two = Block(tuple(corners[j:] + corners[: i + 1]), (*sides[j:], *sides[:i], street))
        if min(len(one.corners), len(two.corners)) < 3:
            return None, None
        middle = sum(self.points[c].dot(normal) for c in one.corners) / len(one.corners)
        other = sum(self.points[c].dot(normal) for c in two.corners) / len(two.corners)
        return (one, two) if middle < other else (two, one)


@dataclass(frozen=True, slots=True)
class Grain:
    """How finely one commune is cut."""

    commune: int
    centre: Point
    centre_block_m: float
    edge_block_m: float
    radius_m: float
    wobble: tuple[float, float, float]
    """Phases of the outline, so that no town ends in a circle."""

    def block_m(self, at: Point) -> float:
        """Side of the blocks at a place: small in the old centre, large at the edge."""
        share = min(1.0, self.centre.to(at).length / self.radius_m)
        return self.centre_block_m + (self.edge_block_m - self.centre_block_m) * math.pow(share, 0.6)

    def is_built(self, at: Point) -> bool:
        """Is a place inside the town's outline?"""
        arrow = self.centre.to(at)
        angle = math.atan2(arrow.y, arrow.x)
        a, b, c = self.wobble
        outline = (
            0.86 + 0.08 * math.sin(2 * angle + a) + 0.07 * math.sin(3 * angle + b) + 0.05 * math.sin(7 * angle + c)
        )
        return arrow.length < outline * self.radius_m


def cut_into_streets(draft: Draft, block: Block, grain: Grain, rng: np.random.Generator) -> None:
    """Halve a block until its parts are as small as blocks are there; every cut becomes a street."""
    waiting = [block]
    while waiting:
        part = waiting.pop()
        points = draft.polygon(part)
        area = abs(_area(points))
        middle = Point(sum(p.x for p in points) / len(points), sum(p.y for p in points) / len(points))
        goal = grain.block_m(middle) ** 2
        if area < 1.5 * goal or (area < 12 * goal and not grain.is_built(middle)):
            continue
        if goal * 4 < area < goal * 9 and rng.random() < 0.05:
            continue  # a park, a school, a works
        waiting += _halve(draft, part, grain, rank=2 if area > 6 * goal else 3, rng=rng)


def _halve(draft: Draft, block: Block, grain: Grain, *, rank: int, rng: np.random.Generator) -> Iterator[Block]:
    """Cut across the longer way, square to the longest side, near the middle."""
    points = draft.polygon(block)
    sides = [a.to(b) for a, b in zip(points, points[1:] + points[:1], strict=True)]
    longest = max(sides, key=lambda side: side.length)
    along = longest.times(1 / longest.length)
    across = along.turned(math.pi / 2)
    if _extent(points, across) > _extent(points, along):
        along = across
    normal = along.turned(rng.normal(0, 0.06))
    places = [point.dot(normal) for point in points]
    limit = min(places) + (max(places) - min(places)) * rng.uniform(0.4, 0.6)
    street = len(draft.lines)
    below, above = draft.cut(block, normal, limit, street)
    if below is None or above is None:
        return
    ends = set(below.corners) & set(above.corners)
    draft.line(grain.commune, rank, list(ends))
    yield from (below, above)


def _extent(points: list[Point], axis: Point) -> float:
    places = [point.dot(axis) for point in points]
    return max(places) - min(places)


def _area(points: list[Point]) -> float:
    return sum(a.x * b.y - b.x * a.y for a, b in zip(points, points[1:] + points[:1], strict=True)) / 2
