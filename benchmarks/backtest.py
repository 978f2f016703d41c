"""A rule tried over recorded nights of a city's lamps: readings a second, peak memory, and the database's own share."""

import asyncio
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from dashboard.backtest import backtest
from devices.kind import kinds
from hub.clock import to_datetime, to_us
from hub.runtime.servers import embedded
from rules.backtest import Run, Trial
from store import registry
from store.database import connect
from store.migrate import migrate
from store.recorded import recorded
from tests.conftest import hub_settings

LAMPS, PER_FEEDER, HOURS = 34_000, 25, 14
DUSK = datetime(2026, 11, 20, 16, tzinfo=UTC)
CITY = """
    INSERT INTO device (device_no, commune, kind, id, type, parent_no, attributes, commissioned_at, changed_at,
        changed_version)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'dijon', 'street_lighting', 'device-' || n, CASE WHEN n <= %(feeders)s::int THEN 'feeder' ELSE 'lamp' END,
        CASE WHEN n > %(feeders)s::int THEN 1 + n %% %(feeders)s::int END, '{"rated_power_w": 60}', now(), now(), 1
    FROM generate_series(1, %(devices)s::int) n
"""
NIGHT = """
    INSERT INTO street_lighting (device_no, ts, received_at, dim_pct, power_w, voltage_v, energy_wh)
    SELECT n, at, at, 100, CASE WHEN (n * 7919 + extract(day FROM at)::int * 104729) %% 500 = 0 THEN 1 ELSE 58 END,
        230, 1000
    FROM generate_series(0, %(quarters)s::int - 1) q, generate_series(%(first)s::int, %(last)s::int) n,
        LATERAL (SELECT %(dusk)s::timestamptz + q * interval '15 minutes' + n %% 900 * interval '1 second') t (at)
    ORDER BY q, n %% 900
"""


async def measure(folder: Path, nights: int) -> None:
    async with embedded(hub_settings(folder / "servers"), test=True) as servers:
        await migrate(servers.database_url)
        feeders = LAMPS // PER_FEEDER
        async with connect(servers.database_url, autocommit=True) as connection:
            await connection.execute(CITY.encode(), {"feeders": feeders, "devices": feeders + LAMPS})
            for night in range(nights):
                part = {"quarters": 4 * HOURS, "first": feeders + 1, "last": feeders + LAMPS}
                await connection.execute(NIGHT.encode(), {**part, "dusk": DUSK + timedelta(days=night)})
            await connection.execute("VACUUM ANALYZE street_lighting")
        for code, changes in (("lamp_out", {"hold_s": 1800.0}), ("lamp_silent", {"max_periods": 4.0})):
            await one(servers.database_url, code, changes, nights)


async def one(url: str, code: str, changes: Mapping[str, float], nights: int) -> None:
    """Try a rule with changes beside itself as it is, and read the same alone."""
    kind = kinds()["street_lighting"]
    trial = Trial(kind, kind.rule(code), kind.rule(code), changes)
    until = DUSK + timedelta(days=nights)
    async with connect(url) as connection:
        alone_s = min([await read(url, trial, until) for _ in range(2)])
        forget_peak()
        before_mb = memory_mb("VmRSS")
        result = await backtest(connection, trial, DUSK, until, who="benchmark", timezone="Europe/Paris")
    assert result.in_force is not None
    sys.stdout.write(
        f"{code:12} {result.readings:>11,} readings in {result.took_s:5.1f} s: {result.readings / result.took_s:>9,.0f}"
        f" a second; the database alone {alone_s:5.1f} s, {result.took_s / alone_s:.2f} times as long with the rules;"
        f" peak memory {memory_mb('VmHWM'):.0f} MB ({before_mb:.0f} before);"
        f" {result.tried.fired:,} fired, {result.in_force.fired:,} in force\n"
    )


async def read(url: str, trial: Trial, until: datetime) -> float:
    """Seconds that the database needs to hand over what the trial reads."""
    async with connect(url) as connection:
        devices = await registry.load(connection)
        run = Run.of(trial, devices, to_us(DUSK), to_us(until), timezone="Europe/Paris")
        began_s, first = time.perf_counter(), to_datetime(run.reads_from_us)
        async for _ in recorded(connection, trial.kind, trial.fields, run.devices, first, until):
            pass
        return time.perf_counter() - began_s


def forget_peak() -> None:
    """Let the kernel count the peak of this process's memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mb(what: str) -> float:
    """VmRSS, now, or VmHWM, the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def report(nights: int = 2) -> None:
    """Print the table."""
    sys.stdout.write(f"\nA rule tried over {nights} recorded nights of {LAMPS:,} lamps, beside the one in force\n")
    with TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), nights))


if __name__ == "__main__":
    report(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
