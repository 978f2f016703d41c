"""Who may see and do what: every route is held to its role, and an agent to the team's incidents and devices."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from dashboard.app import create_app
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import Settings
from store.database import connect
from store.people import Team, add_person, put_team
from tests.database import fetch, one
from tests.pages import browser, example, routes

PASSWORD = "a password of the test"
OPERATOR, AGENT, PLUMBER = "olga", "amir", "paul"
LAMP, METER, METER_ELSEWHERE = 1, 2, 3
LAMP_OUT, LEAK = 1, 2

ROLES = {
    "/login": "anybody",
    "/logout": "anybody",
    "/healthz": "anybody",
    "/static/{version}/{name:path}": "anybody",
    "/metrics": "its own rule",
    "/": "signed in",
    "/language": "signed in",
    "/team": "signed in",
    "/incidents/{incident_no}": "signed in",
    "/incidents/{incident_no}/{answer}": "signed in",
    "/api/incidents": "signed in",
    "/devices/{device_no}": "signed in",
    "/api/devices/{device_no}": "signed in",
    "/api/devices/{device_no}/history": "signed in",
    "/api/map": "signed in",
    "/api/map/communes.geojson": "signed in",
    "/api/map/fences.geojson": "signed in",
    "/api/map/streets.geojson": "signed in",
}
"""Routes that are not for operators alone. A new one is, until it is named here."""

pytestmark = pytest.mark.usefixtures("city")


@pytest.fixture(scope="module")
async def city(database_url: str) -> None:
    """A lamp at fault in Dijon and two meters, a leaking one in Talant; two teams, an operator and two agents."""
    async with connect(database_url) as conn:
        for kind, id, type, commune in (
            ("street_lighting", "L1", "lamp", "dijon"),
            ("water_meter", "M1", "meter", "talant"),
            ("water_meter", "M2", "meter", "dijon"),
        ):
            await conn.execute(
                "INSERT INTO device (commune, kind, id, type, street, lat, lon, commissioned_at, changed_at,"
                " changed_version) VALUES (%s, %s, %s, %s, 'rue Monge', 47.32, 5.04, now(), now(), 1)",
                [commune, kind, id, type],
            )
        for device_no, code, kind in ((LAMP, "lamp_out", "street_lighting"), (METER, "leak", "water_meter")):
            await conn.execute(
                "INSERT INTO incident (cause_no, code, kind, priority, opened_at, detected_at, explanation)"
                " VALUES (%s, %s, %s, 3, now(), now(), '{}')",
                [device_no, code, kind],
            )
        await put_team(conn, Team("Lighting", ["street_lighting"]))
        await put_team(conn, Team("Water of Talant", ["water_meter"], ["talant"]))
        await add_person(conn, OPERATOR, PASSWORD, "operator", team=None, language="en")
        await add_person(conn, AGENT, PASSWORD, "agent", team="Lighting", language="en")
        await add_person(conn, PLUMBER, PASSWORD, "agent", team="Water of Talant", language="en")
        await conn.commit()


@pytest.fixture(scope="module")
async def app(database_url: str, broker: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    settings = Settings.model_validate({"home": tmp_path_factory.mktemp("page")})
    made = create_app(settings=settings, database_url=database_url, mqtt_url=broker.mqtt_url, clock=Clock())
    async with made.router.lifespan_context(made):
        yield made


@asynccontextmanager
async def signed_in(app: FastAPI, login: str) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        answer = await client.post("/login", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303
        yield client


@pytest.fixture
async def agent(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(app, AGENT) as client:
        yield client


@pytest.fixture
async def operator(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(app, OPERATOR) as client:
        yield client


# ---- routes ----


async def test_every_route_is_held_to_its_role(app: FastAPI, agent: httpx.AsyncClient) -> None:
    known = [(path, methods) for path, methods in routes(app) if not path.startswith("/api/v1")]
    assert set(ROLES) <= {path for path, _ in known}
    for path, methods in known:
        role = ROLES.get(path, "operators")
        for method in methods:
            if path == "/logout":
                continue
            answer = await agent.request(method, example(path), data={"language": "en"})
            is_refused = answer.status_code == 403
            assert is_refused is (role == "operators"), f"{method} {path} answered an agent {answer.status_code}"


async def test_what_is_refused_is_told_in_words_and_to_programs_as_a_problem(agent: httpx.AsyncClient) -> None:
    page = await agent.get("/quarantine")
    assert page.status_code == 403 and "This is not for you" in page.text and 'href="/team"' in page.text
    problem = await agent.get("/live", headers={"accept": "text/event-stream"})
    assert (problem.status_code, problem.headers["content-type"]) == (403, "application/problem+json")


@pytest.mark.parametrize(
    "path", ["/", "/overview", "/overview/water_meter?commune=talant", "/incidents", "/team", "/commission", "/health"]
)
async def test_an_operator_sees_every_page(operator: httpx.AsyncClient, path: str) -> None:
    assert (await operator.get(path)).status_code == 200


async def test_an_agent_begins_with_the_teams_list_and_has_no_link_that_is_refused(agent: httpx.AsyncClient) -> None:
    answer = await agent.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/team")
    pages = [await agent.get(path) for path in ("/team", f"/incidents/{LAMP_OUT}", f"/devices/{LAMP}")]

    for page in pages:
        for link in set(re.findall(r'<a [^>]*href="(/[^"#]*)"', page.text)):
            assert (await agent.get(link)).status_code in (200, 303), link


# ---- the team's own ----


async def test_an_agent_sees_the_incidents_and_devices_of_the_team_alone(app: FastAPI) -> None:
    seen = {"amir": (LAMP_OUT, LAMP, LEAK, METER), "paul": (LEAK, METER, LAMP_OUT, LAMP)}
    for login, (own, device, other, other_device) in seen.items():
        async with signed_in(app, login) as client:
            assert [card["no"] for card in (await client.get("/api/incidents")).json()] == [own]
            assert f"/incidents/{own}" in (await client.get("/team")).text
            assert f"/incidents/{other}" not in (await client.get("/team")).text
            for path in (f"/incidents/{own}", f"/devices/{device}", f"/api/devices/{device}/history"):
                assert (await client.get(path)).status_code == 200, path
            for path in (f"/incidents/{other}", f"/devices/{other_device}", f"/api/devices/{other_device}/history"):
                assert (await client.get(path)).status_code == 403, path
            assert (await client.get(f"/devices/{METER_ELSEWHERE}")).status_code == 403, "another commune's"


async def test_another_teams_incident_cannot_be_moved(agent: httpx.AsyncClient, database_url: str) -> None:
    for step in ("acknowledge", "on-site", "fixed", "close", "take-back"):
        assert (await agent.post(f"/incidents/{LEAK}/{step}")).status_code == 403
    assert (await one(database_url, "SELECT state FROM incident WHERE incident_no = %s", LEAK))["state"] == "new"
    assert not await fetch(database_url, "SELECT 1 FROM incident_change WHERE incident_no = %s", LEAK)


async def test_an_agent_goes_from_the_list_through_the_states(agent: httpx.AsyncClient, database_url: str) -> None:
    for step, state in (
        ("acknowledge", "acknowledged"),
        ("take-back", "new"),
        ("on-site", "on_site"),
        ("fixed", "fixed"),
    ):
        answer = await agent.post(f"/incidents/{LAMP_OUT}/{step}", data={"next": f"/team#i{LAMP_OUT}"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/team#i{LAMP_OUT}")
        found = await one(database_url, "SELECT state FROM incident WHERE incident_no = %s", LAMP_OUT)
        assert found["state"] == state
    held = await agent.post(f"/incidents/{LAMP_OUT}/on-hold", data={"reason": "material", "note": " a  new driver "})
    assert held.headers["location"] == f"/incidents/{LAMP_OUT}"
    assert "material awaited: a new driver" in (await agent.get(f"/incidents/{LAMP_OUT}")).text
    story = await fetch(database_url, "SELECT change, who, channel, reason FROM incident_change ORDER BY change_no")
    assert [row["change"] for row in story][-5:] == ["acknowledged", "taken_back", "on_site", "fixed", "on_hold"]
    assert story[-1] == {"change": "on_hold", "who": AGENT, "channel": "page", "reason": "material: a new driver"}


@pytest.mark.parametrize(
    ("step", "form", "status"),
    [
        ("on-hold", {}, 422),
        ("on-hold", {"reason": "laziness"}, 422),
        ("fixed", {"note": "x" * 301}, 422),
        ("fixed", {"note": "a\0b"}, 422),
        ("explode", {}, 422),
        ("fixed", {"next": "//evil.test"}, 303),
    ],
)
async def test_a_bad_answer_is_refused_and_leads_nowhere_else(
    agent: httpx.AsyncClient, step: str, form: dict[str, str], status: int
) -> None:
    answer = await agent.post(f"/incidents/{LAMP_OUT}/{step}", data=form, headers={"accept": "text/html"})
    assert answer.status_code in ({status, 404} if status == 422 else {status})
    assert answer.headers.get("location", "/") == "/"


async def test_the_list_is_small_and_needs_no_script(agent: httpx.AsyncClient) -> None:
    page = await agent.get("/team")
    assert len(page.content) < 40_000
    assert 'method="post"' in page.text and "geo:47.32000,5.04000" in page.text


# ---- the operator's filters ----


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {LAMP_OUT, LEAK}),
        ("kind=water_meter", {LEAK}),
        ("commune=dijon", {LAMP_OUT}),
        ("team=Lighting", {LAMP_OUT}),
        ("team=Lighting&kind=water_meter", set()),
        ("priority=1", set()),
        ("priority=3&text=MONGE", {LAMP_OUT, LEAK}),
        ("text=lamp+out", {LAMP_OUT}),
        ("text=%25", set()),
        (f"text={LEAK}", {LEAK}),
        ("state=new&kind=water_meter", {LEAK}),
        ("show=closed", set()),
        ("kind=dragons", set()),
        ("page=99", set()),
    ],
)
async def test_the_operator_narrows_the_list(operator: httpx.AsyncClient, query: str, found: set[int]) -> None:
    page = await operator.get(f"/incidents?{query}")
    assert page.status_code == 200
    assert {no for no in (LAMP_OUT, LEAK) if f'href="/incidents/{no}"' in page.text} == found


@pytest.mark.parametrize(
    "path",
    [
        "/incidents?text=%00",
        "/incidents?team=%00",
        "/incidents?page=0",
        "/incidents?priority=9",
        f"/incidents?text={'x' * 81}",
        "/overview?commune=%00",
        "/overview/%00",
    ],
)
async def test_a_bad_question_leads_to_nothing_and_never_fails(operator: httpx.AsyncClient, path: str) -> None:
    assert (await operator.get(path)).status_code == 404


async def test_a_long_list_is_shown_page_by_page(operator: httpx.AsyncClient, database_url: str) -> None:
    async with connect(database_url, autocommit=True) as conn:
        await conn.execute(
            "INSERT INTO incident (cause_no, code, kind, priority, state, opened_at, detected_at, closed_at,"
            " explanation) SELECT %s, 'dry', 'water_meter', 3, 'closed', now(), now(), now(), '{}'"
            " FROM generate_series(1, 120)",
            [METER],
        )
    pages = [await operator.get(f"/incidents?show=closed&page={number}") for number in (1, 2, 3)]
    assert [page.text.count('<td><a href="/incidents/') for page in pages] == [50, 50, 20]
    assert "page=2" in pages[0].text and 'rel="next"' not in pages[2].text
