"""The page on a real database and a real broker: who gets in, what they see, and what the stream tells."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from dashboard.app import Server, create_app
from dashboard.attempts import MAX_FAILURES
from devices.fences import FencePart
from devices.frame import Frame
from devices.kind import Figure, kinds
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import BrokerAddress, Settings
from store import fences, indicators
from store.database import connect
from store.people import ensure_person
from tests.conftest import free_port
from tests.database import rolled_up
from tests.pages import browser, example, routes

LOGIN, PASSWORD = "operator", "a password of the test"
OPEN_TO_ALL = {"/login", "/healthz", "/static/{version}/{name:path}", "/logout", "/api/v1/openapi.json"}
EPOCH = 41
BUS, FEEDER, CABINET, STRANGER, INCIDENT = "bus-1", "D3", "A45", "X9", 1

pytestmark = pytest.mark.usefixtures("city")


@pytest.fixture(scope="module")
async def city(database_url: str) -> dict[str, int]:
    """A few devices with a day of readings, one incident with a member; device numbers by id."""
    async with connect(database_url) as conn:
        await ensure_person(conn, LOGIN, PASSWORD, "operator")
        await ensure_person(conn, LOGIN, PASSWORD, "operator")
        numbers: dict[str, int] = {}
        for kind, id, type, parent, is_known in (
            ("street_lighting", CABINET, "cabinet", None, True),
            ("street_lighting", FEEDER, "feeder", CABINET, True),
            ("street_lighting", "L1", "lamp", FEEDER, True),
            ("fleet_vehicle", BUS, "vehicle", None, True),
            ("water_meter", STRANGER, None, None, False),
        ):
            query = await conn.execute(
                "INSERT INTO device (commune, kind, id, type, parent_no, lat, lon, street, changed_at, changed_version,"
                " first_seen_at, commissioned_at)"
                " VALUES ('dijon', %s, %s, %s, %s, 47.32, 5.04, 'rue <b>Monge</b>', now(), 1, now(),"
                " CASE WHEN %s THEN now() END) RETURNING device_no",
                [kind, id, type, numbers.get(parent or ""), is_known],
            )
            numbers[id] = (await query.fetchone() or {})["device_no"]
        await conn.execute(
            "INSERT INTO street_lighting (device_no, ts, received_at, current_a, breaker_tripped)"
            " SELECT %s, now() - make_interval(secs => g * 10), now(), 6 + g %% 3, g < 30"
            " FROM generate_series(0, 8639) g",
            [numbers[FEEDER]],
        )
        await conn.execute(
            "INSERT INTO fleet_vehicle (device_no, ts, received_at, lat, lon, speed_kmh)"
            " SELECT %s, now() - make_interval(mins => g), now(), 47 + g * 0.001, 5, 30 FROM generate_series(0, 60) g",
            [numbers[BUS]],
        )
        await conn.execute(
            "INSERT INTO water_meter (device_no, ts, received_at, total_m3) VALUES (%s, now(), now(), 12.5)",
            [numbers[STRANGER]],
        )
        explanation = json.dumps(
            {"columns": {"breaker_tripped": 1, "current_a": None}, "thresholds": {"dark_share": 0.6}, "hold_s": 0}
        )
        await conn.execute(
            "INSERT INTO incident (cause_no, code, kind, priority, opened_at, detected_at, explanation)"
            " VALUES (%s, 'feeder_out', 'street_lighting', 1, now(), now(), %s)",
            [numbers[FEEDER], explanation],
        )
        await conn.execute(
            "INSERT INTO incident_member (incident_no, device_no, code, since, explanation)"
            " VALUES (%s, %s, 'lamp_out', now(), %s)",
            [INCIDENT, numbers["L1"], explanation],
        )
        await conn.execute(
            "INSERT INTO incident_change (incident_no, at, change, reason) VALUES (%s, now(), 'opened', 'because')",
            [INCIDENT],
        )
        await rolled_up(conn)
        await conn.commit()
    return numbers


@pytest.fixture(scope="module")
async def app(database_url: str, broker: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    settings = Settings.model_validate({"home": tmp_path_factory.mktemp("page")})
    async with aiomqtt.Client(**BrokerAddress.parse(broker.mqtt_url).client_arguments()) as client:
        for kind in kinds():  # the broker is shared: another file's worker may have left its last picture
            await client.publish(f"beffroi/live/{kind}", b"", retain=True, qos=1)
    made = create_app(settings=settings, database_url=database_url, mqtt_url=broker.mqtt_url, clock=Clock())
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        yield client


@pytest.fixture
async def operator(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        answer = await client.post("/login", data={"login": LOGIN, "password": PASSWORD})
        assert answer.status_code == 303
        yield client


# ---- who gets in ----


async def test_every_route_but_the_door_asks_for_a_session(app: FastAPI, stranger: httpx.AsyncClient) -> None:
    known = routes(app)
    assert len(known) > 12
    for path, methods in known:
        if path in OPEN_TO_ALL:
            continue
        address = example(path)
        for method in methods:
            answer = await stranger.request(
                method, address, headers={"accept": "application/json"}, data={"language": "fr"}
            )
            assert answer.status_code == 401, (method, address)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_person_without_session_is_led_to_the_door_and_back(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/incidents")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/incidents")
    answer = await stranger.post("/login", data={"login": LOGIN, "password": PASSWORD, "next": "/incidents"})
    assert answer.headers["location"] == "/incidents"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/a\nb"]
)
async def test_the_door_leads_nowhere_else(stranger: httpx.AsyncClient, elsewhere: str) -> None:
    answer = await stranger.post("/login", data={"login": LOGIN, "password": PASSWORD, "next": elsewhere})
    assert answer.headers["location"] == "/"


async def test_a_wrong_name_and_a_wrong_password_sound_the_same(stranger: httpx.AsyncClient) -> None:
    wrong_name = await stranger.post("/login", data={"login": "nobody", "password": PASSWORD})
    wrong_password = await stranger.post("/login", data={"login": LOGIN, "password": "no"})
    assert wrong_name.status_code == wrong_password.status_code == 401
    assert wrong_name.text == wrong_password.text


async def test_too_many_failures_close_the_door_even_to_the_right_password(app: FastAPI) -> None:
    async with browser(app) as client:
        form = {"login": "hammered", "password": "no"}
        answers = [(await client.post("/login", data=form)).status_code for _ in range(MAX_FAILURES + 1)]
    assert answers == [401] * MAX_FAILURES + [429]


async def test_a_forged_post_changes_nothing(operator: httpx.AsyncClient) -> None:
    answer = await operator.post(f"/incidents/{INCIDENT}/acknowledge", headers={"origin": "http://evil.test"})
    assert answer.status_code == 403
    [card] = (await operator.get("/api/incidents")).json()
    assert card["state"] == "new"


async def test_signing_out_ends_the_session(operator: httpx.AsyncClient, database_url: str) -> None:
    token = operator.cookies["beffroi_session"]
    async with connect(database_url) as conn:
        rows = await (await conn.execute("SELECT * FROM session")).fetchall()
    assert token not in str(rows), "the database keeps only a digest"
    await operator.post("/logout")
    operator.cookies.set("beffroi_session", token)
    assert (await operator.get("/", headers={"accept": "application/json"})).status_code == 401


# ---- what they see ----


async def test_the_language_is_the_person_s(operator: httpx.AsyncClient) -> None:
    assert 'lang="fr"' in (await operator.get("/", headers={"accept-language": "en"})).text
    answer = await operator.post("/language", data={"language": "en", "next": "/incidents"})
    assert answer.headers["location"] == "/incidents"
    assert "Feeder out" in (await operator.get("/incidents")).text
    assert (
        await operator.post("/language", data={"language": "xx"}, headers={"accept": "application/json"})
    ).status_code == 422
    await operator.post("/language", data={"language": "fr"})


@pytest.mark.parametrize(
    "path",
    ["/", "/overview", "/incidents", f"/incidents/{INCIDENT}", "/team", "/commission"]
    + [f"/overview/{kind}" for kind in kinds()],
)
async def test_pages_are_made(operator: httpx.AsyncClient, path: str) -> None:
    answer = await operator.get(path)
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*(src=|application/json))|<style|\sstyle=|\son\w+=", answer.text), (
        "the policy allows nothing inline"
    )


async def test_what_devices_say_is_never_markup(operator: httpx.AsyncClient, city: dict[str, int]) -> None:
    page = (await operator.get(f"/devices/{city[FEEDER]}")).text
    assert "rue &lt;b&gt;Monge" in page and "<b>Monge" not in page


async def test_a_device_page_tells_where_it_hangs_and_that_it_waits(
    operator: httpx.AsyncClient, city: dict[str, int]
) -> None:
    page = (await operator.get(f"/devices/{city[FEEDER]}")).text
    assert f'href="/devices/{city[CABINET]}"' in page and f'href="/devices/{city["L1"]}"' in page
    assert "Départ hors tension" in page
    assert "À mettre en service." in (await operator.get(f"/devices/{city[STRANGER]}")).text
    assert "À mettre en service." not in page


async def test_a_day_of_readings_is_thinned_to_a_thousand_points(
    operator: httpx.AsyncClient, city: dict[str, int]
) -> None:
    history = (await operator.get(f"/api/devices/{city[FEEDER]}/history")).json()
    assert 900 < len(history["at"]) <= 1002
    assert history["at"] == sorted(history["at"])
    fields = {field["name"]: field for field in history["fields"]}
    assert set(fields) == {"current_a", "breaker_tripped"}
    assert all(6 <= value <= 8 for value in fields["current_a"]["values"])
    assert fields["breaker_tripped"]["values"][-1] is True and fields["breaker_tripped"]["values"][0] is False


@pytest.mark.parametrize(("span", "bucket_s"), [("week", 900), ("month", 3600), ("year", 86_400)])
async def test_a_longer_history_is_drawn_from_the_rollups(
    operator: httpx.AsyncClient, city: dict[str, int], span: str, bucket_s: int
) -> None:
    history = (await operator.get(f"/api/devices/{city[FEEDER]}/history?span={span}")).json()
    assert history["bucket_s"] == bucket_s
    assert history["at"] == sorted(history["at"])
    fields = {field["name"]: field for field in history["fields"]}
    assert set(fields) == {"current_a", "breaker_tripped"}
    current = fields["current_a"]
    assert not current["bars"]
    lines = (current[name] for name in ("low", "values", "high"))
    assert all(low <= mean <= high for low, mean, high in zip(*lines, strict=True))
    bus = (await operator.get(f"/api/devices/{city[BUS]}/history?span={span}")).json()
    assert {"lat", "lon"}.isdisjoint(field["name"] for field in bus["fields"])
    assert (await operator.get(f"/api/devices/{city[FEEDER]}/history?span=decade")).status_code == 422


async def test_the_last_value_of_each_field_is_shown_with_its_time(
    operator: httpx.AsyncClient, city: dict[str, int]
) -> None:
    assert "12,5 m³" in (await operator.get(f"/devices/{city[STRANGER]}")).text


async def test_what_was_stored_just_now_is_shown_before_it_is_rolled_up(
    operator: httpx.AsyncClient, city: dict[str, int], database_url: str
) -> None:
    async with connect(database_url, autocommit=True) as conn:
        await conn.execute(
            "INSERT INTO street_lighting (device_no, ts, received_at, dim_pct) VALUES (%s, now(), now(), 73)",
            [city["L1"]],
        )
    assert "73 %" in (await operator.get(f"/devices/{city['L1']}")).text.replace("\u202f", " ").replace("\xa0", " ")


async def test_who_looks_at_a_vehicle_s_positions_is_logged(
    operator: httpx.AsyncClient, city: dict[str, int], database_url: str
) -> None:
    async def looks() -> int:
        async with connect(database_url) as conn:
            query = await conn.execute(
                "SELECT count(*) FROM position_access WHERE login = %s AND device_no = %s", [LOGIN, city[BUS]]
            )
            return int((await query.fetchone() or {})["count"])

    before = await looks()
    assert (await operator.get(f"/devices/{city[BUS]}")).status_code == 200
    assert (await operator.get(f"/api/devices/{city[BUS]}/history")).json()["fields"]
    await operator.get(f"/devices/{city[FEEDER]}")
    assert await looks() == before + 2


async def test_fences_are_drawn_as_what_they_cover(operator: httpx.AsyncClient, database_url: str) -> None:
    line = {"type": "LineString", "coordinates": [[5.0, 47.3], [5.1, 47.3]]}
    async with connect(database_url, autocommit=True) as conn:
        await fences.put(conn, [FencePart("route_3", "", 60, line)])
    (feature,) = (await operator.get("/api/map/fences.geojson")).json()["features"]
    assert feature["properties"] == {"name": "route_3"} and feature["geometry"]["type"] == "Polygon"


async def test_places_of_devices_come_as_columns_and_only_when_they_changed(
    operator: httpx.AsyncClient, city: dict[str, int]
) -> None:
    answer = await operator.get("/api/kinds/water_meter/devices")
    assert len(answer.content) == 13
    assert np.frombuffer(answer.content, "<i4", 1)[0] == city[STRANGER]
    assert np.frombuffer(answer.content, "<f4", 2, 4).tolist() == pytest.approx([5.04, 47.32])
    assert answer.content[12] == 127 + 128
    again = await operator.get("/api/kinds/water_meter/devices", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/devices/999999999", 404),
        ("/api/devices/999999999/history", 404),
        ("/api/devices/0", 422),
        ("/api/devices/99999999999999999999", 422),
        ("/api/devices/one", 422),
        ("/api/kinds/dragons/devices", 404),
        ("/api/map/secrets.geojson", 404),
        ("/api/nothing", 404),
    ],
)
async def test_a_bad_address_is_a_problem_and_never_a_failure(
    operator: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await operator.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    "path",
    [
        "/devices/999999999",
        "/devices/one",
        "/devices/-1",
        "/incidents/999",
        "/incidents/9999999999999999999999",
        "/nothing",
    ],
)
async def test_a_person_gets_a_page_that_says_so(operator: httpx.AsyncClient, path: str) -> None:
    answer = await operator.get(path)
    assert answer.status_code == 404
    assert "Il n&#39;y a rien ici" in answer.text


async def test_files_have_the_version_in_their_address_and_stay(stranger: httpx.AsyncClient, app: FastAPI) -> None:
    page = (await stranger.get("/login")).text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert addresses
    for address in [*addresses, app.state.desk.assets.url("vendor/maplibre-gl.mjs")]:
        answer = await stranger.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for path in (
        "/static/old/page.css",
        app.state.desk.assets.url("../app.py"),
        app.state.desk.assets.url("vendor/package.json"),
    ):
        assert (await stranger.get(path)).status_code == 404


# ---- the overview ----


async def test_the_overview_tells_figures_goals_and_what_is_open(
    operator: httpx.AsyncClient, database_url: str
) -> None:
    now = datetime.now(UTC)
    async with connect(database_url, autocommit=True) as conn:
        for minutes, faults in ((15, 1), (0, 12)):
            at = now - timedelta(minutes=minutes)
            figures = [Figure("street_lighting", "at_fault", "dijon", faults, 800)]
            figures += [Figure("street_lighting", "at_fault", "talant", 0, 200)]
            await indicators.write(conn, at, figures)
    for path in ("/overview", "/overview/street_lighting"):
        page = (await operator.get(path)).text
        assert "1,2\N{NO-BREAK SPACE}%" in page and "objectif\N{NO-BREAK SPACE}: 1\N{NO-BREAK SPACE}% au plus" in page
        assert 'class="figure misses"' in page and "<polyline" in page
        assert 'href="/incidents?kind=street_lighting&amp;priority=1"' in page
    assert 'href="/overview/street_lighting?commune=talant"' in page, "figures by commune"
    dijon = (await operator.get("/overview/street_lighting?commune=dijon")).text
    assert "1,5\N{NO-BREAK SPACE}%" in dijon and "commune=dijon" in dijon
    assert (await operator.get("/overview?commune=atlantis")).status_code == 404
    assert (await operator.get("/overview/dragons")).status_code == 404


# ---- acknowledging ----


async def test_an_incident_is_taken_once_and_given_back_within_a_minute(
    operator: httpx.AsyncClient, database_url: str
) -> None:
    answers = [
        (await operator.post(f"/incidents/{INCIDENT}/{what}", headers={"accept": "application/json"})).json()["state"]
        for what in ("acknowledge", "acknowledge", "take-back", "acknowledge")
    ]
    assert answers == ["acknowledged", "acknowledged", "new", "acknowledged"]
    page = await operator.get(f"/incidents/{INCIDENT}")
    assert "Annuler : " in page.text and LOGIN in page.text
    assert (
        await operator.post("/incidents/999/acknowledge", headers={"accept": "application/json"})
    ).status_code == 404
    async with connect(database_url) as conn:
        query = await conn.execute(
            "SELECT change, who, channel FROM incident_change WHERE who = %s ORDER BY change_no", [LOGIN]
        )
        assert [(row["change"], row["channel"]) for row in await query.fetchall()] == [
            ("acknowledged", "page"),
            ("taken_back", "page"),
            ("acknowledged", "page"),
        ]
    form = await operator.post(f"/incidents/{INCIDENT}/take-back")
    assert (form.status_code, form.headers["location"]) == (303, f"/incidents/{INCIDENT}")


# ---- the stream ----


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells us of; five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Events:
    """Server-sent events of a response, parsed as a browser would."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self, name: str, is_it: Callable[[Any], bool] = lambda _data: True) -> tuple[str | None, Any]:
        """The next event of a name that fits: its id and its data."""
        async with asyncio.timeout(15):
            while True:
                fields = await self._event()
                if fields.get("event") == name and is_it(data := json.loads(fields["data"])):
                    return fields.get("id"), data

    async def _event(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        raise AssertionError("the stream ended")


@pytest.fixture(scope="module")
async def address(app: FastAPI) -> AsyncIterator[str]:
    """The page behind a real server: streams need a connection that stays open."""
    port = free_port()
    server = Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=3), app)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await asyncio.wait_for(task, 2)  # an open stream must not hold the process


