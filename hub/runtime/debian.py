"""Debian packages unpacked into a folder of our own, without root: fetch, unpack, prune, patch, stamp.

The packages come from the next Debian with all their libraries, the C library included, so that they
run on an older one: each program is told its own loader and library folder (patchelf). apt-get works
on a private state, so nothing of the machine changes.
"""

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from hub.errors import BeffroiError, Unavailable
from hub.runtime.machine import INSTEAD, KEYRING, SUITE, Machine, this_machine
from hub.runtime.progress import Advance, stage

RECIPE = 1
"""Raised when this file changes what is on the disk, so that older folders are made again."""
STAMP = "installed.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Packages that are unpacked together into one folder."""

    name: str
    title: str
    packages: tuple[str, ...]
    needless: str
    """Regular expression of the packages of the closure that our programs never open."""
    prune: tuple[str, ...]
    """Globs of folders that are removed after unpacking."""
    programs: tuple[str, ...]
    """Globs of the programs that are run."""


def installed(bundle: Bundle, runtime_dir: Path) -> Path | None:
    """The bundle's folder when it is complete and of this recipe, else None; never fetches."""
    folder = runtime_dir.resolve() / bundle.name
    try:
        stamp = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return None
    if stamp["recipe"] != RECIPE or stamp["asked"] != list(bundle.packages):
        return None
    if stamp["folder"] != str(folder):  # the checkout was moved: the programs still name the old place
        _patch(bundle, folder, this_machine())
        _write_stamp(bundle, folder, folder, stamp["packages"])
    return folder


