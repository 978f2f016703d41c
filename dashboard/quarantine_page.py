"""The quarantine for the operator: how much by which reason, what to do about it, and the messages. Read only."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dashboard.access import SignedIn
from dashboard.desk import AtDesk, InWords
from dashboard.health_words import reasons
from store import quarantine

router = APIRouter()
SHOWN = 50
PAYLOAD_CHARACTERS = 300


@router.get("/quarantine")
async def quarantine_page(
    request: Request,
    at: AtDesk,
    person: SignedIn,
    words: InWords,
    reason: Annotated[str | None, Query(max_length=40, pattern="^[a-z_]+$")] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """`reason` shows one reason alone; `before` leafs to the messages that came earlier."""
    now = at.clock.now()
    async with at.database() as conn:
        counts = await quarantine.counts(conn, now)
        found = await quarantine.newest(conn, limit=SHOWN + 1, reason=reason, before=before)
    return at.render(
        request,
        "quarantine.html",
        counts=counts,
        reasons=reasons(words),
        reason=reason,
        is_later_page=before is not None,
        found=found[:SHOWN],
        older=found[SHOWN - 1].quarantine_no if len(found) > SHOWN else None,
        payload_characters=PAYLOAD_CHARACTERS,
        now=now,
    )
