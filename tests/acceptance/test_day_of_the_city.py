"""24 hours of the whole city at 60 times its speed, watched by an operator: nothing grows.

Memory, files, threads, descriptors and lag are looked at.

BEFFROI_DAY_MINUTES says how long it runs, 24 when absent; a few minutes show whether it works.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from ingest.log import LogReader, segments
from tests.database import fetch
from tests.vitals import command_of, descendants, folder_mib, open_files, private_mib, threads
from tests.whole_hub import WholeHub

SPEED = 60
MINUTES = float(os.environ.get("BEFFROI_DAY_MINUTES", "24"))
SAMPLES = 48
ALLOWED = {"MiB": (10.0, 0.05), "files": (4.0, 0.0), "threads": (1.0, 0.0), "messages": (10_000.0, 0.0)}
"""By unit, how much more the last quarter may have than the one before it: so much, or this share if that is more."""
PAGES = ("/", "/overview", "/incidents", "/health", "/quarantine", "/metrics")
MOST_SEGMENTS = 4
"""Of a log: the one that is written, two that stay, and one that is about to go."""


@dataclass(slots=True)
class Diary:
    """What was seen of a hub over time: (what, unit) to its values, in order."""

    hub: WholeHub
    seen: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    async def write(self) -> None:
        """Look once at everything."""
        now: dict[tuple[str, str], float] = defaultdict(float)
        for pid in [self.hub.pid, *descendants(self.hub.pid)]:
            try:
                name = part_of(command_of(pid))
                now[name, "MiB"] += private_mib(pid)
                if name != "postgres":  # how many of its processes there are is its own affair
                    now[name, "files"] += open_files(pid)
                    now[name, "threads"] += threads(pid)
            except OSError:  # it has just ended
                continue
        for folder in ("log", "transitions", "mosquitto", "logs"):
            now[f"{folder}/", "MiB"] = folder_mib(self.hub.home / folder)
        for row in await fetch(self.hub.database_url, "SELECT name, next_offset FROM reader"):
            log = LogReader(self.hub.home / ("log" if row["name"] == "store" else "transitions"))
            now[f"lag of {row['name']}", "messages"] = log.next_offset - int(str(row["next_offset"]))
            log.close()
        for what, value in now.items():
            self.seen[what].append(value)

    def quarters(self) -> Iterator[tuple[str, str, list[float]]]:
        """The median of each quarter of the time."""
        for (what, unit), values in self.seen.items():
            if len(values) >= SAMPLES // 2:  # what was there for a moment only cannot grow
                yield what, unit, [float(np.median(part)) for part in np.array_split(values, 4)]

    def grown(self) -> list[str]:
        """What has grown from the third quarter to the last by more than is allowed."""
        found = []
        for what, unit, (*_, third, last) in self.quarters():
            least, share = ALLOWED[unit]
            # A log is cut by whole segments: those are counted instead.
            if last - third > max(least, share * third) and what not in ("log/", "transitions/"):
                found.append(f"{what}: {third:.1f}, then {last:.1f} {unit}")
        return found


def part_of(command: list[str]) -> str:
    """The process of the hub that a command line is."""
    if "hub.cli" in command:
        return command[command.index("hub.cli") + 1]
    name = Path(command[0]).name
    return "postgres" if name.startswith("postgres") else name if name == "mosquitto" else "up"


@asynccontextmanager
async def operator(hub: WholeHub) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is signed in."""
    added = await hub.command("people", "add", "watch", "--role", "operator")
    address = f"http://127.0.0.1:{hub.settings.http_port}"
    async with httpx.AsyncClient(base_url=address, headers={"origin": address}, timeout=30) as pages:
        signed_in = await pages.post("/login", data={"login": "watch", "password": added.stdout.split()[-1]})
        assert signed_in.status_code == 303, added.stderr
        yield pages


@pytest.mark.soak
async def test_a_day_of_the_city_leaves_nothing_behind(tmp_path: Path, measured: Callable[[str], None]):
    hub = WholeHub.of(tmp_path, "--speed", str(SPEED))
    await hub.start()
    diary, pause_s = Diary(hub), MINUTES * 60 / SAMPLES
    try:
        async with operator(hub) as pages:
            for _ in range(SAMPLES):
                began_s = time.monotonic()
                await diary.write()
                for page in PAGES:
                    assert (await pages.get(page)).status_code == 200
                await asyncio.sleep(max(0, pause_s - (time.monotonic() - began_s)))
        log = LogReader(hub.home / "log")
        kept = {name: len(segments(hub.home / name)) for name in ("log", "transitions")}
        hours = MINUTES * SPEED / 60
        measured(f"{hours:.1f} hours of the city in {MINUTES:g} min, {log.next_offset} messages; segments: {kept}")
        for what, unit, quarters in diary.quarters():
            measured(f"{what}, median of each quarter, {unit}: {', '.join(f'{value:.1f}' for value in quarters)}")
        assert "starting it again" not in hub.said
        assert not diary.grown()
        assert max(kept.values()) <= MOST_SEGMENTS
        health = await hub.command("status")
        assert health.returncode == 0, health.stdout
    finally:
        if hub.process is not None:
            await hub.interrupt()
