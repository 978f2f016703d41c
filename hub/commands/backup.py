"""`beffroi backup`: a copy of a running hub in a folder, verified."""

import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hub import backup as backups
from hub.backup import Backup, Database
from hub.commands.status import known_home
from hub.errors import BadSetting
from hub.runtime import programs
from hub.runtime.archive import segment_of
from hub.runtime.basebackup import copy_database, last_commit, verify_database, wal_range
from hub.runtime.progress import console, stage, step
from hub.secrets import Secrets
from hub.settings import Settings
from store.migrate import MIGRATIONS


def run(settings: Settings, folder: Path) -> None:
    """Copy database and home, verify the copy, and say what it holds."""
    home, began = settings.home.resolve(), time.monotonic()
    secrets = known_home(settings)
    if folder.resolve().is_relative_to(home):
        raise BadSetting(f"{folder} lies in the home, which it is to outlive; name a folder elsewhere")
    with backups.new_folder(folder.resolve()) as unfinished:
        made = _make(settings, secrets, home, unfinished)
    _tell(made, folder, settings, time.monotonic() - began)


def _make(settings: Settings, secrets: Secrets, home: Path, folder: Path) -> Backup:
    began_at, database = datetime.now(UTC), None
    with backups.logs_kept(home):
        if settings.database_url is None:
            database = _copy_database(settings, secrets, folder / "database", began_at)
        with step("Copying logs, accounts and the rules' state"):
            files = backups.copy_home(home, folder / "home")
            log = backups.look_at_log(folder / "home/log")
    schema = max(path.stem for path in MIGRATIONS.glob("*.sql"))
    made = Backup(began_at, datetime.now(UTC), schema, database, log, files)
    backups.write_list(folder, made)
    return made


def _copy_database(settings: Settings, secrets: Secrets, into: Path, began_at: datetime) -> Database:
    tools = programs.postgres(settings).path
    with stage("Copying the database") as advance:
        copy_database(tools, into, port=settings.postgres_port, password=secrets.postgres_admin, advance=advance)
    with stage("Verifying the copy") as advance:
        verify_database(tools, into, advance)
    wal = wal_range(into)
    return Database(
        major=programs.cluster_major(into) or 0,
        size_bytes=sum(path.stat().st_size for path in into.rglob("*") if path.is_file()),
        last_transaction_at=last_commit(tools, into) or began_at,
        first_wal=segment_of(wal.timeline, wal.start),
    )


def _tell(made: Backup, folder: Path, settings: Settings, took_s: float) -> None:
    zone = ZoneInfo(settings.timezone)
    lines = [
        f"{folder}: {made.size_bytes / 1e6:.0f} MB in {took_s:.1f} s, {len(made.files)} files beside the database."
    ]
    if made.database:
        lines.append(f"Recovery point of the database: {moment(made.database.last_transaction_at, zone)}.")
    else:
        lines.append("The database of BEFFROI_DATABASE_URL is not in it: back it up before, with its own tools.")
    if made.log:
        last = f", received {moment(made.log.last_at, zone)}" if made.log.last_at else ""
        lines.append(f"Recovery point of the messages: all before {made.log.next_offset} of the log{last}.")
    if made.database and settings.archive:
        lines.append(
            f"With {settings.archive}, from its file {made.database.first_wal}.gz on, it reaches any later moment."
        )
    console.print("\n".join(lines), markup=False)


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A moment for people who restore: to the millisecond, in the city's time."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {at.astimezone(zone):%Z}"
