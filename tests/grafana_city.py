"""A city with something to show in every panel of Grafana, and panels' queries as Grafana sends them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from psycopg import sql

from dashboard.grafana.boards import Board
from devices.kind import Figure, Kind, kinds
from devices.registry import Device
from store import indicators, registry
from store.database import Connection
from tests.database import rolled_up

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SINCE, UNTIL = NOW - timedelta(hours=24), NOW + timedelta(hours=1)
Place = tuple[str, str, str]
"""A query's dashboard, panel and letter."""


def queries(boards: Mapping[str, Board]) -> dict[Place, tuple[str, str]]:
    """Every query of dashboards, with its format, by its place."""
    return {
        (uid, panel["title"], target["refId"]): (target["rawSql"], target["format"])
        for uid, board in boards.items()
        for panel in (one for panel in board["panels"] for one in (panel, *(panel.get("panels") or ())))  # type: ignore[attr-defined]
        for target in panel.get("targets") or ()
    }


def expanded(query: str, *, width: str = "900.000s", communes: tuple[str, ...] = ("dijon", "chenove")) -> str:
    """A query as Grafana's data source sends it: variables and macros of time expanded, with TimescaleDB on."""
    span = f"BETWEEN '{SINCE:%Y-%m-%dT%H:%M:%SZ}' AND '{UNTIL:%Y-%m-%dT%H:%M:%SZ}'"
    query = query.replace("${commune:sqlstring}", ",".join(f"'{one}'" for one in communes))
    query = query.replace("$__interval_ms", "900000").replace("$__interval", width)
    query = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 {span}", query)
    query = re.sub(r"\$__timeGroup\(([^,]*), *'?([^')]*)'?\)", r"time_bucket('\2', \1)", query)
    assert "$" not in query
    return query


async def add_commune(connection: Connection, commune: str, *, value: float | None = None) -> None:
    """Every kind with devices that speak and faults of every rule; `value` is what its numeric fields rise by."""
    for kind in kinds().values():
        await _devices(connection, kind, commune)
        await _readings(connection, kind, commune, value)
        await _incidents(connection, kind, commune)
        await _figures(connection, kind, commune, value)
    await rolled_up(connection)


async def _figures(connection: Connection, kind: Kind, commune: str, value: float | None) -> None:
    """What the rules' state gave at the last quarters."""
    for quarter in range(8):
        figures = [Figure(kind.name, one.name, commune, (value or 3.0) + quarter, 8) for one in kind.indicators]
        await indicators.write(connection, NOW - quarter * indicators.QUARTER, figures)


async def _devices(connection: Connection, kind: Kind, commune: str) -> None:
    """Of each type: one that speaks, and one that never did."""
    devices = [
        Device(
            *(commune, kind.name, f"{type.name}-{n}", type.name, None, None, 47.3, 5.0),
            *(f"{type.name} {n} of {commune}", "rue", {}),
        )
        for type in kind.types
        if type.parent is None
        for n in (1, 2)
    ]
    await registry.import_devices(connection, devices, NOW - timedelta(days=9))
    parents = {type.name for type in kind.types if type.parent is None}
    while rest := [type for type in kind.types if type.name not in parents and type.parent in parents]:
        for type in rest:
            more = [
                Device(
                    *(commune, kind.name, f"{type.name}-{n}", type.name, f"{type.parent}-1", None, 47.3, 5.0),
                    *(f"{type.name} {n} of {commune}", "rue", {}),
                )
                for n in (1, 2)
            ]
            assert not (await registry.import_devices(connection, more, NOW - timedelta(days=9))).bad
            parents.add(type.name)


async def _readings(connection: Connection, kind: Kind, commune: str, value: float | None) -> None:
    names = [sql.Identifier(field.name) for field in kind.fields]
    statement = sql.SQL("INSERT INTO {} (device_no, ts, received_at, {}) VALUES (%s, %s, %s, {})").format(
        sql.Identifier(kind.name), sql.SQL(", ").join(names), sql.SQL(", ").join([sql.Placeholder()] * len(names))
    )
    spoke = await numbers(connection, commune, kind.name, "-1")
    for device_no in spoke.values():
        for hour in range(24):  # a night, at whatever time the test runs
            at = NOW - timedelta(hours=hour)
            shared = (25 - hour) * value if value else None
            values = [
                True if f.storage == "flag" else shared or (f.low or 0) + ((f.high or 100) - (f.low or 0)) / (hour + 2)
                for f in kind.fields
            ]
            await connection.execute(statement, [device_no, at, at + timedelta(seconds=3), *values])
    await connection.execute(
        "UPDATE device SET first_seen_at = %s WHERE device_no = ANY (%s)", [NOW, [*spoke.values()]]
    )


async def _incidents(connection: Connection, kind: Kind, commune: str) -> None:
    of_kind = await numbers(connection, commune, kind.name, "-1")
    for rule in kind.rules:
        cause = of_kind[f"{rule.type}-1"]
        for hours, state in ((2, "new"), (7, "closed"), (9, "closed")):
            opened = NOW - timedelta(hours=hours)
            later = opened + timedelta(minutes=20) if state == "closed" else None
            await connection.execute(
                "INSERT INTO incident (cause_no, code, kind, priority, state, opened_at, detected_at, acknowledged_at,"
                " cleared_at, closed_at, explanation) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{}')",
                [cause, rule.code, kind.name, rule.priority, state, opened, opened, *[later] * 3],
            )


async def numbers(connection: Connection, commune: str, kind: str, ending: str) -> dict[str, int]:
    """Numbers of a commune's devices of a kind whose id ends so, by their id."""
    rows = await connection.execute(
        "SELECT id, device_no FROM device WHERE commune = %s AND kind = %s AND id LIKE %s",
        [commune, kind, f"%{ending}"],
    )
    return {row["id"]: row["device_no"] for row in await rows.fetchall()}
