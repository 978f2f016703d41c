"""A small city from outside: the real hub as a newcomer starts it, a client that is not ours, a real browser."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect
from psycopg.rows import dict_row

from hub.runtime import programs
from hub.runtime.chromium import LAUNCH_ARGUMENTS
from hub.settings import Settings
from tests.conftest import free_port
from tests.processes import mosquitto_pub

T = TypeVar("T")
RUNTIME = Path(".beffroi/runtime").resolve()
BEFFROI = Path(sys.executable).with_name("beffroi")
LAMPS = [f"A1-D1-{number:02}" for number in range(1, 11)]
FAULTY = LAMPS[2]
STARTS_WITHIN_S, STOPS_WITHIN_S = 60, 30
SEEN_WITHIN_MS = 20_000
expect.set_options(timeout=SEEN_WITHIN_MS)

CITY = """\
- {commune: dijon, kind: street_lighting, id: A1, type: cabinet, lat: 47.3221, lon: 5.0415, street: place Darcy}
- {commune: dijon, kind: street_lighting, id: A1-D1, type: feeder, parent: A1, gateway: A1, lat: 47.3222, lon: 5.0416,
   label: Départ Darcy nord, rated_current_a: 9}
- {commune: dijon, kind: water_meter, id: M1, type: meter, lat: 47.3230, lon: 5.0430, street: rue Musette}
- {commune: dijon, kind: water_meter, id: M2, type: meter, lat: 47.3231, lon: 5.0431, street: rue Musette}
- {commune: dijon, kind: water_meter, id: M3, type: meter, lat: 147.3231, lon: 5.0431}
- {commune: dijon, kind: fleet_vehicle, id: V1, type: vehicle, label: Balayeuse 1}
""" + "".join(
    f"- {{commune: dijon, kind: street_lighting, id: {lamp}, type: lamp, parent: A1-D1, gateway: A1,"
    f" lat: {47.3221 + place / 1e4:.4f}, lon: 5.0420, street: place Darcy, rated_power_w: 60}}\n"
    for place, lamp in enumerate(LAMPS)
)
BAD_LINE, DEVICES = 6, 15


@dataclass
class City:
    """A hub on a home and ports of its own, as its operator has it."""

    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    account: str = ""
    """Password of the gateway's account."""
    numbers: dict[str, int] = field(default_factory=dict)
    imports: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    """The same file of devices, imported twice."""

    @property
    def said(self) -> str:
        return (self.home / "up.txt").read_text()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.environment['BEFFROI_HTTP_PORT']}"

    @property
    def operator(self) -> str:
        """The operator's password, as it was printed."""
        found = re.search(r"name +operator\n +password +(\S+)", self.said)
        assert found, self.said
        return found[1]

    def beffroi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return beffroi(self.environment, *arguments)

    def publish(self, topic: str, payload: object) -> None:
        """Send with Mosquitto's own client, through the gateway's account."""
        argv = [
            mosquitto_pub(RUNTIME),
            "-h",
            "127.0.0.1",
            "-p",
            self.environment["BEFFROI_MQTT_PORT"],
        ]
        argv += [
            "-u",
            "gateway-1",
            "-P",
            self.account,
            "-q",
            "1",
            "-t",
            f"city/dijon/{topic}",
            "-m",
            json.dumps(payload),
        ]
        subprocess.run(argv, check=True, timeout=10)

    def batch(self, minutes_ago: float, power_w: float) -> None:
        """What the cabinet says of all its lamps."""
        told = {"ts": at(minutes_ago), "dim_pct": 100, "power_w": power_w}
        self.publish("street_lighting/A1/batch", [{"id": lamp, **told} for lamp in LAMPS])

    def lamp(self, lamp: str, minutes_ago: float, power_w: float) -> None:
        told = {"ts": at(minutes_ago), "dim_pct": 100, "power_w": power_w}
        self.publish(f"street_lighting/{lamp}/telemetry", told)

    def rows(self, statement: str, *parameters: object) -> list[dict[str, object]]:
        secrets = json.loads((self.home / "secrets.json").read_text())
        port = self.environment["BEFFROI_POSTGRES_PORT"]
        url = f"postgresql://beffroi:{secrets['postgres']}@127.0.0.1:{port}/beffroi"
        with psycopg.connect(url, row_factory=dict_row) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def open_incidents(self) -> dict[tuple[str, str], dict[str, object]]:
        rows = self.rows(
            "SELECT d.id, i.*, (SELECT count(*) FROM incident_member m WHERE m.incident_no = i.incident_no) AS members"
            " FROM incident i JOIN device d ON d.device_no = i.cause_no WHERE i.state <> 'closed'"
        )
        return {(str(row["id"]), str(row["code"])): row for row in rows}

    def notifications(self) -> list[str]:
        """Calls; not the hub's own alarms, which tell of the machine that the test runs on."""
        path = self.home / "notifications.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if "[Beffroi]" not in line]


