"""Exports of a hub as recordings, written with the hub's own writer."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.api.files import ParquetFile
from devices.kind import kinds
from hub.errors import BadFile
from simulators import parquet
from simulators.parquet import ParquetTape
from simulators.record import Recorded
from simulators.tape import open_tape

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
METER = kinds()["water_meter"]
FIELDS = tuple(METER.fields[METER.field_index(name)] for name in ("total_m3", "flow_m3h", "leak"))
NAMES = {1: ("dijon", "W-1"), 2: ("quetigny", "W-2")}


def exported(path: Path, *pages: list[tuple[object, ...]], names: dict[int, tuple[str, str]] = NAMES) -> Path:
    file = ParquetFile(METER, FIELDS)
    path.write_bytes(b"".join(file.add(rows) for rows in pages) + file.end(names))
    return path


def played(path: Path) -> list[Recorded]:
    return [item for item in open_tape(path).items() if isinstance(item, Recorded)]


def test_rows_become_messages_of_their_devices_in_order_of_time(tmp_path: Path) -> None:
    second, later = AT + timedelta(seconds=1), AT + timedelta(microseconds=1)
    path = exported(
        tmp_path / "readings.parquet",
        [(1, AT, AT, False, 1.5, 0.1, True), (1, second, AT, False, 1.75, None, None)],
        [(2, later, AT, False, 7.0, 0.0, False), (2, second, AT, True, 8.0, None, None)],
    )
    assert [(m.topic, json.loads(m.payload)) for m in played(path)] == [
        ("city/dijon/water_meter/W-1/telemetry", {"ts": 1795413600000, "total_m3": 1.5, "flow_m3h": 0.1, "leak": True}),
        (
            "city/quetigny/water_meter/W-2/telemetry",
            {"ts": "2026-11-23T06:00:00.000001Z", "total_m3": 7.0, "flow_m3h": 0.0, "leak": False},
        ),
        ("city/dijon/water_meter/W-1/telemetry", {"ts": 1795413601000, "total_m3": 1.75}),
        ("city/quetigny/water_meter/W-2/telemetry", {"total_m3": 8.0}),
    ], "a time that was flagged was not the device's own"
    assert {(m.qos, m.retain, m.is_replayed) for m in played(path)} == {(1, False, False)}


def test_what_does_not_fit_into_memory_at_once_is_sorted_too(tmp_path: Path) -> None:
    """Three times what is held at once: as many stretches."""
    rows = parquet.STRETCH_ROWS * 5 // 2
    at = list(range(rows))
    random.Random(1).shuffle(at)
    page = 50_000
    pages = (
        [(1, AT + timedelta(milliseconds=ms), AT, False, float(ms), None, None) for ms in at[i : i + page]]
        for i in range(0, rows, page)
    )
    tape = ParquetTape(exported(tmp_path / "long.parquet", *pages))
    totals = [json.loads(m.payload)["total_m3"] for m in tape.items()]
    assert totals == sorted(map(float, at))
    assert tape.place == tape.length == rows


def test_an_export_without_rows_is_played_at_once(tmp_path: Path) -> None:
    assert played(exported(tmp_path / "empty.parquet")) == []


def test_what_cannot_be_played_is_said(tmp_path: Path) -> None:
    whole = exported(tmp_path / "whole.parquet", [(1, AT, AT, False, 1.5, 0.1, True)])
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(BadFile, match=r"cut\.parquet: no whole Parquet file"):
        open_tape(cut)
    strange = tmp_path / "strange.parquet"
    pq.write_table(pa.table({"a": [1]}), strange)
    with pytest.raises(BadFile, match="no export of a hub"):
        open_tape(strange)
    unknown = exported(tmp_path / "unknown.parquet", [(3, AT, AT, False, 1.5, 0.1, True)])
    with pytest.raises(BadFile, match="does not name its device 3"):
        played(unknown)
    damaged = tmp_path / "damaged.parquet"
    data = bytearray(whole.read_bytes())
    data[4:60] = bytes(56)
    damaged.write_bytes(data)
    with pytest.raises(BadFile, match=r"damaged\.parquet: the export is damaged"):
        played(damaged)
