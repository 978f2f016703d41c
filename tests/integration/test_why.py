"""Why a rule fires, asked of a worker's boards over the real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from dashboard.app import create_app
from dashboard.asking_why import ask_why
from devices.registry import Registry
from hub.clock import Clock
from hub.commands import why as command
from hub.errors import BadSetting, BrokerUnavailable
from hub.runtime.servers import Embedded
from hub.secrets import Secrets
from hub.settings import BrokerAddress, Settings
from ingest.city import City
from ingest.why import TOPIC, answer_questions
from rules.evaluate import apply
from rules.explain import Answer, Question
from store.database import connect
from store.people import ensure_person
from tests.pages import browser
from tests.readings import NOW_US, readings_of

LAMPS = [
    (10, "dijon", "street_lighting", "L1", "lamp", None, None, 47.3, 5.0, True, {"rated_power_w": 60}),
    (11, "talant", "street_lighting", "L1", "lamp", None, None, 47.3, 5.0, True, {"rated_power_w": 60}),
]

PASSWORD = "a password of the test"
DEVICE = """
    INSERT INTO device (device_no, commune, kind, id, type, lat, lon, attributes, commissioned_at, changed_at,
        changed_version)
    OVERRIDING SYSTEM VALUE
    VALUES (10, 'dijon', 'street_lighting', 'L1', 'lamp', 47.3, 5.0, '{"rated_power_w": 60}', now(), now(), 1)
"""


@pytest.fixture
async def asked(broker: Embedded) -> AsyncIterator[str]:
    """The broker of a worker that has heard one dark lamp."""
    city, clock = City.of(Registry.of_rows(1, LAMPS)), Clock()
    dark = [{"no": 10, "ts": ts, "dim_pct": 100, "power_w": 1} for ts in (0, 700)]
    apply(city.boards["street_lighting"], readings_of("street_lighting", dark), now_us=NOW_US + 700_000_000)
    task = asyncio.create_task(answer_questions(BrokerAddress.parse(broker.mqtt_url), city, clock))
    while await ask_why(broker.mqtt_url, Question(device_no=10, code="lamp_out"), 0.5) is None:
        assert not task.done()
    yield broker.mqtt_url
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_question_is_answered(asked: str, broker: Embedded) -> None:
    told = await ask_why(asked, Question("street_lighting", id="L1", commune="dijon"))
    assert told is not None and told.device_no == 10
    whys = {why.code: why for why in told.whys}
    assert whys["lamp_out"].is_firing and whys["lamp_out"].condition
    assert "feeder_out" not in whys and not whys["driver_hot"].is_firing
    assert whys["driver_hot"].missed == ["driver_temp_c"]

    told = await ask_why(asked, Question("street_lighting", id="L1"))
    assert told is not None and "say which with --commune" in told.fault
    for question in (Question(device_no=77), Question("nothing", id="x"), Question(device_no=10, code="feeder_out")):
        told = await ask_why(asked, question)
        assert told is not None and told.fault and not told.whys

    with suppress(BrokerUnavailable):  # whoever is no process of the hub may not ask, and hears nothing
        assert await ask_why(broker.simulator_url, Question(device_no=10), 0.5) is None


async def test_the_page_asks(asked: str, own_database_url: str, tmp_path: Path) -> None:
    async with connect(own_database_url) as conn:
        await conn.execute(DEVICE)
        await ensure_person(conn, "operator", PASSWORD, "operator")
        await conn.commit()
    settings = Settings.model_validate({"home": tmp_path})
    app = create_app(settings=settings, database_url=own_database_url, mqtt_url=asked, clock=Clock())
    async with app.router.lifespan_context(app), browser(app) as operator:
        await operator.post("/login", data={"login": "operator", "password": PASSWORD})
        assert "ask-why" in (await operator.get("/devices/10")).text
        told = (await operator.get("/devices/10/why")).text
        assert "Lampadaire éteint" in told and "Déclenchée : sa condition est remplie." in told
        assert "il manque Température du driver" in told and "<html" not in told
        app.state.mqtt_url = "mqtt://127.0.0.1:1"
        assert "Le moteur de règles ne répond pas." in (await operator.get("/devices/10/why")).text


async def test_the_command(asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Secrets.of(tmp_path)
    settings = Settings.model_validate({"home": tmp_path, "mqtt_url": asked})
    await asyncio.to_thread(command.run, settings, "street_lighting", "L1", "lamp_out", commune="dijon")
    said = capsys.readouterr().out
    assert said.startswith("P3 lamp_out, Lamp out: It fires: its condition holds.")
    assert "Dimming command" in said and "min_ratio" in said
    with pytest.raises(BadSetting, match="no rule that watches"):
        await asyncio.to_thread(command.run, settings, "street_lighting", "L1", "door", commune="dijon")


async def test_nobody_answers_elsewhere_and_nonsense_stops_nothing(asked: str) -> None:
    async with aiomqtt.Client(
        **BrokerAddress.parse(asked).client_arguments(), protocol=aiomqtt.ProtocolVersion.V5
    ) as client:
        for payload in (b"", b"{", b"\xff", msgspec.json.encode({"device_no": 2**70})):
            await client.publish(TOPIC, payload)
    assert await ask_why(asked, Question(device_no=10, code="lamp_out")) != Answer()


async def test_without_a_worker_there_is_no_answer(broker: Embedded) -> None:
    assert await ask_why(broker.mqtt_url, Question(device_no=10), 0.3) is None
