"""Scenarios: what a simulated city goes through, read from YAML. Pure but for reading the files.

title: A storm crosses the city in the evening
start: now
lasts: 30h
seed: 1
weather:
  - {spell: storm, at: "21:00", lasts: 6h}
faults:
  - feeder_trip:6@21:40+3h
  - {fault: barrier_down, count: 12, at: "22:10", lasts: 9h}
disturbances: {late_water: 2%}
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

import yaml

from hub.clock import to_datetime
from hub.errors import BadFile, BadSetting
from simulators.disturbances import EVERYDAY as EVERYDAY_RATES
from simulators.disturbances import Rates
from simulators.faults import NORMAL_NIGHT, Order
from simulators.hours import Days
from simulators.moments import MOMENTS, Moment, length_us, start_us
from simulators.weather import SPELLS, Spell

FOLDER = Path(__file__).parent / "scenarios"
LATE_START_US = 12 * 3600 * 1_000_000
"""The hub's clock may be so far past a scenario's start when its simulator begins."""
A_DAY_US = 1_767_225_600_000_000
"""Any: a start is tried on it when it is read."""


@dataclass(frozen=True, slots=True)
class SpellOrder:
    """Weather as ordered."""

    name: str
    start: Moment
    lasts_us: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a city goes through; the default is an ordinary day."""

    name: str = "everyday"
    title: str = "An ordinary day"
    start: str = "now"
    """See simulators.moments.STARTS; the hub's clock is started there."""
    seed: int = 1
    normal_night: bool = True
    """One lamp in a hundred faulty and two cut off; without it all are sound."""
    days: Days = "calendar"
    weather: tuple[SpellOrder, ...] = ()
    faults: tuple[Order, ...] = ()
    disturbances: Rates = EVERYDAY_RATES
    lasts_us: int = 86_400_000_000
    """How long `beffroi score` plays it; a simulated city that is watched goes on."""

    def orders(self, scale: float = 1.0) -> tuple[Order, ...]:
        """The faults to plan in a city of this scale, the named ones first, so that they find their device free."""
        night = map(Order.parse, NORMAL_NIGHT) if self.normal_night else ()
        return (*(order.scaled(scale) for order in self.faults), *night)

    def spells(self, begin_us: int, timezone: str) -> tuple[Spell, ...]:
        """Its weather when it begins at a time."""
        zone = ZoneInfo(timezone)
        starts = [(order, order.start.us(begin_us, zone)) for order in self.weather]
        return tuple(Spell(order.name, at, at + order.lasts_us) for order, at in starts)

    def start_us(self, now_us: int, timezone: str) -> int:
        """Where the hub's clock is to start for it, when it is now `now_us`."""
        return start_us(self.start, now_us, ZoneInfo(timezone))

    def check_start(self, hub_us: int, timezone: str) -> None:
        """BadSetting unless the hub's clock stands where the scenario starts."""
        if self.start == "now":
            return
        wanted = self.start_us(hub_us - LATE_START_US, timezone)
        if not 0 <= hub_us - wanted <= LATE_START_US:
            zone = ZoneInfo(timezone)
            raise BadSetting(
                f"scenario {self.name}: it starts at {to_datetime(wanted).astimezone(zone):%Y-%m-%d %H:%M} and the "
                f"hub's clock tells {to_datetime(hub_us).astimezone(zone):%Y-%m-%d %H:%M}; start a hub for it, with "
                f"a home of its own: BEFFROI_HOME=... beffroi up --scenario {self.name}"
            )


EVERYDAY = Scenario()


def known() -> tuple[Scenario, ...]:
    """The scenarios that come with the program."""
    return tuple(read_scenario(str(path)) for path in sorted(FOLDER.glob("*.yaml")))


