"""The audit adds up whatever was sent, and finds what is taken away, by name."""

import asyncio
import json
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devices.readings import Key
from hub.clock import Clock, to_datetime
from hub.runtime.servers import Embedded
from hub.settings import Keep
from ingest.codecs.codec import codecs
from ingest.decode import decode
from ingest.log import Flag, LogReader, LogWriter, Message, segments, trim
from store.accounts import BECAME
from store.audit import Audit
from store.database import connect
from store.health import Pulse, faults
from store.quarantine import Choice, discard
from store.readers import adopt, advance, claim
from store.retention import AUDIT_LOCK, remove_expired
from store.write import Writer
from tests.database import accounts_balance, audited, everything_is_read, fetch
from tests.processes import Processes, Publisher, eventually
from tests.readings import NOW_US

NOW = to_datetime(NOW_US)
TS = NOW_US // 1000
DAY = 86_400_000
CODECS = {"city": (codecs()["native"], "dijon")}.get
EMPTY = """
TRUNCATE water_meter, street_lighting, fleet_vehicle, event, quarantine, quarantine_release, reader, removal, audit,
device RESTART IDENTITY CASCADE
"""
WATER, LAMP, BUS = (f"city/dijon/{kind}/{{}}/telemetry" for kind in ("water_meter", "street_lighting", "fleet_vehicle"))
Said = tuple[str, object]


@dataclass
class Hub:
    """The log and the store of a hub, without processes: what it hears is stored at once."""

    url: str
    home: Path
    log: LogWriter
    writer: Writer
    numbers: dict[Key, int] = field(default_factory=dict)

    async def hear(self, *said: Said, flags: int = 0, at_us: int = NOW_US) -> None:
        """Topics and payloads, as one batch of the log."""
        first = self.log.next_offset
        messages = [
            Message(first + i, at_us + i, "city", topic, p if isinstance(p, bytes) else json.dumps(p).encode(), flags)
            for i, (topic, p) in enumerate(said)
        ]
        self.log.append(messages)
        self.numbers |= await self.writer.write(decode(messages, CODECS, self.numbers), self.numbers, NOW)

    async def audit(self) -> Audit:
        return await audited(self.url, self.home)

    async def change(self, statement: str, *parameters: object) -> None:
        """Something that nobody of the hub does."""
        await fetch(self.url, f"WITH changed AS ({statement} RETURNING 1) SELECT count(*) FROM changed", *parameters)

    async def misses(self) -> dict[tuple[str, str], int]:
        """Reader and sort of all that is missing, with its amount; 0s are not told."""
        return {(one.reader, one.what): one.amount for one in (await self.audit()).missing}


@pytest.fixture
async def hub(database_url: str, tmp_path: Path) -> AsyncIterator[Hub]:
    """Two readings, an array with a bad part, a bad message, a repetition, a conflict, an event, a bus off duty."""
    async with connect(database_url, autocommit=True) as connection:
        await connection.execute(EMPTY)
        with LogWriter(tmp_path / "log", segment_bytes=200) as log, LogWriter(tmp_path / "transitions") as transitions:
            await claim(connection, "store", log.log_id)
            await claim(connection, "telealert", transitions.log_id)
            hub = Hub(database_url, tmp_path, log, Writer(connection, "store", log.log_id))
            await hub.hear((WATER.format("W1"), {"ts": TS, "total_m3": 1.0}))
            await hub.hear((WATER.format("W2"), [{"ts": TS + 1, "total_m3": 2.0}, {"ts": TS + 2, "total_m3": -2.0}]))
            await hub.hear((WATER.format("W3"), b"{"))
            await hub.hear((WATER.format("W1"), {"ts": TS, "total_m3": 1.0}), flags=Flag.DUPLICATE | Flag.DUP)
            await hub.hear((WATER.format("W1"), {"ts": TS, "total_m3": 4.0}))
            await hub.hear((LAMP.format("L1"), {"ts": TS, "event": "door_opened"}))
            await hub.hear((BUS.format("B1"), {"ts": TS, "on_duty": False, "lat": 47.3, "lon": 5.0}))
            yield hub


