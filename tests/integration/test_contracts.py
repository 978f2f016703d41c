"""What a contract's role can read in the real database: its devices on its days, and nothing else, however it asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from devices.kind import DeviceType, Field, Kind, Text, kinds
from store import delegate
from store.contract_logins import open_login, tenants
from store.contracts import Contract, import_contracts
from store.database import Connection, connect
from store.rollup_ddl import AREA_HOURS, OF_AREAS
from store.schema import table_ddl
from tests import contracts as city_of
from tests.contracts import AFTER, BEFORE, CANARY, CANARY_NO, ENDED, EVERYTHING, INSIDE, LAMPS, PERSONAL, City

WIDE = (BEFORE - timedelta(days=30), AFTER + timedelta(days=30))
LAMP, METER, VEHICLE = "street_lighting", "water_meter", "fleet_vehicle"

LAW_BREAKERS = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.oid <> 'pg_settings'::regclass AND (has_any_column_privilege(%(role)s, c.oid, 'INSERT, UPDATE, REFERENCES')
   OR has_table_privilege(%(role)s, c.oid, 'DELETE, TRUNCATE, TRIGGER'))
"""
RELATIONS = """
SELECT format('%%I.%%I', n.nspname, c.relname) AS relation,
       (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND has_column_privilege(%(role)s, c.oid, a.attnum, 'SELECT')) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S', 't')
"""
NOT_CALLED = "^(pg_sleep|pg_.*advisory|pg_terminate|pg_cancel|pg_wal_replay|pg_notify|pg_log_|generate_series$)"
FUNCTIONS = f"""
SELECT format('%%I.%%I', n.nspname, p.proname) AS name, p.proretset,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, o) ORDER BY o) AS types
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind = 'f' AND p.proname !~ '{NOT_CALLED}' AND has_function_privilege(%(role)s, p.oid, 'EXECUTE')
  AND NOT EXISTS (SELECT 1 FROM unnest(p.proargtypes) t JOIN pg_type ON pg_type.oid = t
                  WHERE typname IN ('internal', 'fdw_handler') OR typtype = 'p' AND typname NOT IN ('cstring'))
"""


@pytest.fixture(scope="module")
async def city(database_url: str) -> City:
    return await city_of.make_city(database_url)


@asynccontextmanager
async def as_contract(city: City, contract: Contract) -> AsyncIterator[Connection]:
    async with connect(city.url) as conn:
        role = await city_of.role_of(conn, contract)
        await conn.rollback()
        await delegate.enter(conn, role)
        yield conn


async def rows_of(conn: Connection, view: str, where: str = "true") -> list[dict[str, object]]:
    statement = sql.SQL("SELECT * FROM delegate.{} r WHERE {} ORDER BY device_no, ts").format(
        sql.Identifier(view),
        sql.SQL(where),  # type: ignore[arg-type]  # the tests' own words
    )
    return await (await conn.execute(statement)).fetchall()


async def _all_of(conn: Connection, view: str) -> list[dict[str, object]]:
    return await (await conn.execute(sql.SQL("SELECT * FROM delegate.{}").format(sql.Identifier(view)))).fetchall()


# ---- what it sees ----


async def test_a_contract_sees_its_devices_on_its_days(city: City) -> None:
    async with as_contract(city, LAMPS) as conn:
        rows = await rows_of(conn, LAMP)
        assert [(row["device_no"], row["ts"]) for row in rows] == [
            (city.ours[LAMP], INSIDE),
            (city.ours[LAMP], INSIDE + timedelta(hours=1)),
        ]
        fields = kinds()[LAMP].fields
        found = await delegate.readings(conn, kinds()[LAMP], fields, None, *WIDE, after=None, limit=100)
        assert [tuple(row.values()) for row in rows] == found
        assert [row["id"] for row in await delegate.devices(conn, delegate.DeviceFilter(), after=0, limit=9)] == [
            "ours"
        ]
        assert [row["code"] for row in await _incidents(conn)] == ["ours"]
        assert (await delegate.contract(conn))["name"] == "lumiere"


async def _incidents(conn: Connection) -> list[dict[str, object]]:
    return await delegate.incidents(conn, delegate.IncidentFilter(), before=2**62, limit=100)


