"""A backup: a folder with the database as PostgreSQL copies it, the home's other files, and a list that ends it.

backup.json    what it holds, with a checksum of each file of the home; written last
database/      the cluster, with a manifest of its own; absent when the database is somebody else's
home/          the files of the home
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from hub.clock import to_datetime
from hub.errors import BadFile, BadSetting
from hub.secrets import write_private
from ingest.log import LogReader, held

LIST = "backup.json"
FORMAT = 1
LOGS = ("transitions", "log")
IN_ORDER = ("", "rules.npz", *LOGS, "mosquitto")
"""What comes later is copied later, so that what a file tells of is in the next: the rules' state in what they told,
that in the log, and the log is never behind what the broker thinks that it has handed over."""
LEFT_OUT = frozenset({"postgres", "runtime", "logs", "restoring", "alive", "reserve", "lock", "hold", "up.lock", "pid"})
"""Made again, of one run only, or (postgres) copied in another way."""
MADE_AT_START = ("mosquitto.conf", "passwords", "acl")
ASIDE = "before-restore-"
"""Folders of a home that hold what a restore replaced."""
CHUNK = 1 << 20


class Copied(msgspec.Struct, frozen=True):
    """A file of the home."""

    path: str
    size_bytes: int
    sha256: str


class Database(msgspec.Struct, frozen=True):
    """The database's copy."""

    major: int
    size_bytes: int
    last_transaction_at: datetime
    """Of the last transaction that it holds."""
    first_wal: str
    """The oldest segment of an archive that it may need."""


class Log(msgspec.Struct, frozen=True):
    """The copy of the log of messages."""

    first_offset: int
    next_offset: int
    last_at: datetime | None
    """When its last message was received; None when it is empty."""


class Backup(msgspec.Struct, frozen=True):
    """What backup.json says."""

    began_at: datetime
    ended_at: datetime
    schema: str
    """The last migration of the program that made it."""
    database: Database | None
    """None when the database has a backup of its own."""
    log: Log | None
    files: list[Copied]
    format: int = FORMAT

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return sum(file.size_bytes for file in self.files) + (self.database.size_bytes if self.database else 0)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A private folder beside the final one, and renamed to it when the block ends; removed when it fails.

    One that is left by a kill keeps its other name, so that nobody takes it for a backup.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadSetting(f"{folder} is there and not empty; name a new folder for each backup")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir(mode=0o700)
    except FileExistsError as error:
        raise BadSetting(f"{unfinished} is what a backup left that was broken off: remove it first") from error
    except OSError as error:
        raise BadSetting(f"the folder {unfinished} cannot be made: {error.strerror}") from error
    try:
        yield unfinished
        unfinished.rename(folder)
    except BaseException:
        remove(unfinished)
        raise


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


@contextmanager
def logs_kept(home: Path) -> Iterator[None]:
    """Nothing is trimmed from the logs during the block: what the database has not read yet stays for its copy."""
    with ExitStack() as stack:
        for name in LOGS:
            if (home / name).is_dir():
                stack.enter_context(held(home / name))
        yield


def home_files(home: Path) -> list[Path]:
    """What of a home goes into a backup, in the order in which it is copied; paths in the home."""
    found = [
        path.relative_to(home)
        for path in home.rglob("*")
        if path.is_file() and not path.is_symlink() and _is_wanted(path.relative_to(home))
    ]
    # A log's head before its segments: a copy never says that it holds more than it does.
    return sorted(found, key=lambda path: (_place(path), path.name != "head", str(path)))


def _is_wanted(path: Path) -> bool:
    top = path.parts[0]
    if top == "mosquitto" and path.name in MADE_AT_START:
        return False
    is_draft = path.name.startswith(".") or path.suffix in (".new", ".lock")
    return not (is_draft or top.startswith(ASIDE) or {top, path.name} & LEFT_OUT)


def _place(path: Path) -> int:
    return IN_ORDER.index(path.parts[0]) if path.parts[0] in IN_ORDER else 0


def copy_home(home: Path, into: Path) -> list[Copied]:
    """Copy a home while its hub runs; a log's torn end is harmless, and a file that goes meanwhile is left out."""
    copied = []
    for path in home_files(home):
        try:
            size_bytes, digest = copy_file(home / path, into / path)
        except FileNotFoundError:  # replaced, or trimmed before we held the log
            continue
        copied.append(Copied(str(path), size_bytes, digest))
    return copied


def copy_file(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file durably, readable by us only; returns its size and SHA-256."""
    digest, size_bytes = hashlib.sha256(), 0
    with source.open("rb") as given:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as taken:
            while chunk := given.read(CHUNK):
                digest.update(chunk)
                taken.write(chunk)
                size_bytes += len(chunk)
            taken.flush()
            os.fsync(taken.fileno())
    return size_bytes, digest.hexdigest()


def look_at_log(folder: Path) -> Log | None:
    """What a copied log holds; reads its last batch, whose checksum must hold."""
    if not (folder / "head").exists():
        return None
    reader = LogReader(folder)
    first, end = reader.first_offset, reader.next_offset
    last = reader.read(end - 1, 1) if first < end else []
    reader.close()
    return Log(first, end, to_datetime(last[-1].received_us) if last else None)


def write_list(folder: Path, backup: Backup) -> None:
    """End a backup."""
    write_private(folder / LIST, msgspec.json.format(msgspec.json.encode(backup)).decode())


def read_list(folder: Path) -> Backup:
    """What a backup holds; BadFile when the folder is none."""
    if not folder.is_dir():
        raise BadFile(f"there is no folder {folder}; name one that `beffroi backup` made")
    try:
        told = msgspec.json.decode((folder / LIST).read_bytes(), type=Backup)
    except FileNotFoundError as error:
        raise BadFile(f"{folder} is no backup: it has no {LIST}, which is written last") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise BadFile(f"{folder / LIST} cannot be read ({error}); take another backup") from error
    if told.format > FORMAT:
        raise BadFile(f"{folder} was made by a newer Beffroi; restore it with that version")
    return told


def fetch_home(folder: Path, files: Sequence[Copied], into: Path) -> None:
    """Copy the home's files out of a backup; BadFile when one is missing or damaged."""
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in files:
        source = folder / "home" / file.path
        try:
            found = copy_file(source, into / file.path)
        except OSError as error:
            raise BadFile(f"the backup in {folder} is damaged: {source}: {error.strerror}; take another one") from error
        if found != (file.size_bytes, file.sha256):
            raise BadFile(f"the backup in {folder} is damaged: {source} is not what was copied; take another one")