def read_scenario(name_or_file: str) -> Scenario:
    """A scenario of the folder by its name, or one's own file; BadFile with file and key when it cannot be read."""
    own = Path(name_or_file)
    path = own if own.suffix in (".yaml", ".yml") else FOLDER / f"{name_or_file}.yaml"
    try:
        told = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        names = ", ".join(file.stem for file in sorted(FOLDER.glob("*.yaml")))
        raise BadFile(
            f"there is no scenario {name_or_file!r}; name one of {names}, or a file ending in .yaml"
        ) from None
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadFile(f"{path}{where}: no YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadFile(f"{path}: cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise BadFile(f"{path}: a scenario is a mapping with the keys {', '.join(KEYS)}")
    return replace(Scenario(name=path.stem), **_values(path, told))


def _values(path: Path, told: Mapping[object, object]) -> dict[str, Any]:
    found = {}
    for key, value in told.items():
        if key not in KEYS:
            raise BadFile(f"{path}: {key}: there is no such key; the keys are {', '.join(KEYS)}")
        try:
            found[FIELDS.get(str(key), str(key))] = KEYS[str(key)](value)
        except (ValueError, BadSetting) as error:
            raise BadFile(f"{path}: {key}: {error}") from error
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is no text")
    return value.strip()


def _start(value: object) -> str:
    # YAML reads a full date and time as such; one without seconds stays a text.
    text = value.isoformat() if isinstance(value, datetime) else _text(value)
    start_us(text, A_DAY_US, ZoneInfo("Europe/Paris"))
    return text


def _lasts(value: object) -> int:
    lasts_us = length_us(value) if isinstance(value, str) else 0
    if lasts_us <= 0:
        raise ValueError(f"{value!r} is no duration such as 30h or 7d")
    return lasts_us


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number from 0 on")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _days(value: object) -> Days:
    if value not in get_args(Days):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(Days))}")
    return cast(Days, value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("write a list, each entry after a dash")
    return value


def _spells(value: object) -> tuple[SpellOrder, ...]:
    return tuple(_spell(entry) for entry in _list(value))


def _spell(entry: object) -> SpellOrder:
    told = _mapping(entry, needed=("spell", "at", "lasts"))
    if told["spell"] not in SPELLS:
        raise ValueError(f"there is no spell {told['spell']!r}; the spells are {', '.join(SPELLS)}")
    return SpellOrder(told["spell"], Moment.parse(told["at"]), length_us(told["lasts"]))


def _faults(value: object) -> tuple[Order, ...]:
    return tuple(_fault(entry) for entry in _list(value))


def _fault(entry: object) -> Order:
    if isinstance(entry, str):
        return Order.parse(entry)
    told = _mapping(entry, needed=("fault",), other=("count", "device", "at", "lasts"))
    if "count" in told and "device" in told:
        raise ValueError(f"fault {told['fault']}: give a count or a device, not both")
    which = told.get("device") or told.get("count")
    return Order.of(told["fault"], told["fault"], which, told.get("at"), told.get("lasts"))


def _mapping(entry: object, needed: tuple[str, ...], other: tuple[str, ...] = ()) -> dict[str, str]:
    """A mapping of texts with these keys."""
    if not isinstance(entry, dict) or not set(needed) <= set(entry) <= {*needed, *other}:
        rest = f", and as needed {', '.join(other)}" if other else ""
        raise ValueError(f"{entry!r}: write a mapping with the keys {', '.join(needed)}{rest}")
    for key, value in entry.items():
        if key in ("at", "lasts") and not isinstance(value, str):
            # YAML takes 21:00 without quotes for a number of base 60.
            raise ValueError(f"{key}: write {MOMENTS}, in quotes")
    return {str(key): str(value) for key, value in entry.items()}


def _rates(value: object) -> Rates:
    names = [field.name for field in fields(Rates)]
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise ValueError(f"write a mapping with some of the keys {', '.join(names)}")
    return replace(EVERYDAY_RATES, **{name: _share(name, share) for name, share in value.items()})


def _share(name: str, value: object) -> float:
    """2 % or 0.02."""
    text = str(value)
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{name}: {value!r} is no share, such as 2% or 0.02")
    return share


KEYS: Mapping[str, Callable[[object], object]] = {
    "title": _text,
    "start": _start,
    "lasts": _lasts,
    "seed": _whole,
    "normal_night": _truth,
    "days": _days,
    "weather": _spells,
    "faults": _faults,
    "disturbances": _rates,
}
FIELDS = {"lasts": "lasts_us"}
"""Keys whose value is held under another name."""