def at(minutes_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()


def beffroi(environment: dict[str, str], *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BEFFROI, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def environment_of(home: Path) -> dict[str, str]:
    ports = ("BEFFROI_HTTP_PORT", "BEFFROI_MQTT_PORT", "BEFFROI_POSTGRES_PORT")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("BEFFROI_")},
        "BEFFROI_HOME": str(home),
        "BEFFROI_RUNTIME": str(RUNTIME),
        **{name: str(free_port()) for name in ports},
    }


def until(what: str, look: Callable[[], T], wanted: Callable[[T], bool] = bool, timeout_s: float = 20) -> T:
    """Look until what is seen is what is wanted."""
    deadline_s = time.monotonic() + timeout_s
    while not wanted(seen := look()):
        assert time.monotonic() < deadline_s, f"{what}: still {seen!r} after {timeout_s} s"
        time.sleep(0.1)
    return seen


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and theirs."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(told[1]), []).append(int(status.parent.name))
    found, left = set(), [pid]
    while left:
        children = parents.get(left.pop(), [])
        found.update(children)
        left += children
    return found


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The hub, started as `make up` starts it but without the simulator, with the devices of a small city."""
    home = tmp_path_factory.mktemp("city")
    environment = environment_of(home)
    with (home / "up.txt").open("wb") as said:
        process = subprocess.Popen(
            [BEFFROI, "up", "--no-simulate"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    city = City(home, environment, process)
    try:
        until("the hub starts", lambda: city.said, lambda said: "Stop it with Ctrl-C" in said, STARTS_WITHIN_S)
        yield city
    finally:
        left = descendants(process.pid)
        if process.poll() is None:
            process.terminate()
            process.wait(STOPS_WITHIN_S)
        assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]


@pytest.fixture(scope="module")
def known_city(city: City) -> City:
    """The hub once its devices are declared, its account made, and its lamps shine."""
    file = city.home / "city.yaml"
    file.write_text(CITY)
    city.imports = [city.beffroi("devices", "import", str(file)) for _ in range(2)]
    prefixes = [f"city/dijon/{kind}" for kind in ("street_lighting", "water_meter", "fleet_vehicle")]
    made = city.beffroi("accounts", "add", "gateway-1", *prefixes)
    assert made.returncode == 0, made.stderr
    city.account = made.stdout.strip()
    city.numbers = {str(row["id"]): int(str(row["device_no"])) for row in city.rows("SELECT id, device_no FROM device")}
    worker = city.home / "logs/worker.log"
    until("the worker knows the devices", worker.read_text, lambda said: f"devices={DEVICES}" in said)
    city.publish(
        "street_lighting/A1-D1/telemetry",
        {"ts": at(41), "breaker_tripped": False, "contactor_closed": True, "current_a": 2.6},
    )
    city.batch(41, 58.5)
    return city


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        program = programs.chromium(Settings(runtime=RUNTIME)).path
        browser = await playwright.chromium.launch(executable_path=program, args=list(LAUNCH_ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def page_of(browser: Browser, city: City, language: str = "fr", *, signed_in: bool = True) -> AsyncIterator[Page]:
    """A page in a browser of its own; nothing may go wrong in it."""
    wrong: list[str] = []
    context = await browser.new_context(base_url=city.address, locale=language, viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(SEEN_WITHIN_MS)
    if signed_in:
        await sign_in(page, city.operator)
        await page.wait_for_url("**/")
    yield page
    await context.close()
    assert not wrong


async def sign_in(page: Page, password: str, login: str = "operator") -> None:
    await page.goto("/login")
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", password)
    await page.click("form button.primary")


def card(page: Page, title: str):
    return page.locator("#incident-list li.card", has_text=title)


# Before anything goes wrong


def test_the_good_rows_of_a_file_go_in_and_the_bad_one_is_named_by_its_line(known_city: City):
    first, again = known_city.imports
    assert first.returncode == again.returncode == 1
    assert re.search(rf"city\.yaml:{BAD_LINE}: lat 147.323 is not between -90 and 90 degrees", first.stderr)
    assert f"{DEVICES} added, 0 changed, 0 unchanged, 1 bad rows" in first.stdout
    assert f"0 added, 0 changed, {DEVICES} unchanged, 1 bad rows" in again.stdout


def test_a_reading_is_in_the_database(known_city: City):
    sent = {"ts": "2026-11-23T06:00:00Z", "total_m3": 1234.567, "leak": False}
    known_city.publish("water_meter/M1/telemetry", sent)
    (row,) = until(
        "the reading is stored",
        lambda: known_city.rows("SELECT * FROM water_meter WHERE device_no = %s", known_city.numbers["M1"]),
    )
    assert (row["ts"], row["total_m3"], row["leak"]) == (datetime(2026, 11, 23, 6, tzinfo=UTC), 1234.567, False)


def test_an_account_publishes_under_its_own_prefixes_only(known_city: City):
    known_city.publish("traffic_lights/T1/telemetry", {"red": True})
    known_city.publish("water_meter/M2/telemetry", {"total_m3": 2})
    until(
        "what came after is stored",
        lambda: known_city.rows("SELECT 1 FROM water_meter WHERE device_no = %s", known_city.numbers["M2"]),
    )
    assert known_city.rows("SELECT * FROM quarantine") == []


async def test_a_wrong_password_opens_nothing(browser: Browser, city: City):
    for language, words in (("fr", "Nom ou mot de passe incorrect."), ("en", "Name or password is wrong.")):
        async with page_of(browser, city, language, signed_in=False) as page:
            await sign_in(page, "sesame")
            await expect(page.get_by_role("alert")).to_have_text(words)
            await page.goto("/incidents")
            await expect(page).to_have_url(re.compile("/login"))


async def test_the_page_counts_the_devices(browser: Browser, known_city: City):
    async with page_of(browser, known_city) as page:
        street_lighting = page.locator("li.kind[data-kind=street_lighting]")
        await expect(street_lighting.locator(".kind-total")).to_have_text("12")
        await expect(page.locator("#incident-list")).to_contain_text("Aucun incident ouvert")
        await expect(page.locator("#freshness")).to_have_class(re.compile("is-live"))


async def test_a_device_page_shows_its_last_day(browser: Browser, known_city: City):
    async with page_of(browser, known_city) as page:
        await page.goto(f"/devices/{known_city.numbers[LAMPS[0]]}")
        await expect(page.locator("table.pairs")).to_contain_text("58,5 W")
        power = page.locator("#charts figure", has_text="Puissance")
        await expect(power.locator("canvas")).to_be_visible()
        await expect(power.locator(".value")).to_contain_text("58,5 W")
        await page.click("#ask-why")  # the worker's answer, over the broker
        lamp_out = page.locator("#why details", has_text="Lampadaire éteint")
        await expect(lamp_out.locator("summary")).to_contain_text("Ne se déclenche pas")
        await lamp_out.locator("summary").click()
        await expect(lamp_out.locator("table").first).to_contain_text("58,5 W")


# Faults


async def test_a_lamp_fault_is_an_incident_on_the_page(browser: Browser, known_city: City):
    async with page_of(browser, known_city) as page:
        await expect(page.locator("#incident-list")).to_contain_text("Aucun incident ouvert")
        known_city.lamp(FAULTY, 39, 0.4)
        known_city.lamp(FAULTY, 24, 0.4)
        await expect(card(page, "Lampadaire éteint")).to_have_count(1)
        await page.locator("details.group", has_text="P3").locator("summary").click()
        await expect(card(page, "Lampadaire éteint")).to_be_visible()
        await expect(card(page, "Lampadaire éteint")).to_contain_text("place Darcy")
    incidents = known_city.open_incidents()
    assert list(incidents) == [(FAULTY, "lamp_out")]
    assert incidents[FAULTY, "lamp_out"]["quiet"] == "morning_list"
    assert known_city.notifications() == []


async def test_a_feeder_trip_is_one_incident_and_one_call(browser: Browser, known_city: City):
    async with page_of(browser, known_city) as page:
        known_city.publish("street_lighting/A1-D1/telemetry", {"ts": at(20), "breaker_tripped": True, "current_a": 0})
        await expect(card(page, "Départ hors tension")).to_be_visible()
        known_city.batch(19, 0)
        known_city.batch(2, 0)
        await expect(card(page, "Départ hors tension")).to_contain_text("11 équipements")
        await expect(page.locator("#incident-list li.card")).to_have_count(1)
    incidents = known_city.open_incidents()
    assert [(key, row["members"]) for key, row in incidents.items()] == [(("A1-D1", "feeder_out"), 10)]
    (line,) = until("somebody is called", known_city.notifications)
    number = incidents["A1-D1", "feeder_out"]["incident_no"]
    assert "[P1] Alerte de panne : Départ hors tension" in line
    assert "Départ Darcy nord" in line and "10 lampadaires" in line
    assert line.endswith(f"{known_city.address}/incidents/{number}")


async def test_acknowledging_is_seen_in_another_browser(browser: Browser, known_city: City):
    async with page_of(browser, known_city) as mine, page_of(browser, known_city) as theirs:
        await expect(card(theirs, "Départ hors tension").locator("button.acknowledge")).to_be_visible()
        await card(mine, "Départ hors tension").locator("button.acknowledge").click()
        await expect(card(mine, "Départ hors tension")).to_contain_text("pris par operator")
        await expect(card(theirs, "Départ hors tension")).to_contain_text("pris par operator")
    incident = known_city.open_incidents()["A1-D1", "feeder_out"]
    assert (incident["state"], incident["acknowledged_by"]) == ("acknowledged", "operator")


async def test_the_page_speaks_french_and_english(browser: Browser, known_city: City):
    async with page_of(browser, known_city) as page:
        await expect(page.locator("#incidents-title")).to_contain_text("Incidents ouverts")
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("#incidents-title")).to_contain_text("Open incidents")
        await expect(card(page, "Feeder out")).to_contain_text("taken by operator")
        await page.get_by_role("button", name="Français").click()
        await expect(page.locator("#incidents-title")).to_contain_text("Incidents ouverts")


async def test_a_stranger_waits_to_be_commissioned_and_pages_nobody(browser: Browser, known_city: City):
    incidents, called = known_city.open_incidents(), known_city.notifications()
    known_city.publish("water_meter/M99/config", {"type": "meter", "label": "Bains du Nord"})
    known_city.publish("water_meter/M99/telemetry", {"ts": at(0), "total_m3": 7.25, "burst": True})
    known_city.publish("water_meter/M2/telemetry", {"ts": at(0), "burst": True})  # told later, by one who is known
    until("the known one is heard", known_city.open_incidents, lambda found: ("M2", "burst") in found)
    assert set(known_city.open_incidents()) == {*incidents, ("M2", "burst")}
    until("one more call", known_city.notifications, lambda lines: len(lines) == len(called) + 1)
    async with page_of(browser, known_city) as page:
        await page.goto("/commission")
        row = page.get_by_role("row", name=re.compile("M99"))
        await expect(row).to_contain_text("7,25 m³")
        await row.get_by_role("link").click()
        await expect(page.locator("p.note")).to_contain_text("À mettre en service")


async def test_the_overview_shows_what_the_worker_samples(browser: Browser, known_city: City):
    def lamps() -> list[dict[str, object]]:
        return known_city.rows(
            "SELECT counted FROM indicator_sample WHERE ts > now() - interval '20 minutes'"
            " AND (kind, indicator, commune) = ('street_lighting', 'lit', 'dijon')"
        )

    until("the lamps are sampled", lamps, lambda rows: {"counted": len(LAMPS)} in rows, timeout_s=90)
    async with page_of(browser, known_city) as page:
        await page.get_by_role("link", name="Vue d'ensemble").click()
        await page.get_by_role("link", name="Éclairage public").click()
        await expect(page.locator(".indicators section", has_text="Lampes allumées sur consigne")).to_contain_text(
            "0\xa0%"
        )
        await expect(page.locator("table.by-commune")).to_contain_text("Dijon")
        await page.locator("select[name=commune]").select_option("dijon")
        await page.get_by_role("button", name="Afficher").click()
        await expect(page.locator("h1")).to_contain_text("Dijon")


# An agent on a phone


@asynccontextmanager
async def phone_of(browser: Browser, city: City, password: str, *, scripts: bool) -> AsyncIterator[Page]:
    """The agent's phone, signed in."""
    context = await browser.new_context(
        base_url=city.address, locale="fr", viewport={"width": 390, "height": 844}, java_script_enabled=scripts
    )
    page = await context.new_page()
    page.set_default_timeout(SEEN_WITHIN_MS)
    await sign_in(page, password, "amina")
    await page.wait_for_url("**/team")
    yield page
    await context.close()


