"""An organisation of Grafana per contract: what its dashboards show through its own data source, and its life."""

import asyncio
import os
import secrets
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import dict_row
from starlette.responses import PlainTextResponse
from typer.testing import CliRunner

from dashboard.grafana.api import Asking
from dashboard.grafana.boards import boards
from dashboard.grafana.datasource import Database, datasource
from dashboard.grafana.organisations import Organisations, end_contract, organisation_of, push_contract
from devices.kind import kinds
from hub.cli import app
from hub.errors import BadSetting, BeffroiError
from store.contract_logins import open_login, tenants
from store.contracts import Contract, import_contracts
from store.database import connect
from store.grafana import ROLE, expose, set_password
from tests.conftest import free_port
from tests.database import fetch, one
from tests.grafana import ADMIN, ADMIN_PASSWORD, TOKEN, Account, FakeGrafana, query, running
from tests.grafana_city import NOW, add_commune, expanded, queries

FIRST = NOW.date() - timedelta(days=30)
EVERY = tuple(sorted(kinds()))
WHOLE = Contract(
    *("tout", "Régie", EVERY, ("dijon",), FIRST, None, "Europe/Paris"),
    vehicle_positions=True,
    household_readings="all",
    purpose="test",
)
LAMPS = Contract("lampes", "Autre", ("street_lighting",), ("quetigny",), FIRST, None, "Europe/Paris")
DAILY = Contract("eau", "Odivea", ("water_meter",), ("dijon",), FIRST, None, "Europe/Paris")
BOTH = ("dijon", "quetigny")
CANARY = 31_337
CITY_PASSWORD = "of-the-tests"
REAL = "BEFFROI_TEST_GRAFANA_URL"
MADE = boards("fr", "Europe/Paris", WHOLE.kinds)
ALL = queries(MADE)


class World:
    """A hub with contracts, and the Grafana that it pushes to."""

    def __init__(self, fake, database_url, home):
        self.fake, self.url = fake, database_url
        self.environment = {
            "BEFFROI_GRAFANA_URL": fake.url,
            "BEFFROI_GRAFANA_USER": ADMIN,
            "BEFFROI_GRAFANA_PASSWORD": ADMIN_PASSWORD,
            "BEFFROI_DATABASE_URL": database_url,
            "BEFFROI_HOME": str(home),
        }

    async def push(self, *arguments, **environment):
        """What `beffroi grafana push --contracts` says; what it refuses is raised."""
        result = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            ["grafana", "push", "--contracts", *arguments],
            env={**self.environment, **environment},
            catch_exceptions=False,
        )
        assert result.exit_code == 0
        return result.output

    async def of(self, contract):
        async with connect(self.url) as connection:
            return next(tenant for tenant in await tenants(connection) if tenant.name == contract)

    async def put(self, *contracts):
        async with connect(self.url) as connection:
            await import_contracts(connection, contracts)
            await connection.commit()

    def org(self, contract):
        return self.fake.named(organisation_of(contract))


@pytest.fixture(scope="module")
async def world(database_url, tmp_path_factory):
    """Two communes, of which one reads 31337 everywhere, and contracts on either; pushed once."""
    async with connect(database_url) as connection:
        await expose(connection)
        await set_password(connection, CITY_PASSWORD)
        await add_commune(connection, "dijon")
        await add_commune(connection, "quetigny", value=CANARY)
        await connection.commit()
    fake = FakeGrafana()
    async with running(fake.app, free_port()) as url:
        fake.url = url
        world = World(fake, database_url, tmp_path_factory.mktemp("home"))
        await world.put(WHOLE, LAMPS, DAILY)
        await world.push()
        yield world


@pytest.fixture
async def temporary(world):
    """A contract that a test may end; its organisation is removed with it."""
    contract = replace(LAMPS, name=f"provisoire-{secrets.token_hex(4)}")
    await world.put(contract)
    yield contract
    await world.put(replace(contract, from_day=date(2020, 1, 1), to_day=date(2020, 1, 2)))
    await world.push("--delete-ended")


# ---- what it shows ----


def comparable(rows):
    """Rows without their order, and floats as far as the order of a sum leaves them equal."""
    return Counter(
        tuple((name, f"{float(v):.6g}" if isinstance(v, float) else str(v)) for name, v in row.items()) for row in rows
    )


async def as_city(world, text, communes):
    """What the city's own dashboards would show."""
    parts = urlsplit(world.url)
    url = f"postgresql://{ROLE}:{CITY_PASSWORD}@{parts.hostname}:{parts.port}{parts.path}"
    return await fetch(url, expanded(text, communes=communes))