async def test_nobody_without_a_contract_sees_anything(city: City) -> None:
    """Also the hub's own role: what answers a contract answers nobody else."""
    async with connect(city.url) as conn:
        for kind in kinds().values():
            assert await rows_of(conn, kind.name) == []
            assert await delegate.readings(conn, kind, kind.fields, None, *WIDE, after=None, limit=9) == []
            assert await delegate.latest(conn, kind, kind.fields, [city.ours[kind.name]]) == []
        assert await delegate.devices(conn, delegate.DeviceFilter(), after=0, limit=9) == []


async def test_a_contract_of_other_days_sees_nothing(city: City) -> None:
    async with as_contract(city, ENDED) as conn:
        assert await rows_of(conn, LAMP) == []
        assert await _incidents(conn) == []
        assert await delegate.devices(conn, delegate.DeviceFilter(), after=0, limit=9) == []


async def test_positions_are_shown_by_a_contract_that_says_so_only(city: City) -> None:
    vehicle = kinds()[VEHICLE]
    for contract, lat in ((EVERYTHING, None), (PERSONAL, 47.5)):
        async with as_contract(city, contract) as conn:
            assert {row["lat"] for row in await rows_of(conn, VEHICLE)} == {lat}
            place = vehicle.field_index("lat") + len(delegate.READING)
            read = await delegate.readings(conn, vehicle, vehicle.fields, None, *WIDE, after=None, limit=9)
            last = await delegate.latest(conn, vehicle, vehicle.fields, [city.ours[VEHICLE]])
            assert {row[place] for row in (*read, *last)} == {lat}
            width = timedelta(hours=1)
            thin = await delegate.points(conn, vehicle, vehicle.fields, city.ours[VEHICLE], *WIDE, width)
            assert {row[3 + vehicle.field_index("lat")] for row in thin} == {lat}
            device = await delegate.device(conn, city.ours[VEHICLE])
            assert device is not None and (device["lat"] is None) == (lat is None)


async def test_a_household_is_read_once_a_day(city: City) -> None:
    """The last reading of a finished day, whatever bounds are asked."""
    meter, last = kinds()[METER], INSIDE + timedelta(hours=1)
    async with as_contract(city, PERSONAL) as conn:
        assert len(await rows_of(conn, METER)) == 2
    async with as_contract(city, EVERYTHING) as conn:
        assert [row["ts"] for row in await rows_of(conn, METER)] == [last]
        assert await rows_of(conn, METER, f"ts < '{last}'") == []
        for until, expected in ((WIDE[1], [last]), (last, []), (last + timedelta(seconds=1), [last])):
            found = await delegate.readings(conn, meter, meter.fields, None, WIDE[0], until, after=None, limit=9)
            assert [row[1] for row in found] == expected
        around = (INSIDE - timedelta(hours=1), last + timedelta(hours=1))
        thin = await delegate.points(conn, meter, meter.fields, city.ours[METER], *around, timedelta(seconds=1))
        assert [(row[1], row[2]) for row in thin] == [(last, 1)]
        assert [row[1] for row in await delegate.latest(conn, meter, meter.fields, [city.ours[METER]])] == [last]


async def test_today_is_not_told_of_a_household(city: City) -> None:
    """Else asking every hour would tell the hours."""
    running = replace(EVERYTHING, name="en-cours", to_day=None)
    meter = kinds()[METER]
    async with connect(city.url) as conn:
        await import_contracts(conn, [running])
        number = await city_of.add_device(conn, meter, 777, "dijon", "today")
        await conn.execute(
            "INSERT INTO water_meter (device_no, ts, received_at, total_m3) VALUES (%s, now(), now(), 5)", [number]
        )
        await conn.commit()
    async with as_contract(city, running) as conn:
        assert await rows_of(conn, METER, "device_no = 777") == []
        assert await delegate.readings(conn, meter, meter.fields, [777], *WIDE, after=None, limit=9) == []
        assert await delegate.latest(conn, meter, meter.fields, [777]) == []


