"""A question of a contract: who asks, with what key, how often, what is recorded of it, and how it is answered."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast

import anyio
import msgspec
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from dashboard.api.cursor import BadCursor
from dashboard.api.limits import Allowance, Limits
from dashboard.desk import AtDesk, Desk
from store import contracts, delegate
from store.contracts import Bearer, Scope
from store.database import Connection

MAX_TOKEN = 200
REFUSED = HTTPStatus.UNAUTHORIZED
bearer_scheme = HTTPBearer(auto_error=False, description="The API key that the city gave: `bfr_...`.")


@dataclass(slots=True)
class Question:
    """One request of a contract, let in and not yet answered."""

    at: Desk
    bearer: Bearer
    limits: Limits
    allowance: Allowance
    rows: int | None = None
    """How many rows it was answered with, for the record."""

    @asynccontextmanager
    async def asked(self, what: str, **asked: object) -> AsyncIterator[Connection]:
        """A connection that sees what the contract may see; the question is recorded, however it ends."""
        access_no = await self.record(what, asked)
        refused: str | None = None
        try:
            async with self.at.database() as conn:
                await delegate.enter(conn, self.bearer.role)
                yield conn
        except delegate.QuestionTooLarge as error:
            refused = str(error)
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, refused, self.allowance.headers) from error
        except (HTTPException, BadCursor) as error:
            refused = str(error.detail if isinstance(error, HTTPException) else error)
            if isinstance(error, BadCursor):
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, refused, self.allowance.headers) from error
            raise
        finally:
            if self.rows is not None or refused is not None:
                await self.record_answer(access_no, self.rows, refused)

    async def record(self, what: str, asked: Mapping[str, object]) -> int:
        """Keep what is asked before anything is answered."""
        said = {name: value for name, value in asked.items() if value is not None}
        async with self.at.database() as conn:
            return await contracts.log_asked(
                conn, self.bearer, what, cast(dict[str, object], msgspec.to_builtins(said))
            )

    async def record_answer(self, access_no: int, rows: int | None, refused: str | None = None) -> None:
        """Keep how many rows were given; also when the client has gone meanwhile."""
        with anyio.CancelScope(shield=True):
            async with self.at.database() as conn:
                await contracts.log_answered(conn, access_no, rows, refused)

    def answer(self, body: object) -> Response:
        """The answer as JSON, with what the key has left."""
        return Response(msgspec.json.encode(body), media_type="application/json", headers=self.allowance.headers)

    async def require(self, scope: Scope, what: str, **asked: object) -> None:
        """403, recorded, when the key was not given this scope."""
        if scope in self.bearer.scopes:
            return
        detail = f"this key does not have the scope {scope!r}; ask the city for one that has"
        await self.record_answer(await self.record(what, asked), None, detail)
        raise HTTPException(HTTPStatus.FORBIDDEN, detail, self.allowance.headers)


@dataclass(frozen=True, slots=True, eq=False)  # FastAPI hashes it
class Door:
    """Lets in who has a key that is good, and not more often than a key may ask."""

    limits: Limits

    async def __call__(
        self,
        request: Request,
        at: AtDesk,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)],
    ) -> None:
        if credentials is None:
            raise _unauthorized("send your API key as: Authorization: Bearer bfr_...")
        async with at.database() as conn:
            bearer = await contracts.bearer_of(conn, credentials.credentials[:MAX_TOKEN])
        if isinstance(bearer, str):
            raise _unauthorized(bearer)
        allowance = self.limits.ask(bearer.key_no, time.monotonic())
        if allowance.left < 0:
            detail = f"this key has asked too often; ask again in {allowance.reset_s} s"
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, allowance.headers)
        request.state.question = Question(at, bearer, self.limits, allowance)


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(REFUSED, detail, {"WWW-Authenticate": 'Bearer realm="beffroi"'})


def question(request: Request) -> Question:
    return cast(Question, request.state.question)


Asks = Annotated[Question, Depends(question)]