@pytest.mark.parametrize(("uid", "title", "ref"), ALL, ids=lambda part: part)
async def test_every_panel_shows_the_contract_s_rows_and_no_others(world, uid, title, ref):
    """As many rows, and the same, as the city sees of that commune, though every commune is asked for."""
    text, _ = ALL[uid, title, ref]
    rows = await query(world.org("tout"), expanded(text, communes=BOTH))
    assert rows and any(value is not None for row in rows for value in row.values())
    assert not any("quetigny" in str(value) for row in rows for value in row.values())
    assert comparable(rows) == comparable(await as_city(world, text, ("dijon",)))


async def test_rows_of_another_contract_would_be_seen(world):
    """Nearly every panel is another one with the other commune in it; a share or a median need not be."""
    ours, both = [
        [comparable(await as_city(world, text, communes)) for text, _ in ALL.values()]
        for communes in (("dijon",), BOTH)
    ]
    same = [place for place, one, other in zip(ALL, ours, both, strict=True) if one == other]
    assert len(same) < len(ALL) / 10, same


@pytest.mark.parametrize("contract", [LAMPS, DAILY], ids=lambda contract: contract.name)
async def test_another_contract_sees_its_own(world, contract):
    org, made = world.org(contract.name), boards("fr", "Europe/Paris", contract.kinds)
    assert set(org.boards) == set(made) and len(made) == 3
    for text, _ in queries(made).values():
        rows = await query(org, expanded(text, communes=BOTH))
        other = ({"dijon", "quetigny"} - set(contract.communes)).pop()
        assert not any(other in str(value) for row in rows for value in row.values())
    assert await query(org, "SELECT DISTINCT commune, kind FROM device") == [
        {"commune": contract.communes[0], "kind": contract.kinds[0]}
    ]


async def test_households_are_daily_in_grafana_too(world):
    org = world.org("eau")
    late = "SELECT count(*) AS n FROM water_meter r JOIN device d USING (device_no) WHERE d.type = 'meter'"
    assert await query(org, f"{late} AND ts >= date_trunc('day', now(), 'Europe/Paris')") == [{"n": 0}]
    assert all(row["n"] == 1 for row in await query(org, f"{late} GROUP BY device_no"))
    assert (await query(org, late.replace("'meter'", "'zone'")))[0]["n"] == 24


async def test_what_only_the_city_may_ask_is_not_on_a_contract_s_dashboards(world):
    city = queries(boards("fr", "Europe/Paris"))
    missing = {title for uid, title, _ in set(city) - set(ALL)}
    assert missing == {"Quarantaine, par raison", "Où en sont les lecteurs du journal", "À mettre en service"}


async def test_the_choice_of_communes_is_the_contract_s(world):
    text = MADE["beffroi-overview"]["templating"]["list"][0]["query"]
    assert await query(world.org("tout"), text) == [{"commune": "dijon"}]
    await world.put(empty := replace(LAMPS, name="vide", communes=("nulle-part",)))
    await world.push()
    assert await query(world.org(empty.name), text) == [{"commune": "-"}]


async def test_the_log_in_has_limits(world):
    (settings,) = await query(
        world.org("tout"),
        "SELECT current_user AS who, current_setting('default_transaction_read_only') AS read_only,"
        " current_setting('statement_timeout') AS timeout, current_setting('enable_nestloop') AS nested",
    )
    tenant = await world.of("tout")
    assert settings == {"who": tenant.role, "read_only": "on", "timeout": "30s", "nested": "off"}
    role = await one(world.url, "SELECT rolconnlimit, rolsuper FROM pg_roles WHERE rolname = %s", tenant.role)
    assert role == {"rolconnlimit": 10, "rolsuper": False}
    kept = await one(
        world.url, "SELECT has_table_privilege(%s, 'public.street_lighting', 'SELECT') AS may", tenant.role
    )
    assert kept == {"may": False}


# ---- what a push does ----


async def test_a_second_push_changes_nothing(world):
    world.fake.writes.clear()
    said = await world.push()
    assert world.fake.writes == []
    assert f"{len(MADE)} of {len(MADE)} dashboards are as declared" in said and "made" not in said
    assert "would" not in await world.push("--dry-run")


