"""The registry in the real database: imports, strangers, announcements, and what the worker reads."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from devices.export import CsvLines, YamlLines
from devices.kind import kinds
from devices.registry import Device, parse_devices
from devices.rows import Form
from store.database import Connection, connect
from store.registry import announce, commissioned, import_devices, load, register_unknown, to_commission, version

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with connect(database_url) as made:
        yield made


def light(commune: str, device_id: str, type_: str, parent: str | None = None, **more: object) -> Device:
    return replace(Device(commune, "street_lighting", device_id, type_, parent), **more)  # type: ignore[arg-type]  # fields by name


def street(commune: str) -> list[Device]:
    """One cabinet, its feeder and two lamps; the lamps come first, as a file may have them."""
    lamps = [
        light(commune, f"L{n}", "lamp", "F1", gateway="A1", lat=47.3, lon=5.0, attributes={"rated_power_w": 60.0})
        for n in (1, 2)
    ]
    return [
        *lamps,
        light(commune, "F1", "feeder", "A1", gateway="A1"),
        light(commune, "A1", "cabinet", label="Place Darcy"),
    ]


async def test_neighbours_are_known_by_number_also_in_another_commune(connection):
    junctions = [
        Device("dijon", "traffic_light", "J-1", "junction", neighbours=("J-2", "talant/J-1")),
        Device("dijon", "traffic_light", "J-2", "junction", neighbours=("J-1", "J-9"), line=7),
        Device("talant", "traffic_light", "J-1", "junction", neighbours=("dijon/J-1",)),
    ]
    result = await import_devices(connection, junctions, NOW)
    assert (result.added, [(row.line, row.reason.split(" of ")[0]) for row in result.bad]) == (
        3,
        [(7, "the neighbour 'J-9'")],
    )
    rows = await (
        await connection.execute(
            "SELECT d.commune, d.id, array_agg(n.commune || '/' || n.id ORDER BY 1) AS beside"
            " FROM device d JOIN device n ON n.device_no = ANY (d.neighbour_nos) GROUP BY 1, 2 ORDER BY 1, 2"
        )
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("dijon", "J-1", ["dijon/J-2", "talant/J-1"]),
        ("dijon", "J-2", ["dijon/J-1"]),
        ("talant", "J-1", ["dijon/J-1"]),
    ]
    again = await import_devices(connection, junctions, NOW)
    assert (again.added, again.changed) == (0, 0)
    told = [device async for device in commissioned(connection, kind="traffic_light")]
    assert [device.neighbours for device in told] == [("J-2", "talant/J-1"), ("J-1",), ("dijon/J-1",)]


async def test_an_import_adds_then_changes_nothing(connection: Connection) -> None:
    before = await version(connection)
    assert await import_devices(connection, street("ahuy"), NOW) == (4, 0, 0, [])
    after = await version(connection)
    assert after > before
    assert await import_devices(connection, street("ahuy"), LATER) == (0, 0, 4, [])
    assert await version(connection) == after


async def test_an_import_changes_only_what_differs(connection: Connection) -> None:
    await import_devices(connection, street("bretenière"), NOW)
    moved, *others = street("bretenière")
    devices = [replace(moved, lat=47.31, attributes={}), *others]
    assert await import_devices(connection, devices, LATER) == (0, 1, 3, [])
    row = await (
        await connection.execute(
            "SELECT lat, attributes, commissioned_at, changed_at FROM device WHERE commune = 'bretenière' AND id = 'L1'"
        )
    ).fetchone()
    assert row == {"lat": 47.31, "attributes": {}, "commissioned_at": NOW, "changed_at": LATER}


async def test_topology_is_by_number(connection: Connection) -> None:
    await import_devices(connection, street("chenôve"), NOW)
    registry = await load(connection)
    numbers = registry.numbers()
    lamp, feeder, cabinet = (numbers["chenôve", "street_lighting", name] for name in ("L1", "F1", "A1"))
    place = int(np.flatnonzero(registry.device_no == lamp)[0])
    assert (registry.parent_no[place], registry.gateway_no[place]) == (feeder, cabinet)


async def test_a_row_whose_parent_is_nowhere_is_left_out_with_all_that_hangs_from_it(connection: Connection) -> None:
    devices = [
        light("corcelles", "L1", "lamp", "F1", line=2),
        light("corcelles", "F1", "feeder", "A9", line=3),
        light("corcelles", "F2", "feeder", line=4),
        light("corcelles", "L2", "lamp", "F2", gateway="A7", line=5),
    ]
    result = await import_devices(connection, devices, NOW)
    assert (result.added, [row.line for row in result.bad]) == (1, [2, 3, 5])
    reasons = [row.reason for row in result.bad]
    assert "'F1' of lamp 'L1' is neither in the file nor in the registry" in reasons[0]
    assert "'A9' of feeder 'F1'" in reasons[1]
    assert "gateway 'A7' of lamp 'L2'" in reasons[2]


async def test_a_parent_may_be_in_the_registry_already_but_of_its_type(connection: Connection) -> None:
    await import_devices(connection, street("daix"), NOW)
    devices = [light("daix", "L3", "lamp", "F1", line=1), light("daix", "L4", "lamp", "A1", line=2)]
    result = await import_devices(connection, devices, NOW)
    assert result.added == 1
    assert [row.reason for row in result.bad] == ["the parent of a lamp is a feeder, but 'A1' is a cabinet"]


async def test_the_same_id_in_another_commune_is_another_device(connection: Connection) -> None:
    await import_devices(connection, street("étaules"), NOW)
    assert (await import_devices(connection, street("fénay"), NOW)).added == 4


async def test_nothing_is_imported_by_halves(connection: Connection) -> None:
    impossible = [*street("hauteville"), light("hauteville", "L9\x00", "lamp")]
    with pytest.raises(Exception, match=r"0x00|NUL"):
        await import_devices(connection, impossible, NOW)
    await connection.rollback()
    assert not any(key[0] == "hauteville" for key in (await load(connection)).numbers())


async def test_a_stranger_gets_a_number_once_and_waits_to_be_commissioned(connection: Connection) -> None:
    bus, meter = ("longvic", "fleet_vehicle", "bus-1"), ("longvic", "water_meter", "m-1")
    before = await version(connection)
    first = await register_unknown(connection, [bus, bus], NOW)
    assert await version(connection) == before + 1
    again = await register_unknown(connection, [bus, meter], LATER)
    assert again[bus] == first[bus]
    assert again[meter] == first[bus] + 1, "a known device uses no number up"
    waiting = {row["id"]: row for row in await to_commission(connection) if row["commune"] == "longvic"}
    assert set(waiting) == {"bus-1", "m-1"}
    assert waiting["bus-1"]["type"] == "vehicle", "a kind with one type leaves no doubt"
    assert waiting["bus-1"]["first_seen_at"] == NOW


async def test_no_strangers_is_no_change(connection: Connection) -> None:
    before = await version(connection)
    assert await register_unknown(connection, [], NOW) == {}
    assert await version(connection) == before


async def test_two_at_once_agree_on_a_strangers_number(database_url: str) -> None:
    bus = ("magny", "fleet_vehicle", "bus-1")
    async with connect(database_url) as one, connect(database_url) as other:
        first = await register_unknown(one, [bus], NOW)
        waiting = asyncio.create_task(register_unknown(other, [bus], NOW))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, "the second waits for the first to commit or not"
        await one.commit()
        assert await waiting == first
        await other.commit()


async def test_an_import_commissions_a_stranger_under_its_number(connection: Connection) -> None:
    lamp = ("marsannay", "street_lighting", "L1")
    met = await register_unknown(connection, [lamp], NOW)
    assert await import_devices(connection, street("marsannay"), LATER) == (3, 1, 0, [])
    registry = await load(connection)
    assert registry.numbers()[lamp] == met[lamp]
    assert registry.commissioned[np.flatnonzero(registry.device_no == met[lamp])[0]]
    assert not [row for row in await to_commission(connection) if row["commune"] == "marsannay"]


async def test_an_announcement_describes_a_device_until_it_is_commissioned(connection: Connection) -> None:
    lamp = ("neuilly", "street_lighting", "L1")
    await announce(connection, lamp, {"type": "lamp", "lat": 47.2, "lon": 5.1, "label": "Rue du\x00 Lac"}, NOW)
    row = next(row for row in await to_commission(connection) if row["commune"] == "neuilly")
    assert (row["type"], row["lat"], row["lon"]) == ("lamp", 47.2, 5.1)
    assert row["announced"]["label"] == "Rue du\ufffd Lac"

    await import_devices(connection, street("neuilly"), NOW)
    before = await version(connection)
    await announce(connection, lamp, {"type": "cabinet", "lat": 1, "lon": 1}, LATER)
    registry = await load(connection)
    place = np.flatnonzero(registry.device_no == registry.numbers()[lamp])[0]
    assert (registry.type[place], registry.lat[place]) == ("lamp", 47.3)
    assert await version(connection) == before


async def test_a_repeated_announcement_is_no_change(connection: Connection) -> None:
    lamp = ("ouges", "street_lighting", "L1")
    await announce(connection, lamp, {"type": "lamp", "serial": 2**80}, NOW)
    before = await version(connection)
    await announce(connection, lamp, {"serial": 2**80, "type": "lamp"}, LATER)
    assert await version(connection) == before


async def test_the_worker_reads_columns_with_defaults_and_gaps(connection: Connection) -> None:
    q3 = Device("plombières", "water_meter", "m-1", "meter", attributes={"q3_m3h": 4.0})
    plain = Device("plombières", "water_meter", "m-2", "meter", lat=47.3, lon=4.9)
    await import_devices(connection, [q3, plain], NOW)
    meters = (await load(connection)).of_kind("water_meter")
    assert set(meters.kind.tolist()) == {"water_meter"}
    one, two = (
        meters.id.index(name)
        for name, commune in zip(meters.id, meters.commune, strict=True)
        if commune == "plombières"
    )
    assert meters.attributes["q3_m3h"][[one, two]].tolist() == [4.0, 2.5]
    assert np.isnan(meters.attributes["expected_period_h"][[one, two]]).all()
    assert np.isnan(meters.lat[one]) and meters.lat[two] == 47.3
    assert set(meters.attributes) == {attribute.name for attribute in kinds()["water_meter"].attributes}


async def test_a_citys_file_goes_in_and_comes_back_whole(connection: Connection) -> None:
    lines = ["commune;kind;id;type;parent;lat;lon;rated_power_w"]
    lines += [f"quetigny;street_lighting;A{n};cabinet;;47,3;5,1;" for n in range(20)]
    lines += [f"quetigny;street_lighting;F{n};feeder;A{n // 4};;;" for n in range(80)]
    lines += [f"quetigny;street_lighting;L{n};lamp;F{n % 80};47,3{n:05};5,1{n:05};6{n % 10},5" for n in range(4000)]
    devices, bad = parse_devices("\r\n".join(lines), "csv")
    assert (len(devices), bad) == (4100, [])
    assert (await import_devices(connection, devices, NOW)).added == 4100
    assert (await import_devices(connection, devices, NOW)).unchanged == 4100
    lights = (await load(connection)).of_kind("street_lighting")
    here = np.array([commune == "quetigny" for commune in lights.commune])
    assert np.count_nonzero(lights.parent_no[here]) == 4080
    assert np.nanmax(lights.attributes["rated_power_w"][here]) == 69.5


@pytest.mark.parametrize("form", ["csv", "yaml"])
async def test_what_is_exported_is_imported_to_the_same_registry(connection: Connection, form: Form) -> None:
    here, there = f"here-{form}", f"there-{form}"
    declared = [
        *street(here),
        light(here, 'L "3", ;', "lamp", "F1", label='Rue de l\'Été, dite "du Haut"', lat=47.123456789012345, lon=-0.1),
        Device(here, "water_meter", "33225544", "meter", attributes={"q3_m3h": 2.5, "expected_period_h": 1e-7}),
        Device(here, "water_meter", "null", "meter", label="1e3"),
    ]
    await import_devices(connection, declared, NOW)
    await register_unknown(connection, [(here, "water_meter", "stranger")], NOW)
    exported = [device async for device in commissioned(connection, commune=here)]
    assert {d.key: d for d in exported} == {d.key: d for d in declared}, "who is to commission is not declared"
    lines = CsvLines(kinds().values()) if form == "csv" else YamlLines()
    text = lines.head() + "".join(lines.line(device) for device in exported)
    read, bad = parse_devices(text, form)
    assert (read, bad) == (exported, [])
    assert (await import_devices(connection, read, LATER))[:3] == (0, 0, len(declared)), "nothing changes"
    assert (await import_devices(connection, [replace(d, commune=there) for d in read], LATER)).added == len(declared)
    meters = [d.id async for d in commissioned(connection, kind="water_meter", commune=here)]
    assert meters == ["33225544", "null"]
