"""One device: what it is, where it hangs, what it said in the last 24 hours, and what became of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import JSONResponse, Response

from dashboard.access import Operator, SignedIn, check_sees
from dashboard.asking_why import ask_why
from dashboard.city import state_labels
from dashboard.desk import AtDesk, InWords
from dashboard.incident_words import device_name, shown_card, type_label
from dashboard.picture import Picture
from dashboard.why_words import told
from dashboard.words import Words
from devices.kind import Field, Kind, State, kinds
from hub.clock import to_us
from hub.errors import BrokerUnavailable
from rules.explain import Question
from store import pages
from store.database import Connection
from store.pages import Line, Row
from store.people import Person
from store.rollup_ddl import DAYS, HOURS, QUARTERS, Table

router = APIRouter()
DeviceNo = Annotated[int, Path(ge=1, le=2**31 - 1)]
DAY = timedelta(hours=24)


class Span(NamedTuple):
    """How far back a history goes, and by which buckets it is drawn; None: the readings themselves."""

    length: timedelta
    buckets: Table | None = None
    bucket_s: int | None = None


SPANS: Mapping[str, Span] = {
    "day": Span(DAY),
    "week": Span(timedelta(days=7), QUARTERS, 900),
    "month": Span(timedelta(days=31), HOURS, 3600),
    "year": Span(timedelta(days=366), DAYS, 86_400),
}


@router.get("/devices/{device_no}")
async def device_page(request: Request, device_no: DeviceNo, at: AtDesk, person: SignedIn, words: InWords) -> Response:
    now = at.clock.now()
    async with at.database() as conn:
        device, kind = await _known(conn, device_no, person)
        last, values = await pages.last_values(conn, kind, device_no)
        events = await pages.events(conn, device_no, now - DAY)
        incidents = await pages.device_incidents(conn, device_no, now - timedelta(days=pages.CLOSED_DAYS))
        children = await pages.children(conn, device_no)
        neighbours = await pages.neighbours(conn, device_no)
        child_count = await pages.child_count(conn, device_no)
        if kind.is_mobile:
            seen_at = last["ts"] if last else now
            await pages.log_position_access(conn, person.login, device_no, seen_at, seen_at)
    picture = at.live.pictures[kind.name]
    return at.render(
        request,
        "device.html",
        device=device,
        kind=kind,
        name=device_name(kind.name, device["type"], device["label"], device["id"], words),
        type_label=type_label(kind.name, device["type"], words),
        commune=words.commune(device["commune"]),
        state=picture.state(device_no),
        state_labels=state_labels(words),
        last=last,
        values=[(words.of(f.label), shown_value(f, *values[f.name], words)) for f in kind.fields if f.name in values],
        attributes=[
            (words.of(a.label), f"{words.number(device['attributes'][a.name])} {a.unit}".strip())
            for a in kind.attributes
            if isinstance(device["attributes"].get(a.name), int | float)
        ],
        events=[(e, _event_label(kind, e["code"], words)) for e in events],
        incidents=[(shown_card(card, words), card) for card in incidents],
        children=[_chip(child, kind, picture, words) for child in children],
        neighbours=[_chip(neighbour, kind, picture, words) for neighbour in neighbours],
        child_count=child_count,
        now=now,
        spans={
            "day": words("24 hours"),
            "week": words("7 days"),
            "month": words("31 days"),
            "year": words("A year"),
        },
    )


@router.get("/devices/{device_no}/why")
async def why_page(request: Request, device_no: DeviceNo, at: AtDesk, person: Operator, words: InWords) -> Response:
    """How every rule of a device stands, asked of the worker: a part of its page."""
    async with at.database() as conn:
        _, kind = await _known(conn, device_no, person)
        if kind.is_mobile:
            await pages.log_position_access(conn, person.login, device_no, at.clock.now(), at.clock.now())
    fault = ""
    try:
        answer = await ask_why(request.app.state.mqtt_url, Question(device_no=device_no))
    except BrokerUnavailable:
        answer = None
    if answer is None:
        fault = words("The worker does not answer. Is it running? Ask again in a moment.")
    elif not answer.whys:
        fault = words("No rule watches this device, or the worker does not know it yet.")
    return at.render(request, "why.html", fault=fault, rules=told(answer.whys if answer else [], words))


@router.get("/api/devices/{device_no}")
async def device(device_no: DeviceNo, at: AtDesk, person: SignedIn, words: InWords) -> Response:
    """Who a device is, for a label on the map."""
    async with at.database() as conn:
        found, kind = await _known(conn, device_no, person)
    state = at.live.pictures[kind.name].state(device_no)
    return JSONResponse(
        {
            "device_no": device_no,
            "kind": kind.name,
            "id": found["id"],
            "name": device_name(kind.name, found["type"], found["label"], found["id"], words),
            "street": found["street"],
            "commune": words.commune(found["commune"]),
            "state": state,
            "state_label": state_labels(words)[state or State.UNKNOWN],
            "to_commission": found["commissioned_at"] is None,
        }
    )


@router.get("/api/devices/{device_no}/history")
async def device_history(
    device_no: DeviceNo,
    at: AtDesk,
    person: SignedIn,
    words: InWords,
    span: Literal["day", "week", "month", "year"] = "day",
) -> Response:
    """Its last day by field, thinned to about a thousand moments, or a longer time by buckets.

    Times are in seconds since 1970, values are null where nothing was said. In buckets a measure is its mean, with
    `low` and `high`, a counter is its rise (`bars`), and a flag is the share of the readings that raise it.
    """
    until, wanted = at.clock.now(), SPANS[span]
    since = until - wanted.length
    async with at.database() as conn:
        _, kind = await _known(conn, device_no, person)
        if wanted.buckets:
            history = await pages.rolled_history(conn, kind, device_no, since, until, wanted.buckets)
        else:
            history = await pages.history(conn, kind, device_no, since, until)
            if kind.is_mobile:
                await pages.log_position_access(conn, person.login, device_no, since, until)
    return JSONResponse(
        {
            "from": since.timestamp(),
            "to": until.timestamp(),
            "bucket_s": wanted.bucket_s,
            "at": [to_us(at) / 1e6 for at in history.at],
            "fields": [
                _drawn(field, history.lines[field.name], words, is_bars=field.is_counter and bool(wanted.buckets))
                for field in kind.fields
                if field.name in history.lines and any(v is not None for v in history.lines[field.name].values)
            ],
        }
    )


def _drawn(field: Field, line: Line, words: Words, *, is_bars: bool) -> dict[str, object]:
    extremes = {"low": line.low, "high": line.high} if line.low else {}
    label = {"name": field.name, "label": words.of(field.label), "unit": field.unit}
    return {**label, "storage": field.storage, "bars": is_bars, "values": line.values, **extremes}


def _chip(row: Row, kind: Kind, picture: Picture, words: Words) -> tuple[Row, int | None, str]:
    """A device beside or below this one, its state, and its name."""
    name = device_name(kind.name, row["type"], row["label"], row["id"], words)
    return row, picture.state(row["device_no"]), name


async def _known(conn: Connection, device_no: int, person: Person) -> tuple[dict[str, Any], Kind]:
    """The device and its kind, or 404, or 403 when it is another team's."""
    found = await pages.device(conn, device_no)
    kind = kinds().get(found["kind"]) if found else None
    if found is None or kind is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no device {device_no}")
    check_sees(person, found["kind"], found["commune"])
    return found, kind


def shown_value(field: Field, value: Any, at: datetime, words: Words) -> tuple[str, datetime]:
    """A value with its unit as people write it, and when it was measured."""
    if field.storage == "flag":
        return (words("yes") if value else words("no")), at
    return f"{words.number(value, _digits(field))} {field.unit}".strip(), at


def _digits(field: Field) -> int:
    """Decimals worth showing: five for places (a metre), three for counters, else two."""
    return 5 if field.unit == "°" and field.storage == "double" else 3 if field.storage == "double" else 2


def _event_label(kind: Kind, code: str, words: Words) -> str:
    return next((words.of(event.label) for event in kind.events if event.code == code), code)
