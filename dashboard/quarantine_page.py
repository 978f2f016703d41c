"""The quarantine for the operator: how much by which reason, what to do about it, the messages, and their release."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, Field, field_validator
from starlette.responses import RedirectResponse, Response

from dashboard.access import Operator
from dashboard.desk import AtDesk, InWords
from dashboard.health_words import Reason, reasons
from dashboard.words import Words
from store import quarantine, release
from store.quarantine import Choice
from store.release import Release

router = APIRouter()
SHOWN = 50
SHOWN_RELEASES = 5
PAYLOAD_CHARACTERS = 300
LOOK_AGAIN_S = 2
"""A page that shows a release under way loads itself again."""
LARGEST = 2**63 - 1


class Asked(BaseModel):
    """What a form of the page chooses; days are whole days of the city."""

    reason: str | None = Field(None, max_length=40, pattern="^[a-z_]+$")
    source: str | None = Field(None, max_length=200)
    from_day: date | None = None
    to_day: date | None = None
    no: int | None = Field(None, ge=1, le=LARGEST)

    @field_validator("*", mode="before")
    @classmethod
    def _left_empty(cls, value: object) -> object:
        return None if value == "" else value

    def choice(self, timezone: str) -> Choice:
        return Choice(
            self.reason,
            self.source,
            _midnight(self.from_day, timezone),
            _midnight(self.to_day and min(self.to_day, date.max - timedelta(1)) + timedelta(1), timezone),
            [self.no] if self.no else None,
        )

    def query(self, **more: object) -> str:
        """As a link carries it."""
        return urlencode({name: value for name, value in {**self.model_dump(), **more}.items() if value})


class Leaf(Asked):
    """A page of the list."""

    before: int | None = Field(None, ge=1, le=LARGEST)
    released: bool = False


class Order(Asked):
    """A release that was confirmed."""

    up_to_no: int = Field(ge=0, le=LARGEST)


@router.get("/quarantine")
async def quarantine_page(
    request: Request, at: AtDesk, person: Operator, words: InWords, asked: Annotated[Leaf, Query()]
) -> Response:
    """Those that wait, or with `released` those that were released; `before` leafs to what came earlier."""
    now, choice = at.clock.now(), asked.choice(at.settings.timezone)
    async with at.database() as conn:
        counts = await quarantine.counts(conn, now)
        sources = await quarantine.sources(conn)
        waiting = await release.waiting(conn, choice)
        releases = await release.last_releases(conn, SHOWN_RELEASES)
        found = await quarantine.newest(conn, choice, limit=SHOWN + 1, before=asked.before, released=asked.released)
    told = reasons(words)
    older = found[SHOWN - 1].quarantine_no if len(found) > SHOWN else None
    return at.render(
        request,
        "quarantine.html",
        headers={"Refresh": str(LOOK_AGAIN_S)} if any(r.finished_at is None for r in releases) else None,
        counts=counts,
        reasons=told,
        sources=sources,
        asked=asked,
        is_chosen=choice != Choice(),
        waiting=waiting.total,
        releases=[(one, chosen_words(one.choice, told, words), outcome_words(one, words)) for one in releases],
        found=found[:SHOWN],
        release_link=f"/quarantine/release?{asked.query(before=None, released=None)}",
        older_link=f"/quarantine?{asked.query(before=older)}" if older else None,
        other_link=f"/quarantine?{asked.query(before=None, released=not asked.released)}",
        payload_characters=PAYLOAD_CHARACTERS,
        now=now,
    )


@router.get("/quarantine/release")
async def confirm_release(
    request: Request, at: AtDesk, person: Operator, words: InWords, asked: Annotated[Asked, Query()]
) -> Response:
    """How many would be released, by reason, and the button that does it."""
    choice = asked.choice(at.settings.timezone)
    async with at.database() as conn:
        waiting = await release.waiting(conn, choice)
    told = reasons(words)
    return at.render(
        request,
        "release.html",
        waiting=waiting,
        reasons=told,
        chosen=chosen_words(choice, told, words),
        hidden={name: value for name, value in asked.model_dump().items() if value is not None},
        back_link=f"/quarantine?{asked.query(no=None)}",
    )


@router.post("/quarantine/release")
async def order_release(at: AtDesk, person: Operator, order: Annotated[Order, Form()]) -> Response:
    """Ask the worker for it: exactly what was confirmed, as far as it still waits."""
    async with at.database() as conn:
        choice = order.choice(at.settings.timezone)
        waiting = await release.waiting(conn, choice, up_to_no=order.up_to_no)
        if waiting.total:
            await release.ask(conn, choice, waiting, by=person.login, now=at.clock.now())
    return RedirectResponse("/quarantine", HTTPStatus.SEE_OTHER)


def chosen_words(choice: Choice, told: Mapping[str, Reason], words: Words) -> str:
    """What a release concerns."""
    parts = []
    if choice.reason:
        parts.append(told[choice.reason].title if choice.reason in told else choice.reason)
    if choice.source:
        parts.append(words("source {source}", source=choice.source))
    if choice.since:
        parts.append(words("from {at}", at=words.short(choice.since)))
    if choice.until:
        parts.append(words("before {at}", at=words.short(choice.until)))
    if choice.numbers:
        parts += [words("no. {n}", n=number) for number in choice.numbers]
    return ", ".join(parts) or words("everything")


def outcome_words(done: Release, words: Words) -> str:
    """How far a release has come, or what came of it."""
    if done.finished_at is None:
        return words("under way: {tried} of {wanted}", tried=words.number(done.tried), wanted=words.number(done.wanted))
    refused = done.tried - done.released
    said = [
        words.plural("{n} message released", "{n} messages released", done.released),
        words.plural("{n} reading stored", "{n} readings stored", done.readings_stored + done.readings_merged),
    ]
    if done.readings_duplicate:
        said.append(words.plural("{n} known already", "{n} known already", done.readings_duplicate))
    if done.readings_withheld:
        said.append(words.plural("{n} withheld for privacy", "{n} withheld for privacy", done.readings_withheld))
    if refused:
        said.append(words.plural("{n} refused again", "{n} refused again", refused))
    return ", ".join(said)


def _midnight(day: date | None, timezone: str) -> datetime | None:
    return datetime.combine(day, time(), ZoneInfo(timezone)) if day else None