async def test_a_dry_run_says_everything_and_makes_nothing(world, temporary):
    world.fake.writes.clear()
    said = await world.push("--dry-run")
    name = organisation_of(temporary.name)
    tenant = await world.of(temporary.name)
    assert f"would make the organisation {name}\nwould make its data source, as {tenant.role}\n" in said
    assert "would make beffroi-kind-street-lighting" in said
    assert world.fake.writes == [] and not tenant.can_log_in


async def test_what_was_changed_by_hand_is_told_and_taken_back(world, temporary):
    await world.push()
    org = world.org(temporary.name)
    org.boards["beffroi-incidents"]["dashboard"]["title"] = "À ma façon"
    org.datasources["beffroi"]["jsonData"]["sslmode"] = "require"
    org.datasources["beffroi"]["user"] = "postgres"
    said = await world.push("--dry-run")
    assert "-title: À ma façon" in said and "-jsonData.sslmode: require" in said and "-user: postgres" in said
    world.fake.writes.clear()
    await world.push()
    assert world.fake.writes == [f"{org.name}: data source beffroi", f"{org.name}: dashboard beffroi-incidents"]
    assert await query(org, "SELECT 1 AS n") == [{"n": 1}]


async def test_a_password_that_works_stays_and_one_that_does_not_is_renewed(world, temporary):
    await world.push()
    org = world.org(temporary.name)
    before = org.secrets["beffroi"]["password"]
    await world.push()
    assert org.secrets["beffroi"]["password"] == before
    async with connect(world.url) as connection:
        await open_login(connection, await world.of(temporary.name), "another")
        await connection.commit()
    assert "would change its data source" in await world.push("--dry-run")
    assert org.secrets["beffroi"]["password"] == before
    assert "changed its data source" in await world.push()
    assert org.secrets["beffroi"]["password"] not in (before, "another")
    assert await query(org, "SELECT 1 AS n") == [{"n": 1}]


async def test_the_password_is_in_no_text_that_the_database_is_sent(world, temporary):
    await world.push()
    password = world.org(temporary.name).secrets["beffroi"]["password"]
    assert len(password) >= 43 and all(password not in str(one) for one in world.fake.datasources.values())
    kept = await one(world.url, "SELECT rolpassword FROM pg_roles WHERE rolname = %s", (await world.of("tout")).role)
    assert kept == {"rolpassword": "********"}


async def test_a_contract_of_other_kinds_gets_other_dashboards(world, temporary):
    await world.push()
    await world.put(replace(temporary, kinds=("water_meter",)))
    assert "left over: beffroi-kind-street-lighting" in await world.push()
    assert "beffroi-kind-water-meter" in world.org(temporary.name).boards
    assert await query(world.org(temporary.name), "SELECT count(*) AS n FROM street_lighting") == [{"n": 0}]


# ---- the end of a contract ----


def ended(contract):
    return replace(contract, to_day=NOW.date() - timedelta(days=2))


async def test_a_contract_that_ended_loses_its_log_in_its_sessions_and_its_data_source(world, temporary):
    await world.push()
    org, tenant = world.org(temporary.name), await world.of(temporary.name)
    credentials = (tenant.role, org.secrets["beffroi"]["password"])
    async with await log_in(world.url, *credentials) as session:
        await world.put(ended(temporary))
        assert "would remove the log-in" in await world.push("--dry-run")
        assert (await world.of(temporary.name)).can_log_in and org.datasources
        await session.execute("SELECT 1")
        said = await world.push()
        with pytest.raises(psycopg.OperationalError):
            await session.execute("SELECT 1")
    assert f"removed the log-in of {tenant.role}: the contract {temporary.name} ended" in said
    assert f"removed the data source of the organisation {org.name}" in said
    assert not org.datasources and org.boards
    with pytest.raises(psycopg.OperationalError):
        await log_in(world.url, *credentials)
    world.fake.writes.clear()
    assert temporary.name not in await world.push() and world.fake.writes == []


async def log_in(url, role, password):
    parts = urlsplit(url)
    return await psycopg.AsyncConnection.connect(
        host=parts.hostname,
        port=parts.port,
        user=role,
        password=password,
        dbname=parts.path[1:],
        autocommit=True,
        row_factory=dict_row,
    )


async def test_a_log_in_ends_with_the_contract_without_a_push(world, temporary):
    await world.push()
    credentials = ((await world.of(temporary.name)).role, world.org(temporary.name).secrets["beffroi"]["password"])
    await (await log_in(world.url, *credentials)).close()
    await world.put(ended(temporary))
    with pytest.raises(psycopg.OperationalError):
        await log_in(world.url, *credentials)


