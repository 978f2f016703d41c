"""What is usual in a city of 34,000 lamps and 33,000 meters with ten days of history: what it costs the database.

Beside each word, the same medians made by the database itself (percentile_cont), for the hour.
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
from psycopg import sql

from devices.kind import Kind, kinds
from hub.runtime.servers import embedded
from store.database import Connection, connect
from store.migrate import migrate
from store.rollup_ddl import DAYS, HOURS, Table, column, device_figures
from store.usual import Asking
from tests.conftest import hub_settings

NOW = datetime(2026, 6, 12, 8, 5, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Paris")
HISTORY_DAYS = 10
CITY = (("street_lighting", "lamp", 34_000, "power_w"), ("water_meter", "meter", 33_000, "total_m3"))
WORDS = (
    *("usual_hour", "usual_week_hour", "night_min", "usual_night_min", "nights_over"),
    *("day", "usual_day", "weekend_share", "month", "usual_season", "peak_day", "peak_year"),
)
BY_DATABASE = """
SELECT array_agg(device_no), array_agg(v) FROM (
    SELECT device_no, percentile_cont(0.5) WITHIN GROUP (ORDER BY {figure}) AS v FROM {table}
    WHERE ts = ANY (%s) AND ts >= %s AND ts < %s AND {figure} IS NOT NULL GROUP BY device_no
) m
"""


async def fill(connection: Connection, kind: Kind, type_: str, count: int, table: Table) -> None:
    """A bucket of every field for every device, in the order of time."""
    fields = [field for field in kind.fields if not field.types or type_ in field.types]
    figures = [(field, figure) for field in fields for figure in device_figures(field)]
    value = "(no %% 997 + {}) * 0.37 + extract(hour FROM ts)::double precision"
    values = [
        sql.SQL(
            "4" if figure == "n" else "true" if (field.storage, figure) == ("flag", "last") else value.format(place)
        )
        for place, (field, figure) in enumerate(figures)
    ]
    statement = sql.SQL(
        "INSERT INTO {} (device_no, ts, readings, {}) SELECT no, ts, 4, {}"
        " FROM generate_series(%s::timestamptz, %s, %s) ts, generate_series(1, %s) no"
    ).format(
        sql.Identifier(table.name(kind)),
        sql.SQL(", ").join(sql.Identifier(column(*figure)) for figure in figures),
        sql.SQL(", ").join(values),
    )
    midnight = NOW.astimezone(ZONE).replace(hour=0, minute=0)
    for back in range(HISTORY_DAYS, -1, -1):
        since = midnight - timedelta(days=back)
        until = min(since + timedelta(hours=23), NOW) if table is HOURS else since
        if table is HOURS or back:
            await connection.execute(statement, [since, until, timedelta(hours=1), count])


async def measure(folder: Path) -> None:
    async with embedded(hub_settings(folder / "servers"), test=True) as servers:
        await migrate(servers.database_url)
        async with connect(servers.database_url, autocommit=True) as connection:
            for name, type_, count, field in CITY:
                kind = kinds()[name]
                began = time.monotonic()
                for table in (HOURS, DAYS):
                    await fill(connection, kind, type_, count, table)
                await connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(HOURS.name(kind))))
                said = f"{name}: {count} devices, {HISTORY_DAYS} days, filled in {time.monotonic() - began:.0f} s\n"
                sys.stdout.write(said)
                await words(connection, kind, field, count)
                await by_database(connection, kind, field)


async def words(connection: Connection, kind: Kind, field: str, count: int) -> None:
    asking = Asking(
        connection, kind, kind.fields[kind.field_index(field)], np.arange(1, count + 1, dtype=np.int32), ZONE
    )
    few = Asking(connection, kind, asking.field, np.arange(1, count, 77, dtype=np.int32), ZONE)
    for word in WORDS:
        took = []
        for one in (asking, asking, few):
            began, cpu = time.monotonic(), time.process_time()
            values = await one.word(word, NOW)
            took.append(f"{time.monotonic() - began:6.2f} s ({time.process_time() - cpu:4.2f} s here)")
        known = np.count_nonzero(~np.isnan(values)) / len(values)
        sys.stdout.write(f"  {field}__{word:16} {took[0]}, again {took[1]}; every 77th {took[2]}; known {known:.0%}\n")


async def by_database(connection: Connection, kind: Kind, field: str) -> None:
    declared = kind.fields[kind.field_index(field)]
    figure = "increase" if declared.is_counter else "mean"
    statement = sql.SQL(BY_DATABASE).format(
        figure=sql.Identifier(column(declared, figure)), table=sql.Identifier(HOURS.name(kind))
    )
    hour = NOW.replace(minute=0)
    hours = [hour - timedelta(days=back) for back in range(1, 8)]
    for _ in range(2):
        began = time.monotonic()
        await connection.execute(statement, [hours, hours[-1], hour])
        sys.stdout.write(f"  the median of an hour by percentile_cont: {time.monotonic() - began:.2f} s\n")


def report() -> None:
    """Print it."""
    with TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    report()
