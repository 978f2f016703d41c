"""The board: the present state of every device of a kind, as arrays by row. Pure.

A row is a device, in the order of the registry. Times are int64 microseconds since 1970; 0 is never.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from devices.kind import CLOCK_COLUMNS, Column, Formula, Kind, Mask, Rule, State, kinds
from devices.registry import Registry

Rows = NDArray[np.intp]
Times = NDArray[np.int64]
NEVER, LONG_AGO = 0, 1
LIVE, LATE, REPLAYED = range(3)
"""How the board came to know a value. What only a late or a replayed reading told is history: it calls nobody."""


@dataclass(frozen=True, slots=True)
class Life:
    """Where a rule stands on each device, shape (n,) each."""

    since_us: Times
    """Event time since which the condition has held."""
    calm_us: Times
    """Event time since which the clearing condition has held, while firing."""
    firing: Mask
    loud: Mask
    """Firing, and somebody was to be called for it."""

    @classmethod
    def blank(cls, n: int) -> Self:
        return cls(np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool))

    def copy(self) -> Self:
        """The same, in arrays of its own."""
        return replace(self, **{part.name: getattr(self, part.name).copy() for part in fields(self)})


@dataclass(frozen=True, slots=True)
class Board:
    """One kind's devices, n rows."""

    kind: Kind
    device_no: NDArray[np.int32]
    type: NDArray[np.int8]
    """Index in the kind's types, -1 while unknown."""
    commissioned: Mask
    commune: NDArray[np.intp]
    """Index in `communes`."""
    communes: Sequence[str]
    parent: Rows
    """Row of the parent, -1 without."""
    attributes: Mapping[str, Column]
    values: NDArray[np.float64]
    """Latest known value by field, shape (fields, n)."""
    heard_how: NDArray[np.uint8]
    """How each value came: LIVE, LATE or REPLAYED, shape (fields, n)."""
    last_us: Times
    """Event time of the newest reading that was applied."""
    heard_us: Times
    """Hub time at which the device last spoke."""
    watched_us: Times
    """Hub time since which its silence is counted; 0 while the rules are not at the head of the log."""
    replayed: Mask
    """Its newest reading was replayed: nobody is to be called for it."""
    lives: Mapping[str, Life]
    """By rule code."""
    row_by_no: NDArray[np.int32]
    """Row of a device number, -1 for other kinds' devices."""

    @classmethod
    def of(cls, kind: Kind, registry: Registry) -> Self:
        """A blank board of the registry's devices of a kind."""
        part = registry.of_kind(kind.name)
        n = len(part)
        row_by_no = np.full(int(registry.device_no.max(initial=0)) + 1, -1, np.int32)
        row_by_no[part.device_no] = np.arange(n)
        type_index = {t.name: i for i, t in enumerate(kind.types)}
        if kind.unsaid_type:  # needs no announcement to be known
            type_index[""] = type_index[kind.unsaid_type]
        communes = {name: i for i, name in enumerate(sorted(set(part.commune)))}
        parent = np.where(part.parent_no > 0, row_by_no[part.parent_no], -1)
        return cls(
            kind=kind,
            device_no=part.device_no,
            type=np.array([type_index.get(t, -1) for t in part.type.tolist()], np.int8),
            commissioned=part.commissioned,
            commune=np.array([communes[name] for name in part.commune], np.intp),
            communes=tuple(communes),
            parent=parent.astype(np.intp),
            attributes=part.attributes,
            values=np.full((len(kind.fields), n), np.nan),
            heard_how=np.full((len(kind.fields), n), LIVE, np.uint8),
            last_us=np.zeros(n, np.int64),
            heard_us=np.zeros(n, np.int64),
            watched_us=np.zeros(n, np.int64),
            replayed=np.zeros(n, bool),
            lives={rule.code: Life.blank(n) for rule in kind.rules},
            row_by_no=row_by_no,
        )

    def __len__(self) -> int:
        return len(self.device_no)

    def rows(self, device_no: NDArray[np.integer]) -> Rows:
        """Rows of device numbers, -1 for those that are not on the board."""
        known = (device_no >= 0) & (device_no < len(self.row_by_no))
        return np.where(known, self.row_by_no[np.where(known, device_no, 0)], -1).astype(np.intp)

    def rows_of(self, rule: Rule) -> Rows:
        """Rows that a rule watches: commissioned devices of its type."""
        return self.rows_of_type(rule.type)

    def rows_of_type(self, name: str) -> Rows:
        """Rows of the commissioned devices of a type."""
        return np.flatnonzero(self.commissioned & (self.type == self.type_index(name)))

    def type_index(self, name: str) -> int:
        return self.kind.types.index(self.kind.type(name))

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The state, by name; what a checkpoint keeps. Row is the last axis."""
        yield "last_us", self.last_us
        yield "heard_us", self.heard_us
        yield "watched_us", self.watched_us
        yield "replayed", self.replayed
        for name, values, how in zip(self.kind.field_names, self.values, self.heard_how, strict=True):
            yield f"value.{name}", values
            yield f"how.{name}", how
        for code, life in self.lives.items():
            for part in fields(Life):
                yield f"rule.{code}.{part.name}", getattr(life, part.name)

    def watch(self, now_us: int, *, anew: bool = False) -> None:
        """Count silence from now on, of the devices that are not watched yet, or of all when the hub was away.

        What was told to be silent before stays so until it is heard.
        """
        begins = (self.watched_us == NEVER) | anew
        self.watched_us[begins] = now_us
        for rule in self.kind.rules:
            if rule.is_silence:
                self.watched_us[begins & self.lives[rule.code].firing] = LONG_AGO

    def take_over(self, device_no: NDArray[np.int32], state: Mapping[str, NDArray[np.generic]]) -> None:
        """Set the state of the devices that an older board or a checkpoint knew; the others stay blank."""
        rows = self.rows(device_no)
        known = rows >= 0
        for name, array in self.arrays():
            if name in state:
                array[rows[known]] = state[name][known]


@dataclass(frozen=True, slots=True)
class View(Mapping[str, Column]):
    """Columns of some rows of a board, made when a rule asks for them; `now_us` is for the clock columns.

    With `live_only` what no live reading has told is unknown.
    """

    board: Board
    rows: Rows
    now_us: int
    live_only: bool = False

    def __getitem__(self, name: str) -> Column:
        board = self.board
        if name in board.kind.field_names:
            field = board.kind.field_index(name)
            values: Column = board.values[field, self.rows]
            return np.where(board.heard_how[field, self.rows] == LIVE, values, np.nan) if self.live_only else values
        if name in board.attributes:
            return board.attributes[name][self.rows]
        if name.startswith("children__"):
            return self._children(name)
        computed = {
            "silence_s": self._silence_s,
            "overdue_periods": lambda: self._silence_s() / self._period_s(),
            "state": lambda: states(board, self.rows).astype(np.float64),
            "reading_age_s": self._reading_age_s,
        }
        if name in computed:
            return computed[name]()
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.board.kind.field_names, *self.board.attributes, *CLOCK_COLUMNS))

    def __len__(self) -> int:
        return len(list(iter(self)))

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
                part = View(self.board, self.rows[here], self.now_us)
                period_s[here] = Formula.of(device_type.expected_period_s)(part)
        return period_s

    def _children(self, name: str) -> Column:
        """`children__<derived column>__share`: of each row's commissioned children of which it is known."""
        _, derived_name, how = name.split("__")
        if how != "share":
            raise KeyError(f"{name}: children can be asked for a share")
        formula = self.board.kind.derived_formula(derived_name)
        children = np.flatnonzero(self.board.commissioned & (self.board.parent >= 0))
        children = children[np.isin(self.board.parent[children], self.rows)]
        view = View(self.board, children, self.now_us, self.live_only)
        known = is_known(formula.columns, view)
        n, parents = len(self.board), self.board.parent[children]
        total = np.bincount(parents[known], minlength=n)[self.rows]
        true = np.bincount(parents[known & formula(view)], minlength=n)[self.rows]
        share: Column = np.divide(true, total, out=np.full(len(self.rows), np.nan), where=total > 0)
        return share


