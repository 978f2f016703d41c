"""What a migration does to rows that were there before it."""

import json
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from devices.kind import kinds
from hub.runtime.servers import Embedded
from ingest.codecs.codec import Heard, codecs
from ingest.log import LogWriter, Message
from store.database import connect
from store.migrate import MIGRATIONS, migrate
from store.schema import table_ddl
from tests.database import audited, fetch

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
    name = f"test_{secrets.token_hex(6)}"
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        url = servers.database_url.rsplit("/", 1)[0] + f"/{name}"
        async with connect(url, autocommit=True) as conn:
            await conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            await conn.execute("CREATE TABLE migration (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())")
            for path in sorted(MIGRATIONS.glob("*.sql")):
                if path.stem < number:
                    await conn.execute(path.read_text(encoding="utf-8").encode())
                    await conn.execute("INSERT INTO migration (name) VALUES (%s)", [path.stem])
        yield url
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


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
