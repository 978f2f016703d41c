"""What is remembered of a subject beyond its newest value: the value before, and rolling windows of event time. Pure.

A window is made of panes that begin at whole multiples of their length, each with its count, sum, least and greatest
value, so that its memory does not depend on how often a device speaks. It covers the current pane and one whole span
before it, and is unknown until a device has spoken for that long; and, but for `count`, when nothing was told in it.

Arrays are by slot: the place of a device among those of its type, shape (n,) or (panes, n).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from devices.columns import Step, Window
from devices.kind import Column
from hub.clock import SECOND_US

Slots = NDArray[np.intp]
Times = NDArray[np.int64]
NEVER = 0
HOUR_US = 3600 * SECOND_US
STATS = {"mean": ("count", "sum"), "still": ("rise",)}
"""What the panes must keep for a question, where that is not its own name."""


def stats_for(how: str) -> tuple[str, ...]:
    """The statistics that a window's question needs of its panes."""
    return ("count", "sum") if how[0] == "p" and how[1:].isdigit() else STATS.get(how, (how,))


def increase(value: Column, before: Column, rolls_at: float | None) -> Column:
    """By how much a counter rose, shape (n,): one that stands lower began again, or rolled over at `rolls_at`."""
    rise = value - before
    again = rise < 0
    began = value.copy()
    if rolls_at is not None:
        rolled = (before > 0.9 * rolls_at) & (value < 0.1 * rolls_at)
        began[rolled] = (value + rolls_at - before)[rolled]
    return np.where(again, began, rise)