async def test_a_contract_changes_and_its_role_stays(city: City) -> None:
    longer = replace(LAMPS, name="longue")
    async with connect(city.url) as conn:
        assert await import_contracts(conn, [longer]) == (1, 0, 0)
        assert await import_contracts(conn, [longer]) == (0, 0, 1)
        before = await city_of.role_of(conn, longer)
        assert await import_contracts(conn, [replace(longer, communes=("quetigny",))]) == (0, 1, 0)
        assert await city_of.role_of(conn, longer) == before
        await conn.commit()
    async with as_contract(city, longer) as conn:
        assert {row["device_no"] for row in await rows_of(conn, LAMP)} == {city.others[LAMP]}


# ---- what it does not see ----


async def leaks(conn: Connection, role: str, *, builtin: bool = False) -> list[str]:
    """Everything that a role can select or call whose answer holds a canary; `builtin`: of PostgreSQL's own too."""
    relations = await (await conn.execute(RELATIONS, {"role": role})).fetchall()
    asked = [f"SELECT row({r['columns']}) AS x FROM {r['relation']}" for r in relations if r["columns"]]
    functions = await (await conn.execute(FUNCTIONS, {"role": role})).fetchall()
    for function in functions:
        if builtin or not function["name"].startswith("pg_catalog."):
            asked += [f"SELECT x FROM {call} x" for call in _calls(function["name"], function["types"])]
    assert len(asked) > 300
    found: list[str] = []
    conn.add_notice_handler(lambda notice: found.append(notice.message_primary or ""))
    await conn.execute("SELECT set_config('statement_timeout', '60s', true)")
    await conn.execute("SELECT set_config('test.canaries', %s, true)", [f"{CANARY}|{CANARY_NO}"])
    await conn.execute("SELECT set_config('test.asked', %s, true)", [json.dumps(asked)])
    await conn.execute(ASK_ALL)
    return [said for said in found if said.startswith("LEAK")]


ASK_ALL = """
DO $$
DECLARE asked text; said text;
BEGIN
    FOR asked IN SELECT jsonb_array_elements_text(current_setting('test.asked')::jsonb) LOOP
        BEGIN
            EXECUTE format('SELECT string_agg(q.x::text, chr(10)) FROM (%s) q', asked) INTO said;
            IF said ~ current_setting('test.canaries') THEN
                RAISE NOTICE 'LEAK % -> %', right(asked, 160),
                    substring(said FROM '.{0,40}(?:' || current_setting('test.canaries') || ').{0,40}');
            END IF;
        EXCEPTION WHEN OTHERS THEN NULL;  -- refused, or not to be asked so
        END;
    END LOOP;
END $$
"""


OTHERS = "(ARRAY(SELECT 313370000 + g FROM generate_series(0, 19) g))"
VALUES = {
    "integer[]": OTHERS,
    "integer": "7",
    "bigint": "7",
    "boolean": "true",
    "interval": "'1 hour'::interval",
    "oid": "'public.street_lighting'::regclass::oid",
    "regclass": "'public.street_lighting'::regclass",
    "name": "'public'::name",
    "xml": "NULL::xml",
}
TEXTS = ("'TABLE public.street_lighting'", "'public.street_lighting'", "'TABLE public.device'")


def _calls(name: str, types: list[str]) -> list[str]:
    """Calls that ask for everything: each text as a query and as a name, times from the first to the last."""
    is_ours = name.startswith("delegate.")
    calls = []
    for text in TEXTS if {"text", "cstring"} & set(types) else TEXTS[:1]:
        times = iter(["'-infinity'", "'infinity'", *["NULL"] * 9])
        arguments = []
        for type in types:
            if type == "timestamp with time zone":
                arguments.append(f"{next(times)}::timestamptz")
            elif type in ("text", "cstring"):
                arguments.append(f"{text}::{type}")
            elif type in ("integer", "bigint") and is_ours:
                arguments.append(f"{CANARY_NO}0000")
            else:
                arguments.append(VALUES.get(type, f"NULL::{type}"))
        calls.append(f"{name}({', '.join(arguments)})")
    return calls


