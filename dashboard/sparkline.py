"""A trend as a small line: where its points are in a box. Pure; a template draws it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

WIDTH, HEIGHT, MARGIN = 240, 48, 3


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The pieces of a line (SVG points; broken where nothing is known), and what it shows."""

    pieces: Sequence[str]
    low: float
    high: float
    first: float
    last: float


def sparkline(
    at: Sequence[datetime], values: Sequence[float], *, since: datetime, until: datetime, width: timedelta
) -> Sparkline | None:
    """The line of a trend between two moments; None when nothing is known. A gap is longer than two widths."""
    known = [(moment, value) for moment, value in zip(at, values, strict=True) if math.isfinite(value)]
    if not known:
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    runs = [[known[0]]]
    for before, after in pairwise(known):
        if after[0] - before[0] > 2 * width:
            runs.append([])
        runs[-1].append(after)

    def point(moment: datetime, value: float) -> str:
        x = WIDTH * ((moment - since) / (until - since))
        y = HEIGHT / 2 if high == low else MARGIN + (HEIGHT - 2 * MARGIN) * (high - value) / (high - low)
        return f"{min(max(x, 0), WIDTH):.1f},{y:.1f}"

    pieces = [" ".join(point(*place) for place in run) for run in runs]
    return Sparkline(pieces, low, high, known[0][1], known[-1][1])