@dataclass(frozen=True, slots=True)
class Panes:
    """A subject's panes of one length."""

    pane_us: int
    newest: Times
    """Number of the pane of the last value, shape (n,); NEVER before the first."""
    first: Mapping[str, Times]
    """Number of the first pane of a statistic, by name, shape (n,); NEVER before it."""
    stats: Mapping[str, Column]
    """By name, shape (panes, n)."""

    @classmethod
    def blank(cls, n: int, pane_s: int, panes: int, stats: Collection[str]) -> Self:
        """For n devices that never spoke."""
        made = {name: np.full((panes, n), _EMPTY[name]) for name in sorted(stats)}
        return cls(pane_s * SECOND_US, np.zeros(n, np.int64), {name: np.zeros(n, np.int64) for name in made}, made)

    def push(self, slots: Slots, ts_us: Times, values: Column, rise: Column, changed: Column) -> None:
        """Take in a value for each of some slots, each slot once; times do not go back."""
        panes = ts_us // self.pane_us
        told = {"count": np.ones_like(values), "sum": values, "min": values, "max": values}
        told |= {"rise": rise, "changes": changed}
        for pane in _distinct(panes):  # few: who speaks at about one time is in one pane
            here = np.flatnonzero(panes == pane)
            at = slots[here]
            self._turn(at, pane, rise[here])
            for name, kept in self.stats.items():
                row = kept[pane % len(kept)]
                row[at] = _ADD[name](row[at], told[name][here])

    def _turn(self, slots: Slots, pane: int, rise: Column) -> None:
        """Empty the panes between the last value's and this one."""
        ahead = pane - self.newest[slots]
        turning = ahead > 0
        if not turning.any():
            return
        slots, ahead, rise = slots[turning], ahead[turning], rise[turning]
        self.newest[slots] = pane
        for name, kept in self.stats.items():
            self.first[name][slots[self.first[name][slots] == NEVER]] = pane
            for back in range(min(int(ahead.max()), len(kept))):
                skipped = ahead > back
                empty: Column | float = _EMPTY[name]
                if name == "rise" and back:  # what rose while nothing was told, nobody knows when
                    empty = np.where(rise[skipped] > 0, np.nan, 0.0)
                kept[(pane - back) % len(kept)][slots[skipped]] = empty

    def look(self, asked: Window, slots: Slots, at_us: Times) -> Column:
        """A question over the window at a time each, shape of slots; NaN where it cannot be told."""
        newest, needed = self.newest[slots], stats_for(asked.how)
        now = np.maximum(at_us // self.pane_us, newest)  # hub time may be behind that of the devices
        stats = {name: self.stats[name].take(slots, axis=1) for name in needed}
        within: Within = True  # what was skipped, or is of before the first, is empty
        if asked.how == "still" or (now != newest).any():
            length = len(self.stats[needed[0]])
            number = newest - (newest - np.arange(length)[:, None]) % length
            within = number >= now - asked.panes
        if asked.how == "still":
            found = _still(stats["rise"], within & (number < newest), newest < now)
        else:
            found = _ASK.get(asked.how, _percentile)(stats, within, asked.how)
        known = newest >= now - asked.panes if asked.how != "count" else np.ones(len(slots), bool)
        for first in (self.first[name][slots] for name in needed):
            known &= (first != NEVER) & (first <= now - asked.panes)
        return np.where(known, found, np.nan)

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The state by name; slot is the last axis."""
        yield "newest", self.newest
        for name, kept in self.stats.items():
            yield name, kept
            yield f"{name}.first", self.first[name]


def _distinct(panes: Times) -> list[int]:
    is_one = not len(panes) or panes[0] == panes.min() == panes.max()
    found: list[int] = (panes[:1] if is_one else np.unique(panes)).tolist()
    return found


Stats = Mapping[str, Column]
Within = NDArray[np.bool_] | bool
_EMPTY = {"count": 0.0, "sum": 0.0, "min": np.nan, "max": np.nan, "rise": 0.0, "changes": 0.0}
_ADD = {name: np.fmin if name == "min" else np.fmax if name == "max" else np.add for name in _EMPTY}


def _only(told: Column, within: Within) -> Column:
    return told if within is True else np.where(within, told, np.nan)


def _total(stats: Stats, within: Within, how: str) -> Column:
    told = stats[how]
    total: Column = np.sum(told, axis=0, where=within if how != "rise" else within & ~np.isnan(told))
    return total


def _mean(stats: Stats, within: Within, _: str) -> Column:
    count: Column = np.sum(stats["count"], axis=0, where=within)
    total: Column = np.sum(stats["sum"], axis=0, where=within)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _least(stats: Stats, within: Within, _: str) -> Column:
    least: Column = np.fmin.reduce(_only(stats["min"], within), axis=0)
    return least


def _greatest(stats: Stats, within: Within, _: str) -> Column:
    greatest: Column = np.fmax.reduce(_only(stats["max"], within), axis=0)
    return greatest


def _still(rise: Column, whole: NDArray[np.bool_], waits: NDArray[np.bool_]) -> Column:
    """Whole panes in which a counter did not rise; unknown when there is none, but one may hide in a gap.

    Where the time `waits` for the next value, nobody knows of the panes since the last one.
    """
    still = np.count_nonzero(whole & (rise == 0), axis=0).astype(np.float64)
    hidden = (whole & np.isnan(rise)).any(axis=0) | waits
    return np.where((still == 0) & hidden, np.nan, still)


def _percentile(stats: Stats, within: Within, how: str) -> Column:
    """Of the means of the panes, by linear interpolation between the two nearest."""
    told = within & (stats["count"] > 0)
    means = np.divide(stats["sum"], stats["count"], out=np.full_like(stats["sum"], np.nan), where=told)
    means.sort(axis=0)  # NaN comes last
    count = np.count_nonzero(told, axis=0)
    place = np.maximum(count - 1, 0) * int(how[1:]) / 100
    low = np.floor(place).astype(np.intp)
    high, column = np.minimum(low + 1, np.maximum(count - 1, 0)), np.arange(means.shape[1])
    found: Column = means[low, column] + (place - low) * (means[high, column] - means[low, column])
    return found


_ASK = {
    "count": _total,
    "sum": _total,
    "rise": _total,
    "changes": _total,
    "mean": _mean,
    "min": _least,
    "max": _greatest,
}


@dataclass(frozen=True, slots=True)
class Track:
    """A subject of the devices of one type."""

    value: Column
    at_us: Times
    before: Column
    before_us: Times
    rolls_at: float | None
    panes: Mapping[int, Panes]
    """By the span of the window, in seconds."""

    @classmethod
    def of(cls, n: int, asked: Collection[Step | Window], rolls_at: float | None = None) -> Self:
        """A blank one for n devices that can answer these questions."""
        windows = [one for one in asked if isinstance(one, Window)]
        panes = {}
        for window in windows:
            stats = {name for other in windows if other.span_s == window.span_s for name in stats_for(other.how)}
            panes[window.span_s] = Panes.blank(n, window.pane_s, window.panes + 1, stats)
        unknown, never = np.full(n, np.nan), np.zeros(n, np.int64)
        return cls(unknown, never, unknown.copy(), never.copy(), rolls_at, panes)

    def push(self, slots: Slots, ts_us: Times, values: Column) -> None:
        """Take in what was told, each slot once at most; the unknown, and what is not newer, is left out."""
        new = ~np.isnan(values) & (ts_us > self.at_us[slots])
        if not new.all():
            slots, ts_us, values = slots[new], ts_us[new], values[new]
        before = self.value[slots]
        known = ~np.isnan(before)
        rise = np.where(known, increase(values, before, self.rolls_at), 0.0)
        changed = (known & (values != before)).astype(np.float64)
        self.before[slots], self.before_us[slots] = before, self.at_us[slots]
        self.value[slots], self.at_us[slots] = values, ts_us
        for panes in self.panes.values():
            panes.push(slots, ts_us, values, rise, changed)

    def step(self, how: str, slots: Slots) -> Column:
        """The newest value against the one before, shape of slots; NaN before there are two."""
        value, before = self.value[slots], self.before[slots]
        gap_us = np.where(np.isnan(before), np.nan, self.at_us[slots] - self.before_us[slots])
        match how:
            case "prev":
                return before
            case "diff":
                return value - before
            case "gap_s":
                return gap_us / SECOND_US
        rise = increase(value, before, self.rolls_at)
        return rise if how == "rise" else rise / (gap_us / HOUR_US)

    def window(self, asked: Window, slots: Slots, at_us: Times) -> Column:
        """A question over a window, shape of slots."""
        return self.panes[asked.span_s].look(asked, slots, at_us)

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The state by name; slot is the last axis."""
        yield "value", self.value
        yield "at_us", self.at_us
        yield "before", self.before
        yield "before_us", self.before_us
        for span_s, panes in self.panes.items():
            for name, array in panes.arrays():
                yield f"{span_s}.{name}", array
