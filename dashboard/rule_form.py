"""The form of a rule of the city's own: written, checked, tried, saved, changed, removed. For operators."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from msgspec.structs import replace
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from dashboard.access import Operator
from dashboard.desk import AtDesk, InWords
from dashboard.rule_trial import DAYS, Asked, Told, tried
from dashboard.rule_words import OPERATORS, caret_line, grammar, readable_columns, said_fault
from dashboard.rules_page import TEXT, kind_of, numbers_of, own_rule
from dashboard.words import Words
from devices.bad_expression import BadExpression
from devices.kind import Kind
from devices.own_rule import LATENESS_S, OwnRule, compiled
from devices.policy import Scope
from hub.errors import BadSetting
from store import policy

router = APIRouter()


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


@router.get("/rules/{kind}/new")
async def new_rule_page(
    request: Request, at: AtDesk, person: Operator, words: InWords, kind: str, type: Annotated[str, Query()] = ""
) -> Response:
    """An empty form; `type` chooses of which type of device it is."""
    chosen = kind_of(kind)
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
    trial: Annotated[int, Query(ge=0, le=DAYS[-1])] = 0,
) -> Response:
    """Add an own rule, or with `check` only say whether it can be read; what is wrong comes back on the form."""
    chosen = kind_of(kind)
    async with at.database() as conn:
        decided = await policy.decisions(conn)
    is_taken = any((one.kind, one.code) == (kind, draft.code.strip()) for one in decided.rules)
    return await _save(
        request, at, words, chosen, draft, person.login, is_check=bool(check), is_taken=is_taken, trial=trial
    )


@router.get("/rules/{kind}/{code}/edit")
async def edit_page(request: Request, at: AtDesk, person: Operator, words: InWords, kind: str, code: str) -> Response:
    """The form of an own rule."""
    async with at.database() as conn:
        decided = await policy.decisions(conn)
        if (own := own_rule(decided, kind, code)) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        names = await policy.place_names(conn, numbers_of([own]))
    told = {name: getattr(own, name) for name in Draft.model_fields}
    if own.scope in ("group", "device"):
        told["place"] = names.get(int(own.place), own.place)
    return _form(request, at, words, kind_of(kind), Draft(**told), code=code)


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
    trial: Annotated[int, Query(ge=0, le=DAYS[-1])] = 0,
) -> Response:
    """Change an own rule; its code and type stay."""
    chosen = kind_of(kind)
    async with at.database() as conn:
        if (own := own_rule(await policy.decisions(conn), kind, code)) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
    draft = draft.model_copy(update={"code": code, "type": own.type})
    return await _save(request, at, words, chosen, draft, person.login, is_check=bool(check), code=code, trial=trial)


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
    trial: int = 0,
) -> Response:
    rule = draft.rule(kind.name)
    try:
        if is_taken:
            raise BadSetting(words("the city has a rule of this code already"))
        _readable(rule)
        if is_check:
            told = await _tried_draft(at, kind, rule, trial, who, words) if trial else None
            return _form(request, at, words, kind, draft, code=code, is_checked=True, told=told)
        async with at.database() as conn:
            await policy.save_rule(conn, rule, who, at.clock.now())
    except BadSetting as error:
        return _form(request, at, words, kind, draft, code=code, fault=error)
    return RedirectResponse(f"/rules/{kind.name}/{rule.code}", HTTPStatus.SEE_OTHER)


async def _tried_draft(at: AtDesk, kind: Kind, own: OwnRule, days: int, who: str, words: Words) -> Told:
    """An own rule before it is saved, in the whole city, beside the one of its code if there is one."""
    async with at.database() as conn:
        decided = await policy.decisions(conn)
    everywhere = compiled(replace(own, scope="city", place=""))
    before = decided.rule(kind.name, own.code)
    return await tried(at, kind, everywhere, before, Asked(days=days), decided.policy, who=who, words=words)


def _readable(rule: OwnRule) -> None:
    """BadSetting when a rule cannot be, but for its place, which only the registry knows."""
    compiled(replace(rule, place="1") if rule.place and rule.scope in ("group", "device") else rule)


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
    told: Told | None = None,
) -> Response:
    """The form with what was typed, and what is wrong with it."""
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
        columns=readable_columns(kind, draft.type, words),
        grammar=grammar(words),
        operators=OPERATORS,
        communes=words.communes,
        lateness=LATENESS_S,
        fault=said_fault(fault, words) if fault else None,
        caret=caret_line(typed, position) if position is not None else None,
        in_clear=in_clear,
        is_checked=is_checked,
        told=told,
    )


def _is_in_clear(draft: Draft, kind: Kind, fault: BadSetting | None) -> bool:
    """Is it the clearing condition that cannot be read? The condition alone would do."""
    try:
        _readable(draft.model_copy(update={"clear": ""}).rule(kind.name))
    except BadSetting:
        return False
    return isinstance(fault, BadExpression)
