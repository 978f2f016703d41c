"""`beffroi people` and `beffroi teams`: who may use the page, and who answers for what."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from dashboard.words import LANGUAGES, commune_names
from devices.kind import kinds
from hub.commands.tables import print_table
from hub.errors import BadSetting
from hub.secrets import Secrets, database_url, typed_password
from hub.settings import Settings
from store import pages, people
from store.database import Connection, connect
from store.people import ROLES, Role, Team

T = TypeVar("T")
FIRST = "operator"
"""The hub's own first person, whose password is in the home's secrets."""
NAME = re.compile(r"[\w.@+-]{1,64}")
TEAM_NAME = re.compile(r"[\w][\w .'+-]{0,63}")
MIN_PASSWORD = 12


def add_person(
    settings: Settings, login: str, role: str, *, team: str | None, language: str, password: str | None
) -> str | None:
    """Somebody new. Returns the generated password when none is given."""
    if not NAME.fullmatch(login):
        raise BadSetting(f"the name {login[:64]!r} is wrong: 1 to 64 letters, digits or . @ + - _")
    if language not in LANGUAGES:
        raise BadSetting(f"there is no language {language!r}; there are {', '.join(LANGUAGES)}")
    chosen, role = _checked(password), _role(role)

    async def work(conn: Connection) -> None:
        await people.add_person(conn, login, chosen, role, team=team, language=language)

    _in_hub(settings, work)
    return None if password else chosen


def list_people(settings: Settings) -> None:
    rows = _in_hub(settings, people.people)
    columns = ("login", "role", "team", "language", "sessions")
    print_table(columns, [[str(row[column] or "") for column in columns[:-1]] + [str(row["sessions"])] for row in rows])


def remove_person(settings: Settings, login: str) -> None:
    if login == FIRST:
        raise BadSetting(f"{FIRST!r} belongs to the hub, which makes it again at its next start")
    _in_hub(settings, lambda conn: people.remove_person(conn, login))


def set_password(settings: Settings, login: str, password: str | None) -> str | None:
    """A new password, returned when it was generated; ends the person's sessions."""
    if login == FIRST:
        raise BadSetting(f"the password of {FIRST!r} is in {settings.home / 'secrets.json'}: change it there")
    chosen = _checked(password)
    _in_hub(settings, lambda conn: people.set_password(conn, login, chosen))
    return None if password else chosen


def put_team(settings: Settings, name: str, kind_names: Sequence[str], communes: Sequence[str]) -> str:
    """Make or change a team; says which."""
    if not TEAM_NAME.fullmatch(name):
        raise BadSetting(f"the team's name {name[:64]!r} is wrong: 1 to 64 letters, digits, spaces or . ' + - _")
    if strange := [kind for kind in kind_names if kind not in kinds()]:
        raise BadSetting(f"there is no kind {', '.join(strange)}; there are {', '.join(sorted(kinds()))}")

    async def work(conn: Connection) -> bool:
        known = {*commune_names(settings.city), *await pages.communes(conn)}
        if strange := [commune for commune in communes if commune not in known]:
            raise BadSetting(f"there is no commune {', '.join(strange)}; there are {', '.join(sorted(known))}")
        return await people.put_team(conn, Team(name, sorted({*kind_names}), sorted({*communes})))

    return "added" if _in_hub(settings, work) else "changed"


def list_teams(settings: Settings) -> None:
    print_table(
        ("team", "kinds", "communes", "people"),
        [
            (team.name, ", ".join(team.kinds) or "all", ", ".join(team.communes) or "all", str(count))
            for team, count in _in_hub(settings, people.teams)
        ],
    )


def remove_team(settings: Settings, name: str) -> None:
    _in_hub(settings, lambda conn: people.remove_team(conn, name))


def _role(role: str) -> Role:
    found = next((known for known in ROLES if known == role), None)
    if found is None:
        raise BadSetting(f"there is no role {role!r}; there are {', '.join(ROLES)}")
    return found


def _checked(password: str | None) -> str:
    if password is not None and len(password) < MIN_PASSWORD:
        raise BadSetting(f"the password is too short: at least {MIN_PASSWORD} characters")
    return password or typed_password()


def _in_hub(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do something in the hub's database, in a transaction that is kept when it ends well."""

    async def run() -> T:
        async with connect(database_url(settings, Secrets.of(settings.home))) as conn:
            done = await work(conn)
            await conn.commit()
        return done

    return asyncio.run(run())
