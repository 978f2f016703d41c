"""Grafana: every panel's query on the real database with rows, its role's limits, and the push of dashboards."""

import asyncio
import json
import os
import re
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from typer.testing import CliRunner

from dashboard.grafana.api import Asking
from dashboard.grafana.boards import boards
from dashboard.grafana.push import FOLDER_UID, must_have_datasource
from dashboard.grafana.push import push as push_boards
from devices.kind import Figure, kinds
from hub.cli import app
from hub.errors import BadSetting, BeffroiError, Unavailable
from store import indicators, registry
from store.database import connect
from store.grafana import ROLE, expose, set_password
from store.rollup_ddl import OF_AREAS
from tests.conftest import free_port
from tests.database import fetch, one, rolled_up
from tests.grafana import TOKEN, FakeGrafana, running
from tests.grafana_city import NOW, add_commune, expanded, numbers, queries

PASSWORD = "of-the-tests"
REAL = "BEFFROI_TEST_GRAFANA_URL"
ALL = queries(boards("fr", "Europe/Paris"))


@pytest.fixture(scope="module")
async def city(database_url):
    """Every kind with devices that speak, faults of every rule, and what an operator worries about."""
    async with connect(database_url) as connection:
        await expose(connection)
        await set_password(connection, PASSWORD)
        await add_commune(connection, "dijon")
        await registry.register_unknown(connection, [("dijon", "water_meter", "stranger")], NOW)
        await connection.execute(
            "INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)"
            " VALUES (gen_random_uuid(), 1, -1, %s, 'city', 'x', 'y', 'bad_json', 'no JSON')",
            [NOW - timedelta(hours=1)],
        )
        await connection.execute(
            "INSERT INTO reader (name, log_id, next_offset, moved_at) VALUES ('store', gen_random_uuid(), 9, %s)", [NOW]
        )
        await connection.commit()
    parts = urlsplit(database_url)
    yield f"postgresql://{ROLE}:{PASSWORD}@{parts.hostname}:{parts.port}{parts.path}"


@pytest.mark.parametrize(("uid", "title", "ref"), ALL, ids=lambda part: part)
async def test_every_panel_s_query_answers_with_rows(city, uid, title, ref):
    query, form = ALL[uid, title, ref]
    async with connect(city) as connection:
        found = await connection.execute(expanded(query).encode())
        rows = await found.fetchall()
    assert rows, f"{uid}, {title}: no rows"
    assert any(value is not None for row in rows for value in row.values())
    if form == "time_series":
        assert all(isinstance(row["time"], datetime) for row in rows)
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
        rest = {name: value for name, value in rows[0].items() if name not in ("time", "metric")}
        assert rest and all(float(value) >= -1e9 for value in rest.values() if value is not None)
        assert set(rows[0]) >= {"metric"} or len(rest) >= 1


@pytest.mark.parametrize(("uid", "title", "ref"), ALL, ids=lambda part: part)
async def test_a_commune_that_is_not_chosen_is_not_shown(city, uid, title, ref):
    query, _ = ALL[uid, title, ref]
    if "${commune" not in query:
        assert title in ("Quarantaine, par raison", "Où en sont les lecteurs du journal")
        return
    async with connect(city) as connection:
        found = await connection.execute(expanded(query, communes=("talant",)).encode())
        rows = await found.fetchall()
    numbers = [v for row in rows for v in row.values() if isinstance(v, int | float) and not isinstance(v, bool)]
    assert not any(numbers)


def panel(uid, title):
    """The one query of a panel."""
    return next(query for (board, name, _), (query, _) in ALL.items() if (board, name) == (uid, title))


