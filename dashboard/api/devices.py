"""What a contract covers: itself, its devices, and what happened to them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from dashboard.api import shapes
from dashboard.api.asked import (
    MAX_DAYS,
    MAX_DEVICES,
    MAX_LIMIT,
    MAX_POINTS,
    MAX_READINGS,
    AnyDeviceNo,
    AnyKind,
    AnyName,
    AnySince,
    AnyUntil,
    Cursor,
    Limit,
    kind_of,
    moment,
    refuse,
)
from dashboard.api.asking import Asks
from dashboard.api.cursor import cursor_of_number, number_of
from dashboard.api.limits import REQUESTS
from devices.kind import Field, Kind, kinds
from store import delegate
from store.delegate import DeviceFilter, IncidentFilter

router = APIRouter()


def told_field(field: Field) -> dict[str, str]:
    """A field as answers describe it."""
    label = {"label_fr": field.label.fr, "label_en": field.label.en}
    return {"name": field.name, "unit": field.unit, "type": field.storage, **label}


def _told_kind(kind: Kind) -> dict[str, object]:
    label = {"label_fr": kind.label.fr, "label_en": kind.label.en}
    return {"kind": kind.name, **label, "fields": [told_field(field) for field in kind.fields]}


@router.get("/contract", response_model=shapes.Contract, tags=["contract"])
async def contract(asks: Asks) -> Response:
    """Your contract, your key, and the limits of the API."""
    async with asks.asked("contract") as conn:
        found = await delegate.contract(conn)
        asks.rows = 1
    bearer = asks.bearer
    covered = [_told_kind(kinds()[name]) for name in found["kinds"] if name in kinds()]
    key = {name: getattr(bearer, name) for name in ("prefix", "holder", "scopes", "expires_at")}
    limits = {
        "requests_per_minute": REQUESTS,
        "devices_per_page": MAX_LIMIT,
        "readings_per_page": MAX_READINGS,
        "points_per_device": MAX_POINTS,
        "devices_per_request": MAX_DEVICES,
        "days_per_request": MAX_DAYS,
        "seconds_per_request": delegate.TIMEOUT_S,
    }
    return asks.answer({**found, "kinds": covered, "key": key, "limits": limits})


@router.get("/devices", response_model=shapes.DevicePage, tags=["devices"])
async def devices(
    asks: Asks,
    kind: AnyKind = None,
    commune: AnyName = None,
    type: AnyName = None,
    id: AnyName = None,
    parent_no: AnyDeviceNo = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The devices of your contract, by number."""
    wanted = DeviceFilter(kind and kind_of(kind).name, commune, type, id, parent_no)
    await asks.require("read", "devices")
    async with asks.asked("devices", wanted=wanted, limit=limit, cursor=cursor) as conn:
        after = number_of(cursor) if cursor else 0
        rows = await delegate.devices(conn, wanted, after=min(after, 2**31 - 1), limit=limit)
        asks.rows = len(rows)
    following = cursor_of_number(rows[-1]["device_no"]) if len(rows) == limit else None
    return asks.answer({"devices": rows, "next_cursor": following})


@router.get("/devices/{device_no}", response_model=shapes.Device, tags=["devices"])
async def device(asks: Asks, device_no: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> Response:
    """One device of your contract."""
    await asks.require("read", "device", device_no=device_no)
    async with asks.asked("device", device_no=device_no) as conn:
        found = await delegate.device(conn, device_no)
        if found is None:
            raise refuse(f"your contract has no device {device_no}", HTTPStatus.NOT_FOUND)
        asks.rows = 1
    return asks.answer(found)


@router.get("/incidents", response_model=shapes.IncidentPage, tags=["incidents"])
async def incidents(
    asks: Asks,
    kind: AnyKind = None,
    device_no: AnyDeviceNo = None,
    state: Annotated[
        Literal["open", "closed", "all"], Query(description="Those that are open, closed, or both.")
    ] = "all",
    since: AnySince = None,
    until: AnyUntil = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Incidents whose cause is a device of your contract, the newest first; of a time, those that were open in it."""
    wanted = IncidentFilter(
        kind and kind_of(kind).name,
        device_no,
        None if state == "all" else state == "open",
        since and moment(since, "from"),
        until and moment(until, "to"),
    )
    await asks.require("read", "incidents")
    async with asks.asked("incidents", wanted=wanted, limit=limit, cursor=cursor) as conn:
        rows = await delegate.incidents(conn, wanted, before=number_of(cursor) if cursor else 2**62, limit=limit)
        asks.rows = len(rows)
    following = cursor_of_number(rows[-1]["incident_no"]) if len(rows) == limit else None
    titled = [{**row, **_title(asks.at.watch.rulebook, row["kind"], row["code"])} for row in rows]
    return asks.answer({"incidents": titled, "next_cursor": following})


def _title(rulebook: Mapping[str, Kind], kind_name: str, code: str) -> dict[str, str]:
    """The rule's title, or its code when nobody knows the rule any more."""
    rules = rulebook[kind_name].rules if kind_name in rulebook else ()
    title = next((rule.title for rule in rules if rule.code == code), None)
    return {"title_fr": title.fr if title else code, "title_en": title.en if title else code}