def is_known(
    columns: Sequence[str], view: Mapping[str, Column], *, optional: Sequence[str] = (), any_of: Sequence[str] = ()
) -> Mask:
    """Where a formula over columns can be believed: none that it needs is unknown, nor are all of `any_of`."""
    needed = [~np.isnan(view[name]) for name in columns if name not in optional and name not in any_of]
    if any_of:
        needed.append(np.logical_or.reduce([~np.isnan(view[name]) for name in any_of]))
    known: Mask = np.logical_and.reduce(needed)
    return known


def states(board: Board, rows: Rows) -> NDArray[np.uint8]:
    """What rows show on the map (devices.kind.State), shape (rows,)."""
    shown = np.where(board.heard_us[rows] > 0, State.NORMAL, State.UNKNOWN).astype(np.uint8)
    view = View(board, rows, 0)
    for index, device_type in enumerate(board.kind.types):
        if device_type.resting is not None:
            resting: Mask = Formula.of(device_type.resting)(view)
            here = (board.type[rows] == index) & (shown == State.NORMAL) & resting
            shown[here] = State.RESTING
    for rule in board.kind.rules:
        if rule.is_silence and rule.priority == 3:
            fault = State.SILENT
        else:
            fault = (State.FAULT_P1, State.FAULT_P2, State.FAULT_P3)[rule.priority - 1]
        firing = board.lives[rule.code].firing[rows]
        shown[firing] = np.maximum(shown[firing], fault)
    return shown


def blank_boards(registry: Registry, names: Collection[str] | None = None) -> dict[str, Board]:
    """A blank board for every kind, or for some."""
    return {name: Board.of(kind, registry) for name, kind in kinds().items() if names is None or name in names}
