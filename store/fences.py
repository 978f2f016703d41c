"""Geofences in the database."""

from collections.abc import Collection, Sequence

from devices.fences import FencePart
from store.database import Connection
from store.jsonb import jsonb
from store.sql import statements

SQL = statements("fences")


async def version(connection: Connection) -> int:
    """Rises with every change of a fence."""
    row = await (await connection.execute(SQL["version"])).fetchone()
    assert row is not None
    return int(row["version"])


async def load(connection: Connection) -> list[FencePart]:
    """Every feature of every fence, by name."""
    rows = await (await connection.execute(SQL["load"])).fetchall()
    return [FencePart(row["name"], row["use"], row["width_m"], row["geometry"]) for row in rows]


async def put(connection: Connection, parts: Sequence[FencePart]) -> None:
    """Make the fences of these names consist of these features; others stay as they are. In one transaction."""
    async with connection.transaction():
        await connection.execute(SQL["raise_version"])
        await connection.execute(SQL["remove"], {"names": [part.name for part in parts]})
        names, uses, widths, geometries = (list(column) for column in zip(*parts, strict=True))
        texts = [jsonb(geometry).decode() for geometry in geometries]
        await connection.execute(SQL["put"], {"names": names, "uses": uses, "widths": widths, "geometries": texts})


async def remove(connection: Connection, names: Collection[str]) -> int:
    """Remove fences; returns how many features they had. In one transaction."""
    async with connection.transaction():
        await connection.execute(SQL["raise_version"])
        return (await connection.execute(SQL["remove"], {"names": list(names)})).rowcount
