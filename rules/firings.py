"""What a rule fired over a time: on which devices, from when to when, and against another rule. Pure."""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from devices.kind import Mask
from devices.transition import Transition
from hub.clock import SECOND_US

Times = NDArray[np.int64]


@dataclass(slots=True)
class Firings:
    """Transitions of one rule, as they come, kept as numbers: 25 bytes for each firing."""

    _device_no: "array[int]" = field(default_factory=lambda: array("q"))
    _start_us: "array[int]" = field(default_factory=lambda: array("q"))
    _end_us: "array[int]" = field(default_factory=lambda: array("q"))
    _priority: "array[int]" = field(default_factory=lambda: array("b"))
    _on: dict[int, int] = field(default_factory=dict)
    """By device, the place of the firing that is not over."""

    def take(self, told: Transition) -> None:
        """The next transition; one that fires again where it fires already may be more urgent."""
        place = self._on.get(told.device_no)
        if told.action == "clear":
            if place is not None:
                self._end_us[self._on.pop(told.device_no)] = told.ts_us
        elif place is None:
            self._on[told.device_no] = len(self._start_us)
            self._device_no.append(told.device_no)
            self._start_us.append(told.ts_us)
            self._end_us.append(np.iinfo(np.int64).max)
            self._priority.append(told.priority)
        else:
            self._priority[place] = min(self._priority[place], told.priority)

    def sheet(self, since_us: int, until_us: int) -> "Sheet":
        """Those that were on at some time between two moments, cut there; sorted by device and start."""
        columns = (self._device_no, self._start_us, self._end_us, self._priority)
        device_no, start_us, end_us, priority = (np.array(column, np.int64) for column in columns)
        rows = np.flatnonzero((end_us > since_us) & (start_us < until_us))
        rows = rows[np.lexsort((start_us[rows], device_no[rows]))]
        start_us, end_us = start_us[rows], end_us[rows]
        return Sheet(
            device_no[rows],
            np.maximum(start_us, since_us),
            np.minimum(end_us, until_us),
            priority[rows].astype(np.int8),
            standing=start_us < since_us,
            still_on=end_us > until_us,
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """Firings of one rule, n of them, sorted by device and start; those of one device do not overlap."""

    device_no: NDArray[np.int64]
    start_us: Times
    end_us: Times
    priority: NDArray[np.int8]
    """The most urgent that it had."""
    standing: Mask
    """Was on already when the time began."""
    still_on: Mask
    """Is on when it ends."""

    def __len__(self) -> int:
        return len(self.device_no)

    @property
    def lasted_s(self) -> NDArray[np.float64]:
        """For how long each was on within the time."""
        return (self.end_us - self.start_us) / SECOND_US

    def met(self, other: "Sheet") -> Mask:
        """Which of these firings overlap with one of the other's on the same device, shape (n,)."""
        if not len(self) or not len(other):
            return np.zeros(len(self), bool)
        # Number devices and moments from 0, so that both fit into one number that sorts like the pair.
        devices = np.unique(np.concatenate([self.device_no, other.device_no]))
        moments = np.unique(np.concatenate([self.end_us, other.start_us]))
        ends = np.searchsorted(devices, self.device_no) * len(moments) + np.searchsorted(moments, self.end_us)
        starts = np.searchsorted(devices, other.device_no) * len(moments) + np.searchsorted(moments, other.start_us)
        before = np.searchsorted(starts, ends) - 1  # the other's last that began before this one's end
        found = np.maximum(before, 0)
        same_device = (before >= 0) & (other.device_no[found] == self.device_no)
        touches: Mask = same_device & (other.end_us[found] > self.start_us)
        return touches

    def by_hour(self, hours_us: Times) -> NDArray[np.int64]:
        """How many began in each hour, shape of `hours_us`, which says when each begins."""
        began = self.start_us[~self.standing]
        place = np.searchsorted(hours_us, began, side="right") - 1
        counts: NDArray[np.int64] = np.bincount(place[place >= 0], minlength=len(hours_us))
        return counts

    def most(self, count: int, of: Mask | None = None) -> list[tuple[int, int, float]]:
        """(device, firings, seconds) of the devices on which most fired, the longest first among equals."""
        chosen = np.ones(len(self), bool) if of is None else of
        devices, place = np.unique(self.device_no[chosen], return_inverse=True)
        fired = np.bincount(place, minlength=len(devices))
        lasted_s = np.bincount(place, weights=self.lasted_s[chosen], minlength=len(devices))
        order = np.lexsort((devices, -lasted_s, -fired))[:count]
        return [(int(devices[i]), int(fired[i]), float(lasted_s[i])) for i in order]
