"""The rules of a kind, their thresholds, and rules of the city's own: shown, changed, undone. For operators.

Every change is a version of store/policy.py, by the person who is signed in; the worker follows it within seconds.
"""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from dashboard.access import Operator
from dashboard.desk import AtDesk, InWords
from dashboard.rule_words import (
    OPERATORS,
    Readable,
    caret_line,
    change_words,
    grammar,
    readable_columns,
    said_fault,
    threshold_rows,
    when_it_fires,
)
from dashboard.words import Words
from devices.bad_expression import BadExpression
from devices.kind import Kind, Rule, kinds
from devices.own_rule import LATENESS_S, Decisions, OwnRule, compiled
from devices.policy import Override, Scope
from hub.errors import BadSetting
from store import incidents, policy

router = APIRouter()
VERSIONS = 50
USUAL_KIND = "street_lighting"
TEXT = r"^[^\x00]*$"
LARGEST = 2**31 - 1


class Draft(BaseModel):
    """An own rule as it stands in the form, right or wrong."""

    type: str = Field(default="", max_length=64, pattern=TEXT)
    code: str = Field(default="", max_length=64, pattern=TEXT)
    condition: str = Field(default="", max_length=4000, pattern=TEXT)
    clear: str = Field(default="", max_length=4000, pattern=TEXT)
    hold_s: float = 0.0
    calm_s: float = 0.0
    lateness_s: float = 0.0
    priority: int = 3
    title_fr: str = Field(default="", max_length=1000, pattern=TEXT)
    title_en: str = Field(default="", max_length=1000, pattern=TEXT)
    help_fr: str = Field(default="", max_length=4000, pattern=TEXT)
    help_en: str = Field(default="", max_length=4000, pattern=TEXT)
    scope: Scope = "city"
    place: str = Field(default="", max_length=200, pattern=TEXT)
    enabled: bool = False

    def rule(self, kind: str) -> OwnRule:
        """As the hub keeps it; the whole city has no place."""
        told = self.model_dump() | {"code": self.code.strip(), "place": self.place.strip()}
        return OwnRule(kind=kind, **told | ({"place": ""} if self.scope == "city" else {}))


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
    chosen = _kind(kind)
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
        names = await policy.place_names(conn, _numbers(c for v in versions for c in v.changes))
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


@router.get("/rules/{kind}/new")
async def new_rule_page(
    request: Request, at: AtDesk, person: Operator, words: InWords, kind: str, type: Annotated[str, Query()] = ""
) -> Response:
    """An empty form; `type` chooses of which type of device it is."""
    chosen = _kind(kind)
    known = {device_type.name for device_type in chosen.types}
    return _form(request, at, words, chosen, Draft(type=type if type in known else chosen.types[0].name, enabled=True))


@router.post("/rules/{kind}/new")
async def add_rule(
    request: Request,
    at: AtDesk,
    person: Operator,
    words: InWords,
    kind: str,
    draft: Annotated[Draft, Form()],
    check: Annotated[str, Query()] = "",
) -> Response:
    """Add an own rule, or with `check` only say whether it can be read; what is wrong comes back on the form."""
    chosen = _kind(kind)
    async with at.database() as conn:
        decided = await policy.decisions(conn)
    is_taken = any((one.kind, one.code) == (kind, draft.code.strip()) for one in decided.rules)
    return await _save(request, at, words, chosen, draft, person.login, is_check=bool(check), is_taken=is_taken)


@router.get("/rules/{kind}/{code}")
async def rule_page(
    request: Request,
    at: AtDesk,
    person: Operator,
    words: InWords,
    kind: str,
    code: str,
    refused: Annotated[str, Query(max_length=500, pattern=TEXT)] = "",
) -> Response:
    """One rule: what it says, its thresholds and where they differ, and what can be done with it."""
    chosen = _kind(kind)
    async with at.database() as conn:
        decided = await policy.decisions(conn)
        rule, own = _rule(decided, kind, code), _own(decided, kind, code)
        mine = [one for one in decided.overrides if (one.kind, one.code) == (kind, code)]
        names = await policy.place_names(conn, _numbers(mine))
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


@router.get("/rules/{kind}/{code}/edit")
async def edit_page(request: Request, at: AtDesk, person: Operator, words: InWords, kind: str, code: str) -> Response:
    """The form of an own rule."""
    async with at.database() as conn:
        decided = await policy.decisions(conn)
        if (own := _own(decided, kind, code)) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        names = await policy.place_names(conn, _numbers([own]))
    told = {name: getattr(own, name) for name in Draft.model_fields}
    if own.scope in ("group", "device"):
        told["place"] = names.get(int(own.place), own.place)
    return _form(request, at, words, _kind(kind), Draft(**told), code=code)


