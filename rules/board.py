"""The board: the present state of every device of a kind, as arrays by row. Pure.

A row is a device, in the order of the registry. What only one type needs (lives of rules, tracks) is by slot: the
place of a device among those of its type. Times are int64 microseconds since 1970; 0 is never.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Self

import numpy as np
from numpy.typing import NDArray

from devices.columns import Fence, Group, Step, Usual, Window, asked
from devices.kind import Column, Kind, Mask, Rule, kinds
from devices.policy import Policy
from devices.readings import Readings
from devices.registry import Registry
from hub.clock import SECOND_US
from rules.groups import Members, members
from rules.life import LONG_AGO, NEVER, Life
from rules.sky import Wall
from rules.track import Track

Rows = NDArray[np.intp]
Slots = NDArray[np.intp]
Times = NDArray[np.int64]
LIVE, LATE, REPLAYED = range(3)
"""How the board came to know a value. What only a late or a replayed reading told is history: it calls nobody."""
TIMEZONE = "Europe/Paris"


@dataclass(slots=True, eq=False)
class Board:
    """One kind's devices, n rows, and the rules that watch them."""

    kind: Kind
    rules: tuple[Rule, ...]
    """In the order in which they are evaluated."""
    wall: Wall
    device_no: NDArray[np.int32]
    type: NDArray[np.int8]
    """Index in the kind's types, -1 while unknown."""
    slot: Slots
    """Place of a row among those of its type."""
    rows_by_type: Sequence[Rows]
    """The rows of each of the kind's types, in the order of their slots."""
    commissioned: Mask
    commune: NDArray[np.intp]
    """Index in `communes`."""
    communes: Sequence[str]
    parent: Rows
    """Row of the parent, -1 without."""
    lat: Column
    lon: Column
    """Where the registry says that it stands, degrees; NaN when unknown."""
    attributes: Mapping[str, Column]
    thresholds: Mapping[str, Mapping[str, Column]]
    """By rule code and name, those that a city has tuned, by slot."""
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
    """By rule code, by slot of the rule's type."""
    tracks: Mapping[tuple[str, str], Track]
    """By type and subject, what is remembered beyond the newest value, by slot."""
    row_by_no: NDArray[np.int32]
    """Row of a device number, -1 for other kinds' devices."""
    timed: Collection[str]
    """Codes of the rules that depend on the wall clock or on other devices, so that every tick must evaluate them."""
    usual: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    """What the history leads to expect, by column name: shape (n,), or (hours, n) for those of an hour."""
    fences: dict[str, object] = field(default_factory=dict)
    """Geofences by name, as prepared shapes of shapely in degrees (lon, lat)."""
    knows_fences: bool = True
    """Are all fences among them? Else one that is not is unknown, not empty."""
    delayed: "Sequence[Delayed]" = ()
    """Where rules that wait for late readings see them in their order."""
    _rules_of: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    _members: dict[Group, Members] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        kind: Kind,
        registry: Registry,
        policy: Policy | None = None,
        timezone: str = TIMEZONE,
        lateness_s: float | None = None,
    ) -> Self:
        """A blank board of the registry's devices of a kind, with all rules or those of one lateness."""
        policy = policy or Policy()
        part = registry.of_kind(kind.name)
        n = len(part)
        row_by_no = np.full(int(registry.device_no.max(initial=0)) + 1, -1, np.int32)
        row_by_no[part.device_no] = np.arange(n)
        type_index = {t.name: i for i, t in enumerate(kind.types)}
        if kind.unsaid_type:  # needs no announcement to be known
            type_index[""] = type_index[kind.unsaid_type]
        types = np.array([type_index.get(t, -1) for t in part.type.tolist()], np.int8)
        rows_by_type = tuple(np.flatnonzero(types == index) for index in range(len(kind.types)))
        slot = np.zeros(n, np.intp)
        for rows in rows_by_type:
            slot[rows] = np.arange(len(rows))
        communes = {name: i for i, name in enumerate(sorted(set(part.commune)))}
        parent = np.where(part.parent_no > 0, row_by_no[part.parent_no], -1)
        every = policy.rules(kind)
        rules = every if lateness_s is None else tuple(rule for rule in every if rule.lateness_s == lateness_s)
        here = tuple(rule for rule in rules if rule.lateness_s == (lateness_s or 0))
        rows_of = {t.name: rows for t, rows in zip(kind.types, rows_by_type, strict=True)}
        board = cls(
            kind=kind,
            rules=rules,
            wall=Wall.of(timezone),
            device_no=part.device_no,
            type=types,
            slot=slot,
            rows_by_type=rows_by_type,
            commissioned=part.commissioned,
            commune=np.array([communes[name] for name in part.commune], np.intp),
            communes=tuple(communes),
            parent=parent.astype(np.intp),
            lat=part.lat,
            lon=part.lon,
            attributes=part.attributes,
            thresholds={
                rule.code: {name: column[rows_of[rule.type]] for name, column in tuned.items()}
                for rule in rules
                if (tuned := policy.thresholds(kind.name, rule, part))
            },
            values=np.full((len(kind.fields), n), np.nan),
            heard_how=np.full((len(kind.fields), n), LIVE, np.uint8),
            last_us=np.zeros(n, np.int64),
            heard_us=np.zeros(n, np.int64),
            watched_us=np.zeros(n, np.int64),
            replayed=np.zeros(n, bool),
            lives={rule.code: Life.blank(len(rows_of[rule.type])) for rule in rules},
            tracks={
                (type_, subject): Track.of(len(rows_of[type_]), questions, rolls_at(kind, subject))
                for (type_, subject), questions in remembered(kind, here).items()
            },
            row_by_no=row_by_no,
            timed=frozenset(rule.code for rule in here if kind.is_timed(rule)),
        )
        for device_type in kind.types:
            board._rules_of[device_type.name] = tuple(rule for rule in here if rule.type == device_type.name)
        if lateness_s is None:
            board.delayed = tuple(
                Delayed(int(late_s * SECOND_US), cls.of(kind, registry, policy, timezone, late_s).sharing(board))
                for late_s in sorted({rule.lateness_s for rule in rules} - {0.0})
            )
        return board

    def sharing(self, other: "Board") -> Self:
        """This board, with the lives of its rules, what is usual and the fences in another's place."""
        self.lives = {rule.code: other.lives[rule.code] for rule in self.rules}
        self.usual, self.fences = other.usual, other.fences
        return self

    def expect(
        self, name: str, device_no: NDArray[np.integer], values: NDArray[np.floating], *, hour: int = 0, hours: int = 1
    ) -> None:
        """What the history leads to expect of devices, shape (n,), in the column of that name.

        With `hours`, 24 or 168, it is that of one hour of the day or of the week.
        """
        shape = (hours, len(self)) if hours > 1 else (len(self),)
        column = self.usual.get(name)
        if column is None or column.shape != shape:
            column = self.usual[name] = np.full(shape, np.nan, np.float32)
        rows = self.rows(device_no)
        here = rows >= 0
        (column[hour] if hours > 1 else column)[rows[here]] = values[here]

    def fence_in(self, fences: Mapping[str, object] | None) -> None:
        """These are the geofences from now on, all of them; None: they are not known."""
        self.fences.clear()
        self.fences.update(fences or {})
        for board in (self, *(delayed.board for delayed in self.delayed)):
            board.knows_fences = fences is not None

    def __len__(self) -> int:
        return len(self.device_no)

    def rows(self, device_no: NDArray[np.integer]) -> Rows:
        """Rows of device numbers, -1 for those that are not on the board."""
        known = (device_no >= 0) & (device_no < len(self.row_by_no))
        return np.where(known, self.row_by_no[np.where(known, device_no, 0)], -1).astype(np.intp)

    def rows_of_type(self, name: str) -> Rows:
        """Rows of the commissioned devices of a type."""
        rows = self.rows_by_type[self.type_index(name)]
        return rows[self.commissioned[rows]]

    def rules_of(self, type_: str) -> tuple[Rule, ...]:
        """The rules that see a type's readings on this board."""
        return self._rules_of.get(type_, ())

    def watching(self, rule: Rule) -> "Board":
        """The board on which a rule is evaluated: this one, or that of the rules that wait as long as it does."""
        late_us = int(rule.lateness_s * SECOND_US)
        return next((delayed.board for delayed in self.delayed if delayed.lateness_us == late_us), self)

    def type_index(self, name: str) -> int:
        return self.kind.types.index(self.kind.type(name))

    def members(self, group: Group, type_: str) -> Members:
        """Who belongs to whom, of the type that a group of a type has as members."""
        key = Group(group.group, self.kind.member_type(group, type_) or "", "")
        if key not in self._members:
            self._members[key] = members(
                key,
                commissioned=self.rows_of_type(key.subject),
                parent=self.parent,
                commune=self.commune,
                lat=self.lat,
                lon=self.lon,
            )
        return self._members[key]

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic], str | None]]:
        """The state: name, array whose last axis is the row, or the slot of a type, and that type (None: the row).

        It is what a checkpoint keeps.
        """
        yield "last_us", self.last_us, None
        yield "heard_us", self.heard_us, None
        yield "watched_us", self.watched_us, None
        yield "replayed", self.replayed, None
        for name, values, how in zip(self.kind.field_names, self.values, self.heard_how, strict=True):
            yield f"value.{name}", values, None
            yield f"how.{name}", how, None
        for rule in self.rules:
            for part, array in self.lives[rule.code].arrays():
                yield f"rule.{rule.code}.{part}", array, rule.type
        for (type_, subject), track in self.tracks.items():
            for part, array in track.arrays():
                yield f"track.{type_}.{subject}.{part}", array, type_
        for delayed in self.delayed:
            for name, array, of_type in delayed.board.arrays():
                if not name.startswith("rule."):  # its lives are this board's
                    yield f"late.{delayed.lateness_us}.{name}", array, of_type

    def numbers(self) -> dict[str | None, NDArray[np.int32]]:
        """The device numbers by row, and by slot of each type."""
        numbers: dict[str | None, NDArray[np.int32]] = {None: self.device_no}
        for device_type, rows in zip(self.kind.types, self.rows_by_type, strict=True):
            numbers[device_type.name] = self.device_no[rows]
        return numbers

    def watch(self, now_us: int, *, anew: bool = False) -> None:
        """Count silence from now on, of the devices that are not watched yet, or of all when the hub was away.

        What was told to be silent before stays so until it is heard.
        """
        begins = (self.watched_us == NEVER) | anew
        if not begins.any():
            return
        self.watched_us[begins] = now_us
        for rule in self.rules:
            if rule.is_silence:
                rows = self.rows_by_type[self.type_index(rule.type)]
                told = rows[self.lives[rule.code].firing]
                self.watched_us[told[begins[told]]] = LONG_AGO

    def take_over(
        self, numbers: Mapping[str | None, NDArray[np.integer]], state: Mapping[str, NDArray[np.generic]]
    ) -> None:
        """Set the state of the devices that an older board or a checkpoint knew; the others stay blank.

        `numbers` are those of the rows, and of the slots of each type, that the arrays of `state` are of.
        """
        mine = self.numbers()
        for name, array, type_ in self.arrays():
            if name in state and type_ in numbers and state[name].shape[:-1] == array.shape[:-1]:
                _, here, there = np.intersect1d(mine[type_], numbers[type_], assume_unique=True, return_indices=True)
                array[..., here] = state[name][..., there]

    def take_over_from(self, old: "Board") -> None:
        """Know of the devices what an older board of the kind knew, and let wait what waited there."""
        self.take_over(old.numbers(), {name: array for name, array, _ in old.arrays()})
        self.fence_in(old.fences if old.knows_fences else None)
        _, here, there = np.intersect1d(self.device_no, old.device_no, assume_unique=True, return_indices=True)
        for name, column in old.usual.items():
            self.usual[name] = np.full((*column.shape[:-1], len(self)), np.nan, column.dtype)
            self.usual[name][..., here] = column[..., there]
        for mine in self.delayed:
            for theirs in old.delayed:
                if mine.lateness_us == theirs.lateness_us and (waiting := theirs.waiting) is not None:
                    mine.put(waiting)

    def firing(self, rule: Rule) -> Rows:
        """The rows on which a rule fires."""
        return self.rows_by_type[self.type_index(rule.type)][self.lives[rule.code].firing]


