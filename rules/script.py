"""Tests of rules as people write them in YAML: devices, readings by the clock, and what is to fire and clear. Pure.

Values are read as they are written (18:30 is a time and 0012 an id), each with its line for messages.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

import yaml

from devices.kind import Field, Kind, kinds
from devices.policy import Override, Policy
from devices.registry import Registry, devices_of
from devices.rows import BadRow, Row
from devices.transition import Action
from hub.clock import SECOND_US, to_us

Made = TypeVar("Made")
SECTIONS = ("kind", "start", "timezone", "tick", "commune", "devices", "tests")
TEST = ("name", "only", "set", "readings", "expect", "until")
READING = ("at", "device", "every", "until", "late")
EXPECTED = ("fire", "clear", "on", "at", "between", "priority")
UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
FLAGS = {"true": 1.0, "yes": 1.0, "on": 1.0, "false": 0.0, "no": 0.0, "off": 0.0}
TICK_S = 60.0
MOST_READINGS = 1_000_000
_DURATION = re.compile(r"\+?(\d+(?:\.\d+)?)(s|min|h|d)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class Said:
    """A reading."""

    device_no: int
    ts_us: int
    received_us: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to fire or clear, once, between two moments (the same, when it is at one)."""

    line: int
    action: Action
    code: str
    device_no: int
    first_us: int
    last_us: int
    priority: int | None


@dataclass(frozen=True, slots=True)
class Script:
    """One test: what the devices say, and what is to come of it."""

    line: int
    name: str
    kind: Kind
    registry: Registry
    policy: Policy
    timezone: str
    start_us: int
    until_us: int
    tick_us: int
    only: frozenset[str]
    """The rules that are looked at; all when empty."""
    said: Sequence[Said]
    """In the order in which they are received."""
    expected: Sequence[Expected]

    def device(self, device_no: int) -> str:
        """The id of a device."""
        return self.registry.id[device_no - 1]


class _WrongError(ValueError):
    """What is wrong with a piece of the file, and on which line."""

    def __init__(self, node: yaml.Node, reason: str) -> None:
        super().__init__(reason)
        self.line: int = node.start_mark.line + 1


def read_scripts(text: str) -> tuple[list[Script], list[BadRow]]:
    """The tests of a file, one kind to each of its YAML documents, and what is wrong with it, by line."""
    bad: list[BadRow] = []
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return [], [BadRow(mark.line + 1 if mark else 1, f"not readable as YAML: {getattr(error, 'problem', error)}")]
    scripts = [script for node in documents if node is not None for script in _Document(bad).scripts(node)]
    if not scripts and not bad:
        bad.append(BadRow(1, "there is no test in it"))
    return scripts, sorted(bad)


