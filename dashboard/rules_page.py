"""The rules of a kind, their thresholds, and rules of the city's own: shown, changed, undone. For operators.

Every change is a version of store/policy.py, by the person who is signed in; the worker follows it within seconds.
"""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from pydantic import BaseModel, Field, field_validator
from starlette.responses import RedirectResponse, Response

from dashboard.access import Operator
from dashboard.desk import AtDesk, InWords
from dashboard.rule_trial import DAYS, Asked, tried
from dashboard.rule_words import (
    change_words,
    threshold_rows,
    when_it_fires,
)
from dashboard.words import Words
from devices.kind import Kind, Rule, kinds
from devices.own_rule import Decisions, OwnRule
from devices.policy import Override, Scope
from hub.errors import BadSetting
from store import incidents, policy

router = APIRouter()
VERSIONS = 50
USUAL_KIND = "street_lighting"
TEXT = r"^[^\x00]*$"
LARGEST = 2**31 - 1


class LookedAt(Asked):
    """A rule's page: with `trial` it is tried over the last days."""

    trial: bool = False
    value: float | None = None
    refused: str = Field(default="", max_length=500, pattern=TEXT)

    @field_validator("value", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        return None if value == "" else value


class Tuned(BaseModel):
    """Another value of a threshold, or, without one, that of the wider part again."""

    threshold: str = Field(max_length=64, pattern=TEXT)
    value: float | None = None
    scope: Scope = "city"
    place: str = Field(default="", max_length=200, pattern=TEXT)


@router.get("/rules")
async def rules_page(
    request: Request, at: AtDesk, person: Operator, words: InWords, kind: Annotated[str, Query()] = USUAL_KIND
) -> Response:
    """All rules of a kind."""
    chosen = kind_of(kind)
    async with at.database() as conn:
        decided = await policy.decisions(conn)
        firing = await incidents.open_by_code(conn, chosen.name)
    own = {one.code: one for one in decided.rules if one.kind == chosen.name}
    tuned = {one.code for one in decided.overrides if one.kind == chosen.name}
    rows = [_row(chosen, rule, own.get(rule.code), rule.code in tuned, firing.get(rule.code, 0), words)
            for rule in (*chosen.rules, *decided.policy.own.get(chosen.name, ()))]  # fmt: skip
    rows.sort(key=lambda row: (not row["is_own"], row["priority"]))
    return at.render(
        request,
        "rules.html",
        kind=chosen,
        kinds=kinds().values(),
        rows=rows,
        faults=decided.faults,
        left_out=chosen.left_out,
    )


@router.get("/rules/history")
async def history_page(
    request: Request,
    at: AtDesk,
    person: Operator,
    words: InWords,
    before: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
    refused: Annotated[str, Query(max_length=500, pattern=TEXT)] = "",
) -> Response:
    """Every change of the rules, the newest first."""
    async with at.database() as conn:
        versions = await policy.history(conn, before=before, limit=VERSIONS + 1)
        names = await policy.place_names(conn, numbers_of(c for v in versions for c in v.changes))
    return at.render(
        request,
        "rules_history.html",
        versions=[(one, [change_words(change, names, words) for change in one.changes]) for one in versions[:VERSIONS]],
        older=versions[VERSIONS - 1].version if len(versions) > VERSIONS else None,
        refused=refused,
    )


@router.post("/rules/history/{version}/undo")
async def undo(at: AtDesk, person: Operator, version: int) -> Response:
    """Put back what a version changed; the page says why it cannot be."""
    async with at.database() as conn:
        try:
            await policy.undo(conn, version, person.login, at.clock.now())
        except BadSetting as error:
            return RedirectResponse(_with_reason("/rules/history", str(error)), HTTPStatus.SEE_OTHER)
    return RedirectResponse("/rules/history", HTTPStatus.SEE_OTHER)


@router.get("/rules/{kind}/{code}")
async def rule_page(
    request: Request,
    at: AtDesk,
    person: Operator,
    words: InWords,
    kind: str,
    code: str,
    asked: Annotated[LookedAt, Query()],
) -> Response:
    """One rule: what it says, its thresholds and where they differ, what can be done with it, and a trial if asked."""
    chosen = kind_of(kind)
    async with at.database() as conn:
        decided = await policy.decisions(conn)
        rule, own = _rule(decided, kind, code), own_rule(decided, kind, code)
        mine = [one for one in decided.overrides if (one.kind, one.code) == (kind, code)]
        names = await policy.place_names(conn, numbers_of(mine))
    told, refused = None, asked.refused
    if asked.trial:
        try:
            in_force = rule if asked.changes else None
            told = await tried(at, chosen, rule, in_force, asked, decided.policy, who=person.login, words=words)
        except BadSetting as error:
            refused = str(error)
    return at.render(
        request,
        "rule.html",
        kind=chosen,
        rule=rule,
        own=own,
        fires=when_it_fires(rule, own, words),
        thresholds=threshold_rows(rule, mine, names, words),
        communes=words.communes,
        refused=refused,
        told=told,
        asked=asked,
        trial_days=DAYS,
    )


@router.post("/rules/{kind}/{code}/thresholds")
async def tune(at: AtDesk, person: Operator, kind: str, code: str, tuned: Annotated[Tuned, Form()]) -> Response:
    """Set a threshold for a part of the city, or take it back."""
    page, now = f"/rules/{kind}/{code}", at.clock.now()
    place = "" if tuned.scope == "city" else tuned.place.strip()
    async with at.database() as conn:
        try:
            if tuned.value is None:
                await policy.clear_override(
                    conn, kind, code, tuned.threshold, person.login, now, scope=tuned.scope, place=place
                )
            else:
                wanted = Override(kind, code, tuned.threshold, tuned.value, tuned.scope, place)
                await policy.set_override(conn, wanted, person.login, now)
        except BadSetting as error:
            return RedirectResponse(_with_reason(page, str(error)), HTTPStatus.SEE_OTHER)
    return RedirectResponse(page, HTTPStatus.SEE_OTHER)


def _row(kind: Kind, rule: Rule, own: OwnRule | None, is_tuned: bool, firing: int, words: Words) -> dict[str, Any]:
    return {
        "code": rule.code,
        "title": words.of(rule.title),
        "help": words.of(rule.help),
        "type": words.of(kind.type(rule.type).label),
        "priority": rule.priority,
        "is_own": own is not None,
        "is_off": own is not None and not own.enabled,
        "is_tuned": is_tuned,
        "firing": firing,
    }


def kind_of(name: str) -> Kind:
    """The kind of that name; 404 when there is none."""
    if (found := kinds().get(name)) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return found


def _rule(decided: Decisions, kind: str, code: str) -> Rule:
    if (rule := decided.rule(kind, code)) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return rule


def own_rule(decided: Decisions, kind: str, code: str) -> OwnRule | None:
    """A rule of the city's own, None when it is not one."""
    return next((one for one in decided.rules if (one.kind, one.code) == (kind, code)), None)


def numbers_of(parts: Any) -> list[int]:
    """The devices that parts of the city name by number."""
    return [int(part.place) for part in parts if part.scope in ("group", "device")]


def _with_reason(path: str, reason: str) -> str:
    return f"{path}?{urlencode({'refused': reason[:500]})}"
