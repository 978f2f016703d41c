"""The operator's list of incidents: open or closed, narrowed by what is asked for, page by page."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dashboard.desk import WITHOUT_NUL, AtDesk, InWords
from dashboard.incident_words import codes_titled, shown_card, state_words
from devices.kind import Kind, kinds
from store import pages, people
from store.people import Team

router = APIRouter()
PAGE_SIZE = 50
MAX_TEXT = 80
Word = Annotated[str, Query(max_length=MAX_TEXT, pattern=WITHOUT_NUL)]
PageNo = Annotated[int, Query(ge=1, le=100_000)]


@router.get("/incidents")
async def incident_list(
    request: Request,
    at: AtDesk,
    words: InWords,
    show: Literal["open", "closed"] = "open",
    kind: Word = "",
    priority: Literal["", "1", "2", "3"] = "",
    state: Word = "",
    team: Word = "",
    commune: Word = "",
    text: Word = "",
    page: PageNo = 1,
) -> Response:
    """What is asked for stays in the address, so that it can be kept as a bookmark."""
    given = {"show": show, "kind": kind, "priority": priority, "state": state, "team": team, "commune": commune}
    given |= {"text": " ".join(text.split())}
    async with at.database() as conn:
        teams = [found for found, _ in await people.teams(conn)]
        asked = ask(given, teams, words.rulebook)
        cards, total = await pages.asked_incidents(conn, asked, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
        communes = await pages.communes(conn)
    return at.render(
        request,
        "incidents.html",
        cards=[(shown_card(card, words), card) for card in cards],
        total=total,
        given=given,
        is_narrowed=any(value for name, value in given.items() if name != "show"),
        kinds=sorted(kinds().values(), key=lambda known: words.of(known.label)),
        teams=teams,
        communes=sorted(communes, key=words.commune),
        state_words=state_words(words),
        page=page,
        page_count=max(1, -(-total // PAGE_SIZE)),
        to_page=lambda number: f"/incidents?{address({**given, 'page': number})}",
        now=at.clock.now(),
    )


def ask(given: dict[str, str], teams: list[Team], rulebook: Mapping[str, Kind]) -> pages.Asked:
    """What a form asks for; a team narrows to its kinds and communes; titles are those of the rulebook. Pure."""
    team = next((known for known in teams if known.name == given["team"]), Team(""))
    return pages.Asked(
        is_closed=given["show"] == "closed",
        kinds=_both(team.kinds, given["kind"]),
        communes=_both(team.communes, given["commune"]),
        priority=int(given["priority"]) if given["priority"] else None,
        state=given["state"] if given["state"] and given["show"] == "open" else None,
        text=given["text"],
        codes=codes_titled(given["text"], rulebook),
    )


def _both(of_team: Any, chosen: str) -> list[str]:
    """What is both the team's and chosen; an impossible name when that is nothing."""
    if not chosen:
        return list(of_team)
    return [chosen] if not of_team or chosen in of_team else [""]


def address(given: dict[str, Any]) -> str:
    """The filters as a query, without those that do not narrow."""
    return urlencode({name: value for name, value in given.items() if value not in ("", None)})
