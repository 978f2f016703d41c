"""What devices said: as it came, thinned to a number of points, or the last of each."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from dashboard.api import shapes
from dashboard.api.asked import (
    MAX_POINTS,
    MAX_READINGS,
    Cursor,
    DeviceNos,
    FieldNames,
    KindName,
    Limit,
    Since,
    Until,
    fields_of,
    kind_of,
    refuse,
    span,
)
from dashboard.api.asking import Asks
from dashboard.api.cursor import cursor_of, cursor_of_number, number_of, place_of
from dashboard.api.devices import told_field
from devices.kind import Field, Kind
from store import delegate
from store.database import Connection
from store.delegate import READING, DeviceFilter, Place

router = APIRouter(tags=["readings"])


@router.get("/readings", response_model=shapes.ReadingPage | shapes.Points)
async def readings(
    asks: Asks,
    device_nos: DeviceNos,
    since: Since,
    until: Until,
    fields: FieldNames = None,
    points: Annotated[
        int | None, Query(ge=2, le=MAX_POINTS, description="At most so many points per device, in place of readings.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_READINGS, description="Readings of a page.")] = 1000,
    cursor: Cursor = None,
) -> Response:
    """Readings of devices of one kind between two moments: every one, page by page, or thinned to points."""
    first, after = span(since, until)
    numbers = sorted(set(device_nos))
    asked = {"devices": numbers, "from": first, "to": after, "fields": fields, "points": points, "cursor": cursor}
    await asks.require("read", "readings", **asked)
    async with asks.asked("readings", **asked) as conn:
        kind = await _kind_of_all(conn, numbers)
        columns = fields_of(kind, fields)
        if points is None:
            start = place_of(cursor) if cursor else None
            rows = await delegate.readings(conn, kind, columns, numbers, first, after, after=start, limit=limit)
            following = cursor_of(Place(rows[-1][0], rows[-1][1])) if len(rows) == limit else None
            body = _page(kind, columns, rows, following)
        else:
            rows, body = await _points(conn, kind, columns, numbers, first, after, points)
        asks.rows = len(rows)
    return asks.answer(body)


@router.get("/latest", response_model=shapes.Latest)
async def latest(
    asks: Asks,
    kind: KindName,
    fields: FieldNames = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The last reading of each device of a kind, by number; devices that never spoke are left out."""
    of_kind = kind_of(kind)
    columns = fields_of(of_kind, fields)
    asked = {"kind": kind, "fields": fields, "cursor": cursor}
    await asks.require("read", "latest", **asked)
    async with asks.asked("latest", **asked) as conn:
        start = min(number_of(cursor), 2**31 - 1) if cursor else 0
        devices = [
            row["device_no"] for row in await delegate.devices(conn, DeviceFilter(kind), after=start, limit=limit)
        ]
        rows = await delegate.latest(conn, of_kind, columns, devices)
        asks.rows = len(rows)
    return asks.answer(_page(of_kind, columns, rows, cursor_of_number(devices[-1]) if len(devices) == limit else None))


async def _points(
    conn: Connection,
    kind: Kind,
    fields: Sequence[Field],
    numbers: Iterable[int],
    first: datetime,
    after: datetime,
    points: int,
) -> tuple[list[tuple[Any, ...]], dict[str, object]]:
    width = delegate.bucket_width(first, after, points)
    rows: list[tuple[Any, ...]] = []
    for number in numbers:
        rows += await delegate.points(conn, kind, fields, number, first, after, width)
    told = _told(("device_no", "ts", "readings"), fields, rows)
    columns = [told_field(field) for field in fields]
    return rows, {"kind": kind.name, "fields": columns, "width_s": int(width.total_seconds()), "points": told}


async def _kind_of_all(conn: Connection, numbers: Sequence[int]) -> Kind:
    """The one kind of these devices; 404 when the contract lacks one, 422 when they are of several."""
    known = await delegate.known(conn, numbers)
    if missing := [str(number) for number in numbers if number not in known]:
        raise refuse(f"your contract has no device {', '.join(missing)}", HTTPStatus.NOT_FOUND)
    names = sorted(set(known.values()))
    if len(names) > 1:
        raise refuse(f"the devices must be of one kind; these are of {', '.join(names)}")
    return kind_of(names[0])


def _page(kind: Kind, fields: Sequence[Field], rows: list[tuple[Any, ...]], cursor: str | None) -> dict[str, object]:
    told = _told(READING, fields, rows)
    return {"kind": kind.name, "fields": [told_field(f) for f in fields], "readings": told, "next_cursor": cursor}


def _told(head: Sequence[str], fields: Sequence[Field], rows: list[tuple[Any, ...]]) -> list[dict[str, object]]:
    """Rows as objects: the head's columns, then the fields as `values`, without those that are unknown."""
    names, n = [field.name for field in fields], len(head)
    return [
        {
            **dict(zip(head, row, strict=False)),
            "values": {name: value for name, value in zip(names, row[n:], strict=True) if value is not None},
        }
        for row in rows
    ]
