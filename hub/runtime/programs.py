"""Which programs are run as servers and as the tests' browser: this machine's where they fit, else unpacked ones."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.errors import BadSetting
from hub.runtime import debian
from hub.runtime.bundles import CHROMIUM, SERVERS
from hub.runtime.chromium import write_launcher
from hub.runtime.debian import Bundle
from hub.runtime.process import Program, command
from hub.settings import Settings

Version = tuple[int, ...]

POSTGRES_AT_LEAST = (17,)
"""The first that sorts by code point by itself, whatever the machine's C library."""
TIMESCALEDB_AT_LEAST = (2, 19)
"""What the tests run on."""
MOSQUITTO_FROM, MOSQUITTO_BEFORE = (2, 0, 11), (2, 1)
"""2.0.11 is Debian 12's; 2.1 replaces how passwords and access lists are read."""
CHROMIUM_AT_LEAST = (123,)
"""The first that knows light-dark(), of which the page's colours are made."""
ADMIN_FOLDERS = "/usr/local/sbin:/usr/sbin"
"""Where servers are that are not on an ordinary account's PATH."""
POSTGRES_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Where Debian and PostgreSQL's own RPM packages have them."""


OWN_FOLDER = "usr/lib/postgresql/17/bin"


@dataclass(frozen=True, slots=True)
class Found:
    """A program that was looked at."""

    path: Path
    """The program, or the folder of PostgreSQL's programs."""
    name: str
    """Name and version, for people."""
    version: Version
    unfit: str = ""
    """Why it cannot be used; empty when it can."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The program that is run, and a line that says which it is and why."""

    path: Path
    told: str


def needed(settings: Settings) -> list[Choice]:
    """The programs of the servers that the settings do not name."""
    chosen = [postgres(settings)] if settings.database_url is None else []
    return [*chosen, mosquitto(settings)] if settings.mqtt_url is None else chosen


def postgres(settings: Settings) -> Choice:
    """The folder of PostgreSQL's programs, unpacked first when needed; BadSetting when none fits."""
    needs = cluster_major(settings.home / "postgres/data")
    found = machine_postgres(os.environ.get("PATH", ""), needs)
    best_first = sorted(found, key=lambda candidate: candidate.version, reverse=True)
    return _choose(settings, SERVERS, best_first, lambda folder: _look_at_postgres(folder / OWN_FOLDER, needs))


def mosquitto(settings: Settings) -> Choice:
    """The broker's program, unpacked first when needed; BadSetting when none fits."""
    found = machine_mosquitto(os.environ.get("PATH", ""))
    return _choose(settings, SERVERS, found, lambda folder: _look_at_mosquitto(folder / "usr/sbin/mosquitto"))


