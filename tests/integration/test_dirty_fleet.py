"""A dirty fleet through the real processes, the worker killed meanwhile: stored once, in order; only live faults call.

Duplicates, shuffled and late readings, clocks that are off, jump or died, payloads cut and written in every way: what
must come of it is told by an independent model (tests/dirty.py).
"""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from devices.kind import kinds
from hub.clock import to_us
from hub.runtime.servers import Embedded
from ingest.log import LogReader
from tests.database import accounts_balance, buckets_are_as_asked_directly, fetch, one
from tests.dirty import EACH_US, FAULT, Fleet, Model, Said, as_text
from tests.load import Load
from tests.processes import Processes, eventually

RATE = 3_000
WRONG = json.dumps([{"name": "wmbusmeters", "codec": "native", "topics": ["wmbusmeters/#"], "commune": "dijon"}])
SHORT, LONG = (5, 2), (40, 12)
"""Seconds of load, and kills of the worker."""


@dataclass
class Outcome:
    """A hub that has read everything, and what it should know."""

    hub: Processes
    url: str
    fleet: Fleet
    said: list[Said]
    model: Model

    async def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of this fleet: id, ts, received_at, time_flagged, and `told`, the fields that have a value."""
        found = await fetch(
            self.url,
            f"SELECT d.id, m.* FROM {kind} m JOIN device d USING (device_no) WHERE d.id LIKE %s ORDER BY d.id, ts",
            f"{self.fleet.run}-%",
        )
        names = kinds()[kind].field_names
        return [{**row, "told": {name: row[name] for name in names if row[name] is not None}} for row in found]

    async def called(self) -> Counter[str]:
        """How often somebody was called for each device."""
        rows = await fetch(
            self.url,
            "SELECT d.id FROM notification n JOIN incident i USING (incident_no)"
            " JOIN device d ON d.device_no = i.cause_no WHERE n.purpose = 'opened'",
        )
        return Counter(str(row["id"]) for row in rows)

    async def is_told(self) -> None:
        """Wait until the rules and tele-alert have read everything."""
        await asyncio.sleep(2)  # ticks of the rules, each second, could still tell something: they must not
        log = LogReader(self.hub.home / "transitions")
        await eventually(lambda: offset_of(self.url, "telealert"), lambda n: n == log.next_offset)
        log.close()


async def offset_of(url: str, reader: str) -> int:
    """How far a reader has come in its log."""
    rows = await fetch(url, "SELECT next_offset FROM reader WHERE name = %s", reader)
    return int(str(rows[0]["next_offset"])) if rows else 0


@pytest.fixture(scope="module", params=[SHORT, pytest.param(LONG, marks=pytest.mark.soak)], ids=["short", "long"])
async def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded
) -> AsyncIterator[Outcome]:
    seconds, kills = request.param
    home: Path = tmp_path_factory.mktemp("dirty")
    run = secrets.token_hex(3)
    chance = Random(run)
    count = RATE * seconds
    fleet = Fleet(run, chance, time.time_ns() // 1_000_000 * 1_000 - (count + 10_000) * EACH_US)
    said = fleet.messages(count)
    model = Model()
    for message in said:
        model.hear(message)
    (home / "fleet.yaml").write_text(fleet.registry())
    with Processes(home, database_url, broker.mqtt_url, {"BEFFROI_SOURCES": WRONG}) as hub:
        imported = await hub.command("devices", "import", str(home / "fleet.yaml"))
        assert imported.returncode == 0, imported.stderr
        hub.start("intake", "worker", "telealert")
        await hub.hears()
        load = Load(broker.simulator_url, lambda number: said[number].publish, RATE)
        publishing = asyncio.create_task(load.run(seconds))
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.5, seconds / kills))
            hub.kill("worker")
            hub.start("worker")
        await publishing
        assert load.losses == 0, "the order of the messages is the model's"
        await eventually(
            lambda: offset_of(database_url, "store"), lambda n: n == len(said), timeout_s=60 + 10 * seconds
        )
        yield Outcome(hub, database_url, fleet, said, model)


@pytest.mark.parametrize("kind", FAULT)
async def test_each_reading_is_stored_once_under_its_time(outcome: Outcome, kind: str):
    stored = await outcome.rows(kind)
    ids = {device.id for device in outcome.fleet.devices_of(kind)}
    timed = {(row["id"], to_us(row["ts"])): row["told"] for row in stored if not row["time_flagged"]}
    wanted = {key: values for key, values in outcome.model.rows.items() if key[0] in ids}
    assert timed.keys() == wanted.keys(), f"{len(timed.keys() ^ wanted.keys())} keys differ"
    assert {key: (timed[key], wanted[key]) for key in wanted if timed[key] != wanted[key]} == {}


@pytest.mark.parametrize("kind", FAULT)
async def test_a_time_that_cannot_be_is_flagged_and_the_reading_kept(outcome: Outcome, kind: str):
    flagged = [row for row in await outcome.rows(kind) if row["time_flagged"]]
    assert all(row["ts"] == row["received_at"] for row in flagged)
    ids = {device.id for device in outcome.fleet.devices_of(kind)}
    wanted = Counter({key: n for key, n in outcome.model.flagged.items() if key[0] in ids})
    assert wanted and Counter((row["id"], as_text(row["told"])) for row in flagged) == wanted


async def test_what_is_not_stored_is_counted_with_its_reason(outcome: Outcome):
    rows = await fetch(outcome.url, "SELECT reason, count(*) AS n FROM quarantine GROUP BY 1")
    assert {row["reason"]: row["n"] for row in rows} == outcome.model.refused
    accounts = await one(outcome.url, "SELECT * FROM reader WHERE name = 'store'")
    model = outcome.model
    found = [accounts[f"readings_{what}"] for what in ("duplicate", "merged", "withheld")]
    assert found == [model.duplicates, model.merged, model.withheld]
    assert min(found) > 100 and min(model.refused.values()) > 10, "the fleet was as dirty as it says"
    await accounts_balance(outcome.url)


async def test_buckets_are_those_of_the_sorted_stream(outcome: Outcome):
    async def waiting() -> int:
        return len(await fetch(outcome.url, "SELECT 1 FROM rollup_due"))

    await eventually(waiting, lambda n: n == 0, timeout_s=60)
    await buckets_are_as_asked_directly(lambda statement: fetch(outcome.url, statement))


@pytest.mark.parametrize("kind", FAULT)
async def test_the_latest_value_of_each_field_is_that_of_the_latest_time(outcome: Outcome, kind: str):
    names = [field.name for field in kinds()[kind].fields if not field.is_place]
    latest: dict[str, dict[str, tuple[object, datetime]]] = {}
    for row in await outcome.rows(kind):  # in the order of time
        latest.setdefault(row["id"], {}).update({name: (row[name], row["ts"]) for name in names if name in row["told"]})
    rows = await fetch(outcome.url, f"SELECT d.id, l.* FROM {kind}_latest l JOIN device d USING (device_no)")
    found = {
        row["id"]: {name: (row[name], row[f"{name}__at"]) for name in names if row[name] is not None} for row in rows
    }
    assert found == latest


async def test_only_a_live_fault_calls_and_only_once(outcome: Outcome):
    await outcome.is_told()
    wanted = {device.id: 1 for device in (*outcome.fleet.live, outcome.fleet.clockless)}
    assert await outcome.called() == wanted
    rows = await fetch(
        outcome.url,
        "SELECT DISTINCT d.id FROM incident i JOIN device d ON d.device_no = i.cause_no WHERE quiet = 'late'",
    )
    assert {row["id"] for row in rows} >= {device.id for device in outcome.fleet.late_only}, "known, in silence"


async def test_released_after_the_codec_was_mended_it_is_stored_and_calls_nobody(outcome: Outcome):
    worker = outcome.hub.running.pop("worker")
    worker.terminate()  # as an operator restarts it: the rules read nothing live again, with the new codec
    assert await asyncio.to_thread(worker.wait, 15) == 0
    outcome.hub.more.clear()
    outcome.hub.start("worker")
    done = await outcome.hub.command("quarantine", "replay", "--reason", "wrong_topic")
    held = [said for said in outcome.said if said.refused == "wrong_topic"]
    assert done.returncode == 0 and f"{len(held)} of {len(held)} released" in done.stdout, done.stderr
    outcome.model.refused.pop("wrong_topic")
    outcome.model.take([told for said in held for told in said.told])
    await test_each_reading_is_stored_once_under_its_time(outcome, "water_meter")
    await outcome.is_told()
    assert not {device.id for device in outcome.fleet.radio} & set(await outcome.called())
    await test_only_a_live_fault_calls_and_only_once(outcome)
    await accounts_balance(outcome.url)


async def test_nothing_went_wrong(outcome: Outcome):
    assert "Traceback" not in outcome.hub.said()
