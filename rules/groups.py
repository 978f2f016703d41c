"""Columns over other devices: children, siblings, the commune, or those within a radius. Pure.

Members and owners are rows of one board. A member is a commissioned device; of which nothing is known is not counted.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from devices.columns import Group
from devices.kind import Column

Rows = NDArray[np.intp]
EARTH_M = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Members:
    """Who belongs to whom: the members of owner i are `rows[start[i]:start[i + 1]]`.

    Many owners may share one list, so an owner names its list.
    """

    rows: Rows
    """Members, sorted by list."""
    start: NDArray[np.intp]
    """Where each list begins, one more at the end, shape (lists + 1,)."""
    list_of: Rows
    """The list of each owner row, shape (n,); -1 for none."""

    @classmethod
    def by_label(cls, rows: Rows, label: NDArray[np.integer], list_of: Rows, lists: int) -> Self:
        """Members that carry the number of their list, shape of rows; negative for none."""
        kept = label >= 0
        order = np.argsort(label[kept], kind="stable")
        counts = np.bincount(label[kept], minlength=lists)
        return cls(rows[kept][order], np.concatenate([[0], np.cumsum(counts)]), list_of)

    @classmethod
    def within(cls, rows: Rows, lat: Column, lon: Column, metres: int) -> Self:
        """Of each row those that stand at most so far away, itself left out; `lat` and `lon` are of the whole board."""
        n, placed = len(lat), rows[~np.isnan(lat[rows])]
        middle = np.radians(np.mean(lat[placed])) if len(placed) else 0.0
        east_m = np.radians(lon[placed]) * np.cos(middle) * EARTH_M
        points = shapely.points(east_m, np.radians(lat[placed]) * EARTH_M)
        owner, member = shapely.STRtree(points).query(points, predicate="dwithin", distance=metres)
        others = owner != member
        list_of = np.full(n, -1, np.intp)
        list_of[placed] = np.arange(len(placed))
        return cls.by_label(placed[member[others]], owner[others], list_of, len(placed))

    def of(self, owners: Rows) -> tuple["Members", Rows]:
        """Only the lists of some owners, and the number of each owner's list among them (-1 for none)."""
        lists = np.unique(self.list_of[owners])
        lists = lists[lists >= 0]
        counts = self.start[lists + 1] - self.start[lists]
        start = np.concatenate([[0], np.cumsum(counts)])
        taken = np.arange(start[-1]) + np.repeat(self.start[lists] - start[:-1], counts)
        place = np.full(len(self.start), -1, np.intp)
        place[lists] = np.arange(len(lists))
        asked = self.list_of[owners]
        return Members(self.rows[taken], start, place), np.where(asked >= 0, place[asked], -1)

    def over(self, how: str, values: Column) -> Column:
        """A figure of each list over the values of its members, shape (lists,); NaN where nobody is known."""
        lists = len(self.start) - 1
        label = np.repeat(np.arange(lists), np.diff(self.start))
        known = ~np.isnan(values)
        label, values = label[known], values[known]
        count = np.bincount(label, minlength=lists).astype(np.float64)
        if how == "known":
            return count
        if how in ("median", "min", "max"):
            return np.where(count > 0, _ranked(how, label, values, count.astype(np.intp)), np.nan)
        weights = (values != 0).astype(np.float64) if how in ("share", "count") else values
        total = np.bincount(label, weights=weights, minlength=lists)
        return np.where(count > 0, total / np.maximum(count, 1) if how in ("share", "mean") else total, np.nan)


def _ranked(how: str, label: Rows, values: Column, count: NDArray[np.intp]) -> Column:
    order = np.lexsort((values, label))
    ranked: Column = np.append(values[order], np.nan)
    start, last = np.cumsum(count) - count, np.maximum(count - 1, 0)
    low, high = {"min": (0 * last, 0 * last), "max": (last, last), "median": (last // 2, count // 2)}[how]
    figure: Column = (ranked[start + low] + ranked[start + high]) / 2
    return figure


def members(asked: Group, *, commissioned: Rows, parent: Rows, commune: Rows, lat: Column, lon: Column) -> Members:
    """Who belongs to whom for a group. `commissioned` are the rows that may be members; the others are of the board."""
    n = len(parent)
    if (metres := asked.radius_m) is not None:
        return Members.within(commissioned, lat, lon, metres)
    if asked.group == "children":
        return Members.by_label(commissioned, parent[commissioned], np.arange(n), n)
    label = parent if asked.group == "siblings" else commune
    return Members.by_label(commissioned, label[commissioned], label, int(label.max(initial=-1)) + 1)