@dataclass(slots=True, eq=False)
class Delayed:
    """Readings on their way to rules that wait for late ones, and the board on which these rules see them.

    A reading is due once its lateness is over; one that comes still later, as it comes. So the order in which they are
    seen depends on nothing but the readings, neither on ticks nor on how the log is cut.
    """

    lateness_us: int
    board: Board
    _heap: list[tuple[int, int, Readings]] = field(default_factory=list)
    """When the first of some readings is due, how many came before, the readings."""
    _count: int = 0

    @property
    def waiting(self) -> Readings | None:
        """All that waits; None when nothing does."""
        parts = [readings for _, _, readings in self._heap]
        return Readings.joined(parts) if parts else None

    def put(self, readings: Readings) -> None:
        """Let readings wait for their time, those that a rule here looks at."""
        board, rows = self.board, self.board.rows(readings.device_no)
        watched = np.array([*(bool(board.rules_of(type_.name)) for type_ in board.kind.types), False])
        known = np.flatnonzero(rows >= 0)
        readings = readings.take(known[watched[board.type[rows[known]]]])
        self._push(replace(readings, rest={}, strangers={}))

    def due(self, until_us: int) -> Readings | None:
        """Those that are due at a time, in the order in which they are to be seen; None when there are none."""
        found = []
        while self._heap and self._heap[0][0] <= until_us:
            _, _, readings = heappop(self._heap)
            is_due = self._due_us(readings) <= until_us
            found.append(readings.where(is_due))
            self._push(readings.where(~is_due))
        if not found:
            return None
        due = Readings.joined(found)
        ts_us = np.minimum(due.ts_us, due.received_us)
        return due.take(np.lexsort((due.part, due.offset, ts_us, self._due_us(due))))

    def _push(self, readings: Readings) -> None:
        if len(readings):
            heappush(self._heap, (int(self._due_us(readings).min()), self._count, readings))
            self._count += 1

    def _due_us(self, readings: Readings) -> Times:
        ts_us = np.minimum(readings.ts_us, readings.received_us)
        due_us: Times = np.maximum(ts_us + self.lateness_us, readings.received_us)
        return due_us


