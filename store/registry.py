"""The registry in the database: devices are imported, met, announced, and read back as columns."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import tuple_row

from devices.kind import kinds
from devices.readings import Key
from devices.registry import Device, Registry, introduction, sole_type
from devices.rows import BadRow
from store.database import Connection
from store.jsonb import jsonb
from store.sql import statements

SQL = statements("registry")
EXPORT_ROWS = 10_000
"""Fetched at once for an export."""


class ImportResult(NamedTuple):
    """What an import did; `bad` are rows whose parent or gateway is not there, or a neighbour.

    A row without its parent or gateway is left out; one without a neighbour goes in without it.
    """

    added: int
    changed: int
    unchanged: int
    bad: list[BadRow]


async def import_devices(connection: Connection, devices: Sequence[Device], now: datetime) -> ImportResult:
    """Make the registry say of these devices what the file says, and commission them; others stay as they are.

    In one transaction, the caller's if it has one. The same import again changes nothing.
    """
    async with connection.transaction():
        version = await next_version(connection)
        await connection.execute(SQL["lock"])
        await connection.execute(SQL["incoming"])
        await _copy(connection, devices)
        await connection.execute(SQL["index"])
        await connection.execute(SQL["analyze"])
        bad = await _remove_misplaced(connection)
        left_out = len(bad)
        await connection.execute(SQL["number_known"])
        added = (await connection.execute(SQL["number_new"])).rowcount
        await connection.execute(SQL["place"])
        await connection.execute(SQL["place_neighbours"])
        bad += await _strange_neighbours(connection)
        await connection.execute(SQL["add"], {"now": now, "version": version})
        changed = (await connection.execute(SQL["change"], {"now": now, "version": version})).rowcount
        await connection.execute(SQL["drop_incoming"])
        if added or changed:
            await raise_version(connection, version)
    return ImportResult(added, changed, len(devices) - left_out - added - changed, sorted(bad))


async def _copy(connection: Connection, devices: Iterable[Device]) -> None:
    async with connection.cursor().copy(SQL["copy"]) as copy:
        for d in devices:
            parent_type = kinds()[d.kind].type(d.type).parent
            attributes = jsonb(d.attributes).decode()
            neighbours = [name if "/" in name else f"{d.commune}/{name}" for name in d.neighbours]
            place = (d.parent, d.gateway, d.lat, d.lon, d.label, d.street, d.model, attributes, neighbours)
            await copy.write_row((d.line, d.commune, d.kind, d.id, d.type, parent_type, *place))


async def _remove_misplaced(connection: Connection) -> list[BadRow]:
    """Take out the rows that hang from nothing, then those that hung from them, and so on."""
    bad: list[BadRow] = []
    while rows := await (await connection.execute(SQL["misplaced"])).fetchall():
        bad += [BadRow(row["line"], _misplaced(row)) for row in rows]
    return bad


async def _strange_neighbours(connection: Connection) -> list[BadRow]:
    """Rows with a neighbour that is not there."""
    rows = await (await connection.execute(SQL["strange_neighbours"])).fetchall()
    told = "the neighbour {neighbour!r} of {type} {id!r} is neither in the file nor in the registry; left out"
    return [BadRow(row["line"], told.format(**row)) for row in rows]


def _misplaced(row: Mapping[str, Any]) -> str:
    device = f"{row['type']} {row['id']!r}"
    if row["parent"] is None or row["parent_is"] == row["parent_type"]:
        return f"the gateway {row['gateway']!r} of {device} is neither in the file nor in the registry"
    if not row["parent_known"]:
        return f"the parent {row['parent']!r} of {device} is neither in the file nor in the registry"
    found = f"a {row['parent_is']}" if row["parent_is"] else "still to commission"
    return f"the parent of a {row['type']} is a {row['parent_type']}, but {row['parent']!r} is {found}"


async def version(connection: Connection) -> int:
    """Rises with every change of the registry."""
    row = await (await connection.execute(SQL["version"])).fetchone()
    assert row is not None
    return int(row["version"])


async def next_version(connection: Connection) -> int:
    """The version of the change that this transaction makes; other writers wait until it is committed."""
    row = await (await connection.execute(SQL["next_version"])).fetchone()
    assert row is not None
    return int(row["version"])


async def raise_version(connection: Connection, version: int) -> None:
    """Let everybody read again what changed."""
    await connection.execute(SQL["raise_version"], {"version": version})


async def load(connection: Connection, since: int = -1) -> Registry:
    """What changed in the registry after a version, by default all of it.

    Read after its version: what changes meanwhile is read again, never missed.
    """
    known_version = await version(connection)
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    rows = await (await cursor.execute(SQL["load"], {"since": since})).fetchall()
    # Decoding jsonb in psycopg's row loader takes half of the whole; as text and here, a tenth.
    decode = msgspec.json.Decoder(dict[str, float]).decode
    told = [(*row[:-2], decode(row[-2]) if row[-2] else None) for row in rows]
    return Registry.of_rows(known_version, told, [row[-1] for row in rows])


async def commissioned(
    connection: Connection, *, kind: str | None = None, commune: str | None = None
) -> AsyncIterator[Device]:
    """Every declared device as a file would declare it, in the order of numbers; in the caller's transaction.

    Read from a cursor of the database, so that there may be any number of them.
    """
    decode = msgspec.json.Decoder(dict[str, float]).decode
    async with connection.cursor("export") as cursor:
        cursor.itersize = EXPORT_ROWS
        await cursor.execute(SQL["export"], {"kind": kind, "commune": commune})
        async for row in cursor:
            neighbours = tuple(name.removeprefix(f"{row['commune']}/") for name in row["neighbours"])
            yield Device(**{**row, "attributes": decode(row["attributes"]), "neighbours": neighbours})


async def numbers(connection: Connection, keys: Sequence[Key]) -> dict[Key, int]:
    """The device numbers of those that the registry knows."""
    communes, kind_names, ids = ([key[place] for key in keys] for place in range(3))
    names = {"communes": communes, "kinds": kind_names, "ids": ids}
    rows = await (await connection.execute(SQL["numbers"], names)).fetchall()
    return {(row["commune"], row["kind"], row["id"]): row["device_no"] for row in rows}


class Met(NamedTuple):
    """What became of strangers."""

    numbers: dict[Key, int]
    """Of those that are known now."""
    new: list[int]
    """The numbers that were given just now: nothing is stored of them."""
    refused: frozenset[Key]


async def meet(connection: Connection, strangers: Collection[Key], now: datetime, *, room: int) -> Met:
    """Take so many strangers in at most, in the caller's transaction."""
    met: dict[Key, int] = {}
    new: list[int] = []
    if room > 0:
        communes, kind_names, ids = ([key[place] for key in strangers] for place in range(3))
        names = {"communes": communes, "kinds": kind_names, "ids": ids, "types": list(map(sole_type, kind_names))}
        rows = await (await connection.execute(SQL["meet"], {**names, "now": now, "room": room})).fetchall()
        met = {(row["commune"], row["kind"], row["id"]): row["device_no"] for row in rows}
        new = [row["device_no"] for row in rows if row["is_new"]]
    if left := [key for key in strangers if key not in met]:
        met |= await numbers(connection, left)  # somebody else may have declared one just now
    return Met(met, new, frozenset(key for key in left if key not in met))


