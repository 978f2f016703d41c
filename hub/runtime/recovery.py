"""A copy of the embedded database is recovered: to its own end, to that of an archive, or to a moment of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hub.errors import BadFile, BadSetting, BeffroiError, DatabaseUnavailable
from hub.runtime.archive import as_value, number_of, restore_command, segment_in, segment_of
from hub.runtime.postgres import Postgres
from hub.runtime.process import Process, give_to_servers, read_tail
from hub.secrets import Secrets

LIMIT_S = 86_400.0
LOG_BYTES = 64 << 10
"""So much of the end of the server's log is searched for why it cannot recover."""
COMPLETED = re.compile(r"last completed transaction was at log time (\S+ \S+) UTC")
OTHER_DATABASE = "WAL file is from different database system"


@contextmanager
def recovery(data: Path, to: datetime | None, archive: Path | None, timeline: int | None) -> Iterator[None]:
    """Make the next start of a cluster a recovery, and the ones after it ordinary."""
    own = data / "postgresql.auto.conf"
    before = own.read_text()
    values = {
        "restore_command": restore_command(archive) if archive else "false",
        # The backup's own, unless asked: what another restore of it has made since is another story.
        "recovery_target_timeline": str(timeline) if timeline else "current",
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


async def recovered(server: Postgres, secrets: Secrets, log: Path, *, copied_at: datetime) -> Process:
    """The server, once it has recovered and answers; BeffroiError says why it did not. `log` is its own, and new."""
    await server.prepare(secrets)
    process = await Process.start(server.program, log)
    try:
        await server.wait_ready(process, secrets, LIMIT_S)
        if OTHER_DATABASE in read_tail(log, LOG_BYTES):  # which it takes for the end of the archive
            raise DatabaseUnavailable(OTHER_DATABASE)
    except DatabaseUnavailable as error:
        await process.stop()
        raise why(read_tail(log, LOG_BYTES), copied_at) or error from error
    except BaseException:
        await process.stop()
        raise
    return process


def why(said: str, copied_at: datetime) -> BeffroiError | None:
    """What PostgreSQL says when it cannot recover, as a sentence; None when it is something else. Pure."""
    if OTHER_DATABASE in said:
        return BadFile("the archive is of another database than the backup; name the right one with --archive")
    if "stop point is before consistent recovery point" in said:
        return BadSetting(
            f"--to lies before the end of the backup, {copied_at:%Y-%m-%d %H:%M:%S} UTC: take an older backup"
        )
    if "recovery ended before configured recovery target was reached" in said:
        last = COMPLETED.findall(said)
        until = f"{last[-1][:19]} UTC" if last else "with the backup"
        return BadSetting(f"--to lies after the end of the archive, {until}: without --to all of it is restored")
    if "could not restore file" in said:
        return BadFile("a file of the archive cannot be read: end before it with --to, or restore without the archive")
    return None


def later_timelines(archive: Path, timeline: int) -> list[int]:
    """The timelines of an archive after this one: each is the life of the database after a restore."""
    histories = (re.fullmatch(r"([0-9A-F]{8})\.history\.gz", path.name) for path in archive.iterdir())
    return sorted(number for found in histories if found and (number := int(found[1], 16)) > timeline)


def unused(data: Path, timeline: int, archive: Path) -> tuple[str, ...]:
    """A sentence when the recovery ended before the archive does: for PostgreSQL a hole is the end."""
    histories = sorted((data / "pg_wal").glob("*.history"))
    lines = histories[-1].read_text().splitlines() if histories else []
    ends = [line.split("\t")[1] for line in lines if line.startswith(f"{timeline}\t")]
    kept = sorted(name for path in archive.iterdir() if (name := segment_in(path.name)).startswith(f"{timeline:08X}"))
    if not ends or not kept:
        return ()
    end, last = segment_of(timeline, ends[-1]), kept[-1]
    # The last record may have gone on in the next segment: one more than the end is no hole, when both are there.
    if last <= end or (end in kept and number_of(last) - number_of(end) == 1):
        return ()
    return (
        f"The recovery ended in {end}.gz, but the archive goes on to {last}.gz: a file between is lost or damaged.",
    )