@asynccontextmanager
async def streaming(address: str, last_event_id: str | None = None) -> AsyncIterator[Events]:
    async with httpx.AsyncClient(base_url=address, headers={"origin": address}) as client:
        await client.post("/login", data={"login": LOGIN, "password": PASSWORD})
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        async with client.stream("GET", "/live", headers=headers, timeout=20) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Events(response)


async def publish(broker: Embedded, seq: int, states: dict[int, int], *, key: bool = False) -> None:
    frame = Frame.of(
        "street_lighting",
        epoch=EPOCH,
        seq=seq,
        key=key,
        at_us=seq,
        device_no=np.array(list(states)),
        state=np.array(list(states.values())),
    )
    async with aiomqtt.Client(**BrokerAddress.parse(broker.mqtt_url).client_arguments()) as client:
        await client.publish(frame.topic, frame.encode(), retain=key, qos=1)


def states(data: dict[str, Any]) -> dict[int, int]:
    numbers = np.frombuffer(base64.b64decode(data["device_no"]), "<i4").tolist()
    return dict(zip(numbers, base64.b64decode(data["state"]), strict=True))


async def test_a_browser_gets_the_picture_then_changes_and_resumes_where_it_was(
    address: str, broker: Embedded, city: dict[str, int]
) -> None:
    feeder, lamp = city[FEEDER], city["L1"]
    async with streaming(address) as events:
        _, status = await events.next("status")
        assert status["database"] and status["broker"]
        await publish(broker, 1, {feeder: 2, lamp: 2}, key=True)
        _, full = await events.next("picture")
        assert (full["full"], states(full)) == (True, {feeder: 2, lamp: 2})
        await publish(broker, 2, {feeder: 6})
        event_id, change = await events.next("picture", lambda data: not data["full"])
        assert states(change) == {feeder: 6}
        assert event_id == f"street_lighting.{EPOCH}.2"
    await publish(broker, 3, {lamp: 4})
    await asyncio.sleep(0.5)
    async with streaming(address, event_id) as events:
        _, missed = await events.next("picture")
        assert (missed["full"], states(missed)) == (False, {lamp: 4})
    for unknown in (None, "street_lighting.40.2", "nonsense"):
        async with streaming(address, unknown) as events:
            _, all_of_it = await events.next("picture")
            assert (all_of_it["full"], states(all_of_it)) == (True, {feeder: 6, lamp: 4})


