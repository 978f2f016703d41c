"""The life cycle of a rule on many devices at once: pending, firing, calm. Pure.

Every argument is an array over the same slots; the state is changed in place. Times are microseconds since 1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from devices.kind import Column, Mask
from hub.clock import SECOND_US

Slots = NDArray[np.intp]
Times = NDArray[np.int64]
NEVER, LONG_AGO = 0, 1
FIRING, LOUD, UNSTABLE, PENDING = 1, 2, 4, 8
"""Flags: firing; and somebody was to be called for it; and it came and went so often that it is told no more; or not
firing yet, while the condition holds."""
PRIORITY_BIT = 16
"""The two flags from this one on are the priority that was told last, 0 before."""
STATE = FIRING | LOUD | UNSTABLE | PENDING
FLAPS, FLAPPING_S = 4, 3600
"""A rule that fires more often than this within an hour of the clock is unstable: it says so once, and clears only
after as long a calm. The number is the field's (more than 4 changes an hour)."""
COUNTED = 8
"""Fires are counted up to one less."""


@dataclass(frozen=True, slots=True)
class Life:
    """Where a rule stands on each device of its type, shape (n,) each: 7 bytes a device. Time is in whole seconds."""

    since_s: NDArray[np.uint32]
    """Event time since which the condition has held, or, while firing, the clearing condition; NEVER: it does not."""
    flags: NDArray[np.uint8]
    fires: NDArray[np.uint16]
    """How often it fired in the hour of its last firing: COUNTED times the hour's number (of 8,192), and the count."""

    @classmethod
    def blank(cls, n: int) -> Self:
        return cls(np.zeros(n, np.uint32), np.zeros(n, np.uint8), np.zeros(n, np.uint16))

    @property
    def firing(self) -> Mask:
        """On which devices it fires; a copy."""
        firing: Mask = self.flags & FIRING != 0
        return firing

    @property
    def priority(self) -> NDArray[np.uint8]:
        """The priority that was told last, 0 before; a copy."""
        return self.flags // PRIORITY_BIT

    def copy(self) -> "Life":
        """The same, in arrays of its own."""
        return Life(self.since_s.copy(), self.flags.copy(), self.fires.copy())

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The state by name."""
        yield "since_s", self.since_s
        yield "flags", self.flags
        yield "fires", self.fires


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
    priority: NDArray[np.uint8]


class Outcome(NamedTuple):
    """What changed: masks over those of the slots that were not simply well."""

    here: NDArray[np.intp]
    """Which of the slots they are."""
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


def live(life: Life, slots: Slots, seen: Seen, ts_us: Times, *, hold_s: Column, calm_s: Column) -> Outcome:
    """Move a rule's life on `slots` (each at most once) to `ts_us`; hold and calm may be one number for all.

    Most devices are well and stay so; only the others are looked at.
    """
    flags = life.flags[slots]
    here = np.flatnonzero(seen.known & (seen.bad | (flags & STATE != 0)))
    flags, slots, now_s = flags[here], slots[here], ts_us[here] // SECOND_US
    bad, worth_a_call, priority = seen.bad[here], seen.worth_a_call[here], seen.priority[here]
    firing = flags & FIRING != 0
    moving = np.where(firing, seen.good[here], bad)
    since_s = np.where(moving, life.since_s[slots].astype(np.int64), NEVER)
    since_s = np.where(moving & (since_s == NEVER), now_s, since_s)
    patience_s = np.where(flags & UNSTABLE != 0, np.maximum(_of(calm_s, here), FLAPPING_S), _of(calm_s, here))
    over = moving & (now_s - since_s >= np.where(firing, patience_s, _of(hold_s, here)))
    fired, cleared = over & ~firing, over & firing
    confirmed = bad & firing & (flags & LOUD == 0) & worth_a_call & ~cleared
    regraded = bad & firing & ~cleared & ~confirmed & (flags // PRIORITY_BIT != priority)
    unstable = _count(life, slots, fired, now_s)

    state = np.where(firing, flags & STATE, np.where(moving, PENDING, 0))
    state = np.where(fired, FIRING | np.where(unstable, UNSTABLE, 0), np.where(cleared, 0, state))
    state |= np.where((fired & worth_a_call) | confirmed, LOUD, 0)
    told = np.where(fired | confirmed | regraded, priority, flags // PRIORITY_BIT)
    life.flags[slots] = state + PRIORITY_BIT * told
    life.since_s[slots] = np.where(over, NEVER, since_s)
    return Outcome(here, fired, confirmed, regraded, cleared, state & UNSTABLE != 0)


def _of(wait_s: Column, here: Slots) -> Column:
    return wait_s[here] if wait_s.ndim else wait_s


def _count(life: Life, slots: Slots, fired: Mask, now_s: Times) -> Mask:
    """Count what fires now; where it is too often."""
    unstable = np.zeros_like(fired)
    if fired.any():
        here, hour = slots[fired], now_s[fired] // FLAPPING_S % (65_536 // COUNTED)
        same = life.fires[here] // COUNTED == hour
        count = np.where(same, np.minimum(life.fires[here] % COUNTED + 1, COUNTED - 1), 1)
        life.fires[here] = COUNTED * hour + count
        unstable[fired] = count > FLAPS
    return unstable


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
