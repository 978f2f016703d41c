"""The list of an agent on a phone: the open incidents of the team, the most urgent and then the oldest first.

A page of forms and links that needs no script and is small; a script of a few lines keeps it current.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dashboard.access import SignedIn
from dashboard.desk import AtDesk, InWords
from dashboard.incident_page import may_take_back, undo_time
from dashboard.incident_words import geo_address, place_of, reason_text, rule_of, state_words, title_of
from dashboard.incidents_page import address
from devices.kind import kinds
from store import pages
from store.people import Team

router = APIRouter()
PAGE_SIZE = 25
NEXT_STEP = {"new": "acknowledge", "acknowledged": "on-site", "on_hold": "on-site", "on_site": "fixed"}
"""What is usually done next, one tap away."""


@router.get("/team")
async def team_page(
    request: Request,
    at: AtDesk,
    person: SignedIn,
    words: InWords,
    priority: Literal["", "1", "2", "3"] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    team = person.team or Team("")
    now = at.clock.now()
    async with at.database() as conn:
        by_kind = await pages.open_counts(conn, pages.Asked(kinds=team.kinds, communes=team.communes))
        asked = pages.Asked(kinds=team.kinds, communes=team.communes, priority=int(priority) if priority else None)
        cards, total = await pages.asked_incidents(
            conn, asked, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE, oldest_first=True
        )
    return at.render(
        request,
        "team.html",
        team=person.team,
        kinds=[words.of(kinds()[name].label) for name in team.kinds if name in kinds()],
        communes=[words.commune(name) for name in team.communes],
        cards=[
            {
                "card": card,
                "title": title_of(card.kind, card.code, words),
                "help": words.of(rule.help) if (rule := rule_of(card.kind, card.code, words)) else "",
                "place": place_of(card, words),
                "lasts": words.duration(now - card.opened_at),
                "reason": reason_text(card.moved_reason, words),
                "geo": geo_address(card),
                "next_step": NEXT_STEP.get(card.state),
                "may_undo": may_take_back(card, person, now, undo_time(at)),
            }
            for card in cards
        ],
        counts={urgency: sum(counts.get(urgency, 0) for counts in by_kind.values()) for urgency in (1, 2, 3)},
        priority=priority,
        total=total,
        page=page,
        to_page=lambda number: f"/team?{address({'priority': priority, 'page': number})}",
        page_count=max(1, -(-total // PAGE_SIZE)),
        state_words=state_words(words),
        now=now,
    )