async def test_what_was_heard_adds_up(hub: Hub):
    result = await hub.audit()
    assert result.missing == []
    (log, transitions) = result.logs
    assert (log.first_offset, log.next_offset, transitions.next_offset) == (0, 7, 0)
    wanted = {"messages": 7, "messages_decoded": 5, "messages_quarantined": 1, "messages_duplicate": 1}
    wanted |= {"readings": 5, "readings_found": 2, "readings_quarantined": 2, "readings_withheld": 1}
    assert {name: log.counts[name] for name in wanted} == wanted
    assert {one.what: one.counted for one in result.sums if one.reader == "store"} == {
        "offsets": 7,
        "messages": 7,
        "readings": 5,
        "messages_quarantined": 1,
        "readings_quarantined": 2,
        "readings_stored": 2,
    }


# ---- what is taken away ----

LOST = {
    "a row": (
        "DELETE FROM water_meter WHERE total_m3 = 2",
        {("store", "reading"): 1, ("store", "sum"): 1},
        "offset 1, part 0, city/dijon/water_meter/W2/telemetry: the reading of 2026-05-28 20:26:40.001000+00:00"
        " is not there in water_meter",
    ),
    "a value": (
        "UPDATE water_meter SET total_m3 = 9 WHERE total_m3 = 1",
        {("store", "reading"): 1},
        "offset 0, part 0, city/dijon/water_meter/W1/telemetry: the reading of 2026-05-28 20:26:40+00:00"
        " has other values in water_meter",
    ),
    "a quarantined message": (
        "DELETE FROM quarantine WHERE part = -1",
        {("store", "quarantine"): 1, ("store", "sum"): 1},
        "offset 2, city/dijon/water_meter/W3/telemetry: refused as invalid_json and not in the quarantine",
    ),
    "a quarantined part": (
        "DELETE FROM quarantine WHERE reason = 'out_of_range'",
        {("store", "quarantine"): 1, ("store", "sum"): 1},
        "offset 1, part 1, city/dijon/water_meter/W2/telemetry: refused as out_of_range and not in the quarantine",
    ),
    "a conflict": (
        "DELETE FROM quarantine WHERE reason = 'conflict'",
        {("store", "reading"): 1, ("store", "sum"): 1},
        "offset 4, part 0, city/dijon/water_meter/W1/telemetry: the reading of 2026-05-28 20:26:40+00:00"
        " has other values in water_meter",
    ),
    "an event": (
        "DELETE FROM event WHERE code = 'door_opened'",
        {("store", "event"): 1},
        "offset 5, part 0, city/dijon/street_lighting/L1/telemetry: door_opened of L1 at 2026-05-28 20:26:40+00:00"
        " is not among the events",
    ),
    "a row too many": (
        "INSERT INTO water_meter (device_no, ts, received_at) VALUES (1, now(), now())",
        {("store", "sum"): 1},
        "readings_stored: 2 claimed, 3 counted",
    ),
}


@pytest.mark.parametrize("lost", LOST)
async def test_what_is_taken_away_is_found_and_named(hub: Hub, lost: str):
    statement, wanted, sentence = LOST[lost]
    await hub.change(statement)
    missing = (await hub.audit()).missing
    assert {(one.reader, one.what): one.amount for one in missing} == wanted
    assert missing[0].named[0] == sentence


async def test_a_counter_that_is_wrong_is_found(hub: Hub):
    for counter in ("messages", "readings", *BECAME["messages"], *BECAME["readings"]):
        await hub.change(f"UPDATE reader SET {counter} = {counter} + 3 WHERE name = 'store'")
        missing = await hub.misses()
        await hub.change(f"UPDATE reader SET {counter} = {counter} - 3 WHERE name = 'store'")
        assert set(missing) == {("store", "sum")} and missing["store", "sum"] in (3, 6), counter
    assert await hub.misses() == {}


async def test_an_unreadable_transition_must_be_in_the_quarantine(hub: Hub):
    connection = hub.writer.connection
    with LogWriter(hub.home / "more") as made:
        made.append([Message(0, NOW_US, "rules", "x/y", b"?")])
        log_id = made.log_id
    shutil.rmtree(hub.home / "transitions")
    (hub.home / "more").rename(hub.home / "transitions")
    await adopt(connection, "telealert", log_id, 0)
    await advance(connection, "telealert", log_id, 0, 1, {"messages": 1, "messages_quarantined": 1}, NOW)
    await connection.execute(
        "INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)"
        " VALUES (%s, 0, -1, now(), 'rules', '', '?', 'bad_transition', '')",
        [log_id],
    )
    assert await hub.misses() == {}
    await hub.change("DELETE FROM quarantine WHERE reason = 'bad_transition'")
    assert await hub.misses() == {("telealert", "transition"): 1, ("telealert", "sum"): 1}


