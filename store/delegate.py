"""What a contract asks of the database, as the contract's own role; runs store/queries/delegate.sql.

Every function but `enter` takes a connection whose transaction has entered a contract. What the contract may see is
decided in the database (store/migrations/0002_contracts.sql): here is no condition that a mistake could forget.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg.errors
from psycopg import sql
from psycopg.rows import tuple_row

from devices.kind import Field, Kind
from hub.errors import BeffroiError
from store.database import Connection
from store.sql import statements

SQL = statements("delegate")
Row = dict[str, Any]
TIMEOUT_S = 20
PAGE_ROWS = 10_000
"""Readings fetched at once for an export."""
READING = ("device_no", "ts", "received_at", "time_flagged")
"""What every reading has, before its fields."""
WIDTHS_S = (1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000)
"""Widths of buckets that people understand; the last is 30 days."""


class QuestionTooLarge(BeffroiError):
    """The database did not find the answer in the time that a question may take."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of readings ended: the next begins after this reading."""

    device_no: int
    ts: datetime


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    """Which devices are wanted; None asks nothing."""

    kind: str | None = None
    commune: str | None = None
    type: str | None = None
    id: str | None = None
    parent_no: int | None = None


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents are wanted; None asks nothing. `since` and `until` are about the time that they were open."""

    kind: str | None = None
    device_no: int | None = None
    is_open: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


async def enter(conn: Connection, role: str, timeout_s: int = TIMEOUT_S, *, is_snapshot: bool = False) -> None:
    """Be the contract until the transaction ends: it only reads, and only what the contract may see.

    To be called first in a transaction. A snapshot sees the database as it was at the first question.
    """
    await conn.execute(_statement("enter_snapshot" if is_snapshot else "enter"))
    await conn.execute(_statement("limits"), {"timeout": f"{timeout_s}s"})
    await conn.execute(_statement("role").format(role=sql.Identifier(role)))


async def contract(conn: Connection) -> Row:
    """The contract itself."""
    (row,) = await _all(conn, _statement("contract"))
    return row


async def devices(conn: Connection, wanted: DeviceFilter, *, after: int, limit: int) -> list[Row]:
    """Devices by number, those after a number."""
    values = {name: getattr(wanted, name) for name in DeviceFilter.__slots__}
    return await _all(conn, _statement("devices"), **values, after=after, limit=limit)


async def device(conn: Connection, device_no: int) -> Row | None:
    """A device of the contract, None when it has no such device."""
    rows = await _all(conn, _statement("device"), device_no=device_no)
    return rows[0] if rows else None


async def known(conn: Connection, device_nos: Sequence[int]) -> dict[int, str]:
    """The kind of those devices that the contract has."""
    rows = await _all(conn, _statement("known"), devices=list(device_nos))
    return {row["device_no"]: row["kind"] for row in rows}


async def names(conn: Connection, device_nos: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Commune and id of those devices that the contract has."""
    rows = await _all(conn, _statement("names"), devices=list(device_nos))
    return {row["device_no"]: (row["commune"], row["id"]) for row in rows}


async def readings(
    conn: Connection,
    kind: Kind,
    fields: Sequence[Field],
    devices: Sequence[int] | None,
    since: datetime,
    until: datetime,
    *,
    after: Place | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Readings in the order (device_no, ts) from since to before until, as READING and then the fields.

    `devices` None asks for all devices of the kind. The database returns at most 50,000 whatever the limit.
    """
    statement = _of_kind("readings", kind, fields)
    values = {
        "devices": None if devices is None else list(devices),
        "since": since,
        "until": until,
        "after_device": after and after.device_no,
        "after_ts": after and after.ts,
        "limit": limit,
    }
    with _hurried():
        return await (await conn.cursor(row_factory=tuple_row).execute(statement, values)).fetchall()


async def pages(
    conn: Connection,
    kind: Kind,
    fields: Sequence[Field],
    devices: Sequence[int] | None,
    since: datetime,
    until: datetime,
) -> AsyncGenerator[list[tuple[Any, ...]]]:
    """All the readings, PAGE_ROWS at a time, so that no end has to hold more than that."""
    after: Place | None = None
    while True:
        rows = await readings(conn, kind, fields, devices, since, until, after=after, limit=PAGE_ROWS)
        if rows:
            yield rows
        if len(rows) < PAGE_ROWS:
            return
        after = Place(rows[-1][0], rows[-1][1])


def bucket_width(since: datetime, until: datetime, points: int) -> timedelta:
    """The first width of WIDTHS_S of which at most so many buckets touch the time between. Pure."""
    span_s = (until - since).total_seconds()
    # A span that does not begin with a bucket touches one more.
    fitting = (width for width in WIDTHS_S if span_s / width + 1 <= points)
    return timedelta(seconds=next(fitting, int(span_s // max(points - 1, 1)) + 1))


async def points(
    conn: Connection,
    kind: Kind,
    fields: Sequence[Field],
    device_no: int,
    since: datetime,
    until: datetime,
    width: timedelta,
) -> list[tuple[Any, ...]]:
    """One device's readings by bucket: (device_no, start, readings, the fields), means and last values."""
    statement = _of_kind("points", kind, fields)
    values = {"device": device_no, "since": since, "until": until, "width": width}
    with _hurried():
        return await (await conn.cursor(row_factory=tuple_row).execute(statement, values)).fetchall()


async def latest(
    conn: Connection, kind: Kind, fields: Sequence[Field], devices: Sequence[int]
) -> list[tuple[Any, ...]]:
    """The last reading of each of at most 1,000 devices, as READING and then the fields."""
    statement = _of_kind("latest", kind, fields)
    with _hurried():
        query = await conn.cursor(row_factory=tuple_row).execute(statement, {"devices": list(devices)})
        return await query.fetchall()


async def incidents(conn: Connection, wanted: IncidentFilter, *, before: int, limit: int) -> list[Row]:
    """Incidents whose cause is a device of the contract, the newest number first, those before a number."""
    values = {name: getattr(wanted, name) for name in IncidentFilter.__slots__}
    return await _all(conn, _statement("incidents"), **values, before=before, limit=limit)


@contextmanager
def _hurried() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise QuestionTooLarge(
            f"the answer takes more than {TIMEOUT_S} seconds to find; ask for fewer devices or a shorter time"
        ) from error


def _statement(name: str) -> sql.SQL:
    return sql.SQL(SQL[name])


def _of_kind(name: str, kind: Kind, fields: Sequence[Field]) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields)
    function = sql.Identifier("delegate", f"{kind.name}_{name}")
    return _statement(name).format(function=function, columns=columns)


async def _all(conn: Connection, statement: sql.SQL, **values: object) -> list[Row]:
    with _hurried():
        return await (await conn.execute(statement, values)).fetchall()
