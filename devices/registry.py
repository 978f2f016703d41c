"""The registry: devices as a city declares them in a file, and as columns for decoding and rules. Pure."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.kind import Column, Kind, kinds
from devices.readings import Key
from devices.rows import BadRow, Columns, Form, Row, read_rows

__all__ = [
    "BadRow",
    "Device",
    "Introduction",
    "Registry",
    "devices_of",
    "introduction",
    "name_fault",
    "parse_devices",
    "sole_type",
]

MAX_ID_LENGTH = 64
MAX_TEXT_LENGTH = 200
REQUIRED = ("commune", "kind", "id", "type")
OPTIONAL = ("parent", "gateway", "lat", "lon", "label", "street", "neighbours")
BETWEEN_NEIGHBOURS = "|"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = re.compile(rf"[^/+#\x00-\x1f\x7f-\x9f\u2028\u2029]{{1,{MAX_ID_LENGTH}}}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Device:
    """One device as the city declares it; parent and gateway are ids of the same commune and kind."""

    commune: str
    kind: str
    id: str
    type: str
    parent: str | None = None
    gateway: str | None = None
    lat: float | None = None
    lon: float | None = None
    label: str | None = None
    street: str | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)
    neighbours: tuple[str, ...] = ()
    """Devices of the kind that stand next to it: `id`, or `commune/id` where the commune is another."""
    line: int = field(default=0, compare=False)
    """Where the file says so, for messages; 0 when it comes from no file."""

    @property
    def key(self) -> Key:
        return self.commune, self.kind, self.id


class _BadRowError(ValueError):
    """Why a row is bad."""


def parse_devices(text: str, form: Form) -> tuple[list[Device], list[BadRow]]:
    """Read a file of devices: the good rows, in order, and the bad ones with line and reason.

    Whether a parent or gateway that the file does not hold is in the registry already, only the database
    can tell (store.registry.import_devices).
    """
    bad: list[BadRow] = []
    attributes = _attribute_names()
    columns = Columns(REQUIRED, {*REQUIRED, *OPTIONAL, *attributes}, {"lat", "lon", *attributes})
    return devices_of(read_rows(text, form, columns, bad), bad)


def devices_of(rows: Iterable[Row], bad: list[BadRow]) -> tuple[list[Device], list[BadRow]]:
    """The good rows as devices, in order, and all bad ones: those of `bad`, which reading the rows may add to."""
    found: dict[Key, Device] = {}
    for row in rows:
        try:
            device = _device(row)
            if device.key in found:
                raise _BadRowError(f"{device.id!r} is already on line {found[device.key].line}")
            found[device.key] = device
        except _BadRowError as error:
            bad.append(BadRow(row.line, str(error)))
    good = []
    for device in found.values():
        reason = _misplaced(device, found)
        if reason:
            bad.append(BadRow(device.line, reason))
        else:
            good.append(device)
    return good, sorted(bad)


def _device(row: Row) -> Device:
    values = row.values
    missing = [name for name in REQUIRED if name not in values]
    if missing:
        raise _BadRowError(f"{' and '.join(missing)} missing")
    kind = kinds().get(values["kind"])
    if kind is None:
        raise _BadRowError(f"kind {values['kind']!r} is unknown; the hub knows {', '.join(sorted(kinds()))}")
    types = [t.name for t in kind.types]
    if values["type"] not in types:
        raise _BadRowError(f"type {values['type']!r} is unknown; {kind.name} has {', '.join(types)}")
    if "parent" in values and kind.type(values["type"]).parent is None:
        raise _BadRowError(f"a {values['type']} hangs from nothing, but parent is {values['parent']!r}")
    lat, lon = _position(values)
    return Device(
        commune=_name("commune", values["commune"]),
        kind=kind.name,
        id=_name("id", values["id"]),
        type=values["type"],
        parent=_name("parent", values["parent"]) if "parent" in values else None,
        gateway=_name("gateway", values["gateway"]) if "gateway" in values else None,
        lat=lat,
        lon=lon,
        label=_text("label", values),
        street=_text("street", values),
        attributes=_attributes(kind, values),
        neighbours=_neighbours(values),
        line=row.line,
    )


def _misplaced(device: Device, found: Mapping[Key, Device]) -> str | None:
    """Why it cannot hang where it says, as far as the file tells."""
    if device.parent is None:
        return None
    parent = found.get((device.commune, device.kind, device.parent))
    wanted = kinds()[device.kind].type(device.type).parent
    if parent is None or parent.type == wanted:
        return None
    return f"the parent of a {device.type} is a {wanted}, but {device.parent!r} is a {parent.type}"


def name_fault(name: str) -> str | None:
    """Why a commune, id or gateway cannot be part of a topic; None when it can."""
    if _NAME.fullmatch(name):
        return None
    if not name:
        return "is empty"
    if len(name) > MAX_ID_LENGTH:
        return f"has more than {MAX_ID_LENGTH} characters"
    if any(character in "/+#" for character in name):
        return "holds / + or #, which separate and select topics"
    return "holds a control character"


def _name(column: str, value: str) -> str:
    fault = name_fault(value)
    if fault:
        raise _BadRowError(f"{column} {value[:MAX_ID_LENGTH]!r} {fault}")
    return value


def _neighbours(values: Mapping[str, str]) -> tuple[str, ...]:
    named = [name.strip() for name in values.get("neighbours", "").split(BETWEEN_NEIGHBOURS) if name.strip()]
    for name in named:
        commune, _, device_id = name.rpartition("/")
        if commune:
            _name("neighbour's commune", commune)
        _name("neighbour", device_id)
    return tuple(sorted(set(named)))


def _text(column: str, values: Mapping[str, str]) -> str | None:
    if column not in values:
        return None
    text = " ".join(values[column].split())
    if len(text) > MAX_TEXT_LENGTH:
        raise _BadRowError(f"{column} has more than {MAX_TEXT_LENGTH} characters")
    if _CONTROL.search(text):
        raise _BadRowError(f"{column} holds a control character")
    return text


def _number(column: str, text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise _BadRowError(f"{column} {text[:MAX_ID_LENGTH]!r} is not a number")
    return number


def _position(values: Mapping[str, str]) -> tuple[float | None, float | None]:
    given = [name for name in ("lat", "lon") if name in values]
    if not given:
        return None, None
    if len(given) == 1:
        raise _BadRowError(f"only {given[0]} is given; a position is lat and lon")
    lat, lon = (_number(name, values[name]) for name in given)
    for name, degrees, limit in (("lat", lat, 90), ("lon", lon, 180)):
        if abs(degrees) > limit:
            raise _BadRowError(f"{name} {degrees:g} is not between -{limit} and {limit} degrees")
    return lat, lon


def _attributes(kind: Kind, values: Mapping[str, str]) -> dict[str, float]:
    known = {attribute.name for attribute in kind.attributes}
    extra = [name for name in values if name not in REQUIRED and name not in OPTIONAL]
    strange = [name for name in extra if name not in known]
    if strange:
        raise _BadRowError(
            f"{kind.name} has no {' or '.join(map(repr, strange))}; "
            f"its attributes are {', '.join(sorted(known)) or 'none'}"
        )
    return {name: _number(name, values[name]) for name in extra}


# The registry as columns


class Introduction(NamedTuple):
    """What a device's announcement says of it that the hub can use until somebody commissions it."""

    type: str | None
    lat: float | None
    lon: float | None
    label: str | None


