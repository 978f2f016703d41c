"""`beffroi devices`: devices of a file into the registry, and back into a file."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from rich.console import Console

from devices.export import CsvLines, YamlLines
from devices.kind import Kind, kinds
from devices.registry import BadRow, Device, parse_devices
from hub.commands.status import known_home
from hub.errors import BadFile, BadSetting
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store.database import connect
from store.registry import ImportResult, commissioned, import_devices

FORMS: dict[str, Literal["yaml", "csv"]] = {".yaml": "yaml", ".yml": "yaml", ".csv": "csv"}
STANDARD_OUTPUT = Path("-")
console = Console(stderr=True)


def import_file(settings: Settings, file: Path) -> int:
    """Import the good rows, name the bad ones; returns how many were bad. BadFile when it cannot be read."""
    form = form_of(file)
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


def export_file(settings: Settings, file: Path, *, kind: str | None, commune: str | None, force: bool) -> None:
    """Write the declared devices; `-` is standard output, as CSV. BadFile when it cannot be written."""
    wanted = kinds_asked_for(kind)
    form = "csv" if file == STANDARD_OUTPUT else form_of(file)
    lines = CsvLines(wanted) if form == "csv" else YamlLines()

    async def write(out: IO[str]) -> int:
        count = 0
        out.write(lines.head())
        async with connect(database_url(settings, known_home(settings))) as connection:
            async for device in commissioned(connection, kind=kind, commune=commune):
                out.write(lines.line(device))
                count += 1
        return count

    with console.status("Exporting devices"), opened(file, force=force) as out:
        count = asyncio.run(write(out))
    console.print(f"{count} devices exported", highlight=False)


@contextmanager
def opened(file: Path, *, force: bool) -> Iterator[IO[str]]:
    """A file that is there only once it is whole."""
    if file == STANDARD_OUTPUT:
        yield sys.stdout
        return
    if file.exists() and not force:
        raise BadFile(f"{file} is there already; take another name, or --force to replace it")
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as out:
            yield out
        draft.replace(file)
    except OSError as error:
        raise BadFile(f"{file} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def form_of(file: Path) -> Literal["yaml", "csv"]:
    """YAML or CSV, by its ending."""
    form = FORMS.get(file.suffix.lower())
    if form is None:
        raise BadFile(f"{file}: the name must end in .yaml, .yml or .csv")
    return form


def kinds_asked_for(kind: str | None) -> list[Kind]:
    """The kind of that name, all without one; BadSetting when there is none."""
    if kind is not None and kind not in kinds():
        raise BadSetting(f"--kind {kind!r}: the kinds are {', '.join(sorted(kinds()))}")
    return [found for name, found in sorted(kinds().items()) if kind in (None, name)]


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