async def test_figures_are_those_of_the_city(city, database_url):
    rules = [rule for kind in kinds().values() for rule in kind.rules]
    (priorities,) = await fetch(city, expanded(panel("beffroi-overview", "Défauts ouverts")))
    assert priorities == {f"P{n}": sum(rule.priority == n for rule in rules) for n in (1, 2, 3)}
    silent = {(kind.name, rule.type) for kind in kinds().values() for rule in kind.rules if rule.is_silence}
    assert await one(city, expanded(panel("beffroi-overview", "Équipements muets"))) == {"n": len(silent)}
    assert await one(city, expanded(panel("beffroi-overview", "À mettre en service"))) == {"n": 1}
    types = sum(len(kind.types) for kind in kinds().values())
    assert await one(city, expanded(panel("beffroi-overview", "Jamais entendus"))) == {"n": types}
    assert (await one(city, expanded(panel("beffroi-incidents", "Délai de prise en compte (médiane)"))))["s"] == 1200
    ages = await fetch(city, expanded(panel("beffroi-incidents", "Défauts ouverts par âge")))
    assert [row["P1"] + row["P2"] + row["P3"] for row in ages] == [0, len(rules), 0, 0, 0]


async def test_an_indicator_is_the_city_s_figure(city, database_url):
    lighting = kinds()["street_lighting"]
    async with connect(database_url) as connection:
        await connection.execute("DELETE FROM indicator_sample WHERE kind = 'street_lighting'")
        quarter = NOW - timedelta(hours=20)
        for commune, sound, counted in (("dijon", 97.0, 100), ("chenove", 40.0, 50)):
            await indicators.write(connection, quarter, [Figure(lighting.name, "sound", commune, sound, counted)])
        await connection.commit()
    shown = await one(city, expanded(panel("beffroi-kind-street-lighting", "Lampes en état")))
    assert float(shown["Lampes en état"]) == pytest.approx(100 * 137 / 150)


async def test_a_counter_s_increase_survives_its_reset(city, database_url):
    async with connect(database_url) as connection:
        meter = (await numbers(connection, "dijon", "water_meter", "meter-1"))["meter-1"]
        await connection.execute("TRUNCATE water_meter, water_meter_15m, water_meter_1h, water_meter_area_1h")
        for n, total in enumerate((100.0, 101.5, 101.5, 0.25, 1.0)):  # a new meter before the fourth
            at = NOW - timedelta(hours=10) + timedelta(minutes=n)
            await connection.execute(
                "INSERT INTO water_meter (device_no, ts, received_at, total_m3) VALUES (%s, %s, %s, %s)",
                [meter, at, at, total],
            )
        await rolled_up(connection)
        await connection.commit()
    row = await one(city, expanded(panel("beffroi-kind-water-meter", "Index")))
    assert (row["metric"], row["value"]) == ("Compteur d'eau", pytest.approx(1.5 + 0.25 + 0.75))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM public.device",
        "SELECT lat FROM fleet_vehicle",
        "SELECT lat FROM public.fleet_vehicle",
        "SELECT lat FROM device",
        "SELECT rest FROM fleet_vehicle",
        "SELECT * FROM person",
        "SELECT payload FROM quarantine",
        "SELECT acknowledged_by FROM incident",
        "SELECT * FROM position_access",
        "UPDATE incident SET state = 'closed'",
        "SET default_transaction_read_only = off; DELETE FROM incident",
        "CREATE TEMPORARY TABLE t (i integer)",
    ],
)
async def test_the_role_reads_its_views_and_nothing_else(city, statement):
    async with connect(city, autocommit=True) as connection:
        with pytest.raises((psycopg.errors.ProgrammingError, psycopg.errors.ReadOnlySqlTransaction)):
            await connection.execute(statement.encode())


async def test_the_role_sees_no_relation_but_its_views(city):
    seen = await fetch(
        city,
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'v', 'm', 'p') AND has_schema_privilege(n.oid, 'USAGE')"
        " AND has_any_column_privilege(c.oid, 'SELECT') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname !~ '^_?timescaledb'",
    )
    fixed = {"device", "incident", "incident_member", "quarantine", "reader", "indicator_sample"}
    figures = {table.name(kind) for kind in kinds().values() for table in OF_AREAS}
    assert {row["name"] for row in seen} == {f"grafana.{name}" for name in (*fixed, *kinds(), *figures)}


async def test_making_the_views_again_changes_nothing(city, database_url):
    async with connect(database_url) as connection:
        await expose(connection)
        await connection.commit()
    assert await fetch(city, expanded(panel("beffroi-overview", "Mesures par minute"))) is not None


