"""`beffroi fences`: geofences that rules read, from GeoJSON and back."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import typer

from devices.fences import LINES, BadFence, FencePart, as_geojson, parse_fences
from devices.kind import kinds
from hub.commands.devices import opened
from hub.commands.status import known_home
from hub.commands.tables import print_table
from hub.errors import BadFile, BadSetting
from hub.secrets import database_url
from hub.settings import Settings
from store import fences
from store.database import Connection, connect

T = TypeVar("T")


def import_file(settings: Settings, file: Path) -> None:
    """Put the fences of a GeoJSON file in the place of those of the same names. BadFile says what is wrong with it."""
    try:
        parts, bad = parse_fences(file.read_bytes())
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror}") from error
    except BadFence as error:
        raise BadFile(f"{file}: {error}") from error
    if bad:
        raise BadFile("nothing was imported\n" + "\n".join(f"{file}: {reason}" for reason in bad))
    if not parts:
        raise BadFile(f"{file} has no features")
    _in_hub(settings, lambda connection: fences.put(connection, parts))
    for name in sorted({part.name for part in parts}):
        typer.echo(f"{name}: rules read it as in__{name}")


def list_fences(settings: Settings) -> None:
    """Print every fence, with the rules that read it."""
    found: dict[str, list[FencePart]] = {}
    for part in _in_hub(settings, fences.load):
        found.setdefault(part.name, []).append(part)
    rows = [
        [
            name,
            ", ".join(sorted({part.use for part in parts} - {""})),
            str(len(parts)),
            _corridors(parts),
            _readers(name),
        ]
        for name, parts in found.items()
    ]
    print_table(("fence", "use", "features", "corridors", "read by"), rows)


def remove(settings: Settings, name: str) -> None:
    """Remove one; BadSetting when there is none of that name."""
    if not _in_hub(settings, lambda connection: fences.remove(connection, [name])):
        raise BadSetting(f"there is no fence {name!r}: beffroi fences list names them")
    readers = _readers(name)
    typer.echo(f"{name} is gone" + (f"; to {readers} every device is outside it now" if readers else ""))


def export_file(settings: Settings, file: Path, *, force: bool) -> None:
    """Write all fences as GeoJSON, `-` is standard output. BadFile when it cannot be written."""
    parts = _in_hub(settings, fences.load)
    with opened(file, force=force) as out:
        out.write(as_geojson(parts).decode() + "\n")


def _corridors(parts: list[FencePart]) -> str:
    widths = sorted({part.width_m for part in parts if part.geometry["type"] in LINES and part.width_m})
    return ", ".join(f"{width:g} m" for width in widths)


def _readers(name: str) -> str:
    """The declared rules that read a fence."""
    return ", ".join(rule.code for kind in kinds().values() for rule in kind.rules if f"in__{name}" in rule.all_columns)


def _in_hub(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connect(database_url(settings, known_home(settings)), autocommit=True) as connection:
            return await work(connection)

    return asyncio.run(run())
