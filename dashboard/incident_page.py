"""Incidents: the list, one with its reasons and its story, and the hand that takes it (acknowledge)."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from dashboard.access import SignedIn
from dashboard.desk import AtDesk, Desk, InWords
from dashboard.incident_words import (
    columns_seen,
    device_name,
    place_of,
    rule_of,
    shown_card,
    thresholds_seen,
    title_of,
)
from dashboard.words import Words
from devices.kind import kinds
from store import incidents, pages

router = APIRouter()
IncidentNo = Annotated[int, Path(ge=1, le=2**63 - 1)]
CHANNEL = "page"
UNDO = timedelta(minutes=1)


@router.get("/incidents")
async def incident_list(request: Request, at: AtDesk, person: SignedIn, words: InWords) -> Response:
    now = at.clock.now()
    async with at.database() as conn:
        opened = await pages.open_incidents(conn)
        closed = await pages.closed_incidents(conn, now - timedelta(days=pages.CLOSED_DAYS))
    return at.render(
        request,
        "incidents.html",
        opened=[(shown_card(card, words), card) for card in opened],
        closed=[(shown_card(card, words), card) for card in closed],
        state_words=state_words(words),
        now=now,
    )


@router.get("/incidents/{incident_no}")
async def incident_page(
    request: Request, incident_no: IncidentNo, at: AtDesk, person: SignedIn, words: InWords
) -> Response:
    async with at.database() as conn:
        cards = await pages.incident_cards(conn, [incident_no])
        if not cards:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no incident {incident_no}")
        facts = await incidents.incident(conn, incident_no) or {}
        members = await incidents.members(conn, incident_no)
        changes = await incidents.changes(conn, incident_no)
    card, now = cards[0], at.clock.now()
    kind = kinds().get(card.kind)
    why = facts.get("explanation") or {}
    may_undo = card.acknowledged_by == person.login and card.acknowledged_at and now - card.acknowledged_at < _undo(at)
    return at.render(
        request,
        "incident.html",
        card=card,
        facts=facts,
        title=title_of(card.kind, card.code, words),
        place=place_of(card, words),
        rule=rule_of(card.kind, card.code),
        columns=columns_seen(kind, why.get("columns", {}), words) if kind else [],
        thresholds=thresholds_seen(why.get("thresholds", {}), words),
        hold=timedelta(seconds=why.get("hold_s") or 0),
        members=[(m, _member_name(card.kind, m, words), title_of(card.kind, m["code"], words)) for m in members],
        changes=[(change, change_words(words).get(change["change"], change["change"])) for change in changes],
        state_words=state_words(words),
        quiet_words=quiet_words(words),
        may_undo=card.state == "acknowledged" and may_undo,
        now=now,
    )


@router.get("/api/incidents")
async def open_incidents(at: AtDesk, person: SignedIn, words: InWords) -> Response:
    """Open incidents, the most urgent and then the newest first."""
    async with at.database() as conn:
        return JSONResponse([shown_card(card, words) for card in await pages.open_incidents(conn)])


@router.post("/incidents/{incident_no}/acknowledge")
async def acknowledge(request: Request, incident_no: IncidentNo, at: AtDesk, person: SignedIn) -> Response:
    """Take the incident; the first one who does counts."""
    async with at.database() as conn:
        facts = await incidents.acknowledge(conn, incident_no, person.login, CHANNEL, at.clock.now())
    return _answered(request, incident_no, facts)


@router.post("/incidents/{incident_no}/unacknowledge")
async def unacknowledge(request: Request, incident_no: IncidentNo, at: AtDesk, person: SignedIn) -> Response:
    """Take it back, within a minute."""
    async with at.database() as conn:
        facts = await incidents.unacknowledge(
            conn, incident_no, person.login, CHANNEL, at.clock.now(), within=_undo(at)
        )
    return _answered(request, incident_no, facts)


def _answered(request: Request, incident_no: int, facts: dict[str, Any] | None) -> Response:
    if facts is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no incident {incident_no}")
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"no": incident_no, "state": facts["state"], "acknowledged_by": facts["acknowledged_by"]})
    return RedirectResponse(f"/incidents/{incident_no}", HTTPStatus.SEE_OTHER)


def _undo(at: Desk) -> timedelta:
    """A minute of the operator's own time, whatever the speed of the hub's clock."""
    return UNDO * at.clock.speed


def _member_name(kind: str, member: dict[str, Any], words: Words) -> str:
    return device_name(kind, member["device_type"], member["device_label"], member["device_id"], words)


def state_words(words: Words) -> dict[str, str]:
    return {
        "new": words("new"),
        "acknowledged": words("acknowledged"),
        "on_site": words("on site"),
        "on_hold": words("on hold"),
        "fixed": words("fixed"),
        "closed": words("closed"),
    }


def quiet_words(words: Words) -> dict[str, str]:
    """Why nobody was called."""
    return {
        "replayed": words("Nobody was called: replayed from a recording."),
        "late": words("Nobody was called: the reading came late."),
        "morning_list": words("Nobody was called at once: it waits for the morning list."),
        "to_commission": words("Nobody was called: the device is not commissioned."),
    }


def change_words(words: Words) -> dict[str, str]:
    """What can happen to an incident, in words."""
    return {
        "opened": words("opened"),
        "reopened": words("opened again"),
        "member_joined": words("device joined"),
        "member_left": words("device left"),
        "acknowledged": words("acknowledged"),
        "unacknowledged": words("acknowledgement taken back"),
        "cleared": words("fault gone"),
        "closed": words("closed"),
        "held_back": words("call held back"),
        "notified": words("somebody was called"),
        "not_notified": words("call failed"),
        "confirmed": words("confirmed by a live reading"),
        "folded": words("explained by another incident"),
        "called": words("call decided"),
    }
