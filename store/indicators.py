"""Samples of the figures that a city watches: written by the worker, read back as trends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.kind import Figure, Kind
from store.database import Connection
from store.sql import statements

SQL = statements("indicators")
KEPT = timedelta(days=3 * 366)
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Trend:
    """One indicator over time, oldest first; NaN where no device counted."""

    at: Sequence[datetime]
    values: Sequence[float]


async def write(connection: Connection, ts: datetime, figures: Sequence[Figure]) -> None:
    """Keep a quarter's figures; written again, the last ones count."""
    if figures:
        columns = dict(zip(Figure._fields, map(list, zip(*figures, strict=True)), strict=True))
        await connection.execute(SQL["write"], {"ts": ts, **columns})


async def trends(
    connection: Connection,
    kinds: Iterable[Kind],
    since: datetime,
    until: datetime,
    *,
    width: timedelta = QUARTER,
    commune: str | None = None,
) -> Mapping[tuple[str, str], Trend]:
    """Trends by kind and indicator, in buckets of `width`, of the whole city or one commune."""
    declared = {(kind.name, indicator.name): indicator for kind in kinds for indicator in kind.indicators}
    parameters = {"kinds": sorted({kind for kind, _ in declared}), "since": since, "until": until}
    query = await connection.execute(SQL["trend"], {**parameters, "width": width, "commune": commune})
    found: dict[tuple[str, str], tuple[list[datetime], list[float]]] = {}
    for row in await query.fetchall():
        key = row["kind"], row["indicator"]
        if key in declared:
            at, values = found.setdefault(key, ([], []))
            at.append(row["at"])
            values.append(declared[key].figure(row["total"], float(row["counted"])))
    return {key: Trend(at, values) for key, (at, values) in found.items()}


async def by_commune(
    connection: Connection, kind: Kind, since: datetime, until: datetime
) -> Mapping[str, Mapping[str, float]]:
    """The last figures of a kind by commune and indicator, when there are some after `since`."""
    declared = {indicator.name: indicator for indicator in kind.indicators}
    query = await connection.execute(SQL["by_commune"], {"kind": kind.name, "since": since, "until": until})
    found: dict[str, dict[str, float]] = {}
    for row in await query.fetchall():
        if (indicator := declared.get(row["indicator"])) is not None:
            figure = indicator.figure(row["total"], row["counted"])
            found.setdefault(row["commune"], {})[indicator.name] = figure
    return found


async def remove_expired(connection: Connection, now: datetime) -> int:
    """Drop the chunks that are kept no longer; returns how many."""
    return (await connection.execute(SQL["drop"], {"oldest": now - KEPT})).rowcount