async def test_a_database_that_was_not_migrated_is_named_so(database_url):
    async with connect(database_url) as connection:
        await connection.execute("ALTER SCHEMA grafana RENAME TO elsewhere")
        with pytest.raises(BeffroiError, match="run: beffroi migrate"):
            await expose(connection)
        await connection.rollback()


async def test_a_role_that_is_not_ours_to_change_is_named_so(database_url):
    async with connect(database_url) as connection:
        await connection.execute("CREATE ROLE test_stranger")
        await connection.execute("GRANT test_stranger TO CURRENT_USER")
        await connection.execute("SET ROLE test_stranger")
        with pytest.raises(BeffroiError, match="WITH ADMIN OPTION"):
            await set_password(connection, "x")
        await connection.rollback()


async def test_another_password_is_refused(city):
    with pytest.raises(Unavailable):
        async with connect(city.replace(PASSWORD, "other")):
            pass


@pytest.fixture
async def grafana():
    fake = FakeGrafana()
    async with running(fake.app, free_port()) as url:
        fake.url = url
        yield fake


async def push(url, made, *, token=TOKEN, dry_run=False):
    def work():
        asking = Asking(url, token)
        must_have_datasource(asking)
        return push_boards(asking, made, dry_run=dry_run)

    return await asyncio.to_thread(work)


async def test_a_push_makes_everything_and_a_second_one_nothing(grafana):
    made = boards("fr", "Europe/Paris")
    done = await push(grafana.url, made)
    assert done.folder_is_new and [change.what for change in done.changes] == ["new"] * len(made)
    assert grafana.writes == [f"Main Org.: folder {FOLDER_UID}", *(f"Main Org.: dashboard {uid}" for uid in made)]
    grafana.writes.clear()
    again = await push(grafana.url, made)
    assert not again.folder_is_new and {change.what for change in again.changes} == {"same"}
    assert grafana.writes == []


async def test_only_what_differs_is_written_and_a_dry_run_says_what(grafana):
    made = boards("fr", "Europe/Paris")
    await push(grafana.url, made)
    by_hand = grafana.boards["beffroi-incidents"]["dashboard"]
    by_hand["panels"][0]["title"] = "Changé à la main"
    grafana.writes.clear()
    dry = await push(grafana.url, made, dry_run=True)
    assert grafana.writes == []
    (changed,) = [change for change in dry.changes if change.what == "changed"]
    assert changed.uid == "beffroi-incidents"
    assert "-panels[Changé à la main].title: Changé à la main" in changed.diff
    assert "+panels[Défauts ouverts].title: Défauts ouverts" in changed.diff
    await push(grafana.url, made)
    assert grafana.writes == ["Main Org.: dashboard beffroi-incidents"]


async def test_a_dashboard_that_was_moved_comes_back(grafana):
    made = boards("fr", "Europe/Paris")
    await push(grafana.url, made)
    grafana.boards["beffroi-overview"]["meta"]["folderUid"] = "elsewhere"
    (changed,) = [change for change in (await push(grafana.url, made)).changes if change.what == "changed"]
    assert changed.diff == "moved back into its folder"
    assert grafana.boards["beffroi-overview"]["meta"]["folderUid"] == FOLDER_UID


async def test_a_dry_run_on_an_empty_grafana_writes_nothing(grafana):
    done = await push(grafana.url, boards("en", "Europe/Paris"), dry_run=True)
    assert done.folder_is_new and {change.what for change in done.changes} == {"new"}
    assert grafana.writes == [] and grafana.boards == {}


async def test_what_is_declared_no_more_is_named_and_left(grafana):
    made = boards("fr", "Europe/Paris")
    await push(grafana.url, {**made, "beffroi-kind-trams": {**made["beffroi-overview"], "uid": "beffroi-kind-trams"}})
    assert (await push(grafana.url, made)).left_over == ["beffroi-kind-trams"]
    assert "beffroi-kind-trams" in grafana.boards