def ensure(bundle: Bundle, runtime_dir: Path) -> Path:
    """The bundle's folder, fetched and unpacked first when needed; an interrupted run is begun again."""
    if ready := installed(bundle, runtime_dir):
        return ready
    runtime_dir.mkdir(parents=True, exist_ok=True)
    with (runtime_dir / f"{bundle.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be at it: then wait, and find it done
        return installed(bundle, runtime_dir) or _install(bundle, runtime_dir.resolve() / bundle.name)


def libraries(folder: Path, machine: Machine) -> Path:
    """Where the shared libraries of an unpacked bundle are."""
    return folder / "usr/lib" / machine.library_folder


def _install(bundle: Bundle, folder: Path) -> Path:
    machine = this_machine()
    work = folder.with_name(f"{bundle.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)
    root = work / "root"
    root.mkdir(parents=True)
    with stage(f"Fetching {bundle.title}") as advance:
        archives = _fetch(bundle, machine, work / "apt", advance)
    with stage(f"Unpacking {bundle.title}") as advance:
        _unpack(archives, root, advance)
        _prune(bundle, root)
        _patch(bundle, root, machine, runs_from=folder)
    _write_stamp(bundle, root, folder, sorted(_name_and_version(archive) for archive in archives))
    shutil.rmtree(folder, ignore_errors=True)
    root.rename(folder)
    shutil.rmtree(work)
    return folder


def _fetch(bundle: Bundle, machine: Machine, private: Path, advance: Advance) -> list[Path]:
    apt = _private_apt(machine, private)
    _run_apt([*apt, "update"], private, lambda share: advance(share * 0.2))
    listing = subprocess.run(
        [*apt, "--yes", "--print-uris", "install", *bundle.packages],
        cwd=private,
        capture_output=True,
        text=True,
        check=False,
    )
    names = list(wanted(bundle, listing.stdout))
    if not names:
        raise _failed(listing.stderr)
    _run_apt([*apt, "download", *names], private, lambda share: advance(0.2 + share * 0.8))
    return sorted(private.glob("*.deb"))


def wanted(bundle: Bundle, uris: str) -> Iterator[str]:
    """Package names out of lines like `'address/name_version_arch.deb' file size digest`."""
    for name in re.findall(r"^'\S*/([^/_]+)_[^/]*\.deb'", uris, re.MULTILINE):
        if not re.fullmatch(bundle.needless, unquote(name)):
            yield unquote(name)


def _private_apt(machine: Machine, private: Path) -> list[str]:
    (private / "lists/partial").mkdir(parents=True)
    (private / "archives/partial").mkdir(parents=True)
    (private / "status").touch()
    (private / "ours.sources").write_text(_source_list(machine))
    options = {
        "Dir::State": private,
        "Dir::State::status": private / "status",
        "Dir::State::Lists": private / "lists",
        "Dir::Cache": private,
        "Dir::Etc::sourcelist": private / "ours.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Default-Release": "",
        "APT::Sandbox::User": "",
        "APT::Install-Recommends": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "APT::Update::Error-Mode": "any",  # by default a mirror that does not answer is only a warning
        "APT::Status-Fd": 1,
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "Debug::NoLocking": "true",
    }
    return ["apt-get", *(f"--option={name}={value}" for name, value in options.items())]


def _source_list(machine: Machine) -> str:
    signed = f"Signed-By: {KEYRING}\n" if KEYRING.exists() else ""
    suites = ((machine.mirrors, SUITE), (machine.security_mirrors, f"{SUITE}-security"))
    return "\n".join(
        f"Types: deb\nURIs: {uris[0]}\nSuites: {suite}\nComponents: main\n{signed}" for uris, suite in suites if uris
    )


def _run_apt(command: list[str], private: Path, advance: Advance) -> None:
    said: list[str] = []
    with subprocess.Popen(command, cwd=private, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"dlstatus:\d+:([\d.]+):", line):
                advance(float(found[1]) / 100)
            else:
                said.append(line.strip())
    if process.returncode or any(line.startswith("E:") for line in said):
        raise _failed("\n".join(said))


def _failed(said: str) -> BeffroiError:
    reasons = [line.strip() for line in said.splitlines() if line.lstrip().startswith("E:")]
    reason = reasons[0] if reasons else said.strip()[-200:] or "no reason given"
    return Unavailable(
        f"the servers' packages (Debian {SUITE}) could not be fetched from this machine's mirror: "
        f"{reason.rstrip('.')}. Check the network and try again, or {INSTEAD}"
    )


def _unpack(archives: list[Path], root: Path, advance: Advance) -> None:
    def unpack(archive: Path) -> None:
        subprocess.run(["dpkg-deb", "--extract", archive, root], check=True, capture_output=True)

    with ThreadPoolExecutor(4) as pool:
        for done, _ in enumerate(pool.map(unpack, archives), 1):
            advance(0.9 * done / len(archives))


def _prune(bundle: Bundle, root: Path) -> None:
    for pattern in bundle.prune:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _patch(bundle: Bundle, root: Path, machine: Machine, *, runs_from: Path | None = None) -> None:
    """Tell each program its loader and libraries, as they are in the folder that it will run from."""
    place = libraries(runs_from or root, machine)
    patchelf = shutil.which("patchelf", path=str(Path(sys.executable).parent)) or "patchelf"
    # The older DT_RPATH, not RUNPATH: it also holds for the libraries' own libraries.
    options = ["--force-rpath", "--set-rpath", str(place), "--set-interpreter", str(place / machine.loader)]
    for program in _elf_files(root, bundle.programs):
        subprocess.run([patchelf, *options, program], check=True, capture_output=True)


def _elf_files(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for path in (path for pattern in patterns for path in sorted(root.glob(pattern))):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def _name_and_version(archive: Path) -> str:
    name, version, _ = unquote(archive.name).split("_")
    return f"{name}={version}"


def _write_stamp(bundle: Bundle, root: Path, folder: Path, packages: list[str]) -> None:
    stamp = {"recipe": RECIPE, "asked": bundle.packages, "folder": str(folder), "packages": packages}
    (root / STAMP).write_text(json.dumps(stamp, indent=1))