class _Document:
    """One kind's tests on their way out of YAML."""

    def __init__(self, bad: list[BadRow]) -> None:
        self.bad = bad
        self.kind = next(iter(kinds().values()))
        self.zone = ZoneInfo("Europe/Paris")
        self.start_us = 0
        self.tick_s = TICK_S
        self.numbers: dict[str, int] = {}
        self.types: dict[int, str] = {}

    def scripts(self, node: yaml.Node) -> Iterator[Script]:
        try:
            parts = _mapping(node, "a file of tests", SECTIONS, required=("kind", "start", "devices", "tests"))
            self._head(parts)
            registry = self._registry(_list(parts["devices"], "devices"), parts.get("commune"))
        except _WrongError as error:
            self.bad.append(BadRow(error.line, str(error)))
            return
        for test in _list(parts["tests"], "tests"):
            script = self._tried(partial(self._script, registry), test)
            if script is not None:
                yield script

    def _tried(self, make: Callable[[yaml.Node], Made], node: yaml.Node) -> Made | None:
        """What it makes of a node; None, and the fault noted, when something is wrong."""
        try:
            return make(node)
        except _WrongError as error:
            self.bad.append(BadRow(error.line, str(error)))
            return None

    def _head(self, parts: Mapping[str, yaml.Node]) -> None:
        name = _scalar(parts["kind"])
        if name not in kinds():
            raise _WrongError(parts["kind"], f"kind {name!r} is unknown; the hub knows {', '.join(sorted(kinds()))}")
        self.kind = kinds()[name]
        if (zone := parts.get("timezone")) is not None:
            try:
                self.zone = ZoneInfo(_scalar(zone))
            except (KeyError, ValueError, OSError):
                raise _WrongError(zone, f"timezone {_scalar(zone)!r} is none; one is Europe/Paris") from None
        self.start_us = to_us(self._date(parts["start"]))
        if (tick := parts.get("tick")) is not None:
            self.tick_s = _duration(tick)
            if self.tick_s < 1:
                raise _WrongError(tick, "a tick is at least a second")

    def _registry(self, nodes: Sequence[yaml.Node], commune: yaml.Node | None) -> Registry:
        given = {"kind": self.kind.name, "commune": _scalar(commune) if commune else "city"}
        bad: list[BadRow] = []
        rows = []
        for node in nodes:
            values = self._tried(_a_device, node)
            if values is not None:
                line = node.start_mark.line + 1
                told = {name: self._tried(_scalar, value) for name, value in values.items()}
                rows.append(Row(line, given | {name: value for name, value in told.items() if value}))
        devices, bad = devices_of(rows, bad)
        self.bad += bad
        self.numbers = {device.id: number for number, device in enumerate(devices, 1)}
        self.types = {number: device.type for number, device in enumerate(devices, 1)}
        found = [
            (
                self.numbers[d.id],
                *(d.commune, d.kind, d.id, d.type),
                *(self.numbers.get(name or "") for name in (d.parent, d.gateway)),
                *(d.lat, d.lon, True, d.attributes),
            )
            for d in devices
        ]
        return Registry.of_rows(1, found)

    def _script(self, registry: Registry, node: yaml.Node) -> Script:
        parts = _mapping(node, "a test", TEST, required=("name", "readings", "expect"))
        only = frozenset(self._code(one) for one in _list(parts["only"], "only")) if "only" in parts else frozenset()
        said = [
            one
            for reading in _list(parts["readings"], "readings")
            for one in self._tried(self._all_said, reading) or ()
        ]
        expected = [
            one
            for wanted in _list(parts["expect"], "expect")
            if (one := self._tried(partial(self._expected, only), wanted)) is not None
        ]
        ends = [self.start_us, *(one.received_us for one in said), *(one.last_us for one in expected)]
        return Script(
            line=node.start_mark.line + 1,
            name=_scalar(parts["name"]),
            kind=self.kind,
            registry=registry,
            policy=Policy(1, {}, list(self._overrides(parts["set"])) if "set" in parts else []),
            timezone=str(self.zone),
            start_us=self.start_us,
            until_us=self._moment(parts["until"]) if "until" in parts else max(ends),
            tick_us=int(self.tick_s * SECOND_US),
            only=only,
            said=sorted(said, key=lambda one: one.received_us),
            expected=sorted(expected, key=lambda one: one.first_us),
        )

    def _overrides(self, node: yaml.Node) -> Iterator[Override]:
        """Thresholds by rule, as in {lamp_out: {hold_s: 300}}."""
        for code, values in _mapping(node, "set", [rule.code for rule in self.kind.rules]).items():
            rule = self.kind.rule(code)
            for name, value in _mapping(values, f"the thresholds of {code}", list(rule.thresholds)).items():
                yield Override(self.kind.name, code, name, _number(value))

    def _all_said(self, node: yaml.Node) -> list[Said]:
        return list(self._said(node))

    def _said(self, node: yaml.Node) -> Iterator[Said]:
        """One reading, or those of several devices and moments."""
        parts = _mapping(node, "a reading", None, required=("at", "device"))
        devices = [self._device(one) for one in _several(parts["device"])]
        values = {name: self._value(name, parts[name], devices) for name in parts if name not in READING}
        first_us = last_us = self._moment(parts["at"])
        late_us = int(_duration(parts["late"]) * SECOND_US) if "late" in parts else 0
        every_us = int(_duration(parts["every"]) * SECOND_US) if "every" in parts else 1
        if ("every" in parts) != ("until" in parts):
            raise _WrongError(node, "every and until go together")
        if "until" in parts:
            last_us = self._moment(parts["until"], first_us)
        if every_us < 1 or len(devices) * ((last_us - first_us) // every_us + 1) > MOST_READINGS:
            raise _WrongError(node, f"that is more than {MOST_READINGS:,} readings")
        for ts_us in range(first_us, last_us + 1, every_us):
            yield from (Said(number, ts_us, ts_us + late_us, values) for number in devices)

    def _value(self, name: str, node: yaml.Node, devices: Sequence[int]) -> float:
        field = next((field for field in self.kind.fields if field.name == name), None)
        if field is None:
            raise _WrongError(node, f"{self.kind.name} has no field {name!r}")
        for number in devices:
            if field.types and self.types[number] not in field.types:
                raise _WrongError(node, f"a {self.types[number]} does not tell {name}")
        return _of_field(field, node)

    def _expected(self, only: frozenset[str], node: yaml.Node) -> Expected:
        parts = _mapping(node, "what is expected", EXPECTED, required=("on",))
        actions: list[Action] = [action for action in ("fire", "clear") if action in parts]
        if len(actions) != 1 or ("at" in parts) == ("between" in parts):
            raise _WrongError(node, "say either fire or clear, and either at or between")
        code, device_no = self._code(parts[actions[0]]), self._device(parts["on"])
        if (type_ := self.kind.rule(code).type) != self.types[device_no]:
            raise _WrongError(
                node, f"{code} is a rule of a {type_}, but {_scalar(parts['on'])} is a {self.types[device_no]}"
            )
        if only and code not in only:
            raise _WrongError(node, f"{code} is not among the rules of only")
        if "at" in parts:
            first_us = last_us = self._moment(parts["at"])
            if self.kind.is_timed(self.kind.rule(code)):  # it is looked at when the clock ticks
                last_us += int(self.tick_s * SECOND_US)
        else:
            bounds = _list(parts["between"], "between")
            if len(bounds) != 2:
                raise _WrongError(parts["between"], "between is two times, as in [18:20, 18:30]")
            first_us = self._moment(bounds[0])
            last_us = self._moment(bounds[1], first_us)
        priority = int(_number(parts["priority"])) if "priority" in parts else None
        return Expected(node.start_mark.line + 1, actions[0], code, device_no, first_us, last_us, priority)

    def _code(self, node: yaml.Node) -> str:
        code = _scalar(node)
        if code not in (rule.code for rule in self.kind.rules):
            raise _WrongError(node, f"{self.kind.name} has no rule {code!r}; beffroi rules list shows them")
        return code

    def _device(self, node: yaml.Node) -> int:
        device_id = _scalar(node)
        if device_id not in self.numbers:
            raise _WrongError(node, f"there is no device {device_id!r} among devices")
        return self.numbers[device_id]

    def _moment(self, node: yaml.Node, after_us: int | None = None) -> int:
        """A time of day (the first after the start, or after another moment), a date with time, or so long after it."""
        text, after_us = _scalar(node), self.start_us if after_us is None else after_us
        if (clock := _CLOCK.fullmatch(text)) is not None:
            hour, minute, second = (int(part or 0) for part in clock.groups())
            if hour > 23 or minute > 59 or second > 59:
                raise _WrongError(node, f"{text} is no time of day")
            local = datetime.fromtimestamp(after_us / SECOND_US, self.zone).replace(microsecond=0)
            told = local.replace(hour=hour, minute=minute, second=second)
            days = (told, told + timedelta(days=1))
            # In the night that has an hour twice, the second one may be meant.
            moments = [to_us(day.replace(fold=fold)) for day in days for fold in (0, 1)]
            return next(moment for moment in moments if moment >= after_us)
        if _DURATION.fullmatch(text) is not None:
            return self.start_us + int(_duration(node) * SECOND_US)
        moment_us = to_us(self._date(node))
        if moment_us < after_us:
            raise _WrongError(node, f"{text} lies before it begins")
        return moment_us

    def _date(self, node: yaml.Node) -> datetime:
        try:
            moment = datetime.fromisoformat(_scalar(node))
        except ValueError:
            raise _WrongError(
                node, f"{_scalar(node)!r} is no time; write 18:30, 2026-11-20 18:30, or 15min after the start"
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=self.zone)


def _mapping(
    node: yaml.Node, what: str, known: Sequence[str] | None, required: Sequence[str] = ()
) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _WrongError(node, f"{what} is a mapping of names to values")
    found: dict[str, yaml.Node] = {}
    for name_node, value in node.value:
        name = _scalar(name_node)
        if name in found:
            raise _WrongError(name_node, f"{name!r} is there twice")
        if known is not None and name not in known:
            raise _WrongError(name_node, f"{what} has no {name!r}; there are {', '.join(known)}")
        found[name] = value
    if missing := [name for name in required if name not in found]:
        raise _WrongError(node, f"{what} needs {' and '.join(missing)}")
    return found


def _a_device(node: yaml.Node) -> dict[str, yaml.Node]:
    return _mapping(node, "a device", None)


def _list(node: yaml.Node, what: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise _WrongError(node, f"{what} is a list")
    return list(node.value)


def _several(node: yaml.Node) -> list[yaml.Node]:
    """A list, or one alone."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _scalar(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _WrongError(node, "a single value is expected")
    return str(node.value).strip()


def _number(node: yaml.Node) -> float:
    try:
        number = float(_scalar(node))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _WrongError(node, f"{_scalar(node)!r} is not a number")
    return number


def _of_field(field: Field, node: yaml.Node) -> float:
    value = FLAGS.get(_scalar(node).lower()) if field.storage == "flag" else None
    value = _number(node) if value is None else value
    if (field.low is not None and value < field.low) or (field.high is not None and value > field.high):
        raise _WrongError(node, f"{field.name} {value:g} is out of its range: the hub would put it into quarantine")
    return value


def _duration(node: yaml.Node) -> float:
    """Seconds: 90, 20s, 15min, 1.5h, 2d."""
    match = _DURATION.fullmatch(_scalar(node))
    if match is None:
        raise _WrongError(node, f"{_scalar(node)!r} is no duration; write one such as 90s, 15min, 1.5h or 2d")
    return float(match[1]) * UNITS_S[match[2] or "s"]