async def test_refusals_say_what_to_do(grafana):
    made = boards("fr", "Europe/Paris")
    with pytest.raises(BadSetting, match="refuses the token"):
        await push(grafana.url, made, token="wrong")
    grafana.may_write = False
    with pytest.raises(BadSetting, match=r"may not do that.*role Admin"):
        await push(grafana.url, made)
    grafana.may_write = True
    async with running(PlainTextResponse("Welcome"), free_port()) as stranger:
        with pytest.raises(BadSetting, match="is not Grafana"):
            await push(stranger, made)
    with pytest.raises(BadSetting, match="is not Grafana"):
        await push(f"{grafana.url}/elsewhere", made)
    with pytest.raises(Unavailable, match="does not answer: connection refused"):
        await push(f"http://127.0.0.1:{free_port()}", made)
    with pytest.raises(Unavailable, match="does not answer"):
        await push("http://nowhere.invalid", made)
    await push(grafana.url, made)
    grafana.boards["beffroi-overview"]["meta"]["provisioned"] = True
    with pytest.raises(BadSetting, match="reads beffroi-overview from files"):
        await push(grafana.url, made)
    grafana.datasources.clear()
    with pytest.raises(BadSetting, match="no data source with the uid beffroi"):
        await push(grafana.url, made)


async def test_a_grafana_below_a_path_is_found(grafana):
    below = FastAPI()
    below.mount("/grafana", grafana.app)
    made = boards("fr", "Europe/Paris")
    async with running(below, free_port()) as url:
        assert (await push(f"{url}/grafana", made)).folder_is_new
        assert not (await push(f"{url}/grafana/", made)).folder_is_new


async def test_the_fake_refuses_what_grafana_refuses(grafana):
    """Otherwise the tests above could not fail."""
    made = boards("fr", "Europe/Paris")
    with pytest.raises(BeffroiError, match=r"refuses: .*title cannot be empty"):
        await push(grafana.url, {"beffroi-overview": {**made["beffroi-overview"], "title": ""}})
    with pytest.raises(BeffroiError, match="too long"):
        await push(grafana.url, {"x" * 41: {**made["beffroi-overview"], "uid": "x" * 41}})


async def test_the_commands(grafana, database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("BEFFROI_GRAFANA_URL", grafana.url)
    monkeypatch.setenv("BEFFROI_GRAFANA_TOKEN", TOKEN)
    monkeypatch.setenv("BEFFROI_DATABASE_URL", database_url)
    monkeypatch.setenv("BEFFROI_HOME", str(tmp_path / "home"))

    async def beffroi(*arguments):
        result = await asyncio.to_thread(CliRunner().invoke, app, ["grafana", *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    made = boards("fr", "Europe/Paris")
    assert "would make beffroi-overview (Beffroi : vue d'ensemble)" in await beffroi("push", "--dry-run")
    assert grafana.boards == {}
    assert "made the folder Beffroi" in await beffroi("push")
    assert await beffroi("push") == f"{len(made)} of {len(made)} dashboards are as declared\n"
    folder = tmp_path / "dashboards"
    folder.mkdir()
    (folder / "beffroi-kind-trams.json").write_text("{}")
    await beffroi("export", str(folder))
    assert {path.stem: json.loads(path.read_text()) for path in folder.iterdir()} == made
    password = re.search(r"shown once: (\S+)", await beffroi("role"))[1]
    role_url = database_url.replace(urlsplit(database_url).netloc.split("@")[0], f"{ROLE}:{password}")
    assert await one(role_url, "SELECT current_user AS name") == {"name": ROLE}
    await beffroi("role", "--password", PASSWORD)


async def test_a_real_grafana():
    """Set BEFFROI_TEST_GRAFANA_URL and BEFFROI_TEST_GRAFANA_TOKEN to push to one that has the data source."""
    url = os.environ.get(REAL)
    if not url:
        pytest.skip(f"no real Grafana was tried: {REAL} names none")
    made = boards("fr", "Europe/Paris")
    token = os.environ["BEFFROI_TEST_GRAFANA_TOKEN"]
    await push(url, made, token=token)
    again = await push(url, made, token=token)
    assert {change.what for change in again.changes} == {"same"}, [change.diff for change in again.changes]
