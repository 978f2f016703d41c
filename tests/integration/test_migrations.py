"""What migrations do to rows that were there before them, and what is left when one fails."""

import asyncio
import json
import secrets
import sys
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from devices.kind import kinds
from hub.errors import BadSetting
from hub.runtime.servers import Embedded
from ingest.codecs.codec import Heard, codecs
from ingest.log import LogWriter, Message
from store.database import DatabaseRefused, connect
from store.migrate import MIGRATIONS, migrate
from store.readers import claim
from store.schema import table_ddl
from tests.contracts import make_city
from tests.database import audited, fetch, one
from tests.load import Load, Meters
from tests.processes import Processes, eventually

TS_US = 1_780_000_000_123_456
TOPIC = "city/dijon/water_meter/W1/batch"


@pytest.fixture
async def before_releases(servers: Embedded) -> AsyncIterator[str]:
    """A database as it was before the migration of the releases."""
    async with _before(servers, "0006") as url:
        yield url


@pytest.fixture
async def before_audits(servers: Embedded) -> AsyncIterator[str]:
    """A database as it was before the migration of the audit, with the tables of the kinds."""
    async with _before(servers, "0010") as url:
        async with connect(url, autocommit=True) as conn:
            for statement in table_ddl(kinds()["water_meter"]):
                await conn.execute(statement)
        yield url


@asynccontextmanager
async def _before(servers: Embedded, number: str) -> AsyncIterator[str]:
    async with empty_database(servers) as url:
        async with connect(url, autocommit=True) as conn:
            await conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            await conn.execute("CREATE TABLE migration (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())")
            for path in sorted(MIGRATIONS.glob("*.sql")):
                if path.stem < number:
                    await conn.execute(path.read_text(encoding="utf-8").encode())
                    await conn.execute("INSERT INTO migration (name) VALUES (%s)", [path.stem])
        yield url


async def test_parts_that_were_quarantined_before_can_be_released(before_releases: str) -> None:
    told = json.dumps(
        {"id": "W1", "ts_us": TS_US, "total_m3": 5, "note": "é"}, separators=(",", ":"), ensure_ascii=False
    )
    rows = [(0, told, "out_of_range"), (1, '{"id":"W1","ts_us":null,"total_m3":5}', "out_of_range")]
    rows += [(2, '[{"total_m3":1}]', "wrong_type"), (3, '{"id":"W1","total_m3":"?"}', "wrong_type")]
    rows += [(-1, '[{"ts_us":1}', "invalid_json"), (-1, b"\xff", "out_of_range")]
    async with connect(before_releases, autocommit=True) as conn:
        for offset, (part, payload, reason) in enumerate(rows):
            await conn.execute(
                "INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)"
                " VALUES (%s, %s, %s, %s, 'city', %s, %s, %s, '')",
                [
                    uuid.UUID(int=1),
                    offset,
                    part,
                    datetime.now(UTC),
                    TOPIC.encode(),
                    payload if isinstance(payload, bytes) else payload.encode(),
                    reason,
                ],
            )
    assert "0006_quarantine_release" in await migrate(before_releases)
    kept = {
        row["log_offset"]: bytes(row["payload"]) for row in await fetch(before_releases, "SELECT * FROM quarantine")
    }
    (heard,) = codecs()["native"].decode(TOPIC, kept[0], "x")
    assert isinstance(heard, Heard) and heard.ts_us == TS_US // 1000 * 1000 and heard.rest == {"note": "é"}
    assert kept[2] == b'[[{"total_m3":1}]]', "a list in a list is no array of readings"
    assert [kept[n] for n in (3, 4, 5)] == [b'{"id":"W1","total_m3":"?"}', b'[{"ts_us":1}', b"\xff"]


