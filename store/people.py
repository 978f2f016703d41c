"""People who use the page: teams and roles, passwords and sessions.

A password is kept as an argon2id hash, a session's token as its SHA-256: what the database holds opens nothing.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.errors import BadSetting
from store.database import Connection
from store.sql import statements

SQL = statements("people")
Role = Literal["operator", "agent"]
ROLES: tuple[Role, ...] = ("operator", "agent")
SESSION_H = 12
"""A night shift and its handover."""
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Team:
    """Who answers for which kinds in which communes; an empty list means all."""

    name: str
    kinds: Sequence[str] = ()
    communes: Sequence[str] = ()

    def covers(self, kind: str, commune: str) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.communes or commune in self.communes)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    login: str
    role: Role
    language: str
    team: Team | None = None

    @property
    def is_operator(self) -> bool:
        return self.role == "operator"

    def sees(self, kind: str, commune: str) -> bool:
        """An operator sees everything, an agent what the team answers for."""
        return self.is_operator or (self.team is not None and self.team.covers(kind, commune))


# Teams


async def put_team(conn: Connection, team: Team) -> bool:
    """Make a team, or change what it answers for; says whether it is new."""
    values = {"name": team.name, "kinds": list(team.kinds), "communes": list(team.communes)}
    row = await (await conn.execute(SQL["put_team"], values)).fetchone()
    return bool(row and row["is_new"])


async def teams(conn: Connection) -> list[tuple[Team, int]]:
    """Every team by name, with how many people it has."""
    rows = await (await conn.execute(SQL["teams"])).fetchall()
    return [(Team(row["name"], row["kinds"], row["communes"]), row["people"]) for row in rows]


async def remove_team(conn: Connection, name: str) -> None:
    """BadSetting when there is none, or when somebody is in it."""
    row = await (await conn.execute(SQL["people_of_team"], {"name": name})).fetchone()
    if row is None:
        raise BadSetting(f"there is no team {name!r}; beffroi teams list shows them")
    if row["logins"]:
        raise BadSetting(f"{', '.join(row['logins'])} would be without a team: move or remove them first")
    await conn.execute(SQL["remove_team"], {"name": name})


# People


async def add_person(
    conn: Connection, login: str, password: str, role: Role, *, team: str | None, language: str
) -> None:
    """Somebody new; BadSetting for a login that is taken, a team that does not exist, an agent without team."""
    if role == "agent" and team is None:
        raise BadSetting("an agent belongs to a team: say which with --team")
    if team is not None and not await (await conn.execute(SQL["team"], {"name": team})).fetchone():
        raise BadSetting(f"there is no team {team!r}; make it with beffroi teams add")
    hashed = await asyncio.to_thread(_hasher.hash, password)
    values = {"login": login, "password_hash": hashed, "role": role, "language": language, "team": team}
    if not (await conn.execute(SQL["add_person"], values)).rowcount:
        raise BadSetting(f"{login!r} exists already; beffroi people password gives a new password")


async def people(conn: Connection) -> list[dict[str, Any]]:
    """login, role, team, language and open sessions of everybody, by login."""
    return await (await conn.execute(SQL["people"])).fetchall()


async def set_password(conn: Connection, login: str, password: str) -> None:
    """A new password; who is signed in with the old one is not any more. BadSetting for an unknown login."""
    hashed = await asyncio.to_thread(_hasher.hash, password)
    changed = await conn.execute(SQL["set_password"], {"login": login, "password_hash": hashed})
    if not changed.rowcount:
        raise _nobody(login)
    await conn.execute(SQL["close_sessions"], {"login": login})


async def remove_person(conn: Connection, login: str) -> None:
    """Forget somebody and end the sessions; what they did stays in the stories. BadSetting for an unknown login."""
    if not (await conn.execute(SQL["remove_person"], {"login": login})).rowcount:
        raise _nobody(login)


def _nobody(login: str) -> BadSetting:
    return BadSetting(f"there is nobody called {login!r}; beffroi people list shows who there is")


async def ensure_person(conn: Connection, login: str, password: str, role: Role, language: str = "fr") -> None:
    """Make the person, or give an existing one this password; leaves what already fits untouched."""
    row = await (await conn.execute(SQL["person"], {"login": login})).fetchone()
    fits = row is not None and await asyncio.to_thread(_fits, row["password_hash"], password)
    if fits:
        return
    hashed = await asyncio.to_thread(_hasher.hash, password)
    values = {"login": login, "password_hash": hashed, "role": role, "language": language}
    await conn.execute(SQL["put_person"], values)


# Sessions


async def person_with_password(conn: Connection, login: str, password: str) -> Person | None:
    """The person if the password is theirs; takes as long for an unknown login as for a wrong password."""
    row = await (await conn.execute(SQL["person"], {"login": login})).fetchone()
    hashed = row["password_hash"] if row else await asyncio.to_thread(_hash_of_nobody)
    fits = await asyncio.to_thread(_fits, hashed, password)
    return _person(row) if row and fits else None


async def open_session(conn: Connection, login: str) -> str:
    """A new session's token, to be given to the browser and kept nowhere; expired ones are forgotten."""
    token = secrets.token_urlsafe(32)
    await conn.execute(SQL["forget_expired"])
    values = {"token_hash": _digest(token), "login": login, "hours": SESSION_H}
    await conn.execute(SQL["open_session"], values)
    return token


async def person_of_session(conn: Connection, token: str) -> Person | None:
    """Who holds this token, None when the session is unknown or over."""
    query = await conn.execute(SQL["person_of_session"], {"token_hash": _digest(token)})
    row = await query.fetchone()
    return _person(row) if row else None


async def close_session(conn: Connection, token: str) -> None:
    await conn.execute(SQL["close_session"], {"token_hash": _digest(token)})


async def set_language(conn: Connection, login: str, language: str) -> None:
    await conn.execute(SQL["set_language"], {"login": login, "language": language})


def _person(row: dict[str, Any]) -> Person:
    team = Team(row["team"], row["kinds"], row["communes"]) if row["team"] else None
    return Person(row["login"], row["role"], row["language"], team)


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
