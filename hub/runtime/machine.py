"""What machine this is: its processor, and where it fetches Debian packages from; parsing is pure."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.errors import UnsupportedMachine

SUITE = "trixie"
"""Debian 13: the first that carries TimescaleDB and PostgreSQL 17; an older kernel runs it too."""

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LOADERS = {
    "amd64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "arm64": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}
INSTEAD = (
    "install PostgreSQL 17 with TimescaleDB, and Mosquitto 2.0; or name running servers: "
    "set BEFFROI_DATABASE_URL (TimescaleDB) and BEFFROI_MQTT_URL (MQTT)"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Names that depend on the processor, and the mirrors that this machine already uses."""

    architecture: str
    library_folder: str
    """Folder of shared libraries under usr/lib, such as x86_64-linux-gnu."""
    loader: str
    mirrors: tuple[str, ...]
    """Addresses of the Debian archive, the best first; taken from the machine's own configuration."""
    security_mirrors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mirror:
    """One address of a source list with the suites that it is asked for."""

    uri: str
    suites: tuple[str, ...]


def unsupported(reason: str) -> UnsupportedMachine:
    """The one sentence for a machine on which the embedded servers cannot be made."""
    return UnsupportedMachine(f"the embedded servers cannot be made here ({reason}); {INSTEAD}")


def this_machine(os_release: Path = OS_RELEASE, apt: Path = APT) -> Machine:
    """Look at this machine; UnsupportedMachine when it is not a Debian that we know how to use."""
    system = _os_release(os_release.read_text()) if os_release.exists() else {}
    family = {system.get("ID", ""), *system.get("ID_LIKE", "").split()}
    missing = [tool for tool in ("apt-get", "dpkg", "dpkg-deb", "setpriv") if not shutil.which(tool)]
    if "debian" not in family or missing:
        name = system.get("PRETTY_NAME", "this system")
        raise unsupported(f"{name} lacks {', '.join(missing)}" if missing else f"{name} is not a Debian")
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if architecture not in LOADERS:
        raise unsupported(f"no packages for a processor of type {architecture}")
    mirrors, security = choose_mirrors(_source_lists(apt))
    if not mirrors:
        raise unsupported(f"{apt} names no Debian mirror")
    return Machine(architecture, *LOADERS[architecture], mirrors, security)


def choose_mirrors(mirrors: Iterable[Mirror]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Addresses of the archive and of its security updates, in the order of the lists, without repeats."""
    archive: dict[str, None] = {}
    security: dict[str, None] = {}
    for mirror in mirrors:
        if mirror.uri.startswith("cdrom:"):
            continue
        if any("-security" in suite or "/updates" in suite for suite in mirror.suites):
            security[mirror.uri] = None
        elif any(re.fullmatch(r"[a-z]+", suite) for suite in mirror.suites):
            archive[mirror.uri] = None
    return tuple(archive), tuple(security)


def one_line_sources(text: str) -> Iterator[Mirror]:
    """Mirrors of a `sources.list`: `deb [options] uri suite component...`, of those that carry `main`."""
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.strip())
        if found and "main" in found[3].partition("#")[0].split():
            yield Mirror(found[1].rstrip("/"), (found[2],))


def deb822_sources(text: str) -> Iterator[Mirror]:
    """Mirrors of a `*.sources` file (paragraphs of fields) that carry `main` and are not disabled."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", paragraph, re.MULTILINE)
        }
        if "deb" not in fields.get("types", ()) or "main" not in fields.get("components", ()):
            continue
        if fields.get("enabled", ["yes"])[0].lower() not in ("no", "false"):
            for uri in fields.get("uris", ()):
                yield Mirror(uri.rstrip("/"), tuple(fields.get("suites", ())))


def _source_lists(apt: Path) -> Iterator[Mirror]:
    one_line = [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]
    for path in filter(Path.exists, one_line):
        yield from one_line_sources(path.read_text())
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        yield from deb822_sources(path.read_text())


def _os_release(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: value.strip("\"'") for name, value in pairs}