@router.post("/rules/{kind}/{code}/edit")
async def edit_rule(
    request: Request,
    at: AtDesk,
    person: Operator,
    words: InWords,
    kind: str,
    code: str,
    draft: Annotated[Draft, Form()],
    check: Annotated[str, Query()] = "",
) -> Response:
    """Change an own rule; its code and type stay."""
    chosen = _kind(kind)
    async with at.database() as conn:
        if (own := _own(await policy.decisions(conn), kind, code)) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
    draft = draft.model_copy(update={"code": code, "type": own.type})
    return await _save(request, at, words, chosen, draft, person.login, is_check=bool(check), code=code)


@router.post("/rules/{kind}/{code}/remove")
async def remove_rule(at: AtDesk, person: Operator, kind: str, code: str) -> Response:
    """Remove an own rule; what it has on is over. It can be undone."""
    async with at.database() as conn:
        try:
            await policy.remove_rule(conn, kind, code, person.login, at.clock.now())
        except BadSetting as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    return RedirectResponse(f"/rules?kind={kind}", HTTPStatus.SEE_OTHER)


async def _save(
    request: Request,
    at: AtDesk,
    words: Words,
    kind: Kind,
    draft: Draft,
    who: str,
    *,
    is_check: bool,
    is_taken: bool = False,
    code: str | None = None,
) -> Response:
    rule = draft.rule(kind.name)
    try:
        if is_taken:
            raise BadSetting(words("the city has a rule of this code already"))
        _readable(rule)
        if is_check:
            return _form(request, at, words, kind, draft, code=code, is_checked=True)
        async with at.database() as conn:
            await policy.save_rule(conn, rule, who, at.clock.now())
    except BadSetting as error:
        return _form(request, at, words, kind, draft, code=code, fault=error)
    return RedirectResponse(f"/rules/{kind.name}/{rule.code}", HTTPStatus.SEE_OTHER)


def _readable(rule: OwnRule) -> None:
    """BadSetting when a rule cannot be, but for its place, which only the registry knows."""
    compiled(rule if rule.scope not in ("group", "device") or not rule.place else _elsewhere(rule))


def _elsewhere(rule: OwnRule) -> OwnRule:
    return OwnRule(**{name: getattr(rule, name) for name in rule.__struct_fields__} | {"place": "1"})


def _form(
    request: Request,
    at: AtDesk,
    words: Words,
    kind: Kind,
    draft: Draft,
    *,
    code: str | None = None,
    fault: BadSetting | None = None,
    is_checked: bool = False,
) -> Response:
    """The form with what was typed, and what is wrong with it."""
    columns: list[Readable] = readable_columns(kind, draft.type, words)
    position = fault.position if isinstance(fault, BadExpression) else None
    in_clear = position is not None and _is_in_clear(draft, kind, fault)
    typed = draft.clear if in_clear else draft.condition
    return at.render(
        request,
        "rule_form.html",
        status_code=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
        kind=kind,
        draft=draft,
        code=code,
        columns=columns,
        grammar=grammar(words),
        operators=OPERATORS,
        communes=words.communes,
        lateness=LATENESS_S,
        fault=said_fault(fault, words) if fault else None,
        caret=caret_line(typed, position) if position is not None else None,
        in_clear=in_clear,
        is_checked=is_checked,
    )


def _is_in_clear(draft: Draft, kind: Kind, fault: BadSetting | None) -> bool:
    """Is it the clearing condition that cannot be read? The condition alone would do."""
    try:
        _readable(draft.model_copy(update={"clear": ""}).rule(kind.name))
    except BadSetting:
        return False
    return isinstance(fault, BadExpression)


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


def _kind(name: str) -> Kind:
    if (found := kinds().get(name)) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return found


def _rule(decided: Decisions, kind: str, code: str) -> Rule:
    if (rule := decided.rule(kind, code)) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return rule


def _own(decided: Decisions, kind: str, code: str) -> OwnRule | None:
    return next((one for one in decided.rules if (one.kind, one.code) == (kind, code)), None)


def _numbers(parts: Any) -> list[int]:
    return [int(part.place) for part in parts if part.scope in ("group", "device")]


def _with_reason(path: str, reason: str) -> str:
    return f"{path}?{urlencode({'refused': reason[:500]})}"
