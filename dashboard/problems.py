"""Errors as people and programs get them: a page with one sentence, or problem+json (RFC 9457) under /api."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from dashboard.access import SignInNeeded
from dashboard.desk import desk, words_of
from hub.errors import Unavailable
from store.database import GONE

log = structlog.get_logger(__name__)


def add_problem_handlers(app: FastAPI) -> None:
    """Every way in which a request can fail, told in one shape."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(SignInNeeded, _sign_in)
    for error in (Unavailable, *GONE):
        app.add_exception_handler(error, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


def _is_for_program(request: Request) -> bool:
    told = request.headers.get("accept", "")
    return request.url.path.startswith(("/api/", "/live", "/rules.json")) or "application/json" in told


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(request, error.status_code, str(error.detail), headers=error.headers)


async def _validation(request: Request, error: Exception) -> Response:
    """A program learns which part was wrong; a person followed a link that leads nowhere."""
    assert isinstance(error, RequestValidationError)
    if not _is_for_program(request):
        return _problem(request, HTTPStatus.NOT_FOUND)
    wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, wrong)


async def _sign_in(request: Request, _error: Exception) -> Response:
    if _is_for_program(request):
        return _problem(request, HTTPStatus.UNAUTHORIZED, "sign in first")
    onward = f"?next={request.url.path}" if request.method == "GET" and request.url.path != "/" else ""
    return RedirectResponse(f"/login{onward}", HTTPStatus.SEE_OTHER)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("answered that the database is away", path=request.url.path, reason=str(error))
    return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("page failed", path=request.url.path, exc_info=error)
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(request: Request, status: int, detail: str | None = None, headers: Any = None) -> Response:
    title = HTTPStatus(status).phrase
    if _is_for_program(request):
        body = {"type": "about:blank", "title": title, "status": status, "instance": request.url.path}
        if detail and detail != title:
            body["detail"] = detail
        return JSONResponse(body, status, headers=headers, media_type="application/problem+json")
    words = words_of(request)
    said = {
        403: (
            words("This is not for you"),
            words("It belongs to the operators or to another team. Ask an operator if you need it for your work."),
        ),
        404: (
            words("There is nothing here"),
            words("This address leads to nothing the hub knows. The link may be old."),
        ),
        405: (words("There is nothing here"), words("This address cannot be used that way.")),
        413: (words("Too large"), words("What was sent is larger than this page accepts.")),
        422: (words("Something is missing"), words("Go back, say what is asked for, and send it again.")),
        429: (words("Too many attempts"), words("Wait a few minutes, then try again.")),
        503: (
            words("The database does not answer"),
            words("History and incidents cannot be shown now. Readings are still received. Try again in a moment."),
        ),
    }
    heading, sentence = said.get(
        status, (words("Something went wrong"), words("The hub could not make this page. The error is in its log."))
    )
    return desk(request).render(
        request, "error.html", status_code=status, heading=heading, sentence=sentence, headers=headers
    )
