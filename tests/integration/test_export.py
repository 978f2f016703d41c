"""Exports from a real database: the rows are those of the table, in CSV and Parquet, and memory stays flat."""

import asyncio
import csv
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from devices.kind import kinds
from hub.runtime.servers import Embedded
from store.database import connect
from tests import contracts as city_of
from tests.contracts import AFTER, BEFORE, EVERYTHING, INSIDE, LAMPS, SINCE, City
from tests.database import one
from tests.integration.test_api import is_problem, make_app, program

LAMP, VEHICLE, METER = "street_lighting", "fleet_vehicle", "water_meter"
SPAN = {"from": BEFORE.isoformat(), "to": AFTER.isoformat()}


@pytest.fixture(scope="module")
async def city(database_url: str) -> City:
    return await city_of.make_city(database_url)


@pytest.fixture(scope="module")
async def app(city: City, broker: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    made = make_app(city.url, broker.mqtt_url, tmp_path_factory.mktemp("export"))
    async with made.router.lifespan_context(made):
        yield made


async def exported(app: FastAPI, city: City, kind: str, **asked: Any) -> httpx.Response:
    async with program(app, await city_of.key_of(city.url, EVERYTHING)) as client:
        answer = await client.get("/export", params={"kind": kind, **SPAN, **asked})
    assert answer.status_code == 200, answer.text
    return answer


def table(answer: httpx.Response, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=separator))


async def test_csv_holds_what_the_contract_sees(app: FastAPI, city: City) -> None:
    answer = await exported(app, city, LAMP)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.csv"')
    rows = table(answer)
    first = INSIDE.isoformat().replace("+00:00", "Z")
    assert (rows[0]["device_no"], rows[0]["ts"]) == (str(city.ours[LAMP]), first)
    assert len(rows) == 2 and "31337" not in answer.text
    assert "power_w (W)" in rows[0]


async def test_a_french_excel_reads_it(app: FastAPI, city: City) -> None:
    async with connect(city.url) as conn:
        number = await city_of.add_device(conn, kinds()[LAMP], 600, "dijon", "decimal")
        await conn.execute(
            "INSERT INTO street_lighting (device_no, ts, received_at, power_w, door_open)"
            " VALUES (%s, %s, now(), 71.6, true)",
            [number, INSIDE],
        )
        await conn.commit()
    answer = await exported(app, city, LAMP, device_no=number, separator=";", decimal=",")
    assert answer.content.startswith("\ufeffdevice_no;ts;".encode())
    (row,) = table(answer, ";")
    assert (row["power_w (W)"], row["door_open"], row["dim_pct (%)"]) == ("71,6", "1", "")


async def test_parquet_holds_the_same_with_units(app: FastAPI, city: City) -> None:
    answer = await exported(app, city, LAMP, format="parquet")
    file = pq.ParquetFile(io.BytesIO(answer.content))
    fields = {field.name: field for field in file.schema_arrow}
    assert fields["power_w"].metadata[b"unit"] == b"W" and str(fields["power_w"].type) == "float"
    assert str(fields["ts"].type) == "timestamp[us, tz=UTC]"
    assert json.loads(file.schema_arrow.metadata[b"beffroi"])["kind"] == LAMP
    as_csv = table(await exported(app, city, LAMP))
    found = file.read().to_pylist()
    assert [row["device_no"] for row in found] == [int(row["device_no"]) for row in as_csv]
    assert [row["ts"] for row in found] == [datetime.fromisoformat(row["ts"]) for row in as_csv]


@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_nothing_is_a_file_too(app: FastAPI, city: City, format: str) -> None:
    asked = {"from": "2001-01-01T00:00:00Z", "to": "2001-01-02T00:00:00Z", "format": format}
    answer = await exported(app, city, LAMP, **asked)
    if format == "csv":
        assert answer.text.startswith("device_no,ts,") and table(answer) == []
    else:
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 0


async def test_personal_data_is_masked_in_files_too(app: FastAPI, city: City) -> None:
    rows = table(await exported(app, city, VEHICLE))
    assert len(rows) == 2 and {row["lat (°)"] for row in rows} == {""}
    assert len(table(await exported(app, city, METER))) == 1


async def test_other_devices_give_an_empty_file(app: FastAPI, city: City) -> None:
    assert table(await exported(app, city, LAMP, device_no=city.others[LAMP])) == []


async def test_an_export_is_recorded_with_its_rows(app: FastAPI, city: City) -> None:
    await exported(app, city, LAMP, device_no=city.ours[LAMP])
    row = await one(city.url, "SELECT * FROM contract_access WHERE what = 'export' ORDER BY access_no DESC LIMIT 1")
    assert (row["rows"], row["refused"]) == (2, None) and row["answered_at"] is not None


