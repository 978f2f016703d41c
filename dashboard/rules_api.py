"""The city's own rules and thresholds for programs of an operator: the same as the page of rules, as JSON.

With the session of the page; errors are problem+json, and a condition that cannot be read says at which character.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from dashboard.access import Operator
from dashboard.desk import AtDesk
from devices.own_rule import OwnRule
from devices.policy import Override, Scope
from hub.errors import BadSetting
from store import policy

router = APIRouter(prefix="/rules.json")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A threshold for a part of the city; null takes it back."""

    threshold: str
    value: float | None
    scope: Scope = "city"
    place: str = ""


@router.get("")
async def decided(at: AtDesk, person: Operator) -> Response:
    """Version, own rules and overrides in force."""
    async with at.database() as conn:
        found = await policy.decisions(conn)
    return _json({"version": found.version, "rules": found.rules, "overrides": found.overrides})


@router.get("/history")
async def history(at: AtDesk, person: Operator, before: int | None = None) -> Response:
    """The last changes, the newest first."""
    async with at.database() as conn:
        return _json(await policy.history(conn, before=before))


@router.post("/history/{version}/undo")
async def undo(at: AtDesk, person: Operator, version: int) -> Response:
    """Put back what a version changed."""
    async with at.database() as conn:
        with _told():
            return _json({"version": await policy.undo(conn, version, person.login, at.clock.now())})


@router.put("/{kind}/{code}")
async def save(request: Request, at: AtDesk, person: Operator, kind: str, code: str) -> Response:
    """Add an own rule or replace it; the body is one, without kind and code."""
    with _told():
        told = msgspec.json.decode(await request.body(), type=dict[str, Any])
        rule = msgspec.convert(told | {"kind": kind, "code": code}, OwnRule)
        async with at.database() as conn:
            return _json({"version": await policy.save_rule(conn, rule, person.login, at.clock.now())})


@router.delete("/{kind}/{code}")
async def remove(at: AtDesk, person: Operator, kind: str, code: str) -> Response:
    """Remove an own rule."""
    async with at.database() as conn:
        with _told():
            return _json({"version": await policy.remove_rule(conn, kind, code, person.login, at.clock.now())})


@router.put("/{kind}/{code}/thresholds")
async def tune(request: Request, at: AtDesk, person: Operator, kind: str, code: str) -> Response:
    """Set a threshold for a part of the city, or take it back."""
    with _told():
        one = msgspec.json.decode(await request.body(), type=Wanted)
        async with at.database() as conn:
            if one.value is None:
                number = await policy.clear_override(
                    conn, kind, code, one.threshold, person.login, at.clock.now(), scope=one.scope, place=one.place
                )
            else:
                override = Override(kind, code, one.threshold, one.value, one.scope, one.place)
                number = await policy.set_override(conn, override, person.login, at.clock.now())
    return _json({"version": number})


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with what was asked, as a problem; a BadExpression says its position."""
    try:
        yield
    except (BadSetting, msgspec.MsgspecError) as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _json(told: object) -> Response:
    return Response(msgspec.json.encode(told), media_type="application/json")
