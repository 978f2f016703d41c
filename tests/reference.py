"""What rules mean, evaluated slowly: one device and one reading at a time, in dicts and floats. Pure.

The engine must equal it. It shares no code with the engine but the functions that are conditions, which it calls with
arrays of one element, and the parser of column names. What was told is kept whole; every question asks it all again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import floor, isnan, nan
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from devices.columns import Fence, Group, Step, Usual, Window, asked
from devices.kind import Formula, Kind, Rule
from devices.policy import Override

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
LIVE, LATE, REPLAYED = 0, 1, 2
QUIET = ("", "late", "replayed")
NARROW_LAST = ("city", "commune", "model", "group", "device")


class Told(NamedTuple):
    """A transition, as far as it is compared."""

    code: str
    device_no: int
    action: str
    ts_us: int
    quiet: str
    priority: int
    unstable: bool


class Reading(NamedTuple):
    """One reading; a field that it does not tell is missing."""

    device_no: int
    ts_us: int
    received_us: int
    told: Mapping[str, float]
    replayed: bool = False
    offset: int = 0
    """Its place in the log."""


class Sample(NamedTuple):
    """A value in the history of a subject, with what it is against the one before (NaN for the first)."""

    ts_us: int
    value: float
    before: float
    gap_us: float
    rise: float


@dataclass
class Device:
    """A device and what it told."""

    no: int
    type: str
    commune: str
    parent: int
    lat: float
    lon: float
    attributes: Mapping[str, float]
    commissioned: bool = True
    values: dict[str, float] = field(default_factory=dict)
    how: dict[str, int] = field(default_factory=dict)
    last_us: int = 0
    heard_us: int = 0
    watched_us: int = 0
    replayed: bool = False
    history: dict[str, list[Sample]] = field(default_factory=dict)


@dataclass
class Course:
    """Where a rule stands on a device."""

    firing: bool = False
    loud: bool = False
    unstable: bool = False
    since_us: int | None = None
    priority: int = 0
    fires: list[int] = field(default_factory=list)
    """When it fired, in seconds, from the first of an hour on."""


class Moment(NamedTuple):
    """How a device is looked at."""

    now_us: int
    at_us: int
    live_only: bool = False


@dataclass
class Reference:
    """A city of one kind."""

    kind: Kind
    devices: dict[int, Device]
    overrides: Sequence[Override] = ()
    timezone: str = "Europe/Paris"
    usual: Mapping[str, Mapping[int, Sequence[float]]] = field(default_factory=dict)
    """By column and device, by hour."""
    fences: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)
    """Rectangles: south, west, north, east."""
    holidays: frozenset[date] = frozenset()
    lateness_s: float | None = None
    """The rules that wait so long live here; None: those that wait for nobody, and `late` are the others."""

    def __post_init__(self) -> None:
        own = self.lateness_s or 0.0
        self.rules = [rule for rule in self.kind.rules if rule.lateness_s == own]
        self.courses: dict[tuple[str, int], Course] = {}
        self.waiting: list[Reading] = []
        self.late: list[Reference] = []
        if self.lateness_s is None:
            for late_s in sorted({rule.lateness_s for rule in self.kind.rules} - {0.0}):
                blank = {
                    one.no: Device(
                        one.no, one.type, one.commune, one.parent, one.lat, one.lon, one.attributes, one.commissioned
                    )
                    for one in self.devices.values()
                }
                later = Reference(
                    self.kind,
                    blank,
                    self.overrides,
                    self.timezone,
                    self.usual,
                    self.fences,
                    self.holidays,
                    lateness_s=late_s,
                )
                self.late.append(later)

    # Readings

    def hear(self, readings: Sequence[Reading], now_us: int) -> list[Told]:
        """Readings that were decoded together: first the first of every device, then the second of each."""
        for later in self.late:
            later.waiting += readings
        told: list[Told] = []
        left = [reading for reading in readings if reading.device_no in self.devices]
        while left:
            spoke, rest, seen = [], [], set()
            for reading in left:
                (rest if reading.device_no in seen else spoke).append(reading)
                seen.add(reading.device_no)
            news = [(device, ts_us) for reading in spoke for device, ts_us in self._take_in(reading)]
            for device, ts_us in news:
                told += self._look_at(device, ts_us, now_us)
            left = rest
        return told + (self.release(max(reading.received_us for reading in readings), now_us) if readings else [])

    def release(self, until_us: int, now_us: int) -> list[Told]:
        told: list[Told] = []
        for later in self.late:
            late_us = int((later.lateness_s or 0) * SECOND_US)
            due = [
                (max(min(r.ts_us, r.received_us) + late_us, r.received_us), min(r.ts_us, r.received_us), place, r)
                for place, r in enumerate(later.waiting)
            ]
            later.waiting = [r for due_us, _, _, r in due if due_us > until_us]
            for due_us, _, _, reading in sorted(due, key=lambda one: one[:3]):
                if due_us <= until_us:
                    told += later.hear([reading], now_us)
        return told

    def tick(self, now_us: int) -> list[Told]:
        told = self.release(now_us, now_us)
        for city in (self, *self.late):
            for rule in city.rules:
                for device in city.devices.values():
                    timed = any(self.is_timed(name) for name in rule.columns) and device.commissioned
                    if device.type == rule.type and (timed or city.is_on_though_off(rule, device)):
                        told += city.evaluate(rule, device, Moment(now_us, now_us))
        return told

    def is_on_though_off(self, rule: Rule, device: Device) -> bool:
        """Does a rule fire that was switched off?"""
        course = self.courses.get((rule.code, device.no), Course())
        return course.firing and self.threshold(rule, "enabled", device) == 0

    def tune(self, overrides: Sequence[Override]) -> None:
        """Other thresholds from now on."""
        for city in (self, *self.late):
            city.overrides = overrides

    def _take_in(self, reading: Reading) -> Iterator[tuple[Device, int]]:
        device = self.devices[reading.device_no]
        device.heard_us = max(device.heard_us, reading.received_us)
        ts_us = min(reading.ts_us, reading.received_us)
        is_same = ts_us == device.last_us and not reading.replayed
        if not is_same and ts_us <= device.last_us:
            return
        device.last_us, device.replayed = ts_us, reading.replayed
        late = reading.received_us - ts_us > DAY_US
        how = REPLAYED if reading.replayed else LATE if late else LIVE
        for name, value in reading.told.items():
            again = is_same and device.values.get(name) == value
            device.how[name] = min(device.how[name], how) if again else how
            device.values[name] = value
        for subject in self.kind.field_names:
            if subject in reading.told:
                self._remember(device, subject, ts_us, reading.told[subject])
        for formula in self.kind.derived:
            subject = formula.function.__name__
            if set(self.fields_of(subject)) & set(reading.told):
                self._remember(device, subject, ts_us, self.column(device, subject, Moment(0, ts_us)))
        yield device, ts_us

    def _remember(self, device: Device, subject: str, ts_us: int, value: float) -> None:
        history = device.history.setdefault(subject, [])
        if isnan(value) or (history and ts_us <= history[-1].ts_us):
            return
        if not history:
            history.append(Sample(ts_us, value, nan, nan, 0.0))
            return
        last = history[-1]
        rise = value - last.value
        if rise < 0:
            rolls_at = next((f.rolls_at for f in self.kind.fields if f.name == subject), None)
            rolled = rolls_at is not None and last.value > 0.9 * rolls_at and value < 0.1 * rolls_at
            rise = value + rolls_at - last.value if rolled and rolls_at is not None else value
        history.append(Sample(ts_us, value, last.value, ts_us - last.ts_us, rise))

    # Rules

    def _look_at(self, device: Device, ts_us: int, now_us: int) -> Iterator[Told]:
        for rule in self.rules:
            if rule.type == device.type and device.commissioned:
                timed = any(self.is_timed(name) for name in rule.columns)
                yield from self.evaluate(rule, device, Moment(now_us, now_us if timed else ts_us))

    def evaluate(self, rule: Rule, device: Device, moment: Moment) -> Iterator[Told]:
        """Move a rule's course on a device, and tell what changed."""
        course = self.courses.setdefault((rule.code, device.no), Course())
        bad, good, known = self.look(rule, device, moment)
        how = self.how_told(rule, device)
        if how != LIVE:
            live_bad, live_good, live_known = self.look(rule, device, moment._replace(live_only=True))
            if live_known and (live_bad if bad else live_good):
                how = LIVE
        if not {"silence_s", "overdue_periods"}.isdisjoint(rule.condition.columns) and device.replayed:
            how = REPLAYED
        off = self.threshold(rule, "enabled", device) == 0
        if off:
            bad, good, known, how, course.unstable = False, True, True, LIVE, False
        if not known:
            return
        told = self._move(rule, device, course, (bad, good, off), how, moment)
        if told:
            action, unstable = told
            yield Told(rule.code, device.no, action, moment.at_us, QUIET[how], course.priority, unstable)

    def _move(
        self,
        rule: Rule,
        device: Device,
        course: Course,
        seen: tuple[bool, bool, bool],
        how: int,
        moment: Moment,
    ) -> tuple[str, bool] | None:
        bad, good, off = seen
        if not (good if course.firing else bad):
            course.since_us = None
        elif course.since_us is None:
            course.since_us = moment.at_us
        if course.since_us is not None:
            patience_s = self.threshold(rule, "calm_s" if course.firing else "hold_s", device)
            if course.firing:
                patience_s = 0 if off else max(patience_s, 3600) if course.unstable else patience_s
            if moment.at_us - course.since_us >= int(patience_s * SECOND_US):
                course.since_us = None
                if course.firing:
                    course.firing = course.loud = course.unstable = False
                    return "clear", False
                self._count(course, moment.at_us // SECOND_US)
                course.firing, course.loud = True, how == LIVE
                course.priority = self.priority(rule, device, moment)
                return "fire", course.unstable
        if course.firing and bad:
            priority = self.priority(rule, device, moment)
            confirmed = not course.loud and how == LIVE
            if confirmed or priority != course.priority:
                course.loud |= confirmed
                course.priority = priority
                return "fire", course.unstable
        return None

    def _count(self, course: Course, now_s: int) -> None:
        if course.fires and now_s // 3600 != course.fires[0] // 3600:
            course.fires = []
        course.fires.append(now_s)
        course.unstable = len(course.fires) > 4

    def look(self, rule: Rule, device: Device, moment: Moment) -> tuple[bool, bool, bool]:
        """Does the condition hold, does the clearing one, and can either be believed?"""
        columns = {name: self.column(device, name, moment) for name in rule.columns}
        bad = bool(self.ask(rule.condition, columns, rule, device))
        good = bool(self.ask(rule.clear, columns, rule, device)) if rule.clear else not bad
        needed = [name for name in rule.columns if name not in rule.optional and name not in rule.any_of]
        known = not any(isnan(columns[name]) for name in needed)
        if rule.any_of:
            known = known and not all(isnan(columns[name]) for name in rule.any_of)
        return bad, good, known

    def priority(self, rule: Rule, device: Device, moment: Moment) -> int:
        found = int(self.threshold(rule, "priority", device))
        for grade, formula in rule.grades:
            columns = {name: self.column(device, name, moment) for name in formula.columns}
            if not any(map(isnan, columns.values())) and self.ask(formula, columns, rule, device):
                found = min(found, grade)
        return found

    def ask(self, formula: Formula, columns: Mapping[str, float], rule: Rule, device: Device) -> Any:
        """Call a condition with arrays of one element and the device's thresholds."""
        arguments = [np.array([columns[name]]) for name in formula.columns]
        tuned = {}
        for name, own in formula.thresholds.items():
            has = any((one.code, one.threshold) == (rule.code, name) for one in self.overrides)
            tuned[name] = self.threshold(rule, name, device) if has else own
        return formula.function(*arguments, **tuned)[0]

    def threshold(self, rule: Rule, name: str, device: Device) -> float:
        """The narrowest override counts; of two groups the one that is within the other."""
        found, best = float(rule.thresholds[name]), (-1, 0)
        for one in self.overrides:
            if (one.kind, one.code, one.threshold) == (self.kind.name, rule.code, name) and self._is_in(device, one):
                covers = sum(self._is_in(other, one) for other in self.devices.values())
                rank = (NARROW_LAST.index(one.scope), -covers)
                if best[0] < 0 or rank >= best:
                    found, best = one.value, rank
        return found

    def _is_in(self, device: Device, override: Override) -> bool:
        if override.scope == "city":
            return True
        if override.scope == "commune":
            return device.commune == override.place
        if override.scope == "device":
            return device.no == int(override.place)
        if override.scope == "group":
            while device.no != int(override.place):
                if device.parent not in self.devices:
                    return False
                device = self.devices[device.parent]
            return True
        return False

    def how_told(self, rule: Rule, device: Device) -> int:
        """The worst way in which a value came that the rule reads, its own or a member's."""
        worst = LIVE
        for name in rule.columns:
            group = asked(name)
            of = self.members(device, group) if isinstance(group, Group) else [device]
            subject = group.subject if isinstance(group, Group) else name
            worst = max([worst, *(self.how_heard(one, subject) for one in of)])
        return worst

    def how_heard(self, device: Device, name: str) -> int:
        return max((device.how.get(part, LIVE) for part in self.fields_of(name)), default=LIVE)

    # Columns

    def derived(self, name: str) -> Formula | None:
        return next((one for one in self.kind.derived if one.function.__name__ == name), None)

    def is_timed(self, name: str) -> bool:
        formula = self.derived(name)
        if formula is not None:
            return any(self.is_timed(column) for column in formula.columns)
        return name in ("silence_s", "overdue_periods") or isinstance(asked(name), Group)

    def fields_of(self, name: str) -> list[str]:
        """The fields that a column of a device is made of."""
        question = asked(name)
        if isinstance(question, Step | Window | Group):
            return self.fields_of(question.subject)
        if isinstance(question, Usual):
            return [question.field]
        if isinstance(question, Fence):
            return [axis for axis in ("lat", "lon") if axis in self.kind.field_names]
        formula = self.derived(name)
        if formula is not None:
            return [part for column in formula.columns for part in self.fields_of(column)]
        return [name] if name in self.kind.field_names else []

    def column(self, device: Device, name: str, moment: Moment) -> float:
        """What a rule reads under a name; NaN is unknown."""
        match asked(name):
            case Group() as group:
                return self._over(device, group, moment)
            case Step() | Window() as question:
                return self._remembered(device, question, moment)
            case Usual():
                return self._expected(device, name, moment)
            case Fence(fence):
                return self._within(device, fence, moment)
        return self._plain(device, name, moment)

    def _plain(self, device: Device, name: str, moment: Moment) -> float:
        if name in self.kind.field_names and moment.live_only and device.how.get(name, LIVE) != LIVE:
            return nan
        if name in (*self.kind.field_names, *(attribute.name for attribute in self.kind.attributes)):
            return device.values.get(name, device.attributes.get(name, nan))
        return self._other(device, name, moment)

    def _expected(self, device: Device, name: str, moment: Moment) -> float:
        hours, local = self.usual.get(name, {}).get(device.no), self.local(moment.at_us)
        return nan if hours is None else hours[local.hour + (24 * local.weekday() if len(hours) == 168 else 0)]

    def _over(self, device: Device, group: Group, moment: Moment) -> float:
        if group.group == "siblings" and device.parent not in self.devices:
            return nan
        if group.radius_m is not None and isnan(device.lat):
            return nan
        at_now = moment._replace(at_us=moment.now_us)
        values = [self.column(one, group.subject, at_now) for one in self.members(device, group)]
        return over(group.how, [value for value in values if not isnan(value)])

    def _remembered(self, device: Device, question: Step | Window, moment: Moment) -> float:
        if moment.live_only and self.how_heard(device, question.subject) != LIVE:
            return nan
        history = device.history.get(question.subject, [])
        return step(question.how, history) if isinstance(question, Step) else window(question, history, moment.at_us)

    def _other(self, device: Device, name: str, moment: Moment) -> float:
        local = self.local(moment.at_us)
        words: dict[str, Callable[[], float]] = {
            "silence_s": lambda: silence_s(device, moment.now_us),
            "overdue_periods": lambda: silence_s(device, moment.now_us) / self._period_s(device, moment),
            "weekday": lambda: float(local.weekday()),
            "is_holiday": lambda: float(local.date() in self.holidays),
            "local_hour": lambda: (
                local.hour + local.minute / 60 + local.second / 3600 + local.microsecond / 3_600_000_000
            ),
        }
        if name in words:
            return words[name]()
        formula = self.derived(name)
        assert formula is not None, name
        columns = [self.column(device, column, moment) for column in formula.columns]
        if any(map(isnan, columns)):
            return nan
        return float(formula.function(*(np.array([value]) for value in columns), **formula.thresholds)[0])

    def _period_s(self, device: Device, moment: Moment) -> float:
        formula = Formula.of(self.kind.type(device.type).expected_period_s)
        columns = [np.array([self.column(device, name, moment)]) for name in formula.columns]
        return float(formula.function(*columns, **formula.thresholds)[0])

    def _within(self, device: Device, name: str, moment: Moment) -> float:
        tells = "lat" in self.kind.field_names
        lat, lon = (self.column(device, axis, moment) for axis in ("lat", "lon")) if tells else (device.lat, device.lon)
        if isnan(lat) or isnan(lon):
            return nan
        if name not in self.fences:
            return 0.0
        south, west, north, east = self.fences[name]
        return float(south < lat < north and west < lon < east)

    def local(self, at_us: int) -> datetime:
        moment = datetime.fromtimestamp(at_us // SECOND_US, UTC) + timedelta(microseconds=at_us % SECOND_US)
        return moment.astimezone(ZoneInfo(self.timezone))

    def members(self, device: Device, group: Group) -> list[Device]:
        """The devices that a group of a device has: commissioned ones of one type."""
        type_ = self.kind.member_type(group, device.type)
        every = [one for one in self.devices.values() if one.type == type_ and one.commissioned]
        if group.group == "children":
            return [one for one in every if one.parent == device.no]
        if group.group == "siblings":
            return [one for one in every if one.parent == device.parent and one.parent in self.devices]
        if group.group == "commune":
            return [one for one in every if one.commune == device.commune]
        return [one for one in every if one is not device and metres(one, device) <= (group.radius_m or 0)]


def silence_s(device: Device, now_us: int) -> float:
    if not device.watched_us:
        return nan
    return max(now_us - max(device.heard_us, device.watched_us), 0) / 1e6


def metres(one: Device, other: Device) -> float:
    """Between places that are near each other; infinite when one is unknown."""
    if isnan(one.lat) or isnan(other.lat):
        return float("inf")
    degree_m = 6_371_008.8 * float(np.pi) / 180
    east = (one.lon - other.lon) * float(np.cos(np.radians(one.lat)))
    return degree_m * float(((one.lat - other.lat) ** 2 + east**2) ** 0.5)


def over(how: str, known: Sequence[float]) -> float:
    """A figure over the values that are known."""
    if how == "known":
        return float(len(known))
    if not known:
        return nan
    ordered, middle = sorted(known), len(known) // 2
    count = float(sum(value != 0 for value in known))
    return {
        "share": count / len(known),
        "count": count,
        "sum": float(sum(known)),
        "mean": sum(known) / len(known),
        "median": ordered[middle] if len(known) % 2 else (ordered[middle - 1] + ordered[middle]) / 2,
        "min": ordered[0],
        "max": ordered[-1],
    }[how]


def step(how: str, history: Sequence[Sample]) -> float:
    """The newest value against the one before; unknown when there is none."""
    if len(history) < 2:
        return nan
    last = history[-1]
    return {
        "prev": last.before,
        "diff": last.value - last.before,
        "rise": last.rise,
        "rate_h": last.rise / (last.gap_us / (3600 * SECOND_US)),
        "gap_s": last.gap_us / SECOND_US,
    }[how]


def window(question: Window, history: Sequence[Sample], at_us: int) -> float:
    """A question over the pane of a time and those of one span before it."""
    if not history:
        return nan
    pane_us = question.pane_s * SECOND_US
    newest = history[-1].ts_us // pane_us
    now = max(at_us // pane_us, newest)
    oldest = now - question.panes
    if history[0].ts_us // pane_us > oldest:
        return nan
    panes: dict[int, list[Sample]] = {number: [] for number in range(oldest, now + 1)}
    for sample in history:
        panes.get(sample.ts_us // pane_us, []).append(sample)
    told = [sample for pane in panes.values() for sample in pane]
    if question.how == "still" and told:
        return _still(panes, history, newest, now, pane_us)
    return float(len(told)) if question.how == "count" else _figure(question.how, told, panes) if told else nan


def _figure(how: str, told: Sequence[Sample], panes: Mapping[int, Sequence[Sample]]) -> float:
    values = [sample.value for sample in told]
    if how[0] == "p":
        means = sorted(sum(s.value for s in pane) / len(pane) for pane in panes.values() if pane)
        place = (len(means) - 1) * int(how[1:]) / 100
        low, high = floor(place), min(floor(place) + 1, len(means) - 1)
        return means[low] + (place - low) * (means[high] - means[low])
    return {
        "sum": float(sum(values)),
        "mean": sum(values) / len(values),
        "min": min(values),
        "max": max(values),
        "rise": float(sum(sample.rise for sample in told)),
        "changes": float(sum(not isnan(s.before) and s.value != s.before for s in told)),
    }[how]


def _still(
    panes: Mapping[int, Sequence[Sample]], history: Sequence[Sample], newest: int, now: int, pane_us: int
) -> float:
    """Whole panes without a rise. In a gap nobody knows when a counter rose; nor after the last value."""
    still, hidden = 0, newest < now
    for number, pane in panes.items():
        if number >= newest:
            continue
        if pane:
            still += not any(sample.rise for sample in pane)
        else:
            after = next(sample for sample in history if sample.ts_us // pane_us > number)
            still += after.rise == 0
            hidden |= after.rise != 0
    return nan if hidden and not still else float(still)