async def test_an_acknowledgement_reaches_every_screen(address: str, app: FastAPI, operator: httpx.AsyncClient) -> None:
    async with streaming(address) as events:
        _, cards = await events.next("incidents")
        assert [card["no"] for card in cards] == [INCIDENT]
        assert cards[0]["title"] == "Départ hors tension"
        await operator.post(f"/incidents/{INCIDENT}/acknowledge")
        _, card = await events.next("incident")
        assert (card["no"], card["state"], card["acknowledged_by"]) == (INCIDENT, "acknowledged", LOGIN)


async def test_a_broken_frame_is_counted_and_disturbs_nothing(broker: Embedded, app: FastAPI) -> None:
    before = app.state.desk.live.bad_frames
    async with aiomqtt.Client(**BrokerAddress.parse(broker.mqtt_url).client_arguments()) as client:
        await client.publish("beffroi/live/street_lighting", b"\xff\x00 no frame", qos=1)
    await until(lambda: app.state.desk.live.bad_frames > before)


async def test_without_database_and_broker_the_page_says_so(tmp_path: Path) -> None:
    """The page starts, tells what is missing, and answers 503 instead of failing."""
    nowhere = free_port()
    lost = create_app(
        settings=Settings.model_validate({"home": tmp_path}),
        database_url=f"postgresql://beffroi:x@127.0.0.1:{nowhere}/beffroi",
        mqtt_url=f"mqtt://hub:x@127.0.0.1:{nowhere}",
        clock=Clock(),
    )
    async with lost.router.lifespan_context(lost), browser(lost) as client:
        health = (await client.get("/healthz")).json()
        assert health == {"page": True, "database": False, "broker": False, "live": False}
        client.cookies.set("beffroi_session", "some token")
        answer = await client.get("/")
        assert answer.status_code == 503
        assert "La base de données ne répond pas" in answer.text