def chromium(settings: Settings) -> Choice:
    """The browser's program or launcher, unpacked first when needed; BadSetting when none fits."""
    names = filter(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    found = [_look_at_chromium(Path(shutil.which(name) or name)) for name in names]
    return _choose(settings, CHROMIUM, found, lambda folder: _look_at_chromium(write_launcher(folder)))


def machine_postgres(path: str, needs: int | None = None, folders: tuple[str, ...] = POSTGRES_FOLDERS) -> list[Found]:
    """Every PostgreSQL of this machine: those of a search path and of the usual folders.

    `needs` is the major version of the data that is there already.
    """
    known = (Path(found) for pattern in folders for found in sorted(Path("/").glob(pattern.lstrip("/"))))
    places = dict.fromkeys(place.resolve() for place in (*_folders_of_postgres(path), *known))
    return [_look_at_postgres(place, needs) for place in places if (place / "postgres").exists()]


def machine_mosquitto(path: str) -> list[Found]:
    """The Mosquitto of a search path, if there is one."""
    program = shutil.which("mosquitto", path=f"{path}:{ADMIN_FOLDERS}")
    return [_look_at_mosquitto(Path(program))] if program else []


def cluster_major(data: Path) -> int | None:
    """The major version of a PostgreSQL cluster; None when there is none."""
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return None


def postgres_major(programs: Path) -> int:
    """The major version of the PostgreSQL in a folder; 0 when there is none."""
    return next(iter(version_in(_said(programs / "postgres", "--version"))), 0)


def version_in(text: str) -> Version:
    """The first thing in a text that looks like a version; empty when nothing does."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _choose(settings: Settings, bundle: Bundle, machine: list[Found], unpacked: Callable[[Path], Found]) -> Choice:
    """The first of the machine's programs that fits, unless the settings say otherwise; else the unpacked one."""
    if settings.programs == "own":
        why = "as BEFFROI_PROGRAMS says"
    else:
        for candidate in machine:
            if not candidate.unfit:
                return Choice(candidate.path, f"{candidate.name} of this machine ({candidate.path})")
        why = f"this machine has {_why_not(machine)}"
    if settings.programs == "machine":
        raise BadSetting(
            f"BEFFROI_PROGRAMS=machine, but {why}; install one that fits (docs/operating.md says which), "
            "or leave the setting out"
        )
    own = unpacked(debian.ensure(bundle, settings.runtime_dir))
    if own.unfit:
        raise BadSetting(
            f"{own.name} {own.unfit}, and {why}; install one that fits, or set BEFFROI_HOME to another folder"
        )
    return Choice(own.path, f"{own.name}, unpacked ({why})")


def _why_not(machine: list[Found]) -> str:
    return " and ".join(f"{candidate.name}, which {candidate.unfit}" for candidate in machine) or "none"


def _look_at_mosquitto(program: Path) -> Found:
    version = version_in(_said(program, "-h"))
    unfit = "" if MOSQUITTO_FROM <= version < MOSQUITTO_BEFORE else "is not 2.0.11 or a later 2.0"
    return Found(program, f"Mosquitto {_dotted(version)}", version, unfit)


def _folders_of_postgres(path: str) -> Iterator[Path]:
    if program := shutil.which("postgres", path=path):
        yield Path(program).resolve().parent
    teller = shutil.which("pg_config", path=path)
    if teller and (folder := _said(teller, "--bindir").strip()):
        yield Path(folder)


def _look_at_chromium(program: Path) -> Found:
    version = version_in(_said(program, "--version"))
    unfit = "" if version >= CHROMIUM_AT_LEAST else f"is older than {_dotted(CHROMIUM_AT_LEAST)}"
    return Found(program, f"Chromium {_dotted(version)}", version, unfit)


def _look_at_postgres(folder: Path, needs: int | None) -> Found:
    version = version_in(_said(folder / "postgres", "--version"))
    name = f"PostgreSQL {_dotted(version)}"
    if version < POSTGRES_AT_LEAST:
        return Found(folder, name, version, f"is older than {_dotted(POSTGRES_AT_LEAST)}")
    if needs is not None and version[0] != needs:
        return Found(folder, name, version, f"cannot read the database of this home, which is of {needs}")
    extension = _timescaledb(folder)
    if not extension:
        return Found(folder, name, version, "has no TimescaleDB")
    name += f" with TimescaleDB {_dotted(extension)}"
    unfit = "" if extension >= TIMESCALEDB_AT_LEAST else f"is older than {_dotted(TIMESCALEDB_AT_LEAST)}"
    return Found(folder, name, version, unfit)


def _timescaledb(folder: Path) -> Version:
    """The version of the extension that a PostgreSQL has; empty when it has none."""
    show = Program("initdb", (folder / "initdb", "--show", "--pgdata=none"), is_server=True)  # refuses root
    share = re.search(r"^share_path=(.+)$", _said(*command(show)), re.MULTILINE)
    try:
        control = (Path(share[1]) / "extension/timescaledb.control").read_text() if share else ""
    except OSError:
        return ()
    default = re.search(r"^default_version\s*=\s*(.+)$", control, re.MULTILINE)
    return version_in(default[1]) if default else ()


def _said(*argv: str | Path) -> str:
    """What a program prints, to either output; nothing when it cannot be run."""
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout + ended.stderr


def _dotted(version: Version) -> str:
    return ".".join(map(str, version)) or "of unknown version"
