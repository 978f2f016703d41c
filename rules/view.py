"""The columns of some rows of a board, made when a rule asks for them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from devices.columns import CLOCK, SKY, Fence, Group, Step, Usual, Window, asked
from devices.kind import Column, Formula, Mask, Rule, State
from rules.board import LIVE, Board, Rows, Slots, Times, fields_of
from rules.life import NEVER
from rules.sky import sky

WEEK_H = 168
FAULTS = np.array([State.FAULT_P3, State.FAULT_P1, State.FAULT_P2, State.FAULT_P3], np.uint8)
"""What a fault shows, by its priority; 0 was not told yet."""


@dataclass(frozen=True, eq=False)
class View(Mapping[str, Column]):
    """Columns of some rows; `now_us` is for the clock's, `at_us` the event time of each row (now, when not given).

    With `live_only` what no live reading has told is unknown. Tracks, groups and what is usual need `type`, the type of
    all the rows.
    """

    board: Board
    rows: Rows
    now_us: int
    type: str = ""
    at_us: Times | None = None
    live_only: bool = False
    _made: dict[str, Column] = field(default_factory=dict)
    _known: dict[str, Mask] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.board.kind.field_names, *self.board.attributes, *CLOCK, *SKY))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def only_live(self) -> "View":
        """The same, of what live readings have told."""
        return View(self.board, self.rows, self.now_us, self.type, self.at_us, live_only=True)

    def part(self, places: Rows) -> "View":
        """Of some of its rows, named by their place in it."""
        at_us = None if self.at_us is None else self.at_us[places]
        return View(self.board, self.rows[places], self.now_us, self.type, at_us, self.live_only)

    @cached_property
    def times_us(self) -> Times:
        """The time that each row is looked at."""
        return np.full(len(self.rows), self.now_us) if self.at_us is None else self.at_us

    @cached_property
    def slots(self) -> Slots:
        return self.board.slot[self.rows]

    @cached_property
    def is_all_live(self) -> bool:
        """Was every value of these rows told live?"""
        return not self.board.heard_how[:, self.rows].any()

    def known(self, name: str) -> Mask:
        """Where a column is known."""
        if name not in self._known:
            self._known[name] = ~np.isnan(self[name])
        return self._known[name]

    def _make(self, name: str) -> Column:
        match asked(name):
            case None:
                return self._plain(name)
            case Step(subject, how):
                return self._told(subject, self.board.tracks[self.type, subject].step(how, self.slots))
            case Window(subject) as window:
                track = self.board.tracks[self.type, subject]
                return self._told(subject, track.window(window, self.slots, self.times_us))
            case Group() as group:
                return self._group(group)
            case Usual():
                return self._usual(name)
            case Fence(fence):
                return self._within(fence)

    def _plain(self, name: str) -> Column:
        board = self.board
        if name in board.kind.field_names:
            return self._told(name, board.values[board.kind.field_index(name), self.rows])
        if name in board.attributes:
            return board.attributes[name][self.rows]
        if name in SKY:
            return sky(name, board.wall, board.lat[self.rows], board.lon[self.rows], self.times_us)
        computed = {
            "silence_s": self._silence_s,
            "overdue_periods": lambda: self["silence_s"] / self._period_s(),
            "state": lambda: states(board, self.rows).astype(np.float64),
            "reading_age_s": self._reading_age_s,
        }
        return computed[name]() if name in computed else self._derived(name)

    def _told(self, subject: str, values: Column) -> Column:
        """Unknown where the subject was not told live, if that is asked."""
        if not self.live_only:
            return values
        return np.where(heard(self.board, (subject,), self.rows) == LIVE, values, np.nan)

    def _derived(self, name: str) -> Column:
        formula = next((f for f in self.board.kind.derived if f.function.__name__ == name), None)
        if formula is None:
            raise KeyError(name)
        known = is_known(formula.columns, self)
        return np.where(known, np.asarray(formula(self), np.float64), np.nan)

    def _silence_s(self) -> Column:
        watched_us = self.board.watched_us[self.rows]
        heard_us = np.maximum(self.board.heard_us[self.rows], watched_us)
        silence_s: Column = np.maximum(self.now_us - heard_us, 0) / 1e6
        return np.where(watched_us == NEVER, np.nan, silence_s)

    def _reading_age_s(self) -> Column:
        last_us = self.board.last_us[self.rows]
        return np.where(last_us == NEVER, np.inf, np.maximum(self.now_us - last_us, 0) / 1e6)

    def _period_s(self) -> Column:
        """The expected period of each row, by its type and state."""
        period_s = np.full(len(self.rows), np.nan)
        for index, device_type in enumerate(self.board.kind.types):
            here = self.board.type[self.rows] == index
            if here.any():
                part = self if here.all() else View(self.board, self.rows[here], self.now_us, device_type.name)
                period_s[here] = Formula.of(device_type.expected_period_s)(part)
        return period_s

    def _group(self, group: Group) -> Column:
        members, place = self.board.members(group, self.type).of(self.rows)
        type_ = self.board.kind.member_type(group, self.type) or ""
        view = View(self.board, members.rows, self.now_us, type_, live_only=self.live_only)
        figures = np.append(members.over(group.how, view[group.subject]), np.nan)
        return figures[place]  # whoever has no list has the last one, which is unknown

    def _usual(self, name: str) -> Column:
        usual = self.board.usual.get(name)
        if usual is None:
            return np.full(len(self.rows), np.nan)
        if usual.ndim == 1:
            return usual[self.rows].astype(np.float64)
        wall = self.board.wall
        hour = wall.column("local_hour", self.times_us).astype(np.intp)
        if len(usual) == WEEK_H:
            hour += 24 * wall.column("weekday", self.times_us).astype(np.intp)
        return usual[hour, self.rows].astype(np.float64)

    def _within(self, name: str) -> Column:
        shape = self.board.fences.get(name)
        lat, lon = (self[axis] if axis in self.board.kind.field_names else None for axis in ("lat", "lon"))
        lat, lon = (
            (self.board.lat[self.rows] if lat is None else lat),
            (self.board.lon[self.rows] if lon is None else lon),
        )
        unknown = np.isnan(lat) | np.isnan(lon)
        if shape is None:
            return np.where(unknown, np.nan, 0.0 if self.board.knows_fences else np.nan)
        return np.where(unknown, np.nan, shapely.contains_xy(shape, lon, lat).astype(np.float64))


def heard(board: Board, names: Sequence[str], rows: Rows) -> NDArray[np.uint8]:
    """How the fields that columns depend on were heard of rows: the worst of LIVE, LATE, REPLAYED; shape (rows,)."""
    fields = [board.kind.field_index(name) for name in sorted(set(fields_of(board.kind, names)))]
    how: NDArray[np.uint8] = board.heard_how[fields][:, rows].max(axis=0, initial=LIVE)
    return how


def is_known(
    columns: Sequence[str], view: Mapping[str, Column], *, optional: Sequence[str] = (), any_of: Sequence[str] = ()
) -> Mask:
    """Where a formula over columns can be believed: none that it needs is unknown, nor are all of `any_of`."""
    known = view.known if isinstance(view, View) else lambda name: ~np.isnan(view[name])
    needed = [known(name) for name in columns if name not in optional and name not in any_of]
    if any_of:
        needed.append(np.logical_or.reduce([known(name) for name in any_of]))
    both: Mask = np.logical_and.reduce(needed)
    return both


def states(board: Board, rows: Rows | None = None) -> NDArray[np.uint8]:
    """What rows show on the map (devices.kind.State), of the whole board when none are named; shape (rows,)."""
    shown = np.where(board.heard_us > 0, State.NORMAL, State.UNKNOWN).astype(np.uint8)
    for device_type, here in zip(board.kind.types, board.rows_by_type, strict=True):
        if device_type.resting is not None:
            resting: Mask = Formula.of(device_type.resting)(View(board, here, 0, device_type.name))
            shown[here[resting & (shown[here] == State.NORMAL)]] = State.RESTING
    for rule in board.rules:
        firing = board.firing(rule)
        if len(firing):
            shown[firing] = np.maximum(shown[firing], fault_shown(board, rule))
    return shown if rows is None else shown[rows]


def fault_shown(board: Board, rule: Rule) -> NDArray[np.uint8]:
    """What each device on which a rule fires shows for it, by the priority that was told."""
    life = board.lives[rule.code]
    priority = life.priority[life.firing]
    shown: NDArray[np.uint8] = FAULTS[priority]
    return np.where(priority == 3, np.uint8(State.SILENT), shown) if rule.is_silence else shown
