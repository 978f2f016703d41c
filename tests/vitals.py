"""What a hub under load does to its machine and to whoever watches: memory of its processes, age of the live map."""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import numpy as np

from devices.frame import Frame
from hub.settings import BrokerAddress
from simulators.packets import Publish
from simulators.publisher import Outbox, connected

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
PROBE = "probe"
PROBE_EVERY_S = 0.1
DEGREE = 1e-4
"""The probe moves by so much each time: its latitude tells which of its messages the map shows."""


@dataclass(slots=True)
class Memory:
    """Resident memory of processes over time, in MiB, by name."""

    pids: Mapping[str, int]
    seen: dict[str, list[float]] = field(default_factory=dict)

    def look(self) -> None:
        """Measure once."""
        for name, pid in self.pids.items():
            self.seen.setdefault(name, []).append(resident_mib(pid))

    async def run(self) -> None:
        """Measure every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(1)

    def grown_mib(self) -> dict[str, float]:
        """By how much each has grown beyond its first measure, at most."""
        return {name: round(max(seen) - seen[0], 1) for name, seen in self.seen.items()}


@dataclass(slots=True)
class LiveMap:
    """A vehicle that moves ten times a second, and how old its place on the live map is.

    The age counts from the message that the map shows, and grows until a later one is shown: it is what somebody who
    looks at the worst moment sees.
    """

    hub_url: str
    simulator_url: str
    told_s: list[float] = field(default_factory=list)
    """When each of the probe's messages was given to the broker."""
    device_no: int = 0
    shown: int = 0
    ages_s: list[tuple[float, float]] = field(default_factory=list)
    """(when, how old what was shown had become)."""

    async def run(self) -> None:
        """Move, and look at the map, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._move())
            tasks.create_task(self._look())

    def oldest_s(self, since_s: float, until_s: float = float("inf")) -> float:
        """The greatest age within a time of the steady clock."""
        return max((age for at, age in self.ages_s if since_s <= at <= until_s), default=float("nan"))

    async def _move(self) -> None:
        outbox = Outbox()
        async with connected(self.simulator_url) as connection:
            while True:
                told = {"ts": int(time.time() * 1000), "lat": 47 + len(self.told_s) * DEGREE, "lon": 5.0, "on_duty": 1}
                self.told_s.append(time.monotonic())
                outbox.put([Publish(f"city/dijon/fleet_vehicle/{PROBE}/telemetry", json.dumps(told).encode())])
                await connection.send(outbox)
                await asyncio.sleep(PROBE_EVERY_S)

    async def _look(self) -> None:
        async with aiomqtt.Client(**BrokerAddress.parse(self.hub_url).client_arguments()) as client:
            await client.subscribe("beffroi/live/fleet_vehicle", qos=0)
            async for message in client.messages:
                if isinstance(message.payload, bytes) and not message.retain:
                    self._take(Frame.decode(message.payload), time.monotonic())

    def _take(self, frame: Frame, now_s: float) -> None:
        numbers, _ = frame.arrays()
        positions = frame.positions()
        latitudes = positions[0][numbers == self.device_no] if positions else np.empty(0)
        if len(latitudes) and not np.isnan(latitudes[0]):
            self.ages_s.append((now_s, now_s - self.told_s[self.shown]))
            self.shown = round((float(latitudes[0]) - 47) / DEGREE)


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / MIB


def open_files(pid: int) -> int:
    """Files, sockets and pipes that a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def threads(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def command_of(pid: int) -> list[str]:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has just ended
        parents.setdefault(parent, []).append(int(status.parent.name))
    found, left = list[int](), [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def private_mib(pid: int) -> float:
    """Memory of a process alone: without files and without what PostgreSQL's processes share."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def folder_mib(folder: Path) -> float:
    """Size of all files in a folder and below."""
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.stat().st_size if path.is_file() else 0
        except OSError:  # removed, or replaced, meanwhile
            continue
    return size / MIB
