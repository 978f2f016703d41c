"""Who may see the page: log-in, log-out, and the checks that every other route makes: a session, and its role."""

import time
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboard.desk import WITHOUT_NUL, AtDesk, Desk, desk, words_of
from dashboard.words import LANGUAGES
from store import people
from store.people import SESSION_H, Person

COOKIE = "beffroi_session"
MAX_LENGTH = 200

router = APIRouter()


class SignInNeeded(Exception):
    """Nobody is signed in; a person is led to the log-in, a program is told."""


async def signed_in(request: Request) -> Person:
    """The person who asks; SignInNeeded when the session is absent, unknown or over."""
    token = request.cookies.get(COOKIE)
    if not token:
        raise SignInNeeded
    async with desk(request).database() as conn:
        person = await people.person_of_session(conn, token)
    if person is None:
        raise SignInNeeded
    request.state.person = person
    return person


SignedIn = Annotated[Person, Depends(signed_in)]


async def operator(person: SignedIn) -> Person:
    """The operator who asks; 403 for anybody else."""
    if not person.is_operator:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this is for operators")
    return person


Operator = Annotated[Person, Depends(operator)]


def check_sees(person: Person, kind: str, commune: str) -> None:
    """403 when it is another team's."""
    if not person.sees(kind, commune):
        raise HTTPException(HTTPStatus.FORBIDDEN, "this is another team's")


@router.get("/login")
async def login_page(request: Request, at: AtDesk, next: str = "/") -> Response:
    return _login_form(request, at, next)


@router.post("/login")
async def login(
    request: Request,
    at: AtDesk,
    login: Annotated[str, Form(max_length=MAX_LENGTH, pattern=WITHOUT_NUL)] = "",
    password: Annotated[str, Form(max_length=MAX_LENGTH)] = "",
    next: Annotated[str, Form(max_length=MAX_LENGTH)] = "/",
) -> Response:
    words = words_of(request)
    key = f"{request.client.host if request.client else ''} {login}"
    if at.attempts.wait_s(key, time.monotonic()) > 0:
        error = words("Too many attempts with this name. Wait five minutes, then try again.")
        return _login_form(request, at, next, error, HTTPStatus.TOO_MANY_REQUESTS)
    at.attempts.failed(key, time.monotonic())  # before the slow check, so that many at once do not slip through
    async with at.database() as conn:
        person = await people.person_with_password(conn, login, password)
        token = await people.open_session(conn, person.login) if person else None
    if token is None:
        error = words("Name or password is wrong.")
        return _login_form(request, at, next, error, HTTPStatus.UNAUTHORIZED)
    at.attempts.succeeded(key)
    response = _see(own_path(next))
    response.set_cookie(
        COOKIE, token, max_age=SESSION_H * 3600, httponly=True, samesite="lax", secure=_is_https(request, at)
    )
    return response


@router.post("/logout")
async def logout(request: Request, at: AtDesk) -> Response:
    token = request.cookies.get(COOKIE)
    if token:
        async with at.database() as conn:
            await people.close_session(conn, token)
    response = _see("/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return response


@router.post("/language")
async def choose_language(
    at: AtDesk, person: SignedIn, language: Annotated[str, Form()], next: Annotated[str, Form()] = "/"
) -> Response:
    if language not in LANGUAGES:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"language is one of {', '.join(LANGUAGES)}")
    async with at.database() as conn:
        await people.set_language(conn, person.login, language)
    return _see(own_path(next))


def _login_form(
    request: Request, at: Desk, next: str, error: str | None = None, status_code: int = HTTPStatus.OK
) -> Response:
    return at.render(request, "login.html", status_code=status_code, next=own_path(next), error=error)


def own_path(path: str) -> str:
    """A path of this site, never another site's address (also not //elsewhere or /\\elsewhere)."""
    parts = urlsplit(path)
    is_ours = path.startswith("/") and path[1:2] not in ("/", "\\") and not parts.scheme and not parts.netloc
    return path if is_ours and path.isprintable() else "/"


def _is_https(request: Request, at: Desk) -> bool:
    return request.url.scheme == "https" or (at.settings.page_url or "").startswith("https://")


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
