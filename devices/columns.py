"""The names of columns: what a rule may read, and what each name asks for. Pure.

A plain name is the newest value of a field, what the registry says (an attribute), a derived column of the kind, or one
of the words of CLOCK and SKY. Two underscores ask for more of a subject, which is a field or a derived column:

    total_m3__rise             against the value before it: prev, diff, rise (a counter's), rate_h, gap_s
    power_w__mean_15m          over a rolling window of event time: count, sum, mean, min, max, rise, changes, still,
                               p05 to p95
    current_a__usual_hour      what the history leads to expect: see USUAL
    children__dark__share      over other devices: children, siblings, commune or near_500m, and then share, count,
                               known, sum, mean, median, min or max; siblings and commune count the device itself
    in__depot                  within a geofence of that name
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

CLOCK = frozenset({"silence_s", "overdue_periods"})
"""Columns that every tick renews: seconds since a device last spoke, and the same in its expected periods."""
SKY = frozenset({"sun_elevation_deg", "local_hour", "weekday", "is_holiday"})
"""Columns of the moment and the place: the sun over the device in degrees, the hour of the city's clocks (0 to 24),
the day of the week (0 is Monday), and whether it is a public holiday."""
USUAL = {
    "usual_hour": "median of the same hour of the last seven days",
    "usual_week_hour": "mean of the same hour of the week in the last four weeks",
    "usual_night_min": "median of the lowest hours, from 1 to 5, of the last 28 nights",
    "night_min": "lowest hour, from 1 to 5, of the last night",
    "nights_over": "how many nights in a row, up to the last, lay over usual_night_min by a fifth",
    "usual_day": "median of the daily increase in the last 28 days",
    "day": "increase of the last whole day",
    "usual_season": "mean daily increase of the same 30 days in up to three years before",
    "month": "mean daily increase of the last 30 days",
    "weekend_share": "daily increase at week-ends over that of weekdays, in the last 28 days",
    "peak_year": "highest value of the last year, but for the last day",
    "peak_day": "highest value of the last day",
}
"""What the history tells of a field, from the database's rollups (store/usual.py says from how many days on).

Of a counter it is the increase that is looked at: of the hour, in the words of hours and nights, else of the day.
"""
STEPS = ("prev", "diff", "rise", "rate_h", "gap_s")
GROUPS = ("children", "siblings", "commune")
OVER_GROUP = ("share", "count", "known", "sum", "mean", "median", "min", "max")
OVER_WINDOW = ("count", "sum", "mean", "min", "max", "rise", "changes", "still")
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST_DAYS = 60
NICE_S = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_WINDOW = re.compile(r"(?P<how>[a-z]+|p\d\d)_(?P<count>\d{1,4})(?P<unit>[smhd])")
_NEAR = re.compile(r"near_(?P<metres>\d{1,5})m")


class BadColumn(ValueError):
    """A name that asks for nothing that there is; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A subject against its value before."""

    subject: str
    how: Literal["prev", "diff", "rise", "rate_h", "gap_s"]


@dataclass(frozen=True, slots=True)
class Window:
    """A subject over the last `span_s` of event time, in panes that begin at whole multiples of `pane_s`.

    It is the current pane and those of one whole span before it.
    """

    subject: str
    how: str
    span_s: int

    @property
    def pane_s(self) -> int:
        if self.span_s >= 14 * 86_400:
            return 86_400
        if self.span_s >= 2 * 86_400:
            return 21_600
        if self.span_s >= 86_400:
            return 3600
        return max((nice for nice in NICE_S if nice * 12 <= self.span_s and not self.span_s % nice), default=1)

    @property
    def panes(self) -> int:
        return -(-self.span_s // self.pane_s)


@dataclass(frozen=True, slots=True)
class Group:
    """A column over other devices."""

    group: str
    subject: str
    """Any column but another group's."""
    how: str

    @property
    def radius_m(self) -> int | None:
        """How far neighbours are, None for the other groups."""
        found = _NEAR.fullmatch(self.group)
        return int(found["metres"]) if found else None


@dataclass(frozen=True, slots=True)
class Usual:
    """What the history leads to expect of a field."""

    field: str
    how: str


@dataclass(frozen=True, slots=True)
class Fence:
    """Is the device within a geofence?"""

    name: str


Asked = Step | Window | Group | Usual | Fence


@cache
def asked(name: str) -> Asked | None:
    """What a name with two underscores asks for, None for a plain one; BadColumn when it asks for nothing known."""
    first, *rest = name.split("__")
    if not rest:
        return None
    if not all((first, *rest)):
        raise BadColumn(f"{name}: something is missing before or after two underscores")
    if first == "in":
        return Fence("__".join(rest))
    if first in GROUPS or _NEAR.fullmatch(first):
        return _group(name, first, rest)
    if len(rest) > 1:
        raise BadColumn(f"{name}: {first} is no group; groups are {', '.join(GROUPS)} and near_500m")
    (word,) = rest
    if word in STEPS:
        return Step(first, word)  # type: ignore[arg-type]
    if word in USUAL:
        return Usual(first, word)
    if (window := _WINDOW.fullmatch(word)) is not None:
        return _window(name, first, window)
    raise BadColumn(
        f"{name}: {word} is not known; there are {', '.join(STEPS)}, windows such as mean_15m, and {', '.join(USUAL)}"
    )


def _group(name: str, group: str, rest: list[str]) -> Group:
    if len(rest) < 2 or rest[-1] not in OVER_GROUP:
        raise BadColumn(f"{name}: a group is asked for {', '.join(OVER_GROUP)}, as in {group}__state__share")
    subject = "__".join(rest[:-1])
    if isinstance(asked(subject), Group):
        raise BadColumn(f"{name}: a group of groups cannot be asked for")
    return Group(group, subject, rest[-1])


def _window(name: str, subject: str, found: re.Match[str]) -> Window:
    how, span_s = found["how"], int(found["count"]) * UNITS_S[found["unit"]]
    is_percentile = re.fullmatch(r"p\d\d", how) is not None
    if how not in OVER_WINDOW and not is_percentile:
        raise BadColumn(f"{name}: a window is asked for {', '.join(OVER_WINDOW)} or a percentile such as p20")
    if not 0 < span_s <= LONGEST_DAYS * 86_400:
        raise BadColumn(f"{name}: a window is longer than nothing and at most {LONGEST_DAYS} days")
    return Window(subject, how, span_s)
