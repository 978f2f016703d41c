"""The live stream that a browser listens to (server-sent events): pictures, incidents, and how fresh they are.

    event: picture    a Change of dashboard/picture.py: everything of a kind (full), or what changed
    event: incidents  every open incident, most urgent first
    event: incident   one incident that changed (or closed)
    event: status     hub clock, age of the last frame, whether broker and database answer; at least every 10 s

The id of an event names the worker's frames that the browser has, so that any process can go on from there.
A browser that reads slowly misses moments, not states: what it gets next is computed when it is ready for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
import structlog
from fastapi import APIRouter, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from dashboard.access import COOKIE, SignedIn
from dashboard.desk import AtDesk, Desk, words_of
from dashboard.incident_words import shown_card
from dashboard.picture import format_places, parse_places
from dashboard.words import Words
from devices.kind import kinds
from hub.errors import Unavailable
from store import pages, people
from store.database import GONE
from store.people import Person

log = structlog.get_logger(__name__)

HEARTBEAT_S = 10.0
RECHECK_S = 60.0
"""How often the session is looked up again: who is signed out stops seeing within a minute."""
ACCESS_WINDOW = timedelta(hours=1)
RETRY_MS = 2000

router = APIRouter()


@router.get("/live", response_class=EventSourceResponse)
async def live(
    request: Request, at: AtDesk, person: SignedIn, last_event_id: Annotated[str | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """Everything now (or what is new since Last-Event-ID), then every change."""
    follower = Follower(at, words_of(request), last_event_id)
    visit = Visit(at, person, request.cookies.get(COOKIE, ""))
    while not at.live.is_closing and await visit.may_go_on():
        bells = (at.live.bell.next, at.watch.bell.next)  # taken first: a change from here on wakes us
        for event in follower.news():
            yield event
        await _any(bells, follower.until_heartbeat_s())


async def _any(bells: tuple[asyncio.Event, ...], timeout_s: float) -> None:
    waits = [asyncio.create_task(bell.wait()) for bell in bells]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Follower:
    """What one browser has, and the events that bring it up to now."""

    def __init__(self, at: Desk, words: Words, last_event_id: str | None) -> None:
        self._at, self._words = at, words
        places = parse_places(last_event_id)
        self._revisions = {kind: picture.locate(places.get(kind)) for kind, picture in at.live.pictures.items()}
        self._incidents: int | None = None
        self._status: tuple[object, ...] = ()
        self._status_s = 0.0

    def until_heartbeat_s(self) -> float:
        return max(0.0, self._status_s + HEARTBEAT_S - time.monotonic())

    def news(self) -> list[ServerSentEvent]:
        """The events that are due now."""
        return [*self._pictures(), *self._incident_events(), *self._status_events()]

    def _pictures(self) -> list[ServerSentEvent]:
        found = []
        for kind, picture in self._at.live.pictures.items():
            revision = self._revisions[kind]
            data = None if revision is None else picture.since(revision)
            if data is None and picture.revision:
                data = picture.full()
            self._revisions[kind] = picture.revision or None
            if data:
                found.append(ServerSentEvent(event="picture", raw_data=data, id=self._event_id()))
        return found

    def _event_id(self) -> str:
        """Names only the kinds whose picture here is the one that the browser now has."""
        pictures = self._at.live.pictures
        return format_places({k: p.place for k, p in pictures.items() if self._revisions[k] == p.revision})

    def _incident_events(self) -> list[ServerSentEvent]:
        watch, since = self._at.watch, self._incidents
        self._incidents = watch.revision
        changed = None if since is None else watch.since(since)
        if changed is None:
            return [_event("incidents", [shown_card(card, self._words) for card in watch.cards])]
        return [_event("incident", shown_card(card, self._words)) for card in changed]

    def _status_events(self) -> list[ServerSentEvent]:
        live, watch = self._at.live, self._at.watch
        status = (live.is_connected, watch.is_connected, live.is_late)
        if status == self._status and self.until_heartbeat_s() > 0:
            return []
        is_first = not self._status
        self._status, self._status_s = status, time.monotonic()
        clock = self._at.clock
        event = _event(
            "status",
            {
                "now_us": clock.now_us(),
                "speed": clock.speed,
                "frame_age_s": live.age_s(),
                "broker": live.is_connected,
                "database": watch.is_connected,
            },
        )
        return [event.model_copy(update={"retry": RETRY_MS})] if is_first else [event]


@dataclass(slots=True)
class Visit:
    """One person's look at the live city: it ends with the session, and law 8 has it logged."""

    at: Desk
    person: Person
    token: str
    _checked_s: float = field(default_factory=time.monotonic)
    _logged_until: datetime | None = None

    async def may_go_on(self) -> bool:
        """False once the session is over; a database that is away does not end it."""
        try:
            await self._log_access()
            if time.monotonic() - self._checked_s < RECHECK_S:
                return True
            self._checked_s = time.monotonic()
            async with self.at.database() as conn:
                return await people.person_of_session(conn, self.token) is not None
        except (Unavailable, *GONE) as error:
            log.warning("could not check a live session", login=self.person.login, reason=str(error))
            self._checked_s = time.monotonic()
            return True

    async def _log_access(self) -> None:
        """Vehicles are on the live map: say who could see where they were, hour by hour."""
        now = self.at.clock.now()
        if self._logged_until is not None and now < self._logged_until:
            return
        since = self._logged_until or now
        mobile = [kind.name for kind in kinds().values() if kind.is_mobile]
        async with self.at.database() as conn:
            await pages.log_positions_access(conn, self.person.login, mobile, since, now + ACCESS_WINDOW)
        self._logged_until = now + ACCESS_WINDOW


def _event(name: str, data: Any) -> ServerSentEvent:
    return ServerSentEvent(event=name, raw_data=msgspec.json.encode(data).decode())