async def count_to_commission(connection: Connection) -> int:
    """How many devices wait to be commissioned."""
    row = await (await connection.execute(SQL["count_to_commission"])).fetchone()
    assert row is not None
    return int(row["waiting"])


async def register_unknown(connection: Connection, keys: Iterable[Key], now: datetime) -> dict[Key, int]:
    """Device numbers of these, in the caller's transaction; those not yet known wait to be commissioned."""
    met = sorted(set(keys))
    communes, kind_names, ids = ([key[place] for key in met] for place in range(3))
    names = {"communes": communes, "kinds": kind_names, "ids": ids}
    types = [sole_type(kind) for kind in kind_names]
    version = await next_version(connection)
    added = await connection.execute(SQL["register_unknown"], {**names, "types": types, "now": now, "version": version})
    if added.rowcount:
        await raise_version(connection, version)
    return await numbers(connection, met)


async def announce(connection: Connection, key: Key, announced: Mapping[str, object], now: datetime) -> None:
    """Keep what a device says of itself, in the caller's transaction; it describes a device until commissioned."""
    await register_unknown(connection, [key], now)
    commune, kind, device_id = key
    said = introduction(kind, announced)
    version = await next_version(connection)
    row = await (
        await connection.execute(
            SQL["announce"],
            {
                "commune": commune,
                "kind": kind,
                "id": device_id,
                "announced": jsonb(announced).decode(),
                "now": now,
                "version": version,
                **said._asdict(),
            },
        )
    ).fetchone()
    if row is not None and row["to_commission"]:
        await raise_version(connection, version)


async def to_commission(connection: Connection) -> list[dict[str, Any]]:
    """Devices that speak or announced themselves and that nobody declared, the newest first."""
    return await (await connection.execute(SQL["to_commission"])).fetchall()
