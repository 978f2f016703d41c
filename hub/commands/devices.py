"""`beffroi devices import`: devices of a file into the registry."""

import asyncio
from pathlib import Path
from typing import Literal

from rich.console import Console

from devices.registry import BadRow, Device, parse_devices
from hub.errors import BadFile
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store.database import connect
from store.registry import ImportResult, import_devices

FORMS: dict[str, Literal["yaml", "csv"]] = {".yaml": "yaml", ".yml": "yaml", ".csv": "csv"}
console = Console(stderr=True)


def import_file(settings: Settings, file: Path) -> int:
    """Import the good rows, name the bad ones; returns how many were bad. BadFile when it cannot be read."""
    form = FORMS.get(file.suffix.lower())
    if form is None:
        raise BadFile(f"{file}: the name must end in .yaml, .yml or .csv")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{file} cannot be read: {error}") from error
    with console.status(f"Reading {file}"):
        devices, bad = parse_devices(text, form)
    with console.status(f"Importing {len(devices)} devices"):
        result = asyncio.run(register(settings, devices))
    for row in (all_bad := sorted([*bad, *result.bad])):
        console.print(f"{file}:{row.line}: {row.reason}", markup=False, highlight=False, soft_wrap=True)
    print_result(result, all_bad)
    return len(all_bad)


async def register(settings: Settings, devices: list[Device]) -> ImportResult:
    """Import devices in one transaction."""
    url = database_url(settings, Secrets.of(settings.home))
    async with connect(url) as connection:
        result = await import_devices(connection, devices, settings.the_clock.now())
        await connection.commit()
        return result


def print_result(result: ImportResult, bad: list[BadRow]) -> None:
    Console().print(
        f"{result.added} added, {result.changed} changed, {result.unchanged} unchanged, {len(bad)} bad rows",
        highlight=False,
    )
