"""Files of readings, piece by piece."""

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.api.files import READING, CsvFile, ParquetFile, parquet_schema
from devices.kind import kinds

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
METER = kinds()["water_meter"]
FIELDS = tuple(METER.fields[METER.field_index(name)] for name in ("total_m3", "flow_m3h", "leak"))
ROWS = [(1, AT, AT, False, 1234.567, None, True), (2, AT, AT, True, None, 0.1, False)]

NAMES = {1: ("dijon", "W-1"), 2: ("dijon", "Zähler 2")}


def test_csv_says_what_is_known_and_nothing_else():
    file = CsvFile(FIELDS, separator=",", decimal=".")
    lines = (file.add(ROWS[:1]) + file.add(ROWS[1:]) + file.end(NAMES)).decode().split("\r\n")
    assert lines == [
        "device_no,ts,received_at,time_flagged,total_m3 (m³),flow_m3h (m³/h),leak",
        "1,2026-11-23T06:00:00Z,2026-11-23T06:00:00Z,0,1234.567,,1",
        "2,2026-11-23T06:00:00Z,2026-11-23T06:00:00Z,1,,0.1,0",
        "",
    ]


def test_csv_for_a_french_excel():
    file = CsvFile(FIELDS, separator=";", decimal=",")
    text = (file.add(ROWS) + file.end(NAMES)).decode()
    assert text.startswith("\ufeffdevice_no;") and ";1234,567;;1\r\n" in text


def test_no_file_of_readings_holds_a_text_that_a_spreadsheet_would_run():
    """Ids, topics and what a kind does not declare come from strangers: none of them is a column."""
    assert set(READING) == {"device_no", "ts", "received_at", "time_flagged"}
    for kind in kinds().values():
        head = CsvFile(kind.fields, separator=",", decimal=".").end({}).decode()
        assert not any(name.startswith(("=", "+", "-", "@")) for name in head.split(","))
        types = {field.type for field in parquet_schema(kind, kind.fields)}
        assert not any(pa.types.is_string(type_) or pa.types.is_binary(type_) for type_ in types)


def test_a_cell_that_needs_quotes_gets_them():
    file = CsvFile((), separator=",", decimal=".")
    assert file.add([('a "b", c',)]).decode().endswith('"a ""b"", c"\r\n')


def test_parquet_has_a_row_group_per_piece_and_the_units():
    file = ParquetFile(METER, FIELDS)
    parquet = pq.ParquetFile(io.BytesIO(file.add(ROWS) + file.add(ROWS) + file.end(NAMES)))
    assert parquet.num_row_groups == 2
    assert json.loads(parquet.metadata.metadata[b"beffroi_devices"]) == {str(no): list(n) for no, n in NAMES.items()}
    assert parquet.read().to_pylist()[0] == {
        "device_no": 1,
        "ts": AT,
        "received_at": AT,
        "time_flagged": False,
        "total_m3": 1234.567,
        "flow_m3h": None,
        "leak": True,
    }
    schema = parquet.schema_arrow
    assert schema.field("total_m3").metadata[b"unit"] == "m³".encode()
    assert not schema.field("ts").nullable


def test_a_piece_that_was_given_is_not_kept():
    for file in (CsvFile(FIELDS, separator=",", decimal="."), ParquetFile(METER, FIELDS)):
        first = len(file.add(ROWS * 1000))
        assert len(file.add(ROWS * 1000)) <= first
