"""`beffroi restore`: a backup becomes a home again, to its end or to a moment of the archive.

Everything is made and tried in the folder `restoring` of the home. What was there before is moved aside, not removed,
once the restored database has answered.
"""

import asyncio
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hub import backup as backups
from hub.backup import ASIDE, Backup
from hub.commands.backup import moment
from hub.errors import BadFile, BadSetting, BeffroiError, DatabaseUnavailable
from hub.home import free_port, only_hub_of
from hub.runtime import programs
from hub.runtime.archive import as_value, restore_command, segment_of
from hub.runtime.basebackup import verify_database, wal_range
from hub.runtime.postgres import Postgres
from hub.runtime.process import Process, give_to_servers, read_tail
from hub.runtime.progress import Advance, console, stage, step
from hub.runtime.servers import logs
from hub.secrets import Secrets, database_url, private_folder
from hub.settings import Settings
from ingest.log import LogWriter, begin_at, segments
from store import readers
from store.database import connect
from store.migrate import migrate

STAYS = ("runtime", "logs", "up.lock", "restoring")
"""What of a home is no obstacle, and is not moved aside."""
LOG_OF = {"store": "log", "telealert": "transitions"}
RECOVERY_LIMIT_S = 86_400.0
LOG_BYTES = 64 << 10
"""So much of the end of the server's log is searched for why it cannot recover."""
COMPLETED = re.compile(r"last completed transaction was at log time (\S+ \S+) UTC")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be restored, and how far."""

    folder: Path
    to: datetime | None = None
    archive: Path | None = None
    database_only: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What the restored database knows."""

    last_transaction_at: datetime | None
    """None when the database is somebody else's."""
    told: tuple[str, ...]
    """How it and the logs fit together, in sentences."""


def as_moment(to: datetime | None, settings: Settings) -> datetime | None:
    """A moment as a person tells it: in the city's time, unless it says otherwise."""
    return to.replace(tzinfo=ZoneInfo(settings.timezone)) if to and to.tzinfo is None else to


def run(settings: Settings, wish: Wish) -> None:
    """Restore, and say to which point and in what time."""
    began = time.monotonic()
    home, zone = private_folder(settings.home.resolve()), ZoneInfo(settings.timezone)
    with only_hub_of(home, "a restore", wait_s=1.0):
        backup = backups.read_list(wish.folder)
        _check(settings, wish, backup, home)
        with _staging(home) as staging:
            _fetch(settings, wish, backup, staging)
            restored = asyncio.run(_try(settings, wish, backup, home, staging))
            aside = _swap(home, staging, database_only=wish.database_only)
    if restored.last_transaction_at:
        console.print(f"Recovery point: {moment(restored.last_transaction_at, zone)}, the database's last transaction.")
    for sentence in restored.told:
        console.print(sentence, markup=False)
    if aside:
        console.print(f"What was there before is in {aside}; remove it when you miss nothing.", markup=False)
    console.print(f"Recovery time: {time.monotonic() - began:.1f} s. Start the hub, then make a new backup.")


def _check(settings: Settings, wish: Wish, backup: Backup, home: Path) -> None:
    """Refuse, before anything is copied, what cannot be restored here."""
    if backup.database is None and (wish.to or wish.archive or wish.database_only):
        raise BadSetting(f"{wish.folder} holds no database: restore that with its own tools, and this without options")
    if backup.database is not None and settings.database_url:
        raise BadSetting(f"{wish.folder} holds the embedded database: restore it without BEFFROI_DATABASE_URL")
    archive = _archive(settings, wish)
    if wish.to and archive is None:
        raise BadSetting("--to needs the archive: name it with --archive, or with BEFFROI_ARCHIVE")
    if archive and not archive.is_dir():
        raise BadSetting(f"there is no archive {archive}; put it back, or name another with --archive")
    there = {path.name for path in home.iterdir()} - set(STAYS)
    there = {name for name in there if not name.startswith(ASIDE)}
    if wish.database_only:
        if not (home / "secrets.json").exists():
            raise BadSetting(f"{home} has no hub to put a database into: restore all of it, without --database-only")
        if (home / "secrets.json").read_bytes() != (wish.folder / "home/secrets.json").read_bytes():
            raise BadSetting(f"the backup is of another hub than {home} (secrets.json differs): restore all of it")
        there &= {"postgres"}
    if there and not wish.replace:
        raise BadSetting(f"{home} is not empty ({', '.join(sorted(there)[:4])} ...): --replace moves that aside")