async def test_an_agent_goes_from_the_list_to_the_confirmed_repair_without_scripts(browser: Browser, known_city: City):
    assert known_city.beffroi("teams", "add", "Lumière", "--kind", "street_lighting").returncode == 0
    password = known_city.beffroi("people", "add", "amina", "--role", "agent", "--team", "Lumière").stdout.strip()
    number = known_city.open_incidents()["A1-D1", "feeder_out"]["incident_no"]

    def state() -> object:
        (row,) = known_city.rows("SELECT state FROM incident WHERE incident_no = %s", number)
        return row["state"]

    async with phone_of(browser, known_city, password, scripts=False) as page:
        job = page.locator(f"#i{number}")
        await expect(page.locator(".job")).to_have_count(1)  # the burst meter is another team's
        await expect(job).to_contain_text("Départ hors tension")
        await expect(job).to_contain_text("11 équipements")
        for button in await job.locator(".steps button, .steps a").all():
            box = await button.bounding_box()
            assert box and min(box["height"], box["width"]) >= 44
        await job.get_by_role("button", name="Je suis sur place").click()
        await expect(job).to_contain_text("sur place, amina")
        assert state() == "on_site"
        await job.get_by_role("button", name="Annuler").click()
        await expect(job).to_contain_text("acquitté")
        assert state() == "acknowledged"
        await job.get_by_role("link", name="Autre").click()
        await page.locator(".moves summary", has_text="Mettre en attente").click()
        await page.get_by_role("button", name="Matériel attendu").click()
        await expect(page.locator(".facts")).to_contain_text("matériel attendu")
        assert state() == "on_hold"
        await page.get_by_label("Ce qui a été fait").fill("fusible remplacé")
        await page.get_by_role("button", name="Réparé").click()
        await expect(page.locator(".story")).to_contain_text("fusible remplacé")
        await expect(page.locator(".moves")).to_contain_text("se ferme tout seul")
        assert state() == "fixed"
        healthy = {"breaker_tripped": False, "contactor_closed": True, "current_a": 2.6}
        known_city.publish("street_lighting/A1-D1/telemetry", {"ts": at(1), **healthy})
        known_city.batch(1, 58.5)
        until("the readings confirm the repair", state, lambda found: found == "closed")
        await page.goto("/team")
        await expect(page.locator(".job")).to_have_count(0)
        await page.goto("/quarantine")
        await expect(page.locator("h1")).to_have_text("Ceci n'est pas pour vous")
    story = known_city.rows("SELECT change FROM incident_change WHERE incident_no = %s AND who = 'amina'", number)
    assert [row["change"] for row in story] == ["on_site", "taken_back", "on_hold", "fixed"]


