"""`beffroi people` and `beffroi teams`, as a person calls them, on the real database."""

from pathlib import Path

import pytest

from store.database import connect
from store.people import open_session, person_of_session, person_with_password
from tests.commands import beffroi
from tests.database import fetch


async def test_a_team_gets_an_agent_who_signs_in_with_the_printed_password(database_url: str, tmp_path: Path) -> None:
    async def call(*arguments: str) -> tuple[int, str]:
        return await beffroi(database_url, tmp_path, *arguments)

    assert await call("teams", "add", "Signals", "--kind", "traffic_light", "--commune", "dijon") == (
        0,
        "Signals: added\n",
    )
    code, password = await call("people", "add", "amina", "--role", "agent", "--team", "Signals", "--language", "en")
    assert code == 0
    async with connect(database_url, autocommit=True) as conn:
        person = await person_with_password(conn, "amina", password.strip())
        assert person is not None and (person.role, person.language, person.is_operator) == ("agent", "en", False)
        assert person.sees("traffic_light", "dijon")
        assert not person.sees("traffic_light", "talant") and not person.sees("water_meter", "dijon")
        token = await open_session(conn, "amina")

        assert await call("teams", "add", "Signals") == (0, "Signals: changed\n")
        person = await person_of_session(conn, token)
        assert person is not None and person.sees("water_meter", "talant"), "it answers for everything now"

        code, listed = await call("people", "list")
        assert code == 0 and "amina" in listed and "Signals" in listed and password.strip() not in listed
        code, said = await call("teams", "remove", "Signals")
        assert code == 2 and "amina would be without a team" in said

        code, new = await call("people", "password", "amina")
        assert code == 0 and new != password
        assert await person_of_session(conn, token) is None, "the sessions of the old password are over"
        assert await person_with_password(conn, "amina", password.strip()) is None
        assert await person_with_password(conn, "amina", new.strip()) is not None

        assert (await call("people", "remove", "amina"))[0] == 0
        assert await person_with_password(conn, "amina", new.strip()) is None
    assert (await call("teams", "remove", "Signals"))[0] == 0
    assert not await fetch(database_url, "SELECT 1 FROM team")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["people", "add", "bob", "--role", "king"], "there is no role 'king'; there are operator, agent"),
        (["people", "add", "bob", "--role", "agent"], "an agent belongs to a team"),
        (["people", "add", "bob", "--role", "agent", "--team", "Nobody's"], 'there is no team "Nobody\'s"'),
        (["people", "add", "b/b", "--role", "operator"], "the name 'b/b' is wrong"),
        (["people", "add", "bob", "--role", "operator", "--language", "de"], "there is no language 'de'"),
        (["people", "password", "nobody"], "there is nobody called 'nobody'"),
        (["people", "remove", "operator"], "makes it again"),
        (["people", "password", "operator"], "secrets.json"),
        (["teams", "add", "Rockets", "--kind", "rocket"], "there is no kind rocket"),
        (["teams", "add", "Far", "--commune", "paris"], "there is no commune paris"),
        (["teams", "add", "../x"], "the team's name '../x' is wrong"),
        (["teams", "remove", "Nobody"], "there is no team 'Nobody'"),
    ],
)
async def test_what_is_wrong_is_one_sentence(
    database_url: str, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, said = await beffroi(database_url, tmp_path, *arguments)
    assert code == 2 and words in said and said.count("\n") == 1, said


async def test_a_name_is_taken_once(database_url: str, tmp_path: Path) -> None:
    add = ("people", "add", "olga", "--role", "operator")
    assert (await beffroi(database_url, tmp_path, *add))[0] == 0
    code, said = await beffroi(database_url, tmp_path, *add)
    assert code == 2 and "'olga' exists already" in said
