"""`beffroi restore`: a backup becomes a home again, to its end or to a moment of the archive.

Everything is made and tried in the folder `restoring` of the home. What was there before is moved aside, not removed,
once the restored database has answered.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from devices.transition import Transition
from hub import backup as backups
from hub.backup import ASIDE, Backup
from hub.commands.backup import moment
from hub.errors import BadSetting
from hub.home import free_port, only_hub_of
from hub.runtime import programs
from hub.runtime.basebackup import verify_database, wal_range
from hub.runtime.postgres import Postgres
from hub.runtime.process import give_to_servers
from hub.runtime.progress import Advance, console, stage, step
from hub.runtime.recovery import later_timelines, recovered, recovery, unused
from hub.runtime.servers import logs
from hub.secrets import Secrets, database_url, private_folder
from hub.settings import Settings
from ingest.log import LogWriter, Message, begin_at, segments
from store.database import connect
from store.migrate import migrate
from store.readers import offsets
from store.restore import faults_told, place_told, recovered_to, was_told

STAYS = ("runtime", "logs", "up.lock", "restoring")
"""What of a home is no obstacle, and is not moved aside."""
STORE, TELEALERT = "store", "telealert"
LOG_OF = {STORE: "log", TELEALERT: "transitions"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be restored, and how far."""

    folder: Path
    to: datetime | None = None
    archive: Path | None = None
    database_only: bool = False
    replace: bool = False
    timeline: int | None = None
    """Of the archive; the backup's own when absent."""


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
    if backup.database is None and not settings.database_url:
        raise BadSetting(f"{wish.folder} holds no database: name the restored one in BEFFROI_DATABASE_URL")
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
        backups.fetch_home(wish.folder.resolve(), backup.files, staging)
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
    timeline = wish.timeline or wal_range(server.data).timeline
    later = later_timelines(archive, timeline) if archive else []
    with recovery(server.data, wish.to, archive, wish.timeline):
        with step("Recovering the database"):
            log = _fresh(logs(home) / "restore.log")
            process = await recovered(server, secrets, log, copied_at=backup.ended_at)
        try:
            async with connect(url) as connection:
                last = await recovered_to(connection)
            await server.create_database(secrets)
            told = await _fit(url, files, whole=not wish.database_only)
        finally:
            await process.stop()
    if archive and not wish.to:
        told = (*told, *unused(server.data, timeline, archive))
    if later:
        told = (*told, f"The archive also holds what came after another restore; to have that: --timeline {later[-1]}.")
    return Restored(last or backup.database.last_transaction_at, told)


def _fresh(log: Path) -> Path:
    """A log without what an earlier restore said."""
    log.unlink(missing_ok=True)
    return log


async def _fit(url: str, files: Path, *, whole: bool) -> tuple[str, ...]:
    """Bring the schema forward, and make the readers' places and the logs of `files` fit; in sentences.

    The logs of a backup may end before the database's place, which the archive has moved on: they then go on there.
    A living log is never changed; what it still holds beyond the database's place is read again.
    """
    await migrate(url)
    told = []
    async with connect(url) as connection:
        places = await offsets(connection)
        for reader, (log_id, offset) in places.items():
            folder = files / LOG_OF[reader]
            known_id, kept = _span(folder)
            if whole and (known_id != log_id or kept.stop < offset):
                begin_at(folder, log_id, offset)
                if reader == TELEALERT:
                    _append(folder, await faults_told(connection, places[STORE][1] if STORE in places else 0))
                known_id, kept = _span(folder)
            if known_id == log_id and reader == TELEALERT:
                await was_told(connection, reader, kept.stop)
            told.append(place_told(reader, offset, kept if known_id == log_id else None))
        await connection.commit()
    return tuple(told)


def _append(folder: Path, transitions: Sequence[Transition]) -> None:
    """Let the rules know on their log what was on, so that it can end."""
    with LogWriter(folder) as log:
        if transitions:
            log.append([Message(0, t.at_us, "rules", t.topic, t.encode()) for t in transitions])


def _span(folder: Path) -> tuple[object, range]:
    """A log's id and the offsets that it keeps; a torn end is cut."""
    if not (folder / "id").exists():
        return None, range(0)
    with LogWriter(folder) as log:
        return log.log_id, range(segments(folder)[0][0], log.next_offset)


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
