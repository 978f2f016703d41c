"""The pages of rules: thresholds, rules of the city's own, their history; and the same as JSON."""

from collections.abc import AsyncIterator

import httpx
import pytest

from dashboard.app import create_app
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import Settings
from store.database import connect
from store.people import add_person
from store.policy import decisions

PASSWORD = "a password of the test"
ORIGIN = "http://127.0.0.1:8080"
RULE = {
    "type": "lamp",
    "code": "weak_lamp",
    "condition": "dim_pct == 100 and power_w < 20",
    "title_en": "Weak <lamp>",
    "hold_s": "600",
    "priority": "2",
    "enabled": "true",
}


@pytest.fixture
async def browser(
    database_url: str, broker: Embedded, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate({"home": tmp_path_factory.mktemp("page")})
    app = create_app(settings=settings, database_url=database_url, mqtt_url=broker.mqtt_url, clock=Clock())
    async with connect(database_url) as conn:
        if not await (await conn.execute("SELECT 1 FROM person")).fetchone():
            await add_person(conn, "chief", PASSWORD, "operator", team=None, language="en")
            await conn.commit()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
            await client.post("/login", data={"login": "chief", "password": PASSWORD})
            yield client


async def test_a_rule_is_written_checked_saved_changed_removed_and_brought_back(browser, database_url):
    new = "/rules/street_lighting/new"
    assert "rated_power_w" in (await browser.get(new)).text
    bad = await browser.post(new, data=RULE | {"condition": "dim_pct == 100 and\npowr_w < 20"})
    assert bad.status_code == 422
    assert "powr_w &lt; 20\n▲" in bad.text and "Weak &lt;lamp&gt;" in bad.text, "marked, and nothing typed is lost"
    bad = await browser.post(new, data=RULE | {"clear": "power_w >"})
    assert bad.status_code == 422 and "power_w &gt;\n" in bad.text
    checked = await browser.post(f"{new}?check=1", data=RULE)
    assert checked.status_code == 200 and "not saved yet" in checked.text
    saved = await browser.post(new, data=RULE)
    assert (saved.status_code, saved.headers["location"]) == (303, "/rules/street_lighting/weak_lamp")
    page = (await browser.get(saved.headers["location"])).text
    assert "dim_pct == 100 and power_w &lt; 20" in page and "10 minutes" in page
    assert "Weak &lt;lamp&gt;" in (await browser.get("/rules")).text
    assert (await browser.post(new, data=RULE)).status_code == 422, "its code is taken"

    edit = "/rules/street_lighting/weak_lamp/edit"
    assert 'value="600"' in (await browser.get(edit)).text
    await browser.post(edit, data={**RULE, "condition": "power_w < 10", "enabled": ""})
    async with connect(database_url) as conn:
        (own,) = (await decisions(conn)).rules
    assert (own.condition, own.enabled, own.hold_s) == ("power_w < 10", False, 600.0)

    assert (await browser.post("/rules/street_lighting/weak_lamp/remove")).status_code == 303
    assert (await browser.get("/rules/street_lighting/weak_lamp")).status_code == 404
    history = (await browser.get("/rules/history")).text
    assert "weak_lamp removed" in history and "chief" in history
    assert (await browser.post("/rules/history/3/undo")).status_code == 303
    assert (await browser.get("/rules/street_lighting/weak_lamp")).status_code == 200
    refused = await browser.post("/rules/history/2/undo")
    assert "refused=" in refused.headers["location"] or refused.status_code == 303


async def test_a_threshold_is_set_for_a_part_of_the_city_and_taken_back(browser, database_url):
    page = "/rules/street_lighting/lamp_out"
    told = {"threshold": "min_ratio", "scope": "city", "place": ""}
    assert (await browser.post(f"{page}/thresholds", data=told | {"value": "0.3"})).headers["location"] == page
    shown = (await browser.get(page)).text
    assert "0.3" in shown and "the whole city" in shown and "tuned" in (await browser.get("/rules")).text
    nowhere = told | {"value": "0.3", "scope": "commune", "place": "dijon"}
    assert "no+device+of+commune" in (await browser.post(f"{page}/thresholds", data=nowhere)).headers["location"]
    wrong = await browser.post(f"{page}/thresholds", data={"threshold": "no_such", "value": "1"})
    assert "no+threshold" in wrong.headers["location"]
    assert "no threshold" in (await browser.get(wrong.headers["location"])).text
    await browser.post(f"{page}/thresholds", data=told)
    async with connect(database_url) as conn:
        assert not (await decisions(conn)).overrides


async def test_a_rule_is_tried_over_the_last_days_from_its_page_and_from_the_form(browser):
    page = await browser.get("/rules/street_lighting/lamp_out?trial=1&days=1&threshold=&value=")
    assert page.status_code == 200 and "Tried over the last days" in page.text and "0 readings" in page.text
    beside = await browser.get("/rules/street_lighting/lamp_out?trial=1&days=3&threshold=hold_s&value=60")
    assert "Only as tried: 0" in beside.text
    wrong = await browser.get("/rules/street_lighting/lamp_out?trial=1&threshold=priority&value=9")
    assert "priority is 1, 2 or 3" in wrong.text
    draft = await browser.post("/rules/street_lighting/new?check=1&trial=7", data=RULE | {"code": "weaker_lamp"})
    assert "Tried over the last days" in draft.text and "not saved yet" in draft.text


async def test_programs_do_the_same_as_json(browser):
    told = {"type": "vehicle", "condition": "speed_kmh > 5 and ignition == 0", "title_fr": "Roule moteur coupé"}
    saved = await browser.put("/rules.json/fleet_vehicle/rolls_off", json=told)
    assert saved.status_code == 200 and saved.json()["version"] > 0
    assert "rolls_off" in [rule["code"] for rule in (await browser.get("/rules.json")).json()["rules"]]
    bad = await browser.put("/rules.json/fleet_vehicle/rolls_off", json=told | {"condition": "speed_kmh >"})
    assert bad.status_code == 422 and bad.headers["content-type"] == "application/problem+json"
    assert "character" in bad.json()["detail"]
    tuned = {"threshold": "hold_s", "value": 60}
    assert (await browser.put("/rules.json/fleet_vehicle/rolls_off/thresholds", json=tuned)).status_code == 200
    assert (await browser.delete("/rules.json/fleet_vehicle/rolls_off")).status_code == 200
    last = (await browser.get("/rules.json/history")).json()[0]
    assert last["what"] == "remove_rule"
    assert (await browser.post(f"/rules.json/history/{last['version']}/undo")).status_code == 200
    elsewhere = {"origin": "http://elsewhere.example"}
    assert (await browser.put("/rules.json/fleet_vehicle/x_y", json=told, headers=elsewhere)).status_code == 403
