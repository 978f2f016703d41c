"""The page of the quarantine: filters, leafing, and the release with its confirmation."""

import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from dashboard.app import create_app
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import Settings
from store.database import connect
from store.people import Team, add_person, put_team
from tests.database import fetch, one

PASSWORD = "a password of the test"
AT = datetime(2026, 7, 14, 22, 30, tzinfo=UTC)
"""Half past midnight of the 15th in Dijon."""
ORIGIN = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
async def quarantined(database_url: str) -> str:
    """60 messages that are no JSON from `city`, one conflict from `roof`, and one that only tele-alert may explain."""
    async with connect(database_url) as conn:
        await put_team(conn, Team("Hands", (), ()))
        await add_person(conn, "chief", PASSWORD, "operator", team=None, language="en")
        await add_person(conn, "hand", PASSWORD, "agent", team="Hands", language="en")
        rows = [(n, "city", "invalid_json", AT - timedelta(days=3)) for n in range(60)]
        rows += [(60, "roof", "conflict", AT), (61, "rules", "bad_transition", AT)]
        for offset, source, reason, at in rows:
            await conn.execute(
                "INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)"
                " VALUES (%s, %s, -1, %s, %s, 'a/b', '<script>x</script>', %s, 'why')",
                [uuid.UUID(int=1), offset, at, source, reason],
            )
        await conn.commit()
    return database_url


@pytest.fixture
async def browser(
    quarantined: str, broker: Embedded, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"home": tmp_path_factory.mktemp("page")})
    app = create_app(settings=settings, database_url=quarantined, mqtt_url=broker.mqtt_url, clock=Clock())
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
            yield client


async def sign_in(browser: httpx.AsyncClient, login: str = "chief", language: str = "en") -> None:
    await browser.post("/login", data={"login": login, "password": PASSWORD})
    await browser.post("/language", data={"language": language})


async def page(browser: httpx.AsyncClient, path: str = "/quarantine", **query: str) -> str:
    answer = await browser.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_it_is_chosen_and_leafed_through(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    first = await page(browser)
    assert first.count("<article") == 50 and "&lt;script&gt;" in first and "<script>x" not in first
    assert "Release 61 messages" in first, "what tele-alert could not read is not released"
    older = await page(browser, before=first.split("before=")[1].split('"')[0])
    assert older.count("<article") == 12 and "Earlier ones" not in older
    assert (await page(browser, reason="conflict", source="roof")).count("<article") == 1
    assert (await page(browser, source="nobody")).count("<article") == 0
    assert (await page(browser, reason="", source="", from_day="", to_day="")).count("<article") == 50


async def test_days_are_those_of_the_city(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    assert (await page(browser, from_day="2026-07-15", to_day="2026-07-15")).count("<article") == 2
    assert (await page(browser, from_day="2026-07-14", to_day="2026-07-14")).count("<article") == 0
    assert (await page(browser, from_day="2026-07-01", to_day="9999-12-31")).count("<article") == 50


@pytest.mark.parametrize(
    "query",
    [{"from_day": "yesterday"}, {"no": "0"}, {"no": "x"}, {"before": "99999999999999999999"}, {"reason": "../x"}],
)
async def test_a_wrong_question_is_refused(browser: httpx.AsyncClient, query: dict[str, str]) -> None:
    await sign_in(browser)
    answer = await browser.get("/quarantine", params=query)
    assert 400 <= answer.status_code < 500 and "Traceback" not in answer.text


async def test_nothing_is_released_unasked(browser: httpx.AsyncClient, quarantined: str) -> None:
    order = {"up_to_no": "60"}
    assert (await browser.post("/quarantine/release", data=order)).status_code in (303, 401), "nobody is signed in"
    await sign_in(browser)
    forged = await browser.post("/quarantine/release", data=order, headers={"origin": "http://elsewhere.example"})
    assert forged.status_code == 403
    assert (await browser.post("/quarantine/release", data={"up_to_no": "x"})).status_code >= 400
    await sign_in(browser, "hand")
    assert (await browser.get("/quarantine")).status_code == 403
    assert (await browser.get("/quarantine/release")).status_code == 403
    assert (await browser.post("/quarantine/release", data=order)).status_code == 403
    assert await fetch(quarantined, "SELECT 1 FROM quarantine_release") == []


async def test_a_release_is_confirmed_asked_for_and_shown(browser: httpx.AsyncClient, quarantined: str) -> None:
    await sign_in(browser)
    confirm = await page(browser, "/quarantine/release", reason="conflict")
    assert "1 message will be read again" in confirm and "Conflict" in confirm
    fields = dict(re.findall(r'name="(reason|up_to_no)" value="([^"]*)"', confirm))
    answer = await browser.post("/quarantine/release", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/quarantine")
    asked = await one(quarantined, "SELECT * FROM quarantine_release")
    assert (asked["asked_by"], asked["reason"], asked["wanted"], asked["finished_at"]) == ("chief", "conflict", 1, None)
    waiting = await browser.get("/quarantine")
    assert "under way: 0 of 1" in waiting.text and waiting.headers["refresh"] == "2"
    async with connect(quarantined, autocommit=True) as conn:
        await conn.execute(
            "UPDATE quarantine_release SET tried = 1, released = 1, readings_stored = 1, finished_at = now()"
        )
        await conn.execute(
            "UPDATE quarantine SET released_at = now(), release_no = %s WHERE reason = 'conflict'",
            [asked["release_no"]],
        )
    done = await browser.get("/quarantine")
    assert "1 message released, 1 reading stored" in done.text and "refresh" not in done.headers
    gone = await page(browser, released="true")
    assert gone.count("<article") == 1 and "Released by chief" in gone
    await sign_in(browser, language="fr")
    assert "1 message libéré, 1 lecture enregistrée" in await page(browser)
    assert "0 message" not in await page(browser, "/quarantine/release", reason="conflict")
