"""`python -m benchmarks.backup`: what a backup and a restore of a gigabyte take, and how old the archive's end is."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hub.clock import Clock
from hub.runtime.servers import embedded
from hub.settings import Settings
from hub.up import environment
from store.database import connect
from store.migrate import migrate
from tests.conftest import hub_settings

DEVICES, PER_DEVICE = 1_000, 8_000
FILL = """
    INSERT INTO water_meter (device_no, ts, received_at, time_flagged, total_m3)
    SELECT device_no, now() - 20 * interval '1 day' + reading * interval '3 minutes', now(), false, reading
    FROM generate_series(1, %s) AS device_no, generate_series(1, %s) AS reading
"""


async def fill(settings: Settings) -> float:
    """A home whose database has some millions of readings; its backup's seconds."""
    async with embedded(settings) as servers:
        await migrate(servers.database_url)
        async with connect(servers.database_url, autocommit=True) as connection:
            await connection.execute(FILL, [DEVICES, PER_DEVICE])
        return await asyncio.to_thread(seconds, settings, "backup", settings.home.parent / "backup")


def seconds(settings: Settings, *arguments: str | Path) -> float:
    """Run a command of the hub, and print what it says of itself."""
    began = time.monotonic()
    command = [sys.executable, "-m", "hub.cli", *map(str, arguments)]
    told = subprocess.run(command, env=environment(settings, Clock()), capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    sys.stdout.write(told.stdout)
    return took


def files_in(archive: Path) -> int:
    """How many there are."""
    return len(list(archive.glob("*.gz")))


async def archived_after_s(settings: Settings, archive: Path) -> float:
    """How long a change of a quiet database is not in the archive yet."""
    async with embedded(settings.model_copy(update={"archive": archive})) as servers:
        await migrate(servers.database_url)
        before, began = files_in(archive), time.monotonic()
        async with connect(servers.database_url, autocommit=True) as connection:
            await connection.execute("UPDATE registry_version SET version = version + 1")
        while files_in(archive) == before:  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.2)
        return time.monotonic() - began


def report() -> None:
    """Fill, back up, restore elsewhere; seconds for each, and by GB of the backup. Then a minute for the archive."""
    with tempfile.TemporaryDirectory() as folder:
        settings = hub_settings(Path(folder) / "home")
        backup = asyncio.run(fill(settings))
        size_gb = sum(path.stat().st_size for path in Path(folder, "backup").rglob("*") if path.is_file()) / 1e9
        restored = settings.model_copy(update={"home": Path(folder) / "restored"})
        restore = seconds(restored, "restore", Path(folder) / "backup")
        archived = asyncio.run(archived_after_s(restored, Path(folder) / "archive"))
    sys.stdout.write(
        f"{size_gb:.2f} GB: backup {backup:.1f} s ({backup / size_gb:.1f} s/GB),"
        f" restore {restore:.1f} s ({restore / size_gb:.1f} s/GB);"
        f" a change is in the archive after {archived:.1f} s\n"
    )


if __name__ == "__main__":
    report()