def _archive(settings: Settings, wish: Wish) -> Path | None:
    found = wish.archive or settings.archive
    return found.resolve() if found else None


@contextmanager
def _staging(home: Path) -> Iterator[Path]:
    """The folder in which everything is made ready; it is gone at the end, whatever happens."""
    staging = home / "restoring"
    if staging.exists():
        backups.remove(staging)
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        backups.remove(staging)


def _fetch(settings: Settings, wish: Wish, backup: Backup, staging: Path) -> None:
    """Verify the backup, and copy it into the staging folder."""
    source = wish.folder.resolve() / "database"
    if backup.database:
        tools = programs.postgres(_settings_of(staging, settings)).path
        major = programs.postgres_major(tools)
        if major != backup.database.major:
            raise BadSetting(
                f"the backup is of PostgreSQL {backup.database.major}, and the programs in {tools} are of {major}:"
                " install that version (docs/operating.md), or choose it with BEFFROI_PROGRAMS"
            )
        with stage("Verifying the backup") as advance:
            verify_database(tools, source, advance)
        with stage("Copying the database") as advance:
            _copy_cluster(source, staging / "postgres/data", backup.database.size_bytes, advance)
    with step("Copying logs, accounts and the rules' state"):
        backups.fetch_home(wish.folder.resolve(), backup, staging)
        if (staging / "mosquitto").is_dir():
            for path in (staging / "mosquitto", *(staging / "mosquitto").iterdir()):
                give_to_servers(path)


def _settings_of(staging: Path, settings: Settings) -> Settings:
    """Settings under which the database of the staging folder runs; on a port that nothing else looks at."""
    more = {"home": staging, "runtime": settings.runtime_dir.resolve(), "postgres_port": free_port()}
    return settings.model_copy(update=more)


def _copy_cluster(source: Path, target: Path, size_bytes: int, advance: Advance) -> None:
    """Copy a cluster; PostgreSQL itself flushes all of it to the disk when it begins to recover."""
    done = 0
    give_to_servers(private_folder(target.parent))
    give_to_servers(private_folder(target))
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(mode=0o700)
        else:
            shutil.copyfile(path, place)
            place.chmod(0o600)
            done += place.stat().st_size
            advance(done / max(1, size_bytes))
        give_to_servers(place)


async def _try(settings: Settings, wish: Wish, backup: Backup, home: Path, staging: Path) -> Restored:
    """Recover the database, bring it to the present schema, and make it and the logs fit together."""
    files = home if wish.database_only else staging
    if backup.database is None:
        return Restored(None, await _fit(database_url(settings, Secrets.of(staging)), files, whole=True))
    here = _settings_of(staging, settings)
    server, secrets = Postgres.of(here, programs.postgres(here).path), Secrets.of(staging)
    url = database_url(here, secrets)
    archive = _archive(settings, wish)
    with _recovery(server.data, wish.to, archive):
        process = await _recovered(server, secrets, wish, backup, _fresh(logs(home) / "restore.log"))
        try:
            async with connect(url) as connection:
                last = await readers.recovered_to(connection)
            await server.create_database(secrets)
            told = await _fit(url, files, whole=not wish.database_only)
        finally:
            await process.stop()
    if archive and not wish.to:
        told = (*told, *_unused(server.data, wal_range(server.data).timeline, archive))
    return Restored(last or backup.database.last_transaction_at, told)


def _fresh(log: Path) -> Path:
    """A log without what an earlier restore said."""
    log.unlink(missing_ok=True)
    return log


@contextmanager
def _recovery(data: Path, to: datetime | None, archive: Path | None) -> Iterator[None]:
    """Make the next start of a cluster a recovery, and the ones after it ordinary."""
    own = data / "postgresql.auto.conf"
    before = own.read_text()
    values = {
        "restore_command": restore_command(archive) if archive else "false",
        # The backup's own: what another restore of it has made of the archive since is another story.
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
        "hot_standby": "off",
        "recovery_init_sync_method": "syncfs",
        **({"recovery_target_time": to.astimezone(UTC).isoformat(sep=" ")} if to else {}),
    }
    own.write_text(before + "".join(f"{name} = {as_value(value)}\n" for name, value in values.items()))
    (data / "recovery.signal").touch(mode=0o600)
    give_to_servers(data / "recovery.signal")
    yield
    own.write_text(before)


