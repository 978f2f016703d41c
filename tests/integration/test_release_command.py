"""`beffroi quarantine replay` on real processes: a source with the wrong codec is mended, and the worker is killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.runtime.servers import Embedded
from ingest.log import LogReader
from tests.database import accounts_balance, count, everything_is_read, fetch, one
from tests.processes import Processes, Publisher, eventually

MESSAGES = 4000
WRONG = json.dumps([{"name": "wmbusmeters", "codec": "native", "topics": ["wmbusmeters/#"], "commune": "dijon"}])
BEGAN = datetime.now(UTC) - timedelta(hours=5)


def telegram(n: int) -> str:
    """A meter of fifty, whose pipe bursts with its last telegram."""
    status = "BURST" if n >= MESSAGES - 50 else "OK"
    at = (BEGAN + timedelta(seconds=n)).isoformat()
    return json.dumps({"media": "water", "id": f"W{n % 50}", "total_m3": n, "status": status, "timestamp": at})


BURSTS = "incident WHERE code = 'burst'"
"""Beside those of an index that jumps, which it does in this test."""


@pytest.fixture(scope="module")
async def hub(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded
) -> AsyncIterator[Processes]:
    """A hub with everything that the meters said in quarantine, and the cause mended."""
    home: Path = tmp_path_factory.mktemp("release")
    with Processes(home, database_url, broker.mqtt_url, {"BEFFROI_SOURCES": WRONG}) as processes:
        meters = "".join(f"- {{commune: dijon, kind: water_meter, id: W{n}, type: meter}}\n" for n in range(50))
        (home / "meters.yaml").write_text(meters)
        imported = await processes.command("devices", "import", str(home / "meters.yaml"))
        assert imported.returncode == 0, imported.stderr
        processes.start("intake", "worker", "telealert")
        await processes.hears()
        publisher = Publisher(broker.simulator_url)
        for n in range(MESSAGES):
            publisher.publish(f"wmbusmeters/W{n % 50}", telegram(n))
        await asyncio.to_thread(publisher.close)
        log = LogReader(home / "log")
        await eventually(lambda: everything_is_read(database_url, log.log_id, MESSAGES), bool)
        log.close()
        yield processes


async def test_a_trial_says_what_could_be_read_and_changes_nothing(hub: Processes, database_url: str):
    before = await hub.command("quarantine", "replay", "--dry-run")
    assert (before.returncode, before.stdout.splitlines()[1].split()) == (
        1,
        ["wrong_topic", str(MESSAGES), "0", str(MESSAGES), "wrong_topic"],
    )
    mended = await hub.command("quarantine", "replay", "--dry-run", "--reason", "wrong_topic", BEFFROI_SOURCES="[]")
    assert (mended.returncode, mended.stdout.splitlines()[1].split()) == (
        0,
        ["wrong_topic", str(MESSAGES), str(MESSAGES)],
    )
    assert await count(database_url, "quarantine_release") == 0
    assert await count(database_url, "water_meter") == 0


async def test_a_release_outlives_its_worker_and_pages_nobody(hub: Processes, database_url: str):
    worker = hub.running.pop("worker")
    worker.terminate()  # as an operator restarts it: the rules keep their place in the log
    assert await asyncio.to_thread(worker.wait, 15) == 0
    hub.more.clear()
    hub.start("worker")
    release = asyncio.create_task(hub.command("quarantine", "replay", "--source", "wmbusmeters"))

    async def tried() -> int:
        rows = await fetch(database_url, "SELECT tried FROM quarantine_release")
        return int(str(rows[0]["tried"])) if rows else 0

    await eventually(tried, bool)
    hub.kill("worker")
    await accounts_balance(database_url, hub.home)
    broken_off = await tried()
    hub.start("worker")
    done = await release
    assert (done.returncode, done.stdout.strip()) == (
        0,
        f"{MESSAGES} of {MESSAGES} released; readings: {MESSAGES} stored.",
    ), done.stderr
    assert 0 < broken_off <= MESSAGES
    await accounts_balance(database_url, hub.home)
    rows = await fetch(database_url, "SELECT total_m3 FROM water_meter ORDER BY total_m3")
    assert [row["total_m3"] for row in rows] == list(range(MESSAGES))
    assert await fetch(database_url, "SELECT 1 FROM quarantine WHERE released_at IS NULL") == []
    await eventually(lambda: one(database_url, f"SELECT count(*) AS n FROM {BURSTS}"), lambda row: row["n"] == 50)
    quiet = await fetch(database_url, "SELECT DISTINCT quiet FROM incident")
    assert [row["quiet"] for row in quiet] == ["replayed"], "states are known; nobody was called"
    assert await count(database_url, "notification") == 0


async def test_a_live_reading_after_it_calls(hub: Processes, broker: Embedded, database_url: str):
    publisher = Publisher(broker.simulator_url)
    publisher.publish("wmbusmeters/W7", json.dumps({"media": "water", "id": "W7", "total_m3": 9e3, "status": "BURST"}))
    await asyncio.to_thread(publisher.close)
    await eventually(lambda: count(database_url, "notification"), lambda n: n > 0)
    told = await one(database_url, f"SELECT count(*) AS n FROM {BURSTS} AND quiet IS NULL")
    assert told["n"] == 1


async def test_a_second_release_finds_nothing(hub: Processes):
    again = await hub.command("quarantine", "replay")
    assert (again.returncode, again.stdout.strip()) == (0, "Nothing in quarantine fits.")
    gone = await hub.command("quarantine", "list", "--released", "--limit", "1")
    assert gone.returncode == 0 and "released by command line" in gone.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--since", "yesterday"), "Invalid value for '--since'"),
        (("--id", "x"), "Invalid value for '--id'"),
        (("--id", "99999999999999999999"), "Invalid value for '--id'"),
        (("--reason",), "requires an argument"),
    ],
)
async def test_bad_arguments(hub: Processes, arguments: tuple[str, ...], says: str):
    ended = await hub.command("quarantine", "replay", *arguments)
    assert ended.returncode == 2 and says in ended.stderr
    assert "Traceback" not in ended.stderr