async def test_the_agents_list_is_light_and_stays_current(browser: Browser, known_city: City):
    password = known_city.beffroi("people", "password", "amina").stdout.strip()
    async with phone_of(browser, known_city, password, scripts=True) as page:
        session = await page.context.new_cdp_session(page)
        loaded: list[float] = []
        session.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
        await session.send("Network.enable")
        await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        await page.reload(wait_until="networkidle")
        assert 1_000 < sum(loaded) < 100_000
        await expect(page.locator(".job")).to_have_count(0)
        known_city.publish("street_lighting/A1-D1/telemetry", {"ts": at(0), "breaker_tripped": True, "current_a": 0})
        await expect(page.locator(".job")).to_have_count(1)  # nobody touched the page


# How it starts, and how it stops


def test_a_second_hub_says_that_one_runs(city: City):
    second = city.beffroi("up", "--no-simulate")
    assert second.returncode == 1
    assert f"a hub already runs on {city.home} (process {city.process.pid}, {city.address})" in second.stderr
    assert city.process.poll() is None


@pytest.mark.parametrize("setting", ["BEFFROI_HTTP_PORT", "BEFFROI_MQTT_PORT", "BEFFROI_POSTGRES_PORT"])
def test_a_port_in_use_is_named_with_its_setting(city: City, tmp_path: Path, setting: str):
    port = city.environment[setting]
    other = beffroi(environment_of(tmp_path) | {setting: port}, "up")
    assert other.returncode == 2
    assert one_sentence(other) == f"beffroi: port {port} is in use; free it or set {setting} to another port"


