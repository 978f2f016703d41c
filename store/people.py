"""People who use the page, their passwords and their sessions.

A password is kept as an argon2id hash, a session's token as its SHA-256: what the database holds opens nothing.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from functools import cache
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from store.database import Connection
from store.sql import statements

Role = Literal["operator", "agent"]
SESSION_H = 12
"""A night shift and its handover."""
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    login: str
    role: str
    language: str


async def ensure_person(conn: Connection, login: str, password: str, role: Role, language: str = "fr") -> None:
    """Make the person, or give an existing one this password; leaves what already fits untouched."""
    row = await (await conn.execute(statements("people")["person"], {"login": login})).fetchone()
    fits = row is not None and await asyncio.to_thread(_fits, row["password_hash"], password)
    if fits:
        return
    hashed = await asyncio.to_thread(_hasher.hash, password)
    values = {"login": login, "password_hash": hashed, "role": role, "language": language}
    await conn.execute(statements("people")["put_person"], values)


async def person_with_password(conn: Connection, login: str, password: str) -> Person | None:
    """The person if the password is theirs; takes as long for an unknown login as for a wrong password."""
    row = await (await conn.execute(statements("people")["person"], {"login": login})).fetchone()
    hashed = row["password_hash"] if row else await asyncio.to_thread(_hash_of_nobody)
    fits = await asyncio.to_thread(_fits, hashed, password)
    return Person(row["login"], row["role"], row["language"]) if row and fits else None


async def open_session(conn: Connection, login: str) -> str:
    """A new session's token, to be given to the browser and kept nowhere; expired ones are forgotten."""
    token = secrets.token_urlsafe(32)
    await conn.execute(statements("people")["forget_expired"])
    values = {"token_hash": _digest(token), "login": login, "hours": SESSION_H}
    await conn.execute(statements("people")["open_session"], values)
    return token


async def person_of_session(conn: Connection, token: str) -> Person | None:
    """Who holds this token, None when the session is unknown or over."""
    query = await conn.execute(statements("people")["person_of_session"], {"token_hash": _digest(token)})
    row = await query.fetchone()
    return Person(**row) if row else None


async def close_session(conn: Connection, token: str) -> None:
    await conn.execute(statements("people")["close_session"], {"token_hash": _digest(token)})


async def set_language(conn: Connection, login: str, language: str) -> None:
    await conn.execute(statements("people")["set_language"], {"login": login, "language": language})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _fits(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