async def _recovered(server: Postgres, secrets: Secrets, wish: Wish, backup: Backup, log: Path) -> Process:
    """The server, once it has recovered and answers; BeffroiError says why it did not."""
    await server.prepare(secrets)
    with step("Recovering the database"):
        process = await Process.start(server.program, log)
        try:
            await server.wait_ready(process, secrets, RECOVERY_LIMIT_S)
        except BaseException as error:
            await process.stop()
            if isinstance(error, DatabaseUnavailable):
                raise _why(read_tail(log, LOG_BYTES), wish, backup) or error from error
            raise
    return process


def _why(said: str, wish: Wish, backup: Backup) -> BeffroiError | None:
    """What PostgreSQL says when it cannot recover, as a sentence; None when it is something else."""
    if "WAL file is from different database system" in said:
        return BadFile("the archive is of another database than the backup; name the right one with --archive")
    if "stop point is before consistent recovery point" in said:
        return BadSetting(
            f"--to lies before the end of the backup, {backup.ended_at:%Y-%m-%d %H:%M:%S} UTC: take an older backup"
        )
    if "recovery ended before configured recovery target was reached" in said:
        last = COMPLETED.findall(said)
        until = f"{last[-1][:19]} UTC" if last else "with the backup"
        return BadSetting(f"--to lies after the end of the archive, {until}: without --to all of it is restored")
    if "could not restore file" in said:
        return BadFile("a file of the archive cannot be read: end before it with --to, or restore without the archive")
    return None


async def _fit(url: str, files: Path, *, whole: bool) -> tuple[str, ...]:
    """Bring the schema forward, and make the readers' places and the logs of `files` fit; in sentences.

    The logs of a backup may end before the database's place, which the archive has moved on: they then go on there.
    A living log is never changed; what it still holds beyond the database's place is read again.
    """
    await migrate(url)
    told = []
    async with connect(url) as connection:
        for reader, (log_id, offset) in (await readers.offsets(connection)).items():
            folder = files / LOG_OF[reader]
            known_id, kept = _span(folder)
            if whole and (known_id != log_id or kept.stop < offset):
                begin_at(folder, log_id, offset)
                known_id, kept = log_id, range(offset, offset)
            if known_id == log_id and reader == "telealert":
                await readers.was_told(connection, reader, kept.stop)
            told.append(readers.place_told(reader, offset, kept if known_id == log_id else None))
        await connection.commit()
    return tuple(told)


def _span(folder: Path) -> tuple[object, range]:
    """A log's id and the offsets that it keeps; a torn end is cut."""
    if not (folder / "id").exists():
        return None, range(0)
    with LogWriter(folder) as log:
        return log.log_id, range(segments(folder)[0][0], log.next_offset)


def _unused(data: Path, timeline: int, archive: Path) -> tuple[str, ...]:
    """A hole of the archive: segments that are there beyond the place where the recovery ended."""
    history = sorted((data / "pg_wal").glob("*.history"))
    lines = history[-1].read_text().split("\n") if history else []
    ends = [line.split("\t")[1] for line in lines if line.startswith(f"{timeline}\t")]
    if not ends:
        return ()
    end = segment_of(timeline, ends[-1])
    names = sorted(path.name[:24] for path in archive.glob(f"{timeline:08X}*.gz") if len(path.name) == 27)
    beyond = [name for name in names if name > end]
    if not beyond:
        return ()
    return (f"The archive has a hole: {end}.gz is missing, so {len(beyond)} files after it could not be used.",)


def _swap(home: Path, staging: Path, *, database_only: bool) -> Path | None:
    """Move what was there aside and what was restored into its place; returns where the old is, if there was any."""
    aside = home / f"{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = ["postgres"] if database_only else [path.name for path in home.iterdir() if path.name not in STAYS]
    old = [name for name in names if not name.startswith(ASIDE) and (home / name).exists()]
    if old:
        aside.mkdir(mode=0o700)
    for name in old:
        (home / name).rename(aside / name)
    for path in staging.iterdir():
        if not database_only or path.name == "postgres":
            path.rename(home / path.name)
    return aside if old else None