def sole_type(kind: str) -> str | None:
    """What a device of a kind is taken for that says nothing of its type."""
    return kinds()[kind].unsaid_type if kind in kinds() else None


def introduction(kind: str, announced: Mapping[str, object]) -> Introduction:
    """What can be believed of an announcement; what makes no sense is left out, nothing is refused."""
    told = {name: str(value) for name, value in announced.items() if isinstance(value, str | int | float)}
    types = [t.name for t in kinds()[kind].types] if kind in kinds() else []
    type_ = told.get("type")
    try:
        lat, lon = _position(told)
    except _BadRowError:
        lat = lon = None
    try:
        label = _text("label", told)
    except _BadRowError:
        label = None
    return Introduction(type_ if type_ in types else sole_type(kind), lat, lon, label)


@dataclass(frozen=True, slots=True)
class Registry:
    """Every device that the hub knows, as columns of equal length n, sorted by kind and number."""

    version: int
    device_no: NDArray[np.int32]
    commune: Sequence[str]
    kind: NDArray[np.str_]
    id: Sequence[str]
    type: NDArray[np.str_]
    """Empty while unknown."""
    parent_no: NDArray[np.int32]
    """0 without parent."""
    gateway_no: NDArray[np.int32]
    """0 without gateway."""
    lat: Column
    lon: Column
    """Degrees, NaN when unknown."""
    commissioned: NDArray[np.bool_]
    attributes: Mapping[str, Column]
    """By attribute name; what the registry does not say is the kind's default, NaN where there is none."""

    def __len__(self) -> int:
        return len(self.device_no)

    def of_kind(self, kind: str) -> "Registry":
        """The part that holds one kind, with that kind's attributes only."""
        first, last = np.searchsorted(self.kind, [kind]), np.searchsorted(self.kind, [kind], side="right")
        part = slice(int(first[0]), int(last[0]))
        names = [a.name for a in kinds()[kind].attributes] if kind in kinds() else []
        return Registry(
            self.version,
            self.device_no[part],
            self.commune[part],
            self.kind[part],
            self.id[part],
            self.type[part],
            self.parent_no[part],
            self.gateway_no[part],
            self.lat[part],
            self.lon[part],
            self.commissioned[part],
            {name: self.attributes[name][part] for name in names},
        )

    def without(self, device_no: Collection[int]) -> "Registry":
        """Without some devices."""
        kept = np.flatnonzero(~np.isin(self.device_no, list(device_no)))
        return Registry(
            self.version,
            self.device_no[kept],
            [self.commune[i] for i in kept.tolist()],
            self.kind[kept],
            [self.id[i] for i in kept.tolist()],
            self.type[kept],
            self.parent_no[kept],
            self.gateway_no[kept],
            self.lat[kept],
            self.lon[kept],
            self.commissioned[kept],
            {name: values[kept] for name, values in self.attributes.items()},
        )

    def updated(self, changes: "Registry") -> "Registry":
        """With some devices added or replaced, at the version of the changes."""
        kept = np.flatnonzero(~np.isin(self.device_no, changes.device_no))
        kind = np.concatenate([self.kind[kept], changes.kind])
        order = np.lexsort((np.concatenate([self.device_no[kept], changes.device_no]), kind))

        def column(mine: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([mine[kept], theirs])[order]

        def texts(mine: Sequence[str], theirs: Sequence[str]) -> list[str]:
            both = [*(mine[i] for i in kept.tolist()), *theirs]
            return [both[i] for i in order.tolist()]

        return Registry(
            changes.version,
            column(self.device_no, changes.device_no),
            texts(self.commune, changes.commune),
            kind[order],
            texts(self.id, changes.id),
            column(self.type, changes.type),
            column(self.parent_no, changes.parent_no),
            column(self.gateway_no, changes.gateway_no),
            column(self.lat, changes.lat),
            column(self.lon, changes.lon),
            column(self.commissioned, changes.commissioned),
            {name: column(values, changes.attributes[name]) for name, values in self.attributes.items()},
        )

    def numbers(self) -> dict[Key, int]:
        """Device numbers by commune, kind and id."""
        keys = zip(self.commune, self.kind.tolist(), self.id, strict=True)
        return dict(zip(keys, self.device_no.tolist(), strict=True))

    @classmethod
    def of_rows(cls, version: int, rows: Sequence[Sequence[object]]) -> "Registry":
        """From rows of the eleven values named below, sorted by kind (code points) and number; None: unknown."""
        columns: list[list[object]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(11)]
        number, commune, kind, id_, type_, parent, gateway, lat, lon, commissioned, attributes = columns
        kind_names = np.array(kind, dtype=np.str_)
        return cls(
            version=version,
            device_no=np.array(number, dtype=np.int32),
            commune=[str(c) for c in commune],
            kind=kind_names,
            id=[str(i) for i in id_],
            type=np.array([t or "" for t in type_], dtype=np.str_),
            parent_no=np.array([p or 0 for p in parent], dtype=np.int32),
            gateway_no=np.array([g or 0 for g in gateway], dtype=np.int32),
            lat=np.array(lat, dtype=np.float64),
            lon=np.array(lon, dtype=np.float64),
            commissioned=np.array(commissioned, dtype=np.bool_),
            attributes=_attribute_columns(kind_names, attributes),
        )


def _attribute_names() -> frozenset[str]:
    return frozenset(attribute.name for kind in kinds().values() for attribute in kind.attributes)


def _attribute_columns(kind: NDArray[np.str_], said: Sequence[object]) -> dict[str, Column]:
    columns = {name: np.full(len(kind), np.nan) for name in _attribute_names()}
    for declared in kinds().values():
        here = kind == declared.name
        for attribute in declared.attributes:
            columns[attribute.name][here] = attribute.default
    for place, values in enumerate(said):
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if name in columns:
                columns[name][place] = value
    return columns
