"""The life cycle of a rule on many devices at once: pending, firing, calm. Pure.

Every argument is an array over the same slots; the state is changed in place. Times are microseconds since 1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from devices.kind import Mask
from hub.clock import SECOND_US

Slots = NDArray[np.intp]
Times = NDArray[np.int64]
NEVER, LONG_AGO = 0, 1
FIRING, LOUD, UNSTABLE = 1, 2, 4
"""Flags: firing; and somebody was to be called for it; and it came and went so often that it is told no more."""
FLAPS, FLAPPING_S = 4, 3600
"""A rule that fires more often than this within so many seconds of the first time is unstable: it says so once, and
clears only after as long a calm. The number is the field's (more than 4 changes an hour)."""


@dataclass(frozen=True, slots=True)
class Life:
    """Where a rule stands on each device of its type, shape (n,) each."""

    since_us: Times
    """Event time since which the condition has held, or, while firing, the clearing condition; NEVER: it does not."""
    flags: NDArray[np.uint8]
    priority: NDArray[np.int8]
    """The one that was told last; 0 before."""
    fires: NDArray[np.uint8]
    """How often it fired since `first_s`."""
    first_s: NDArray[np.uint32]

    @classmethod
    def blank(cls, n: int) -> Self:
        return cls(
            np.zeros(n, np.int64),
            np.zeros(n, np.uint8),
            np.zeros(n, np.int8),
            np.zeros(n, np.uint8),
            np.zeros(n, np.uint32),
        )

    @property
    def firing(self) -> Mask:
        """On which devices it fires; a copy."""
        firing: Mask = self.flags & FIRING != 0
        return firing

    def copy(self) -> "Life":
        """The same, in arrays of its own."""
        return Life(
            self.since_us.copy(), self.flags.copy(), self.priority.copy(), self.fires.copy(), self.first_s.copy()
        )

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The state by name."""
        yield "since_us", self.since_us
        yield "flags", self.flags
        yield "priority", self.priority
        yield "fires", self.fires
        yield "first_s", self.first_s


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule sees on some devices, shape (slots,) each."""

    bad: Mask
    """Where the condition holds."""
    good: Mask
    """Where the clearing condition does."""
    known: Mask
    """Where either can be believed; elsewhere nothing moves."""
    worth_a_call: Mask
    priority: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What changed: masks over the slots that were evaluated."""

    fired: Mask
    confirmed: Mask
    """Was firing quietly, and what came now is worth a call."""
    regraded: Mask
    """Fires on, with another priority."""
    cleared: Mask
    unstable: Mask
    """Has fired too often; it says so with what it tells while it fires."""

    @property
    def told(self) -> Mask:
        """Where there is something to tell."""
        return self.fired | self.confirmed | self.regraded | self.cleared


def live(life: Life, slots: Slots, seen: Seen, ts_us: Times, *, hold_us: Times | int, calm_us: Times | int) -> Outcome:
    """Move a rule's life on `slots` (each at most once) to `ts_us`."""
    flags, since = life.flags[slots], life.since_us[slots]
    firing = flags & FIRING != 0
    moving = seen.known & np.where(firing, seen.good, seen.bad)
    since = np.where(moving & (since == NEVER), ts_us, np.where(seen.known & ~moving, NEVER, since))
    if firing.any():
        patience_us = np.where(flags & UNSTABLE != 0, np.maximum(calm_us, FLAPPING_S * SECOND_US), calm_us)
        over = moving & (ts_us - since >= np.where(firing, patience_us, hold_us))
        fired, cleared = over & ~firing, over & firing
    else:
        fired, cleared = moving & (ts_us - since >= hold_us), np.zeros_like(firing)
    confirmed = seen.known & seen.bad & firing & (flags & LOUD == 0) & seen.worth_a_call & ~cleared
    regraded = seen.known & seen.bad & firing & ~cleared & ~confirmed & (life.priority[slots] != seen.priority)

    flags = np.where(fired, FIRING, np.where(cleared, 0, flags)).astype(np.uint8)
    if fired.any():
        flags[fired] |= _count(life, slots[fired], ts_us[fired])
    flags[(fired & seen.worth_a_call) | confirmed] |= LOUD
    life.flags[slots] = flags
    life.since_us[slots] = np.where(fired | cleared, NEVER, since)
    told = fired | confirmed | regraded
    if told.any():
        life.priority[slots[told]] = seen.priority[told]
    return Outcome(fired, confirmed, regraded, cleared, flags & UNSTABLE != 0)


def _count(life: Life, slots: Slots, ts_us: Times) -> NDArray[np.uint8]:
    """Count what fires now; UNSTABLE where it is too often, else 0."""
    now_s = ts_us // SECOND_US
    anew = (now_s - life.first_s[slots] > FLAPPING_S) | (life.fires[slots] == 0)
    life.fires[slots] = np.where(anew, 1, np.minimum(life.fires[slots], 254) + 1)
    life.first_s[slots] = np.where(anew, now_s, life.first_s[slots])
    return np.where(life.fires[slots] > FLAPS, UNSTABLE, 0).astype(np.uint8)


def rounds(row: NDArray[np.integer]) -> NDArray[np.intp]:
    """For each entry, how many entries of the same row come before it, shape (n,)."""
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    starts = np.ones(len(row), bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    index = np.arange(len(row))
    count = np.empty(len(row), np.intp)
    count[order] = index - np.maximum.accumulate(np.where(starts, index, 0))
    return count
