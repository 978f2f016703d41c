"""PostgreSQL's own tools for a copy of the embedded database: made while it runs, verified, and read."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub.errors import BadFile, BeffroiError, DatabaseUnavailable
from hub.runtime.postgres import ADMIN, ENVIRONMENT
from hub.runtime.process import Program, command
from hub.runtime.progress import Advance

SHARE = re.compile(r"\((\d+)%\)")
COMMITTED = re.compile(r"\bCOMMIT (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")


@dataclass(frozen=True, slots=True)
class WalRange:
    """The part of the write-ahead log that a copy needs to be consistent."""

    timeline: int
    start: str
    end: str


def copy_database(programs: Path, into: Path, *, port: int, password: str, advance: Advance) -> None:
    """Copy the running database with all the log that it needs; DatabaseUnavailable when none answers."""
    options = (
        *("--pgdata", into, "--wal-method=stream", "--checkpoint=fast", "--progress", "--no-password"),
        "--sync-method=syncfs",  # one by one, thousands of small files take longer than the copy
        *("--host=127.0.0.1", f"--port={port}", f"--username={ADMIN}", "--label=beffroi backup"),
    )
    with _running(programs / "pg_basebackup", *options, env={"PGPASSWORD": password}) as process:
        said = _follow(process, advance)
    if process.returncode:
        if "connection to server" in said and "failed" in said:
            raise DatabaseUnavailable(
                f"the database does not answer on port {port}: a backup copies a hub that runs; start it with"
                f" `beffroi up`, again if it was started before this version ({_last(said)})"
            )
        raise BeffroiError(f"the database could not be copied: {_last(said)}")


def verify_database(programs: Path, folder: Path, advance: Advance) -> None:
    """Compare every file with the checksums of the copy; BadFile tells what is damaged."""
    with _running(programs / "pg_verifybackup", "--progress", "--exit-on-error", folder) as process:
        said = _follow(process, advance)
    if process.returncode:
        raise BadFile(f"the backup in {folder.parent} is damaged: {_last(said)}; take another one")


def wal_range(folder: Path) -> WalRange:
    """What a copy's manifest says of the log in it."""
    (told, *_) = json.loads((folder / "backup_manifest").read_text())["WAL-Ranges"]
    return WalRange(told["Timeline"], told["Start-LSN"], told["End-LSN"])


def last_commit(programs: Path, folder: Path) -> datetime | None:
    """When the last transaction that a copy holds was committed; None when nothing was while it was made."""
    wal = wal_range(folder)
    options = (f"--path={folder / 'pg_wal'}", f"--timeline={wal.timeline}", f"--start={wal.start}", f"--end={wal.end}")
    last = ""
    with _running(programs / "pg_waldump", "--rmgr=Transaction", *options) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := COMMITTED.search(line):
                last = found[1]
    return datetime.fromisoformat(last).replace(tzinfo=UTC) if last else None


@contextmanager
def _running(tool: Path, *options: str | Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """One of the tools, which dies with us; both its outputs in one."""
    if not tool.exists():
        raise BeffroiError(f"there is no {tool}: install PostgreSQL's client programs beside its server")
    process = subprocess.Popen(
        command(Program(tool.name, (tool, *options))),
        env={**ENVIRONMENT, **(env or {})},
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _follow(process: subprocess.Popen[str], advance: Advance) -> str:
    """Show its progress until it ends; returns what it said beside."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        if found := SHARE.search(line):
            advance(int(found[1]) / 100)
        elif line.strip():
            said.append(line.strip())
    return "\n".join(said)


def _last(said: str) -> str:
    """The last error that a tool told, without its name."""
    lines = [line for line in said.splitlines() if "error:" in line] or said.splitlines()
    return re.sub(r"^\w+: (?:error: )?", "", lines[-1]) if lines else "it did not say why"
