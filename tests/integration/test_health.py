"""The hub's health on a real database, log and broker: the figures, the command, the page and the metrics agree."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dashboard.app import create_app
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import Settings
from ingest.log import LogWriter, Message
from store.audit import Audit, Missing, Recount, Sum, keep
from store.database import connect
from store.health import Pulse, faults
from store.people import ensure_person
from store.quarantine import Choice, newest
from store.readers import advance, claim
from tests.processes import Processes, eventually

LOGIN, PASSWORD = "watcher", "a password of the test"
READ, WAITING = 8, 3
BAD = b'{"power_w": \x1b[2J<b>12'
NOWHERE = "postgresql://nobody:nothing@127.0.0.1:9/none"


@pytest.fixture(scope="module")
async def home(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """A home whose log holds 11 messages: 6 were decoded, 2 are in quarantine, 3 wait."""
    folder, now = tmp_path_factory.mktemp("home"), datetime.now(UTC)
    with LogWriter(folder / "log") as log, LogWriter(folder / "transitions") as transitions:
        log.append([Message(0, 1, "city", "city/a", b"{}")] * (READ + WAITING))
        (folder / "rules.npz").touch()
        (folder / "logs").mkdir()
        (folder / "logs" / "worker.log").write_text("2026-11-24T01:00:00 [error    ] out of luck\n")
        async with connect(database_url) as conn:
            await ensure_person(conn, LOGIN, PASSWORD, "operator")
            await claim(conn, "store", log.log_id)
            await claim(conn, "telealert", transitions.log_id)
            counts = {"messages": READ, "messages_decoded": 6, "messages_quarantined": 2, "readings": 6}
            await advance(conn, "store", log.log_id, 0, READ, counts | {"readings_stored": 6}, now)
            for offset, age in ((3, timedelta(hours=1)), (5, timedelta(days=3))):
                await conn.execute(
                    "INSERT INTO quarantine"
                    " (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)"
                    " VALUES (%s, %s, -1, %s, 'city', 'city/a', %s, 'invalid_json', 'not <JSON>')",
                    [log.log_id, offset, now - age, BAD],
                )
            await conn.commit()
        yield folder


@pytest.fixture
def hub(home: Path, database_url: str, broker: Embedded) -> Processes:
    (home / "secrets.json").unlink(missing_ok=True)
    return Processes(home, database_url, broker.mqtt_url)


@pytest.fixture
async def browser(home: Path, database_url: str, broker: Embedded) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        settings=Settings.model_validate({"home": home}),
        database_url=database_url,
        mqtt_url=broker.mqtt_url,
        clock=Clock(),
    )
    async with app.router.lifespan_context(app):
        origin = "http://127.0.0.1:8080"
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=origin, headers={"origin": origin, "accept-language": "en"}
        ) as client:
            yield client


async def sign_in(browser: httpx.AsyncClient, language: str = "en") -> None:
    await browser.post("/login", data={"login": LOGIN, "password": PASSWORD})
    await browser.post("/language", data={"language": language})


async def test_the_figures_are_those_of_log_and_database(home: Path, database_url: str) -> None:
    health = await Pulse(home, Clock()).take(lambda: connect(database_url), has_broker=True)
    assert health.stored is not None and faults(health) == []
    store, telealert = health.stored.readers
    assert (store.name, store.next_offset, store.head, store.lag) == ("store", READ, READ + WAITING, WAITING)
    assert (store.messages_unaccounted, store.readings_unaccounted, store.messages_per_s) == (0, 0, 0.0)
    assert (telealert.lag, telealert.head) == (0, 0)
    assert [(c.reason, c.last_day, c.in_all) for c in health.stored.quarantine] == [("invalid_json", 1, 2)]
    assert abs(health.stored.clock_ahead_s) < 1 and health.stored.size_bytes > 1_000_000
    assert [error.process for error in health.files.last_errors] == ["worker"]


async def test_messages_a_second_come_from_two_samples(database_url: str, home: Path, tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log") as log:
        pulse = Pulse(tmp_path, Clock())
        first = await pulse.take(lambda: connect(database_url), has_broker=True)
        assert first.arrivals_per_s == {"log": 0.0}
        assert await pulse.take(lambda: connect(database_url), has_broker=True) is first, "asked again at once"
        log.append([Message(0, 1, "city", "city/a", b"{}")] * 500)
        assert pulse._before is not None
        pulse._before, pulse._last = replace(pulse._before, at_s=pulse._before.at_s - 10), None
        later = await pulse.take(lambda: connect(database_url), has_broker=True)
        rate = later.arrivals_per_s["log"]
        assert rate is not None and 30 < rate < 50
        assert [fault.code for fault in faults(later)].count("other_log") == 1, "the store has read another log"


async def test_a_count_that_is_lost_is_seen(home: Path, database_url: str) -> None:
    async with connect(database_url, autocommit=True) as conn:
        await conn.execute("UPDATE reader SET messages_duplicate = 2 WHERE name = 'store'")
    health = await Pulse(home, Clock()).take(lambda: connect(database_url), has_broker=True)
    async with connect(database_url, autocommit=True) as conn:
        await conn.execute("UPDATE reader SET messages_duplicate = 0 WHERE name = 'store'")
    assert [(fault.code, fault.name, fault.amount) for fault in faults(health)] == [("unaccounted", "store", -2)]


async def test_the_files_are_told_without_the_database(home: Path) -> None:
    health = await Pulse(home, Clock()).take(lambda: connect(NOWHERE), has_broker=True)
    assert health.stored is None and health.files.logs["log"].head == READ + WAITING
    assert [fault.code for fault in faults(health)] == ["no_database"]


async def test_the_quarantine_is_leafed_through(home: Path, database_url: str) -> None:
    async with connect(database_url) as conn:
        (first,) = await newest(conn, Choice(), limit=1)
        (second,) = await newest(conn, Choice(), limit=1, before=first.quarantine_no)
        assert await newest(conn, Choice(), limit=1, before=second.quarantine_no) == []
        assert await newest(conn, Choice("conflict"), limit=1) == []
    assert first.payload == '{"power_w": \\x1b[2J<b>12' and first.part is None and not first.is_cut


@pytest.fixture
async def audited(database_url: str) -> AsyncIterator[None]:
    """A database whose last audit missed something; then one that has never been audited."""
    sums = [Sum("store", "readings_stored", 6, 4)]
    missing = [Missing("store", "reading", 2, ["offset 3, city/a: gone"]), Missing("store", "sum", 2, ["6, 4"])]
    async with connect(database_url, autocommit=True) as conn:
        await keep(conn, Audit(1.5, [], [], []))
        await keep(conn, Audit(2.5, [Recount("store", "x", 3, 8, {"messages": 5})], sums, missing))
        yield
        await conn.execute("TRUNCATE audit")


@pytest.mark.usefixtures("audited")
async def test_an_audit_that_fails_is_a_fault_on_the_page_and_in_the_metrics(
    home: Path, database_url: str, browser: httpx.AsyncClient
) -> None:
    health = await Pulse(home, Clock()).take(lambda: connect(database_url), has_broker=True)
    assert [(fault.code, fault.amount) for fault in faults(health)] == [("audit", 4)]
    lines = (await browser.get("/metrics")).text.splitlines()
    assert "beffroi_audit_missing 4.0" in lines and 'beffroi_fault{fault="audit",reader=""} 1.0' in lines
    assert 'beffroi_audit_recounted_messages{reader="store"} 5.0' in lines
    (age,) = (float(line.split()[1]) for line in lines if line.startswith("beffroi_audit_age_seconds "))
    assert 0 <= age < 60
    await sign_in(browser)
    page = (await browser.get("/health")).text
    assert "Store: readings that are not stored as they were told: 2." in page and "4 missing" in page
    assert "readings stored</td>" in page


async def test_a_hub_that_was_never_audited_says_so(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    assert "none yet" in (await browser.get("/health")).text
    assert "beffroi_audit" not in (await browser.get("/metrics")).text


# ---- the command ----


async def test_status_says_what_is_wrong_and_ends_with_1(hub: Processes) -> None:
    none_yet = await hub.command("status")
    assert none_yet.returncode == 1 and "no hub has run on" in none_yet.stderr
    assert not (hub.home / "secrets.json").exists(), "looking has made secrets"
    await hub.command("migrate")
    well = await hub.command("status")
    assert well.returncode == 0, well.stderr
    assert well.stdout.startswith("All is well.") and "out of luck" in well.stdout
    away = await hub.command("status", BEFFROI_DATABASE_URL=NOWHERE)
    assert (away.returncode, away.stdout.splitlines()[0][:33]) == (1, "The database does not answer. Rea")


async def test_status_as_json(hub: Processes) -> None:
    await hub.command("migrate")
    told = json.loads((await hub.command("status", "--json")).stdout)
    assert told["is_well"] is True and told["stored"]["readers"][0]["lag"] == WAITING
    away = json.loads((await hub.command("status", "--json", BEFFROI_MQTT_URL="mqtt://a:b@127.0.0.1:9")).stdout)
    assert [fault["code"] for fault in away["faults"]] == ["no_broker"] and away["faults"][0]["sentence"]


async def test_the_quarantine_is_listed(hub: Processes) -> None:
    await hub.command("migrate")
    listed = await hub.command("quarantine", "list")
    assert listed.returncode == 0 and "\x1b" not in listed.stdout
    assert listed.stdout.count("invalid_json: not <JSON>") == 2
    lines = (await hub.command("quarantine", "list", "--json", "--limit", "1")).stdout.splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["reason"] == "invalid_json"
    assert (await hub.command("quarantine", "list", "--reason", "conflict", "--json")).stdout == ""


# ---- the page ----


async def test_the_health_page_tells_the_figures(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    page = (await browser.get("/health")).text
    assert "out of luck" in page and "exact" in page and "Tele-alert" in page
    await sign_in(browser, "fr")
    assert "Télé-alerte" in (await browser.get("/health")).text


async def test_the_quarantine_page_shows_reasons_and_messages_escaped(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    page = (await browser.get("/quarantine")).text
    assert "Not JSON" in page and page.count("not &lt;JSON&gt;") == 2 and "<b>12" not in page
    assert "No message." in (await browser.get("/quarantine", params={"reason": "conflict"})).text
    assert (await browser.get("/quarantine", params={"reason": "../x"})).status_code == 404


async def test_metrics_are_told_to_this_machine_and_to_nobody_else(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["beffroi_log_messages_total", "log"] == READ + WAITING
    assert samples["beffroi_reader_lag_messages", "store"] == WAITING
    assert samples["beffroi_quarantine_last_day", "invalid_json"] == 1
    assert samples["beffroi_database_up",] == 1
    for headers in ({"host": "hub.example"}, {"x-forwarded-for": "192.0.2.7"}):
        assert (await browser.get("/metrics", headers=headers)).status_code == 401
    await sign_in(browser)
    assert (await browser.get("/metrics", headers={"x-forwarded-for": "192.0.2.7"})).status_code == 200


async def test_what_waits_in_the_broker_is_shown_everywhere(browser: httpx.AsyncClient, hub: Processes) -> None:
    """The broker tells of itself every ten seconds, for the first time ten seconds after its start."""

    async def metrics() -> str:
        return (await browser.get("/metrics")).text

    told = await eventually(metrics, lambda text: "beffroi_broker_waiting_messages" in text, 20)
    assert "beffroi_broker_dropped_messages_total 0.0" in told
    await sign_in(browser)
    assert "Waiting in the broker" in (await browser.get("/health")).text
    await hub.command("migrate")
    queue = json.loads((await hub.command("status", "--json")).stdout)["queue"]
    assert queue["waiting"] >= 0 and queue["size_bytes"] > 0 and queue["heap_bytes"] > 0
