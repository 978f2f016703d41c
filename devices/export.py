"""Devices as a file that `devices import` reads back to the same registry: CSV or YAML, line by line. Pure."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from devices.kind import Kind
from devices.registry import BETWEEN_NEIGHBOURS, OPTIONAL, REQUIRED, Device

COLUMNS = (*REQUIRED, *OPTIONAL)


@dataclass(slots=True)
class CsvLines:
    """Comma separated, with the attributes of some kinds as columns."""

    kinds: Iterable[Kind]
    _attributes: tuple[str, ...] = field(init=False)
    _text: io.StringIO = field(init=False, default_factory=lambda: io.StringIO(newline=""))

    def __post_init__(self) -> None:
        self._attributes = tuple(dict.fromkeys(a.name for kind in self.kinds for a in kind.attributes))

    def head(self) -> str:
        return self._line([*COLUMNS, *self._attributes])

    def line(self, device: Device) -> str:
        told = _told(device)
        return self._line([told.get(name, "") for name in (*COLUMNS, *self._attributes)])

    def _line(self, cells: list[object]) -> str:
        self._text.seek(0)
        self._text.truncate()
        csv.writer(self._text, lineterminator="\n").writerow(cells)
        return self._text.getvalue()


class YamlLines:
    """A list with a device a line, each a mapping in JSON's form, which is YAML too."""

    def head(self) -> str:
        return ""

    def line(self, device: Device) -> str:
        return f"- {msgspec.json.encode(_told(device)).decode()}\n"


def _told(device: Device) -> dict[str, object]:
    """What a device has to say, without what it leaves to its kind."""
    values = {name: getattr(device, name) for name in COLUMNS} | dict(device.attributes)
    values["neighbours"] = BETWEEN_NEIGHBOURS.join(device.neighbours) or None
    return {name: value for name, value in values.items() if value is not None}