async def test_what_was_removed_before_the_audit_is_taken_as_it_is_found(before_audits: str, tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log") as log:
        log.append([Message(0, TS_US, "city", TOPIC, b"[]")] * 9)
        async with connect(before_audits, autocommit=True) as conn:
            await conn.execute(
                "INSERT INTO device (commune, kind, id, changed_at, changed_version)"
                " VALUES ('x', 'water_meter', 'y', now(), 0)"
            )
            await conn.execute("INSERT INTO water_meter (device_no, ts, received_at) VALUES (1, now(), now())")
            await conn.execute(
                "INSERT INTO reader (name, log_id, next_offset, messages, messages_decoded, messages_quarantined,"
                " readings, readings_stored, readings_quarantined, moved_at)"
                " VALUES ('store', %s, 9, 900, 890, 10, 700, 600, 100, now())",
                [log.log_id],
            )
    await migrate(before_audits)
    assert (await audited(before_audits, tmp_path)).missing == []
    (row,) = await fetch(before_audits, "SELECT * FROM reader")
    assert (row["messages_quarantined"], row["messages_discarded"], row["readings_discarded"]) == (0, 10, 100)
    (removed,) = await fetch(before_audits, "SELECT rows FROM removal")
    assert removed == {"rows": 599}


# --- a whole database of the release before ---

LAST_RELEASE = "0009_figures_shown"
COLUMNS = """
    SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) AS columns
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'migration' GROUP BY table_name
"""


@pytest.fixture
async def released(servers: Embedded, tmp_path: Path) -> AsyncIterator[str]:
    """A database as the last release left it, with a city in it."""
    before = copied(tmp_path / "before", [path for path in MIGRATIONS.glob("*.sql") if path.stem <= LAST_RELEASE])
    async with empty_database(servers) as url:
        assert (await migrate(url, before))[-1] == LAST_RELEASE
        yield url


@asynccontextmanager
async def empty_database(servers: Embedded) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        yield servers.database_url.rsplit("/", 1)[0] + f"/{name}"
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def copied(folder: Path, files: Iterable[Path]) -> Path:
    folder.mkdir()
    for path in files:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


async def fingerprint(url: str, columns: dict[str, str]) -> dict[str, tuple[object, object]]:
    """How many rows each table has, and a digest of what they say in these columns."""
    found = {}
    for table, names in columns.items():
        (row,) = await fetch(
            url,
            f"SELECT count(*) AS n, md5(string_agg(t::text, '|' ORDER BY t::text)) AS digest"
            f" FROM (SELECT {names} FROM {table}) t",
        )
        found[table] = (row["n"], row["digest"])
    return found


async def test_a_city_of_the_last_release_is_brought_forward_and_its_hub_goes_on(
    released: str, tmp_path: Path, broker: Embedded
) -> None:
    await make_city(released)
    async with connect(released, autocommit=True) as conn:
        await claim(conn, "telealert", uuid.uuid4())
        await conn.execute(
            "INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)"
            " VALUES (gen_random_uuid(), 0, -1, now(), 'city', 'city/a', '?', 'invalid_json', 'not JSON')"
        )
    columns = {str(row["table_name"]): str(row["columns"]) for row in await fetch(released, COLUMNS)}
    before = await fingerprint(released, columns)
    tables = {*kinds(), "incident", "incident_member", "person", "contract", "api_key", "quarantine", "reader"}
    assert not [table for table in tables if not before[table][0]], "every kind of row is there"

    assert await migrate(released) == [p.stem for p in sorted(MIGRATIONS.glob("*.sql")) if p.stem > LAST_RELEASE]
    assert await fingerprint(released, columns) == before
    assert await migrate(released) == [], "again: nothing to do"
    assert await fingerprint(released, columns) == before

    # Their numbers are in the hundreds of millions, and the boards have a place for each number below.
    for table, number in (("incident_member", "device_no"), ("incident", "cause_no"), ("position_access", "device_no")):
        await fetch(released, f"DELETE FROM {table} WHERE {number} > 1000000 RETURNING 1 AS gone")
    await fetch(released, "DELETE FROM device WHERE device_no > 1000000 RETURNING 1 AS gone")
    with Processes(tmp_path, released, broker.mqtt_url) as hub:
        assert (await hub.command("migrate")).returncode == 0
        hub.start("intake", "worker")
        await hub.hears()
        meters = Meters()
        load = Load(broker.simulator_url, meters.message, 100)
        await load.run(0.5)
        await meters.exactly_once(released, load.acknowledged)
    assert (await fingerprint(released, columns))["contract"] == before["contract"]


# --- a migration that fails ---

HALF = "CREATE TABLE half (x integer); INSERT INTO half SELECT generate_series(1, 1000); "


async def test_of_a_migration_that_fails_half_way_nothing_is_left(database_url: str, tmp_path: Path) -> None:
    folder = copied(tmp_path / "migrations", MIGRATIONS.glob("*.sql"))
    (folder / "9001_good.sql").write_text("CREATE TABLE good ();")
    (folder / "9002_broken.sql").write_text(HALF + "ALTER TABLE device DROP COLUMN label CASCADE; SELECT 1 / 0;")
    (folder / "9003_later.sql").write_text("CREATE TABLE later ();")
    with pytest.raises(DatabaseRefused, match=r"9002_broken.sql failed, .* as it was before it: division by zero; "):
        await migrate(database_url, folder)
    there = await one(
        database_url, "SELECT to_regclass('good') AS a, to_regclass('half') AS b, to_regclass('later') AS c"
    )
    assert there == {"a": "good", "b": None, "c": None}
    await fetch(database_url, "SELECT label FROM device")
    (folder / "9002_broken.sql").write_text(HALF)
    assert await migrate(database_url, folder) == ["9002_broken", "9003_later"]
    assert await one(database_url, "SELECT count(*) AS n FROM half") == {"n": 1000}

    with pytest.raises(BadSetting, match="a newer Beffroi: this one does not have its migration 9003_later"):
        await migrate(database_url)


MIGRATE = (
    "import asyncio, sys, pathlib, store.migrate as m; asyncio.run(m.migrate(sys.argv[1], pathlib.Path(sys.argv[2])))"
)


async def test_a_migration_that_is_killed_leaves_nothing_and_is_done_again(database_url: str, tmp_path: Path) -> None:
    folder = following(tmp_path)
    slow = folder / "9004_slow.sql"
    slow.write_text("CREATE TABLE slow (); SELECT pg_sleep(1.5);")
    migrating = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, database_url, str(folder))
    sleeping = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    await eventually(lambda: one(database_url, sleeping), lambda row: row["n"] == 1)
    migrating.kill()
    await migrating.wait()
    slow.write_text("CREATE TABLE slow ();")  # refused if there were one
    assert await migrate(database_url, folder) == ["9004_slow"]


async def test_two_that_migrate_at_once_do_it_once(database_url: str, tmp_path: Path) -> None:
    folder = following(tmp_path)
    (folder / "9004_slow.sql").touch()
    (folder / "9005_once.sql").write_text("CREATE TABLE once (); SELECT pg_sleep(0.2);")
    done = await asyncio.gather(*(migrate(database_url, folder) for _ in range(3)))
    assert [name for names in done for name in names] == ["9005_once"]


def following(tmp_path: Path) -> Path:
    """The migrations that the tests above have brought this file's database to."""
    folder = copied(tmp_path / "migrations", MIGRATIONS.glob("*.sql"))
    for name in ("9001_good", "9002_broken", "9003_later"):
        (folder / f"{name}.sql").touch()
    return folder
