"""P1 without the database: the routing snapshot of a city of 70,000 devices, and the time from a firing to its call."""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from alerts.snapshot import Files
from hub.runtime.servers import embedded
from ingest.log import LogWriter, Message
from store.database import connect
from store.migrate import migrate
from tests.conftest import hub_settings
from tests.processes import Processes, eventually
from tests.unit.alerts.city import fire

DEVICES, FAULTS, CALLS = 70_000, 5_000, 200
CITY = """
    INSERT INTO device (device_no, commune, kind, id, type, parent_no, gateway_no, label, street, commissioned_at,
        changed_at, changed_version)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'dijon', 'street_lighting', 'device-' || n, CASE WHEN n <= 2800 THEN 'feeder' ELSE 'lamp' END,
        CASE WHEN n > 2800 THEN 1 + n %% 2800 END, CASE WHEN n > 2800 THEN 1 + n %% 2800 END, 'Device ' || n,
        'rue de la Préfecture', now(), now(), 1
    FROM generate_series(1, %s) n
"""


def rss_mb(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def measure(folder: Path) -> None:
    settings = hub_settings(folder / "servers")
    async with embedded(settings, test=True) as servers:
        await migrate(servers.database_url)
        async with connect(servers.database_url, autocommit=True) as connection:
            await connection.execute(CITY.encode(), [DEVICES])
        home = folder / "hub"
        home.mkdir()
        with LogWriter(home / "transitions") as log, Processes(home, servers.database_url, servers.mqtt_url) as hub:
            lamps = [fire(number) for number in range(DEVICES - FAULTS, DEVICES)]
            log.append([Message(0, 0, "rules", "", told.encode()) for told in lamps])
            hub.start("telealert")
            pid, files = hub.running["telealert"].pid, Files(home / "telealert")

            async def known() -> int:
                return found.faults.next_offset if (found := files.load()) else -1

            await eventually(known, lambda offset: offset == FAULTS, 120)
            await load(files)
            before_mb, before_s = rss_mb(pid), cpu_s(pid)
            assert servers.postgres is not None
            os.kill(servers.postgres.pid, signal.SIGQUIT)
            took_s = [one_call(log, home / "notifications.log", number) for number in range(1, CALLS + 1)]
            told(took_s)
            grown = f"{rss_mb(pid) - before_mb:.0f} MB on {before_mb:.0f}"
            sys.stdout.write(f"tele-alert grew by {grown} and used {cpu_s(pid) - before_s:.1f} s of CPU meanwhile\n")


async def load(files: Files) -> None:
    """Print what the snapshot is."""
    began = time.perf_counter()
    found = files.load()
    took_s = time.perf_counter() - began
    assert found is not None
    places, faults = (path.stat().st_size / 1e6 for path in (files.places, files.faults))
    sys.stdout.write(
        f"snapshot: {len(found.places):,} devices in {places:.1f} MB, {len(found.faults.standing):,} faults in"
        f" {faults:.1f} MB, read in {1000 * took_s:.0f} ms\n"
    )


def one_call(log: LogWriter, file: Path, number: int) -> float:
    """Seconds from a firing on disk to the line of its call on disk."""
    time.sleep(random.uniform(0, 0.3))
    lines = size(file)
    urgent = replace(fire(number, "feeder_out", minute=number), priority=1)
    log.append([Message(0, 0, "rules", "", urgent.encode())])
    began = time.perf_counter()
    while size(file) == lines:
        time.sleep(0.002)
    return time.perf_counter() - began


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def told(took_s: list[float]) -> None:
    """Print how long calls took; the first one's time is also that in which the database's absence was noticed."""
    first, later = took_s[0], sorted(took_s[1:])
    p50, p99 = (later[int(share * len(later))] for share in (0.5, 0.99))
    sys.stdout.write(
        f"from firing to call: {first:.2f} s for the first, just after the kill; then p50 {p50:.2f}, p99 {p99:.2f},"
        f" worst {later[-1]:.2f} s of {len(later)}\n"
    )


def report() -> None:
    sys.stdout.write("\nP1 while the database is away\n")
    with TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    report()
