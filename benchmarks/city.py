"""The whole simulated city at its real reporting periods, hub time as fast as it goes: how fast is that?

Simulator, broker, intake, worker, tele-alert and database share this machine. The clock asks for more than they can do;
what was simulated, over the time until its last row is committed, is the speed that was reached. CPU seconds for each
hour of the city tell what a machine with nothing else to do could reach.
"""

import asyncio
import os
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.end_to_end import cpu_s
from devices.export import YamlLines
from hub.clock import FASTEST, Clock, to_us
from hub.runtime.process import Process
from hub.runtime.servers import Embedded, embedded
from simulators.city import make_city
from store.database import Connection, connect
from store.migrate import migrate
from tests.conftest import hub_settings
from tests.processes import Processes, eventually

RUN_S = 40.0
STARTS = {"morning": datetime(2026, 11, 24, 8, tzinfo=UTC), "night": datetime(2026, 11, 24, 22, tzinfo=UTC)}
SILENT = re.compile(r"the city falls silent.*hub_time=(\S+).*published=(\d+)")


async def measure(name: str, start: datetime, speed: float) -> None:
    with TemporaryDirectory() as folder:
        settings = hub_settings(Path(folder) / "servers")
        async with embedded(settings) as servers:
            await migrate(servers.database_url)
            home = Path(folder) / "hub"
            home.mkdir()
            told = Processes(home, servers.database_url, servers.simulator_url)
            registered = await told.command("devices", "import", str(city_file(Path(folder))))
            assert registered.returncode == 0, registered.stderr
            clock = Clock(time.time_ns() // 1000, to_us(start), speed)
            with Processes(home, servers.database_url, servers.mqtt_url, {"BEFFROI_CLOCK": str(clock)}) as hub:
                hub.start("intake", "worker", "telealert")
                await hub.hears()
                await one_run(name, hub, servers, clock)


def city_file(folder: Path) -> Path:
    """The whole city as `devices import` reads it."""
    lines, path = YamlLines(), folder / "city.yaml"
    path.write_text("".join(map(lines.line, make_city(Path("simulators/cities/dijon")).devices())))
    return path


async def one_run(name: str, hub: Processes, servers: Embedded, clock: Clock) -> None:
    city = Processes(hub.home, servers.database_url, servers.simulator_url, hub.more)
    async with connect(servers.database_url, autocommit=True) as connection:

        async def read() -> tuple[int, int]:
            """Messages and readings that are committed."""
            query = "SELECT messages, readings FROM reader WHERE name = 'store'"
            row = await (await connection.execute(query)).fetchone()
            return (row["messages"], row["readings"]) if row else (0, 0)

        log = hub.home / "simulate.log"
        city.start("simulate")
        await eventually(lambda: asyncio.to_thread(log.read_text), lambda said: "simulated city" in said)
        before, cpu_before = await read(), cpu_s(hub) | servers_cpu_s(servers) | cpu_s(city)
        from_us, began = clock.now_us(), time.perf_counter()
        await asyncio.sleep(RUN_S)
        simulator_s = cpu_s(city)["simulate"] - cpu_before["simulate"]
        city.running["simulate"].send_signal(signal.SIGTERM)
        await asyncio.to_thread(city.running.pop("simulate").wait, 120)
        said = SILENT.search(log.read_text())
        assert said, log.read_text()
        published = int(said[2])
        done = await eventually(read, lambda now: now[0] >= before[0] + published, timeout_s=300)
        took = time.perf_counter() - began
        after = cpu_s(hub) | servers_cpu_s(servers)
        silences = await silent(connection)
    hours = (to_us(datetime.fromisoformat(said[1])) - from_us) / 3.6e9
    cpu = {**{n: s - cpu_before[n] for n, s in after.items()}, "simulate": simulator_s}
    shares = ", ".join(f"{n} {s / hours:.1f}" for n, s in cpu.items())
    sys.stdout.write(
        f"{name:8} x{clock.speed:g} asked, x{hours * 3600 / took:,.0f} reached: {published / took:,.0f} messages/s,"
        f" {(done[1] - before[1]) / took:,.0f} readings/s; {took - RUN_S:.0f} s to commit the rest;"
        f" {silences} devices taken for silent\n"
        f"{'':8} CPU s for an hour of the city: {sum(cpu.values()) / hours:.1f} ({shares})\n"
    )


def servers_cpu_s(servers: Embedded) -> dict[str, float]:
    """CPU seconds of the broker and of the database, its helpers included."""
    told = {"broker": servers.mosquitto, "database": servers.postgres}
    return {name: tree_cpu_s(process) for name, process in told.items() if process}


def tree_cpu_s(process: Process) -> float:
    """CPU seconds of a process and its children, those that have ended too."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if path.parent.name == str(process.pid):
            ticks += sum(map(int, fields[11:15]))
        elif fields[1] == str(process.pid):
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


async def silent(connection: Connection) -> int:
    """Devices that were taken for silent; in a healthy city none is."""
    found = await (await connection.execute("SELECT count(*) AS n FROM incident WHERE code LIKE '%silent'")).fetchone()
    return int(found["n"]) if found else 0


def report(speed: float = FASTEST) -> None:
    """Print the table."""
    sys.stdout.write("\nThe whole simulated city, every process of the hub and its servers on this machine\n")
    for name, start in STARTS.items():
        asyncio.run(measure(name, start, speed))


if __name__ == "__main__":
    report(*map(float, sys.argv[1:]))
