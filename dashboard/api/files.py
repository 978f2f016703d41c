"""Readings as a file, made piece by piece: CSV and Parquet. No piece is kept once it is given away. Pure."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from devices.kind import Field, Kind, Storage
from store.delegate import READING

Rows = list[tuple[Any, ...]]
Devices = Mapping[int, tuple[str, str]]
"""Commune and id of the devices that a file speaks of, by number."""
SCHEMA_VERSION = "1"
ARROW_TYPE: dict[Storage, pa.DataType] = {"real": pa.float32(), "double": pa.float64(), "flag": pa.bool_()}
MOMENT = pa.timestamp("us", tz="UTC")


class File(Protocol):
    """A file under way: what it gives, in order, is the file."""

    media_type: str
    ending: str

    def add(self, rows: Rows) -> bytes: ...

    def end(self, devices: Devices) -> bytes: ...


class CsvFile:
    """CSV in UTF-8: a header with units, times in RFC 3339 (UTC), flags as 1 and 0, nothing where nothing is known.

    With `decimal` a comma it begins with a byte order mark, so that a French Excel opens it as it is.
    """

    media_type = "text/csv; charset=utf-8"
    ending = "csv"

    def __init__(self, fields: Sequence[Field], *, separator: str, decimal: Literal[".", ","]) -> None:
        self._decimal = decimal
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, delimiter=separator, lineterminator="\r\n")
        if decimal == ",":
            self._text.write("\ufeff")
        self._writer.writerow([*READING, *(f"{f.name} ({f.unit})" if f.unit else f.name for f in fields)])

    def add(self, rows: Rows) -> bytes:
        """Some more rows."""
        self._writer.writerows([self._cell(value) for value in row] for row in rows)
        return self._taken()

    def end(self, devices: Devices) -> bytes:
        """What is left: the header, when there was no row."""
        return self._taken()

    def _cell(self, value: object) -> object:
        if isinstance(value, float):
            return repr(value).replace(".", self._decimal) if self._decimal != "." else value
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        return value

    def _taken(self) -> bytes:
        taken = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return taken


class ParquetFile:
    """Parquet with a row group per call of `add`; units and labels are the metadata of its columns."""

    media_type = "application/vnd.apache.parquet"
    ending = "parquet"

    def __init__(self, kind: Kind, fields: Sequence[Field]) -> None:
        self._schema = parquet_schema(kind, fields)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")

    def add(self, rows: Rows) -> bytes:
        """Some more rows, as one row group."""
        columns = [
            pa.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        return self._sink.taken()

    def end(self, devices: Devices) -> bytes:
        """The footer; it names the devices, so that the file can be played to another hub (`beffroi replay`)."""
        self._writer.add_key_value_metadata({"beffroi_devices": json.dumps(devices, ensure_ascii=False)})
        self._writer.close()
        return self._sink.taken()


def parquet_schema(kind: Kind, fields: Sequence[Field]) -> pa.Schema:
    """The columns of a kind's readings: unit and labels as metadata of the column, the kind as that of the file."""
    head = [
        pa.field("device_no", pa.int32(), nullable=False),
        pa.field("ts", MOMENT, nullable=False),
        pa.field("received_at", MOMENT, nullable=False),
        pa.field("time_flagged", pa.bool_(), nullable=False),
    ]
    told = [
        pa.field(
            f.name,
            ARROW_TYPE[f.storage],
            metadata={"unit": f.unit, "label_fr": f.label.fr, "label_en": f.label.en},
        )
        for f in fields
    ]
    beffroi = {
        "kind": kind.name,
        "schema_version": SCHEMA_VERSION,
        "label_fr": kind.label.fr,
        "label_en": kind.label.en,
    }
    return pa.schema([*head, *told], metadata={"beffroi": json.dumps(beffroi, ensure_ascii=False)})


class _Sink(io.RawIOBase):
    """A file that is only written and told: what was written can be taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        taken = bytes(part)
        self._parts.append(taken)
        self._length += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