async def test_one_export_at_a_time_per_contract(app: FastAPI, city: City) -> None:
    """Each holds a connection; the place is free again when the client has gone."""
    asked = {"kind": LAMP, **SPAN}
    async with program(app, await city_of.key_of(city.url, LAMPS)) as client:
        limits = next(iter(_limits(app)))
        limits.exports.add(await _contract_no(city))
        is_problem(await client.get("/export", params=asked), 429, "under way")
        limits.exports.clear()
        assert (await client.get("/export", params=asked)).status_code == 200
        assert limits.exports == set()


async def test_a_client_that_goes_away_frees_its_place(app: FastAPI, city: City) -> None:
    """The reading ends, its connection is given back, and the record says how far it came."""
    token = await city_of.key_of(city.url, LAMPS)
    await fill(city, 30_000, 6000)
    limits = next(iter(_limits(app)))
    for _ in range(10):  # more often than there are connections
        await _drained(app, token, {"kind": LAMP, "device_no": "6000", **SPAN}, pieces=1)
        assert limits.exports == set()
    row = await one(city.url, "SELECT * FROM contract_access WHERE what = 'export' ORDER BY access_no DESC LIMIT 1")
    assert "broke off after" in str(row["refused"])


async def _contract_no(city: City) -> int:
    row = await one(city.url, "SELECT contract_no FROM contract WHERE name = %s", LAMPS.name)
    return int(str(row["contract_no"]))


def _limits(app: FastAPI) -> Any:
    for context in iter_route_contexts(app.routes):
        for dependency in getattr(context, "dependencies", None) or ():
            if hasattr(dependency.dependency, "limits"):
                yield dependency.dependency.limits


# ---- memory ----

READER = """
import asyncio, sys
from tests.integration.test_export import peak_of_export
asyncio.run(peak_of_export(*sys.argv[1:]))
"""


async def fill(city: City, rows: int, number: int) -> None:
    """Readings of one lamp, one a second."""
    async with connect(city.url) as conn:
        await city_of.add_device(conn, kinds()[LAMP], number, "dijon", f"many-{number}")
        await conn.execute(
            "INSERT INTO street_lighting (device_no, ts, received_at, power_w, voltage_v)"
            " SELECT %s, %s + g * interval '0.5 second', now(), 70 + g %% 7, 230.5 FROM generate_series(1, %s) g",
            [number, SINCE, rows],
        )
        await conn.commit()


async def peak_of_export(url: str, mqtt_url: str, home: str, token: str, device_no: str, format: str) -> None:
    """Serve and read one export in this process; prints bytes and the peak of memory before and after, in KiB."""
    app = make_app(url, mqtt_url, Path(home))
    async with app.router.lifespan_context(app):
        small = {"from": SINCE.isoformat(), "to": (SINCE + timedelta(hours=3)).isoformat()}
        whole = {"from": SINCE.isoformat(), "to": AFTER.isoformat()}
        before_kib, size = 0, 0
        for span in (small, whole):
            before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            size = await _drained(app, token, {"kind": LAMP, "device_no": device_no, "format": format, **span})
        after_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps({"bytes": size, "before_kib": before_kib, "after_kib": after_kib}))


async def _drained(app: FastAPI, token: str, asked: dict[str, str], pieces: int = 1_000_000) -> int:
    """Read an answer piece by piece, keep none of it, and go away after so many."""
    size = received = 0
    gone = asyncio.Event()

    async def send(message: Any) -> None:
        nonlocal size, received
        received += bool(message.get("body"))
        if received >= pieces:
            gone.set()
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        size += len(message.get("body", b""))

    asked_once = False

    async def receive() -> Any:
        nonlocal asked_once
        if not asked_once:
            asked_once = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/export",
        "raw_path": b"/api/v1/export",
        "root_path": "",
        "query_string": urlencode(asked).encode(),
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "server": ("hub.test", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    await app(scope, receive, send)
    return size


async def exported_in_a_process(city: City, broker: Embedded, home: Path, number: int, format: str) -> dict[str, int]:
    token = await city_of.key_of(city.url, LAMPS)
    arguments = (city.url, broker.mqtt_url, str(home), token, str(number), format)
    run = subprocess.run(  # noqa: ASYNC221  # nothing else runs meanwhile
        [sys.executable, "-c", READER, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_memory_does_not_grow_with_the_export(city: City, broker: Embedded, tmp_path: Path, format: str) -> None:
    """100,000 rows after 20,000: what the process needs at most stays where it was."""
    number = 7000 + (format == "csv")
    await fill(city, 100_000, number)
    found = await exported_in_a_process(city, broker, tmp_path, number, format)
    assert found["bytes"] > (5_000_000 if format == "csv" else 100_000)
    assert found["after_kib"] - found["before_kib"] < 16 * 1024


@pytest.mark.soak
@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_memory_does_not_grow_with_a_million_rows(
    city: City, broker: Embedded, tmp_path: Path, format: str
) -> None:
    number = 8000 + (format == "csv")
    await fill(city, 1_000_000, number)
    found = await exported_in_a_process(city, broker, tmp_path, number, format)
    assert found["bytes"] > (50_000_000 if format == "csv" else 1_000_000)
    assert found["after_kib"] - found["before_kib"] < 24 * 1024