def remembered(kind: Kind, rules: Collection[Rule]) -> dict[tuple[str, str], set[Step | Window]]:
    """What rules ask of each type's subjects beyond the newest value, also through groups and derived columns.

    A subject comes after those that it is made of.
    """
    found: dict[tuple[str, str], set[Step | Window]] = {}
    for type_, name in read_by(kind, rules):
        question = asked(name)
        if isinstance(question, Step | Window):
            found.setdefault((type_, question.subject), set()).add(question)
    return found


def expected(kind: Kind, rules: Collection[Rule]) -> dict[str, set[str]]:
    """The columns of what is usual that rules ask for, and of which types."""
    found: dict[str, set[str]] = {}
    for type_, name in read_by(kind, rules):
        if isinstance(asked(name), Usual):
            found.setdefault(name, set()).add(type_)
    return found


def read_by(kind: Kind, rules: Collection[Rule]) -> list[tuple[str, str]]:
    """Every column that rules read of each type (type, name), also through groups and derived columns.

    A column comes after those that it is made of.
    """
    found: dict[tuple[str, str], None] = {}
    derived = {formula.function.__name__: formula for formula in kind.derived}
    seen: set[tuple[str, str]] = set()

    def look_into(type_: str, name: str) -> None:
        if (type_, name) in seen:
            return
        seen.add((type_, name))
        match asked(name):
            case Group() as group:
                look_into(kind.member_type(group, type_) or "", group.subject)
            case Step(subject=subject) | Window(subject=subject):
                look_into(type_, subject)
            case None if name in derived:
                for column in derived[name].columns:
                    look_into(type_, column)
        found[type_, name] = None

    for rule in rules:
        for name in rule.all_columns:
            look_into(rule.type, name)
    return list(found)


def rolls_at(kind: Kind, subject: str) -> float | None:
    """Where the counter of that name begins again, None for others."""
    return next((field.rolls_at for field in kind.fields if field.name == subject), None)


def fields_of(kind: Kind, names: Collection[str]) -> Iterator[str]:
    """The fields on which columns of a device depend, its own or, through a group, its members'."""
    derived = {formula.function.__name__: formula for formula in kind.derived}
    for name in names:
        match asked(name):
            case Group(subject=subject) | Step(subject=subject) | Window(subject=subject):
                yield from fields_of(kind, (subject,))
            case Usual(field=subject):
                yield subject
            case Fence():
                yield from ("lat", "lon") if kind.is_mobile else ()
            case None if name in derived:
                yield from fields_of(kind, derived[name].columns)
            case None if name in kind.field_names:
                yield name


def blank_boards(
    registry: Registry,
    names: Collection[str] | None = None,
    policy: Policy | None = None,
    timezone: str = TIMEZONE,
) -> dict[str, Board]:
    """A blank board for every kind, or for some."""
    return {
        name: Board.of(kind, registry, policy, timezone)
        for name, kind in kinds().items()
        if names is None or name in names
    }
