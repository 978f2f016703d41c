"""One incident with its reasons and its story, and what people do about it."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Path, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from dashboard.access import SignedIn, check_sees, own_path
from dashboard.desk import WITHOUT_NUL, AtDesk, Desk, InWords
from dashboard.incident_words import (
    HOLD_REASONS,
    change_words,
    columns_seen,
    device_name,
    geo_address,
    hold_words,
    place_of,
    quiet_words,
    reason_text,
    rule_of,
    shown_card,
    state_words,
    thresholds_seen,
    title_of,
)
from dashboard.words import Words
from devices.kind import kinds
from store import incidents, pages
from store.database import Connection
from store.incidents import MOVES, Move
from store.pages import IncidentCard
from store.people import Person

router = APIRouter()
IncidentNo = Annotated[int, Path(ge=1, le=2**63 - 1)]
Answer = Literal["acknowledge", "on-site", "on-hold", "fixed", "close", "take-back"]
ANSWERS: dict[Answer, Move] = {
    "acknowledge": "acknowledged",
    "on-site": "on_site",
    "on-hold": "on_hold",
    "fixed": "fixed",
    "close": "closed",
}
CHANNEL = "page"
UNDO = timedelta(minutes=1)
MAX_NOTE = 300


@router.get("/incidents/{incident_no}")
async def incident_page(
    request: Request, incident_no: IncidentNo, at: AtDesk, person: SignedIn, words: InWords
) -> Response:
    async with at.database() as conn:
        card = await _card(conn, incident_no, person)
        facts = await incidents.incident(conn, incident_no) or {}
        members = await incidents.members(conn, incident_no)
        changes = await incidents.changes(conn, incident_no)
    now = at.clock.now()
    kind = kinds().get(card.kind)
    why = facts.get("explanation") or {}
    return at.render(
        request,
        "incident.html",
        card=card,
        facts=facts,
        title=title_of(card.kind, card.code, words),
        place=place_of(card, words),
        geo=geo_address(card),
        rule=rule_of(card.kind, card.code, words),
        columns=columns_seen(kind, why.get("columns", {}), words) if kind else [],
        thresholds=thresholds_seen(why.get("thresholds", {}), words),
        hold=timedelta(seconds=why.get("hold_s") or 0),
        members=[(m, _member_name(card.kind, m, words), title_of(card.kind, m["code"], words)) for m in _once(members)],
        changes=[
            (change, change_words(words).get(change["change"], change["change"]), reason_text(change["reason"], words))
            for change in changes
        ],
        state_words=state_words(words),
        state_reason=reason_text(card.moved_reason, words),
        quiet_words=quiet_words(words),
        hold_words=hold_words(words),
        moves=[move for move, states in MOVES.items() if card.state in states],
        may_undo=may_take_back(card, person, now, undo_time(at)),
        max_note=MAX_NOTE,
        now=now,
    )


@router.get("/api/incidents")
async def open_incidents(at: AtDesk, person: SignedIn, words: InWords) -> Response:
    """Open incidents that the person may see, the most urgent and then the newest first."""
    async with at.database() as conn:
        cards = await pages.open_incidents(conn)
    return JSONResponse([shown_card(card, words) for card in cards if person.sees(card.kind, card.commune)])


@router.post("/incidents/{incident_no}/{answer}")
async def move_incident(
    request: Request,
    incident_no: IncidentNo,
    answer: Answer,
    at: AtDesk,
    person: SignedIn,
    reason: Annotated[str, Form(max_length=40)] = "",
    note: Annotated[str, Form(max_length=MAX_NOTE, pattern=WITHOUT_NUL)] = "",
    next: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Move an incident to another state, or take the last move back within a minute.

    To put it on hold needs a reason (or a note), which the story keeps; the other moves may have a note.
    """
    if reason and reason not in HOLD_REASONS:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"reason is one of {', '.join(HOLD_REASONS)}")
    said = ": ".join(part for part in (reason, " ".join(note.split())) if part)
    if answer == "on-hold" and not said:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "an incident is put on hold for a reason")
    now = at.clock.now()
    async with at.database() as conn:
        await _card(conn, incident_no, person)
        who: dict[str, Any] = {"login": person.login, "channel": CHANNEL, "now": now}
        if answer == "take-back":
            facts = await incidents.take_back(conn, incident_no, **who, within=undo_time(at))
        else:
            facts = await incidents.move(conn, incident_no, ANSWERS[answer], **who, reason=said or None)
    if facts is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no incident {incident_no}")
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"no": incident_no, "state": facts["state"], "acknowledged_by": facts["acknowledged_by"]})
    return RedirectResponse(own_path(next or f"/incidents/{incident_no}"), HTTPStatus.SEE_OTHER)


async def _card(conn: Connection, incident_no: int, person: Person) -> IncidentCard:
    """The incident, or 404, or 403 when it is another team's."""
    cards = await pages.incident_cards(conn, [incident_no])
    if not cards:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no incident {incident_no}")
    check_sees(person, cards[0].kind, cards[0].commune)
    return cards[0]


def may_take_back(card: IncidentCard, person: Person, now: datetime, within: timedelta) -> bool:
    """Was the last move this person's, lately, and can it be undone?"""
    is_theirs = card.moved_from is not None and card.moved_by == person.login and card.state != "closed"
    return is_theirs and card.moved_at is not None and now - card.moved_at < within


def undo_time(at: Desk) -> timedelta:
    """A minute of the person's own time, whatever the speed of the hub's clock."""
    return UNDO * at.clock.speed


def _once(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each device and code once, as it is now: one that left and came back is still there."""
    newest = {(member["device_no"], member["code"]): member for member in reversed(members)}
    return list(reversed(newest.values()))


def _member_name(kind: str, member: dict[str, Any], words: Words) -> str:
    return device_name(kind, member["device_type"], member["device_label"], member["device_id"], words)
