"""The life cycle of a rule on many devices at once: pending, firing, calm. Pure.

Every argument is an array over the same rows; the state is changed in place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.kind import Mask
from rules.board import NEVER, Life, Rows, Times


@dataclass(frozen=True, slots=True)
class Outcome:
    """What changed: masks over the rows that were evaluated."""

    fired: Mask
    confirmed: Mask
    """Was firing quietly, and what came now is worth a call."""
    cleared: Mask


def live(
    life: Life,
    rows: Rows,
    *,
    bad: Mask,
    good: Mask,
    known: Mask,
    ts_us: Times,
    worth_a_call: Mask,
    hold_us: int,
    calm_us: int,
) -> Outcome:
    """Move a rule's life on `rows` (each at most once) to `ts_us`.

    `bad` is the condition, `good` the clearing condition; where not `known` nothing moves.
    """
    firing, since, calm = life.firing[rows], life.since_us[rows], life.calm_us[rows]
    pending = known & bad & ~firing
    since = np.where(pending & (since == NEVER), ts_us, np.where(known & ~bad & ~firing, NEVER, since))
    fired = pending & (ts_us - since >= hold_us)
    calming = known & good & firing
    calm = np.where(calming & (calm == NEVER), ts_us, np.where(known & ~good, NEVER, calm))
    cleared = calming & (ts_us - calm >= calm_us)
    confirmed = known & bad & firing & ~life.loud[rows] & worth_a_call & ~cleared

    life.since_us[rows] = np.where(cleared, NEVER, since)
    life.calm_us[rows] = np.where(cleared | ~firing, NEVER, calm)
    life.firing[rows] = (firing | fired) & ~cleared
    life.loud[rows] = (life.loud[rows] | (fired & worth_a_call) | confirmed) & ~cleared
    return Outcome(fired, confirmed, cleared)


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
