"""Readings that a hub exported as Parquet, played as messages of their devices in the order of their times.

An export is sorted by device. It is laid out by time into files of a few hours each, then sorted file by file, so that
neither the length of the export nor the number of its devices decides how much memory it takes.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from devices.kind import kinds
from hub.clock import to_datetime
from hub.errors import BadFile
from simulators.record import Recorded
from simulators.wire import topic

STRETCH_ROWS = 200_000
"""Rows that are held and sorted at once, about."""
MOST_STRETCHES = 500
"""Each is an open file."""
SAMPLE = 200_000
HEAD = ("device_no", "ts", "time_flagged")


class ParquetTape:
    """An export of one kind's readings."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            kind_name = json.loads(self._file.schema_arrow.metadata[b"beffroi"])["kind"]
            names = (self._file.metadata.metadata or {}).get(b"beffroi_devices")
        except (pa.ArrowException, OSError) as error:
            raise BadFile(f"{path}: no whole Parquet file, perhaps it was cut off: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(f"{path}: a Parquet file, but no export of a hub: it does not tell its kind") from error
        kind = kinds().get(kind_name)
        if kind is None:
            raise BadFile(f"{path}: holds readings of {kind_name!r}, a kind that this hub does not know")
        if names is None:
            raise BadFile(f"{path}: the export does not name its devices; export it again with this version of the hub")
        absent = [name for name in HEAD if name not in self._file.schema_arrow.names]
        if absent:
            raise BadFile(f"{path}: the export has no column {' or '.join(absent)}")
        self._kind = kind
        self._topics = {int(no): topic(commune, kind.name, id_) for no, (commune, id_) in json.loads(names).items()}
        self.length: int = self._file.metadata.num_rows
        self.place = 0

    def items(self) -> Iterator[Recorded]:
        """Every reading in the order of time."""
        self.place = 0
        with TemporaryDirectory(prefix="beffroi-replay-") as folder:
            try:
                for stretch in self._lay_out(Path(folder)):
                    with pa.memory_map(str(stretch)) as source:
                        table = pa.ipc.open_stream(source).read_all()
                    for message in self._messages(table.sort_by("ts")):
                        self.place += 1
                        yield message
                    stretch.unlink()
            except (pa.ArrowException, OSError) as error:
                raise BadFile(f"{self._path}: the export is damaged, or cannot be laid out: {error}") from error

    def _lay_out(self, folder: Path) -> list[Path]:
        """A file for each stretch of time, in order."""
        edges = self._edges()
        paths = [folder / f"{number}.arrow" for number in range(len(edges) + 1)]
        with ExitStack() as stack:
            files = [stack.enter_context(pa.OSFile(str(path), "wb")) for path in paths]
            writers = [stack.enter_context(pa.ipc.new_stream(file, self._file.schema_arrow)) for file in files]
            for number in range(self._file.num_row_groups):
                table = self._file.read_row_group(number)
                place = np.searchsorted(edges, _times_us(table), side="right")
                for stretch in np.unique(place).tolist():
                    writers[stretch].write_table(table.filter(pa.array(place == stretch)))
        return paths

    def _edges(self) -> NDArray[np.int64]:
        """Times that part the readings into stretches of about as many rows."""
        stretches = min(-(-self.length // STRETCH_ROWS), MOST_STRETCHES)
        if stretches < 2:
            return np.empty(0, np.int64)
        step = max(1, self.length // SAMPLE)
        groups = range(self._file.num_row_groups)
        times = np.concatenate([_times_us(self._file.read_row_group(g, columns=["ts"]))[::step] for g in groups])
        return np.unique(np.quantile(times, np.arange(1, stretches) / stretches).astype(np.int64))

    def _messages(self, table: pa.Table) -> Iterator[Recorded]:
        names = [f.name for f in self._kind.fields if f.name in table.column_names]
        columns = [_values(table.column(name)) for name in names]
        head = (
            table.column("device_no").to_pylist(),
            _times_us(table).tolist(),
            table.column("time_flagged").to_pylist(),
        )
        for device_no, ts_us, is_flagged, *values in zip(*head, *columns, strict=True):
            told = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            yield Recorded(ts_us, self._topic(device_no), _payload(ts_us, is_flagged, told))

    def _topic(self, device_no: int) -> str:
        try:
            return self._topics[device_no]
        except KeyError as error:
            raise BadFile(f"{self._path}: the export does not name its device {device_no}; export it again") from error


def _times_us(table: pa.Table) -> NDArray[np.int64]:
    times: NDArray[np.int64] = table.column("ts").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return times


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Numbers with the digits that they were stored with: a float32 of 0.1 as 0.10000000149 may be out of range."""
    if column.type != pa.float32():
        return list(column.to_pylist())
    numbers = column.to_numpy()
    short = numbers.astype(np.str_).astype(np.float64)
    return [
        value if is_known else None
        for value, is_known in zip(short.tolist(), column.is_valid().to_pylist(), strict=True)
    ]


def _payload(ts_us: int, is_flagged: bool, told: Mapping[str, Any]) -> bytes:
    """As a device says it; one whose time was impossible says none."""
    if is_flagged:
        return msgspec.json.encode(told)
    ts = to_datetime(ts_us) if ts_us % 1000 else ts_us // 1000
    return msgspec.json.encode({"ts": ts, **told})