def source(**more: object) -> str:
    return json.dumps([{"name": "x", "topics": ["a/#"], **more}])


@pytest.mark.parametrize(
    ("command", "setting", "value", "words"),
    [
        ("up", "BEFFROI_COLOUR", "red", "BEFFROI_COLOUR is no setting"),
        ("up", "BEFFROI_HTTP_PORT", "abc", "BEFFROI_HTTP_PORT 'abc' is wrong"),
        ("up", "BEFFROI_MQTT_PORT", "70000", "BEFFROI_MQTT_PORT '70000' is wrong"),
        ("up", "BEFFROI_DATABASE_URL", "mysql://db", "must look like postgresql://"),
        ("up", "BEFFROI_MQTT_URL", "broker:1883", "must look like mqtt://"),
        ("up", "BEFFROI_LANGUAGE", "de", "BEFFROI_LANGUAGE 'de' is wrong"),
        ("up", "BEFFROI_TIMEZONE", "Mars/Olympus", "no time zone of this machine"),
        ("up", "BEFFROI_CLOCK", "later", "BEFFROI_CLOCK 'later' is wrong"),
        ("up", "BEFFROI_HOME", "/dev/null", "the folder /dev/null cannot be made"),
        ("up", "BEFFROI_HOST", "192.0.2.1", "cannot listen on 192.0.2.1"),
        ("up", "BEFFROI_SOURCES", "[{", "BEFFROI_SOURCES is not JSON"),
        ("up", "BEFFROI_SOURCES", '[{"name": "x"}]', "TOPICS is wrong: Field required"),
        ("up", "BEFFROI_SOURCES", source(color="red"), "COLOR"),
        ("up", "BEFFROI_SOURCES", source(url="http://x"), "must look like mqtt://"),
        ("intake", "BEFFROI_SOURCES", source(codec="morse"), "source x: no codec morse"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, command: str, setting: str, value: str, words: str):
    ended = beffroi(environment_of(tmp_path) | {setting: value}, command)
    assert words in one_sentence(ended)
    assert ended.returncode == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('colour = "red"', "colour in beffroi.toml is no setting"),
        ("http_port = ", "beffroi.toml cannot be read"),
        ('http_port = "abc"', "'abc' is wrong"),
    ],
)
def test_a_wrong_file_of_settings_is_one_sentence(tmp_path: Path, text: str, words: str):
    (tmp_path / "beffroi.toml").write_text(text)
    environment = environment_of(tmp_path)
    del environment["BEFFROI_HTTP_PORT"]
    ended = beffroi(environment, "up", cwd=tmp_path)
    assert words in one_sentence(ended)
    assert ended.returncode == 2


def one_sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command said before it ended: one line, for a person."""
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith("beffroi: ")
    return line


def test_ctrl_c_stops_everything(city: City):
    started = descendants(city.process.pid)
    assert len(started) > len(("mosquitto", "postgres", "intake", "worker", "telealert", "serve"))
    os.killpg(city.process.pid, signal.SIGINT)
    assert city.process.wait(STOPS_WITHIN_S) == 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in city.said