async def test_a_contract_that_goes_on_after_all_gets_everything_back(world, temporary):
    await world.push()
    await world.put(ended(temporary))
    await world.push()
    await world.put(temporary)
    assert "made its data source" in await world.push()
    assert await query(world.org(temporary.name), "SELECT count(*) > 0 AS some FROM street_lighting") == [
        {"some": True}
    ]


async def test_an_organisation_is_deleted_only_when_told_to(world, temporary):
    await world.push()
    name = organisation_of(temporary.name)
    await world.put(ended(temporary))
    await world.push()
    assert world.org(temporary.name)
    assert f"would remove the organisation {name}" in await world.push("--delete-ended", "--dry-run")
    assert world.org(temporary.name)
    await world.push("--delete-ended")
    assert name not in [org.name for org in world.fake.orgs.values()]
    assert {"Main Org.", organisation_of("tout")} <= {org.name for org in world.fake.orgs.values()}


async def test_a_log_in_ends_although_grafana_does_not_answer(world, temporary):
    await world.push()
    await world.put(ended(temporary))
    with pytest.raises(BeffroiError, match="does not answer"):
        await world.push(BEFFROI_GRAFANA_URL=f"http://127.0.0.1:{free_port()}")
    assert not (await world.of(temporary.name)).can_log_in


# ---- refusals ----


async def test_refusals_say_what_to_do(world):
    with pytest.raises(BadSetting, match="a token belongs to one organisation; set BEFFROI_GRAFANA_USER"):
        await world.push(BEFFROI_GRAFANA_USER="", BEFFROI_GRAFANA_TOKEN=TOKEN)
    with pytest.raises(BadSetting, match=rf"refuses the name and password of {ADMIN}; set BEFFROI_GRAFANA_USER"):
        await world.push(BEFFROI_GRAFANA_PASSWORD="wrong")
    world.fake.accounts["adjoint"] = Account(2, "secret")
    world.fake.orgs[1].members["adjoint"] = "Admin"
    with pytest.raises(BadSetting, match=r"account adjoint may not do that.*server administrator"):
        await world.push(BEFFROI_GRAFANA_USER="adjoint", BEFFROI_GRAFANA_PASSWORD="secret")
    with pytest.raises(BadSetting, match="BEFFROI_GRAFANA_URL is not set"):
        await world.push(BEFFROI_GRAFANA_URL="")
    with pytest.raises(BadSetting, match="must look like host:port"):
        await world.push(BEFFROI_GRAFANA_DATABASE="postgresql://somewhere")
    async with running(PlainTextResponse("Welcome"), free_port()) as stranger:
        with pytest.raises(BadSetting, match="is not Grafana"):
            await world.push(BEFFROI_GRAFANA_URL=stranger)


async def test_a_database_that_grafana_does_not_reach_is_named(world, temporary):
    with pytest.raises(BeffroiError, match=r"cannot use the database at 127.0.0.1:\d+ as .*BEFFROI_GRAFANA_DATABASE"):
        await world.push(BEFFROI_GRAFANA_DATABASE=f"127.0.0.1:{free_port()}")
    await world.push()


async def test_another_administrator_joins_the_organisations_first(world):
    world.fake.accounts["adjointe"] = Account(3, "secret", is_server_admin=True)
    as_other = {"BEFFROI_GRAFANA_USER": "adjointe", "BEFFROI_GRAFANA_PASSWORD": "secret"}
    world.org("tout").members["adjointe"] = "Viewer"
    world.fake.writes.clear()
    assert "would make this account an administrator of the organisation" in await world.push("--dry-run", **as_other)
    assert world.fake.writes == []
    await world.push(**as_other)
    assert world.org("tout").members["adjointe"] == world.org("lampes").members["adjointe"] == "Admin"
    assert {"role adjointe", "member adjointe"} == set(world.fake.writes)


async def test_a_proxy_that_takes_the_header_away_cannot_make_it_write_elsewhere(world):
    """The city's own data source has the same uid, in the organisation that Grafana falls back to."""

    async def proxy(scope, receive, send):
        headers = [(name, value) for name, value in scope.get("headers", ()) if name != b"x-grafana-org-id"]
        await world.fake.app({**scope, "headers": headers}, receive, send)

    world.fake.writes.clear()
    async with running(proxy, free_port()) as url:
        with pytest.raises(BeffroiError, match=r"answers for its organisation 1 .*X-Grafana-Org-Id"):
            await world.push(BEFFROI_GRAFANA_URL=url)
    assert world.fake.writes == []