@pytest.mark.parametrize("contract", [EVERYTHING, ENDED], ids=lambda contract: contract.name)
async def test_nothing_else_can_be_read_through_any_relation_or_function(city: City, contract: Contract) -> None:
    async with as_contract(city, contract) as conn:
        role = await city_of.role_of(conn, contract)
        assert await leaks(conn, role, builtin=contract is EVERYTHING) == []
        assert await (await conn.execute(LAW_BREAKERS, {"role": role})).fetchall() == []


@pytest.fixture(scope="module")
async def logged_in(city: City) -> tuple[str, str]:
    """A contract's role and its own URL, as its data source in Grafana has them."""
    contract = replace(EVERYTHING, name="tout-grafana")
    async with connect(city.url) as conn:
        await import_contracts(conn, [contract])
        tenant = next(one for one in await tenants(conn) if one.name == contract.name)
        forever = replace(tenant, ends_at=None)  # the contract is over, and its password would be too
        await open_login(conn, forever, "of-the-tests")
        await conn.commit()
    parts = urlsplit(city.url)
    return tenant.role, f"postgresql://{tenant.role}:of-the-tests@{parts.hostname}:{parts.port}{parts.path}"


async def test_nothing_else_can_be_read_by_the_log_in_of_grafana(city: City, logged_in: tuple[str, str]) -> None:
    """The same search in a session of its own, where there is no other role to go back to."""
    role, url = logged_in
    async with connect(url) as conn:
        await conn.execute("SET TRANSACTION READ WRITE")  # it may say so: read only is a default, its rights are not
        assert await _me(conn) == role
        assert await leaks(conn, role, builtin=True) == []
        assert await (await conn.execute(LAW_BREAKERS, {"role": role})).fetchall() == []
        assert [row["device_no"] for row in await rows_of(conn, LAMP)] == [city.ours[LAMP]] * 2


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE delegate_grafana.mine (a int)",
        "CREATE TEMP TABLE device (a int)",
        "CREATE FUNCTION delegate_grafana.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DELETE FROM public.device",
        "SELECT * FROM public.street_lighting",
        "SELECT * FROM grafana.device",
        "SELECT announced FROM public.device",
        "SET ROLE beffroi_grafana",
        "SET ROLE {hub}",
        "SET ROLE {other}",
        "SET SESSION AUTHORIZATION {other}",
        "SET SESSION AUTHORIZATION {hub}",
        "ALTER ROLE {me} CONNECTION LIMIT -1",
        "ALTER ROLE {me} VALID UNTIL 'infinity'",
        "ALTER ROLE {other} PASSWORD 'x'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{hub}'",
    ],
)
async def test_the_log_in_of_grafana_makes_and_becomes_nothing(
    city: City, logged_in: tuple[str, str], statement: str
) -> None:
    async with connect(city.url) as hub:
        names = {"me": logged_in[0], "hub": await _me(hub), "other": await city_of.role_of(hub, PERSONAL)}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with connect(logged_in[1]) as conn:
                await conn.execute("SET TRANSACTION READ WRITE")
                await conn.execute(statement.format(**names).encode())


async def test_setting_no_role_leaves_the_contract_what_it_is(city: City, logged_in: tuple[str, str]) -> None:
    async with connect(logged_in[1]) as conn:
        for statement in ("RESET ROLE", "SET ROLE NONE", "SELECT set_config('role', 'none', false)"):
            await conn.execute(statement.encode())
            assert [row["device_no"] for row in await rows_of(conn, LAMP)] == [city.ours[LAMP]] * 2


async def test_the_search_for_leaks_finds_them(city: City) -> None:
    """As the hub's own role nearly everything leaks, by relations and by functions that take a query."""
    async with connect(city.url) as conn:
        found = await leaks(conn, await _me(conn), builtin=True)
    text = "\n".join(found)
    for name in ("FROM public.device ", "FROM public.street_lighting ", "public.person ", "query_to_xml", "_hyper_"):
        assert name in text


async def _me(conn: Connection) -> str:
    row = await (await conn.execute("SELECT current_user AS me")).fetchone()
    assert row is not None
    return str(row["me"])