# ---- what happens to the log ----


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def _of(hub: Hub, number: int) -> Path:
    return segments(hub.home / "log")[number][1]


@dataclass(frozen=True)
class Harm:
    """What is done to the log, and what the audit must then say."""

    do: Callable[[Hub], object]
    what: str
    amount: int
    sentence: str


HARMS = {
    "a byte of a payload": Harm(lambda hub: _flip(_of(hub, 0), 100), "log", 1, "offsets 0 to 0: bytes 0 to "),
    "a byte of a length": Harm(lambda hub: _flip(_of(hub, 0), 9), "log", 1, "offsets 0 to 0: bytes 0 to "),
    "the place of a batch": Harm(lambda hub: _flip(_of(hub, 1), 12), "log", 1, "offsets 2 to 2: bytes 0 to "),
    "a segment": Harm(
        lambda hub: _of(hub, 1).unlink(),
        "log",
        2,
        "offsets 2 to 3: no whole batch follows byte 281 of ",
    ),
    "the last segment": Harm(
        lambda hub: _of(hub, -1).unlink(),
        "log",
        1,
        "offsets 6 to 6: no whole batch follows byte 249 of ",
    ),
    "the head": Harm(lambda hub: (hub.home / "log/head").write_bytes(bytes(8)), "other_log", 1, "is it an older copy?"),
    "the identity": Harm(
        lambda hub: (hub.home / "log/id").write_text("00000000-0000-0000-0000-000000000001"), "other_log", 1, "was read"
    ),
    "the folder": Harm(
        lambda hub: shutil.rmtree(hub.home / "log"), "other_log", 1, "holds no log, but 7 messages were read from it"
    ),
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_harmed_log_is_told_and_the_rest_is_recounted(hub: Hub, harm: str):
    assert [first for first, _ in segments(hub.home / "log")] == [0, 2, 4, 6]
    wanted = HARMS[harm]
    wanted.do(hub)
    result = await hub.audit()
    (missing,) = result.missing
    assert (missing.reader, missing.what, missing.amount) == ("store", wanted.what, wanted.amount)
    assert wanted.sentence in missing.named[0]
    recounted = [log.counts["messages"] for log in result.logs if log.reader == "store"]
    assert recounted == ([7 - wanted.amount] if wanted.what == "log" else [])


async def test_a_trimmed_log_adds_up_from_what_it_keeps(hub: Hub):
    assert trim(hub.home / "log", 7) == 2
    result = await hub.audit()
    assert result.missing == [] and result.logs[0].first_offset == 4
    assert result.logs[0].counts["messages"] == 3
    await hub.change("DELETE FROM water_meter WHERE total_m3 = 2")
    assert await hub.misses() == {("store", "sum"): 1}, "of what is trimmed the sums still tell"


async def test_messages_that_were_trimmed_unread_are_missing(hub: Hub):
    hub.log.append([Message(0, NOW_US, "city", "x", b"{}")] * 3)
    hub.log.append([Message(0, NOW_US, "city", "x", b"{}" * 200)])
    hub.log.append([Message(0, NOW_US, "city", "x", b"{}")])
    for _, path in segments(hub.home / "log")[:-1]:
        path.unlink()
    missing = (await hub.audit()).missing
    assert [(one.what, one.amount) for one in missing] == [("log", 4)]
    assert missing[0].named == ["offsets 7 to 10 were never read and are gone"]


async def test_a_new_log_adds_up_after_it_was_adopted(hub: Hub):
    hub.log.append([Message(0, NOW_US, "city", "x", b"{}")] * 5)  # never read
    shutil.rmtree(hub.home / "log")
    assert await hub.misses() == {("store", "other_log"): 1}
    with LogWriter(hub.home / "log") as log:
        await adopt(hub.writer.connection, "store", log.log_id, 0)
        hub.log, hub.writer = log, Writer(hub.writer.connection, "store", log.log_id)
        await hub.hear((WATER.format("W1"), {"ts": TS + 10, "total_m3": 11.0}))
        assert await hub.misses() == {}
        assert (await hub.audit()).logs[0].counts["messages"] == 1


# ---- what is removed on purpose ----


async def test_what_retention_removes_is_accounted_for_and_no_more(hub: Hub):
    old_us = NOW_US - 100 * DAY * 1000
    late = (WATER.format("W1"), {"ts": old_us // 1000, "total_m3": 0.5})
    await hub.hear(late, (LAMP.format("L1"), {"ts": old_us // 1000, "event": "door_closed"}), at_us=old_us)
    assert await hub.misses() == {}
    assert await remove_expired(hub.writer.connection, Keep(events=50), NOW) == {"water_meter": 1, "event": 1}
    result = await hub.audit()
    assert result.missing == [] and result.logs[0].counts["readings_removed"] == 1
    await hub.hear((WATER.format("W4"), {"ts": old_us // 1000, "total_m3": 0.5}))
    assert await hub.misses() == {}
    await hub.change("DELETE FROM water_meter WHERE ts < now() - interval '50 days' AND total_m3 = 0.5")
    missing = await hub.misses()
    assert missing == {("store", "reading"): 1, ("store", "sum"): 1}, "it came after the removal"


async def test_nothing_is_removed_while_an_audit_counts(hub: Hub):
    async with connect(hub.url, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock_shared(%s)", [AUDIT_LOCK])
        assert await remove_expired(hub.writer.connection, Keep(), NOW) is None
    await eventually(lambda: remove_expired(hub.writer.connection, Keep(), NOW), lambda removed: removed == {})


async def test_what_is_discarded_leaves_the_quarantine_and_its_trace(hub: Hub):
    assert await discard(hub.writer.connection, Choice("invalid_json"), by="test", now=NOW) == 1
    assert await hub.misses() == {}
    assert await discard(hub.writer.connection, Choice(), by="test", now=NOW) == 2
    result = await hub.audit()
    assert result.missing == []
    assert [one.counted for one in result.sums if one.what == "messages_quarantined"] == [0, 0]
    rows = await fetch(hub.url, "SELECT length(payload) AS bytes, discarded_by FROM quarantine")
    assert rows == [{"bytes": 0, "discarded_by": "test"}] * 3
    assert await discard(hub.writer.connection, Choice(), by="test", now=NOW) == 0


# ---- whatever is sent ----


def anything(chance: random.Random, number: int) -> Said:
    """A message that is good, bad, late, repeated, contrary, filling, without a time, or of a vehicle off duty."""
    device = f"{chance.randrange(6)}"
    ts = TS + chance.choice((number, chance.randrange(40), -chance.randrange(31) * DAY, DAY // 2, 3 * DAY))
    reading: dict[str, object] = {"ts": ts, "total_m3": float(chance.randrange(3))}
    lamp: dict[str, object] = {"ts": ts, chance.choice(("power_w", "dim_pct")): 50}
    bus: dict[str, object] = {"ts": ts, "on_duty": chance.random() < 0.5, "lat": 47.3, "lon": 5.0}
    bad = chance.choice((b"{", {"total_m3": -1}, {"total_m3": "?"}, 5, {"ts": ts, "event": "no such"}))
    return chance.choice(
        (
            (WATER.format(f"W{device}"), reading),
            (WATER.format(f"W{device}"), {"total_m3": float(number)}),
            (
                WATER.format(f"W{device}"),
                [reading, {"total_m3": -1}, 7, {**reading, "total_m3": 1.0}, bad] if not isinstance(bad, bytes) else [],
            ),
            (LAMP.format(f"L{device}"), lamp),
            (LAMP.format(f"L{device}"), {**lamp, "event": "door_opened"}),
            (BUS.format(f"B{device}"), bus),
            (BUS.format(f"B{device}"), [bus, {**bus, "ts": ts + 1, "on_duty": True}]),
            (WATER.format(f"W{device}"), bad),
            (f"city/dijon/no_such_kind/{device}/telemetry", reading),
            (f"city/dijon/water_meter/new-{device}/config", {"type": "meter"}),
        )
    )


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_sent_adds_up(hub: Hub, seed: int):
    chance = random.Random(seed)
    for number in range(12):
        said = [anything(chance, 20 * number + i) for i in range(20)]
        await hub.hear(*said, flags=Flag.DUPLICATE if chance.random() < 0.2 else 0, at_us=NOW_US + number)
    result = await hub.audit()
    assert result.missing == []
    assert sum(result.logs[0].counts[of] > 10 for of in ("readings_found", "readings_quarantined")) == 2
    rows = await fetch(hub.url, "SELECT device_no, ts FROM water_meter ORDER BY random() LIMIT 1")
    await hub.change("DELETE FROM water_meter WHERE (device_no, ts) = (%s, %s)", *rows[0].values())
    missing = await hub.misses()
    assert missing["store", "reading"] >= 1 and missing["store", "sum"] == 1


# ---- the command and the process ----

NOWHERE = "postgresql://nobody:nothing@127.0.0.1:9/none"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("audit"), database_url, broker.mqtt_url) as running:
        yield running


async def test_under_load_and_after_kills_it_adds_up(processes: Processes, database_url: str, broker: Embedded):
    async with connect(database_url, autocommit=True) as connection:
        await connection.execute(EMPTY)
    assert "no hub has run on" in (await processes.command("audit")).stderr
    processes.start("intake", "worker", "telealert")
    await processes.hears()
    processes.start_as("audit", "audit", "--every", "0.2s")
    publisher, chance = Publisher(broker.simulator_url), random.Random(4)
    for number in range(400):
        topic, payload = anything(chance, number)
        publisher.publish(topic, payload if isinstance(payload, bytes) else json.dumps(payload))
        if number % 200 == 150:
            await asyncio.sleep(0.5)
            processes.kill("worker")
            processes.start("worker")
    await asyncio.to_thread(publisher.close)
    log = LogReader(processes.home / "log")
    await eventually(lambda: asyncio.sleep(0, log.next_offset), lambda n: n >= 400)
    await eventually(lambda: everything_is_read(database_url, log.log_id, log.next_offset), bool, timeout_s=60)
    log.close()
    await accounts_balance(database_url, processes.home)
    said = (processes.home / "audit.log").read_text()
    assert said.count("everything adds up") >= 2 and "does not" not in said and "Traceback" not in said


async def test_the_command_says_what_is_missing(processes: Processes, database_url: str):
    audit = processes.running.pop("audit")
    audit.terminate()
    assert await asyncio.to_thread(audit.wait, 15) == 0
    well = await processes.command("audit")
    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "Everything adds up."), well.stdout + well.stderr
    (row,) = await fetch(database_url, "SELECT device_no, ts FROM street_lighting ORDER BY ts LIMIT 1")
    gone = "DELETE FROM street_lighting WHERE (device_no, ts) = (%s, %s) RETURNING 1"
    assert len(await fetch(database_url, gone, *row.values())) == 1
    harmed = await processes.command("audit")
    assert harmed.returncode == 1 and f"the reading of {row['ts']}" in harmed.stdout, harmed.stdout + harmed.stderr
    assert "Store: the accounts are off by 1." in harmed.stdout
    told = json.loads((await processes.command("audit", "--json")).stdout)
    assert told["adds_up"] is False and {one["what"] for one in told["missing"]} == {"reading", "sum"}
    away = await processes.command("audit", BEFFROI_DATABASE_URL=NOWHERE)
    assert (away.returncode, away.stdout) == (1, "") and "the database does not answer" in away.stderr
    health = await Pulse(processes.home, Clock()).take(lambda: connect(database_url), has_broker=True)
    assert [(fault.code, fault.amount > 0) for fault in faults(health)] == [("audit", True)]
    assert (await processes.command("quarantine", "discard")).returncode == 2, "everything is no choice"
    waiting = await fetch(database_url, "SELECT count(*) AS n FROM quarantine WHERE reason = 'invalid_json'")
    discarded = await processes.command("quarantine", "discard", "--reason", "invalid_json")
    assert discarded.stdout == f"{waiting[0]['n']} discarded.\n", discarded.stderr
    assert {one.what for one in (await audited(database_url, processes.home)).missing} == {"reading", "sum"}