async def test_organisations_of_nobody_are_named_and_left(world):
    await asyncio.to_thread(Organisations(world.fake.url, ADMIN, ADMIN_PASSWORD).make, "Beffroi: tramways")
    assert "left over: the organisation Beffroi: tramways" in await world.push("--delete-ended")
    assert world.fake.named("Beffroi: tramways")


async def test_the_fake_refuses_what_grafana_refuses(world):
    """Otherwise the tests above could not fail."""
    organisations = Organisations(world.fake.url, ADMIN, ADMIN_PASSWORD)

    def refused(match, question, number=None, credential=(ADMIN, ADMIN_PASSWORD)):
        asking = Asking(world.fake.url, credential, number)
        with pytest.raises(BeffroiError, match=match):
            asking.ask(lambda: question(asking.api))

    def work():
        refused("name taken", lambda api: api.organization.create_organization({"name": "Main Org."}))
        refused("additional permissions", lambda api: api.organization.get_current_organization(), 99)
        refused("refuses the token", lambda api: api.search.search_dashboards(), 2, TOKEN)
        refused("may not do that", lambda api: api.organizations.list_organization(), credential=TOKEN)
        number = organisations.numbers()[organisation_of("tout")]
        again = {**datasource(Database("127.0.0.1:1", "x", "disable"), "x"), "secureJsonData": {"password": "x"}}
        wrong = {**again, "url": "here"}
        refused("same name already exists", lambda api: api.datasource.create_datasource(again), number)
        refused("invalid URL", lambda api: api.datasource.update_datasource_by_uid("beffroi", wrong), number)
        me = {"loginOrEmail": ADMIN, "role": "Admin"}
        refused("already member", lambda api: api.organizations.organization_user_add(number, me), number)
        refused("for current user", lambda api: api.organizations.delete_organization(number), number)

    await asyncio.to_thread(work)


# ---- a real one ----


async def test_a_real_grafana(world):
    """Set BEFFROI_TEST_GRAFANA_URL, and _USER and _PASSWORD of a server administrator of a Grafana on this machine.

    It reaches the database of the tests at 127.0.0.1, and is left without the organisation that is made in it.
    """
    url = os.environ.get(REAL)
    if not url:
        pytest.skip(f"no real Grafana was tried: {REAL} names none")
    user, password = (os.environ[f"BEFFROI_TEST_GRAFANA_{what}"] for what in ("USER", "PASSWORD"))
    contract, tenant = f"essai-{secrets.token_hex(4)}", await world.of("tout")
    organisations = Organisations(url, user, password)
    source = datasource(Database.of_url(world.url), tenant.role)

    def new_password():
        chosen = secrets.token_urlsafe(32)

        async def work():
            async with connect(world.url) as connection:
                await open_login(connection, tenant, chosen)
                await connection.commit()

        asyncio.run(work())
        return chosen

    def work():
        try:
            first = push_contract(organisations, contract, MADE, source, new_password)
            again = push_contract(organisations, contract, MADE, source, new_password)
            inside = organisations.inside(organisations.numbers()[organisation_of(contract)])
            return first, again, [_asked_really(inside, text, form) for text, form in ALL.values()]
        finally:
            end_contract(organisations, contract, delete=True)

    first, again, frames = await asyncio.to_thread(work)
    assert [step.what for step in first.steps] == ["new", "new"]
    assert again.steps == [] and {change.what for change in again.boards.changes} == {"same"}, again
    for place, found in zip(ALL, frames, strict=True):
        assert found, f"{place}: no rows"
        assert "quetigny" not in str(found)
    await world.push()  # the role's password was another


def _asked_really(inside, text, form):
    """The columns that Grafana's own data source answers to a panel's query, macros expanded by itself."""
    text = text.replace("${commune:sqlstring}", "'dijon','quetigny'")
    one_query = {
        "refId": "A",
        "datasource": {"uid": "beffroi"},
        "rawSql": text,
        "format": form,
        "intervalMs": 300_000,
        "maxDataPoints": 1000,
    }
    at = [str(int((NOW + timedelta(hours=hours)).timestamp() * 1000)) for hours in (-24, 1)]
    body = {"queries": [one_query], "from": at[0], "to": at[1]}
    answer = inside.ask(lambda: inside.api.client.POST("/ds/query", json=body))["results"]["A"]
    assert "error" not in answer, answer
    return [column for frame in answer["frames"] for column in frame["data"]["values"] if column]