async def test_figures_are_those_of_the_contract_s_commune_and_days(city: City) -> None:
    async with as_contract(city, EVERYTHING) as conn:
        for kind in kinds().values():
            rows = await _all_of(conn, AREA_HOURS.name(kind))
            of_a_household = kind.types[0].is_household  # of one meter alone, so not shown
            assert [row["commune"] for row in rows] == ([] if of_a_household else ["dijon", "dijon"])
        rows = await _all_of(conn, "indicator_sample")
        assert {(row["commune"], row["ts"]) for row in rows} == {("dijon", INSIDE)}


async def test_no_table_chunk_or_internal_relation_is_granted(city: City) -> None:
    async with as_contract(city, EVERYTHING) as conn:
        role = await city_of.role_of(conn, EVERYTHING)
        query = await conn.execute(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v', 'm', 'p')"
            " AND n.nspname NOT LIKE '%%timescaledb%%' AND has_any_column_privilege(%s, c.oid, 'SELECT')",
            [role],
        )
        granted = {row["name"] for row in await query.fetchall()}
    figures = [table.name(kind) for kind in kinds().values() for table in OF_AREAS]
    views = {f"delegate.{name}" for name in (*kinds(), *figures, "device", "indicator_sample", "my_contract")}
    assert granted == views | {"contract", "contract_access", "device", "incident", "incident_member"}


@pytest.mark.parametrize("relation", ["delegate.street_lighting", "delegate.device", "public.device"])
async def test_a_predicate_that_tells_what_it_is_shown_is_shown_nothing(city: City, relation: str) -> None:
    """The cheapest of functions, which the planner would like to call first, on rows behind a security barrier."""
    async with connect(city.url, autocommit=True) as owner:
        await owner.execute(
            "CREATE OR REPLACE FUNCTION public.tell(value integer) RETURNS boolean LANGUAGE plpgsql COST 0.0000001"
            " AS $$ BEGIN RAISE NOTICE 'shown %', value; RETURN true; END $$"
        )
    async with as_contract(city, LAMPS) as conn:
        shown: list[str] = []
        conn.add_notice_handler(lambda notice: shown.append(notice.message_primary or ""))
        await conn.execute(f"SELECT device_no FROM {relation} WHERE public.tell(device_no)".encode())
        assert set(shown) == {f"shown {city.ours[LAMP]}"}


async def test_a_division_by_zero_tells_nothing(city: City) -> None:
    """An error for a hidden row would say that the row is there."""
    async with as_contract(city, LAMPS) as conn:
        numeric = next(field.name for field in kinds()[LAMP].fields if field.storage != "flag")
        assert len(await rows_of(conn, LAMP, f"1 / ({numeric} - {CANARY_NO}) <> 0")) == 2
        query = await conn.execute(f"SELECT id FROM device WHERE 1 / (device_no - {city.others[LAMP]}) <> 5".encode())
        assert [row["id"] for row in await query.fetchall()] == ["ours"]


async def test_it_cannot_make_write_or_become_anything(city: City) -> None:
    for statement in (
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE delegate.mine (a int)",
        "CREATE TEMP TABLE device (a int)",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "UPDATE contract SET communes = '{quetigny}'",
        "INSERT INTO contract_access DEFAULT VALUES",
        "DELETE FROM device",
        "SELECT admit_contract(1)",
        "SELECT * FROM public.api_key",
        "SELECT * FROM public.person",
        "SELECT announced FROM device",
        "SELECT explanation FROM incident",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        async with connect(city.url) as conn:
            await conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(await city_of.role_of(conn, LAMPS))))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute(statement.encode())
    async with connect(city.url) as conn:
        other = await city_of.role_of(conn, EVERYTHING)
    async with as_contract(city, LAMPS) as conn:
        row = await (await conn.execute("SELECT pg_has_role(current_user, %s, 'SET') AS may", [other])).fetchone()
        assert row == {"may": False}


async def test_the_role_ends_with_the_transaction(city: City) -> None:
    async with as_contract(city, LAMPS) as conn:
        assert await _me(conn) == await city_of.role_of(conn, LAMPS)
        await conn.commit()
        assert await _me(conn) != await city_of.role_of(conn, LAMPS)


