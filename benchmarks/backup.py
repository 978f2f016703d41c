"""`python -m benchmarks.backup`: what a backup and a restore of a gigabyte take, on this machine and disk."""

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


def report() -> None:
    """Fill, back up, restore elsewhere; seconds for each, and by GB of the backup."""
    with tempfile.TemporaryDirectory() as folder:
        settings = hub_settings(Path(folder) / "home")
        backup = asyncio.run(fill(settings))
        size_gb = sum(path.stat().st_size for path in Path(folder, "backup").rglob("*") if path.is_file()) / 1e9
        restored = settings.model_copy(update={"home": Path(folder) / "restored"})
        restore = seconds(restored, "restore", Path(folder) / "backup")
    sys.stdout.write(
        f"{size_gb:.2f} GB: backup {backup:.1f} s ({backup / size_gb:.1f} s/GB),"
        f" restore {restore:.1f} s ({restore / size_gb:.1f} s/GB)\n"
    )


if __name__ == "__main__":
    report()