async def test_many_contracts_ask_at_once_and_none_sees_anothers(city: City) -> None:
    """Connections are shared: a role must never outlive its transaction."""

    async def ask(contract: Contract, expected: int) -> None:
        for _ in range(10):
            async with as_contract(city, contract) as conn:
                assert len(await rows_of(conn, LAMP)) == expected

    await asyncio.gather(*(ask(contract, n) for contract, n in ((LAMPS, 2), (ENDED, 0), (EVERYTHING, 2)) * 3))


# ---- what comes later ----


async def test_new_chunks_are_hidden_too(city: City) -> None:
    later = AFTER + timedelta(days=200)
    async with connect(city.url) as conn:
        chunks = await _chunks(conn)
        await conn.execute(
            "INSERT INTO street_lighting (device_no, ts, received_at) VALUES (%s, %s, %s), (%s, %s, %s)",
            [city.ours[LAMP], later, later, city.others[LAMP], INSIDE - timedelta(hours=2), later],
        )
        await conn.commit()
        assert await _chunks(conn) == chunks + 1
    async with as_contract(city, LAMPS) as conn:
        assert len(await rows_of(conn, LAMP)) == 2
        assert await leaks(conn, await city_of.role_of(conn, LAMPS)) == []


async def _chunks(conn: Connection) -> int:
    row = await (await conn.execute("SELECT count(*) AS n FROM show_chunks('street_lighting')")).fetchone()
    assert row is not None
    return int(row["n"])


WASTE = Kind(
    name="waste_container",
    label=Text("Conteneurs", "Waste containers"),
    types=(DeviceType("container", Text("Conteneur", "Container"), "square", lambda fill_pct: fill_pct),),
    fields=(Field("fill_pct", Text("Remplissage", "Fill"), "%", 0, 100_000),),
    rules=(),
)


async def test_a_kind_made_later_is_hidden_until_a_contract_names_it(city: City) -> None:
    contract = replace(LAMPS, name="dechets", kinds=("waste_container",))
    async with connect(city.url) as conn:
        for statement in table_ddl(WASTE):
            await conn.execute(statement)
        ours = await city_of.add_device(conn, WASTE, 900, "dijon", "ours")
        other = await city_of.add_device(conn, WASTE, CANARY_NO * 10_000 + 900, "quetigny", CANARY)
        await city_of.add_rows(conn, WASTE, ours, other)
        await import_contracts(conn, [contract])
        await conn.commit()
    async with as_contract(city, LAMPS) as conn:
        assert await rows_of(conn, "waste_container") == []
    async with as_contract(city, contract) as conn:
        rows = await rows_of(conn, "waste_container")
        assert [(row["device_no"], row["fill_pct"]) for row in rows] == [(900, 1), (900, 2)]
        assert await leaks(conn, await city_of.role_of(conn, contract)) == []


# ---- paging ----


async def test_pages_follow_each_other_without_gap_or_repeat(city: City) -> None:
    """Through several devices, whatever the size of the page."""
    lamp, start = kinds()[LAMP], INSIDE + timedelta(days=1)
    async with connect(city.url) as conn:
        numbers = [await city_of.add_device(conn, lamp, 1000 + i, "dijon", f"page-{i}") for i in range(3)]
        for i, number in enumerate(numbers):
            await conn.execute(
                "INSERT INTO street_lighting (device_no, ts, received_at)"
                " SELECT %s, %s + g * interval '1 minute', now() FROM generate_series(1, %s) g",
                [number, start, 10 * i + 7],
            )
        await conn.commit()
    async with as_contract(city, LAMPS) as conn:
        everything = await _all_pages(conn, numbers, start, 1000)
        assert len(everything) == 7 + 17 + 27 and everything == sorted(everything)
        for size in (1, 5, 7, 8):
            assert await _all_pages(conn, numbers, start, size) == everything


async def _all_pages(conn: Connection, numbers: list[int], start: datetime, size: int) -> list[tuple[int, datetime]]:
    lamp, found, after = kinds()[LAMP], [], None
    until = start + timedelta(days=1)
    while rows := await delegate.readings(conn, lamp, lamp.fields[:1], numbers, start, until, after=after, limit=size):
        found += [(row[0], row[1]) for row in rows]
        after = delegate.Place(rows[-1][0], rows[-1][1])
    return found
