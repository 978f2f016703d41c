"""What is too much on the real database: strangers, a full quarantine, samples; bounded, counted, and undone."""

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from devices.readings import Key
from devices.registry import Device, Registry
from ingest.city import City
from ingest.codecs.codec import codecs
from ingest.decode import decode
from ingest.log import Flag, Message
from store import registry
from store.database import connect
from store.forget import Whom, count, forget_batch
from store.forget import ask as ask_to_forget
from store.quarantine import Choice, forget_excess
from store.quarantine_room import Bounds
from store.readers import claim
from store.release import ask, release_batch, waiting
from store.write import Writer
from tests.database import accounts_balance, fetch, one
from tests.readings import NOW_US

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SOURCES = {"city": (codecs()["native"], "dijon")}
EMPTY = "TRUNCATE water_meter, water_meter_latest, fleet_vehicle, event, quarantine, reader, device, excess CASCADE"
LIMIT = 3
Said = tuple[str, object]


@dataclass
class Hub:
    """A store, and the log before it."""

    url: str
    writer: Writer
    city: City = field(default_factory=lambda: City.of(Registry.of_rows(0, [])))
    offset: int = 0

    async def hear(self, *said: Said, flags: int = 0, now: datetime = NOW) -> None:
        """Log, decode and store messages to topics."""
        messages = [
            Message(self.offset + n, NOW_US, "city", topic, told if isinstance(told, bytes) else encoded(told), flags)
            for n, (topic, told) in enumerate(said)
        ]
        decoded = decode(messages, SOURCES.get, self.city.numbers)
        self.city.numbers.update(await self.writer.write(decoded, self.city.numbers, now))
        self.offset = decoded.next_offset
        await accounts_balance(self.url)

    async def names(self) -> list[str]:
        return [str(row["id"]) for row in await fetch(self.url, "SELECT id FROM device ORDER BY id")]

    async def account(self) -> dict[str, object]:
        return await one(self.url, "SELECT * FROM reader WHERE name = 'store'")

    async def waits(self) -> list[tuple[str, int]]:
        """(reason, log offset) of what is in quarantine."""
        rows = await fetch(self.url, "SELECT reason, log_offset FROM quarantine ORDER BY quarantine_no")
        return [(str(row["reason"]), int(str(row["log_offset"]))) for row in rows]

    async def beyond(self) -> list[tuple[str, str, int]]:
        rows = await fetch(self.url, "SELECT reason, name, messages FROM excess ORDER BY reason, name")
        return [(str(row["reason"]), str(row["name"]), int(str(row["messages"]))) for row in rows]


def encoded(told: object) -> bytes:
    return json.dumps(told).encode()


def meter(name: str, ts: int = 0, suffix: str = "telemetry", kind: str = "water_meter", **told: object) -> Said:
    return f"city/dijon/{kind}/{name}/{suffix}", {"ts": NOW_US // 1000 + ts, "total_m3": 1} | told


def meters(first: int, last: int, ts: int = 0) -> list[Said]:
    return [meter(f"m{n}", ts) for n in range(first, last)]


SMALL = Bounds(messages=20, samples=5, samples_at_once=3, samples_every_s=0)


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with connect(database_url) as connection:
        await connection.execute(EMPTY)
        log_id = uuid.uuid4()
        await claim(connection, "store", log_id)
        await connection.commit()
        yield Hub(database_url, Writer(connection, "store", log_id, LIMIT))


# ---- strangers ----


async def test_strangers_are_taken_in_up_to_the_limit_and_the_others_are_counted_and_sampled(hub: Hub):
    await hub.hear(*meters(0, 2))
    await hub.hear(*meters(0, 30, ts=1))
    names = await hub.names()
    assert len(names) == LIMIT and {"m0", "m1"} < set(names)
    account = await hub.account()
    assert (account["readings_stored"], account["readings"], account["messages_decoded"]) == (5, 32, 32)
    assert account["readings_quarantined"] == Bounds().samples_at_once
    assert account["readings_over_quota"] == 27 - Bounds().samples_at_once
    assert await hub.beyond() == [("too_many_strangers", "water_meter", 27)]


async def test_a_device_that_was_declared_meanwhile_is_no_stranger(hub: Hub):
    await hub.hear(*meters(0, LIMIT))
    new = Device("dijon", "water_meter", "new", "meter")
    await registry.import_devices(hub.writer.connection, [new], NOW)
    await hub.writer.connection.commit()
    await hub.hear(meter("new"), meter("stranger"))
    assert await hub.names() == ["m0", "m1", "m2", "new"]
    assert (await hub.account())["readings_stored"] == LIMIT + 1


async def test_events_announcements_and_withheld_readings_of_strangers_too_many_are_accounted_for(hub: Hub):
    await hub.hear(*meters(0, LIMIT))
    await hub.hear(
        meter("s1", suffix="config", label="I am"),
        meter("s2", event="tamper_opened"),
        ("city/dijon/fleet_vehicle/v1/telemetry", {"ts": NOW_US // 1000, "on_duty": False, "lat": 47.3, "lon": 5.0}),
        ("city/dijon/fleet_vehicle/v2/telemetry", {"ts": NOW_US // 1000, "on_duty": True, "lat": 47.3, "lon": 5.0}),
        ("city/dijon/water_meter/g/batch", [{"id": "m1", "total_m3": 2}, {"id": "s3", "total_m3": 2}]),
    )
    assert await hub.names() == ["m0", "m1", "m2"]
    assert await fetch(hub.url, "SELECT * FROM event") == []
    account = await hub.account()
    assert account["readings_withheld"] == 1
    held = await fetch(hub.url, "SELECT payload FROM quarantine WHERE reason = 'too_many_strangers'")
    assert not any(b"47.3" in bytes(row["payload"]) for row in held), "positions do not go to the quarantine"


async def test_strangers_too_many_are_released_once_there_is_room(hub: Hub):
    await hub.hear(*meters(0, LIMIT + 2))
    numbers: dict[Key, int] = dict(hub.city.numbers)

    async def release() -> int:
        found = await waiting(hub.writer.connection, Choice("too_many_strangers"))
        await ask(hub.writer.connection, Choice("too_many_strangers"), found, by="test", now=NOW)
        await hub.writer.connection.commit()
        while (await release_batch(hub.writer, hub.offset, read_again, numbers, NOW)) is not None:
            continue
        await hub.writer.connection.commit()
        await accounts_balance(hub.url)
        return len(await hub.names())

    async def read_again(held):
        messages = [Message(n, one.received_us, "city", one.topic, one.payload, 4) for n, one in enumerate(held)]
        return decode(messages, SOURCES.get, numbers)

    assert await release() == LIMIT, "there is no room yet: nothing of it is lost"
    assert len(await hub.waits()) == 2
    hub.writer = Writer(hub.writer.connection, "store", hub.writer.log_id, 10)
    assert await release() == LIMIT + 2
    assert (await hub.account())["readings_stored"] == LIMIT + 2


# ---- over the quota ----


async def test_what_was_cut_is_counted_and_a_sample_waits(hub: Hub):
    topic, told = meter("hostile")
    await hub.hear(*[(topic, b"")] * 40, flags=Flag.OVER_QUOTA)
    await hub.hear((topic, told), flags=Flag.OVER_QUOTA | Flag.SAMPLE)
    await hub.hear((topic, told))
    account = await hub.account()
    counts = ("messages_over_quota", "messages_quarantined", "messages_decoded", "readings_stored")
    assert [account[name] for name in counts] == [40, 1, 1, 1]
    assert await hub.waits() == [("over_quota", 40)]
    assert await hub.beyond() == [("over_quota", topic, 41)]


async def test_a_spell_ends_after_an_hour_of_rest(hub: Hub):
    topic, _ = meter("hostile")
    for minutes, messages in ((0, 5), (50, 10), (100, 15), (170, 20)):
        await hub.hear(*[(topic, b"")] * 5, flags=Flag.OVER_QUOTA, now=NOW + timedelta(minutes=minutes))
        expected = 5 if minutes == 170 else messages
        assert await hub.beyond() == [("over_quota", topic, expected)]


async def test_who_was_beyond_a_limit_is_forgotten_in_time(hub: Hub):
    for days, name in ((0, "old"), (20, "mid"), (40, "new")):
        await hub.hear((meter(name)[0], b""), flags=Flag.OVER_QUOTA, now=NOW + timedelta(days=days))
    await forget_excess(hub.writer.connection, NOW + timedelta(days=41))
    await hub.writer.connection.commit()
    assert [name.split("/")[3] for _, name, _ in await hub.beyond()] == ["mid", "new"]


# ---- the quarantine ----


async def test_a_full_quarantine_keeps_the_first_and_the_newest_and_counts_the_rest(hub: Hub):
    hub.writer.bounds = SMALL
    await hub.hear(*[meter("bad", total_m3="?")] * 30)
    waits = await hub.waits()
    assert [reason for reason, _ in waits].count("wrong_type") == 20
    assert [offset for reason, offset in waits if reason == "quarantine_full"] == [20, 21, 22]
    await hub.hear(*[meter("bad", total_m3="?")] * 30)
    await hub.hear(*[meter("bad", total_m3="?")] * 30)
    waits = await hub.waits()
    assert len(waits) == 25, "of the samples the newest five"
    assert [offset for reason, offset in waits if reason == "quarantine_full"] == [31, 32, 60, 61, 62]
    account = await hub.account()
    assert (account["messages_quarantined"], account["messages_over_quota"]) == (25, 65)
    assert await hub.beyond() == [("quarantine_full", "wrong_type", 70)]


async def test_one_reason_does_not_take_the_room_of_another(hub: Hub):
    hub.writer.bounds = SMALL
    await hub.hear(*[meter("bad", total_m3="?")] * 30)
    await hub.hear(*[meter("bad", n, total_m3=-1) for n in range(10)])
    assert [reason for reason, _ in await hub.waits()].count("out_of_range") == 10


async def test_large_messages_fill_it_by_their_bytes(hub: Hub):
    hub.writer.bounds = Bounds(bytes=5_000, samples_every_s=0)
    await hub.hear(*[meter("bad", total_m3="?", more="x" * 2_000)] * 4)
    assert [reason for reason, _ in await hub.waits()] == ["wrong_type"] * 2 + ["quarantine_full"] * 2
    await hub.hear(meter("bad", total_m3="?", more="x" * 20_000))
    assert len(await hub.waits()) == 4, "a sample is small"


async def test_samples_are_not_taken_with_every_write(hub: Hub):
    hub.writer.bounds = replace(SMALL, samples_every_s=3600)
    for _ in range(3):
        await hub.hear(*[meter("bad", total_m3="?")] * 22)
    assert [offset for reason, offset in await hub.waits() if reason == "quarantine_full"] == [20, 21]


async def test_a_worker_that_comes_after_knows_how_full_it_is(hub: Hub):
    hub.writer.bounds = SMALL
    await hub.hear(*[meter("bad", total_m3="?")] * 20)
    hub.writer = Writer(hub.writer.connection, "store", hub.writer.log_id, LIMIT, SMALL)
    await hub.hear(*[meter("bad", total_m3="?")] * 10)
    assert [reason for reason, _ in await hub.waits()].count("wrong_type") == 20


async def test_a_write_that_fails_takes_no_room(hub: Hub):
    hub.writer.bounds = SMALL
    await hub.hear(meter("bad", total_m3="?"))
    before = replace(hub.writer).room
    with pytest.raises(Exception, match="another process"):
        await Writer.write(
            hub.writer, decode_at(hub.offset + 7, [meter("bad", total_m3="?")] * 15), hub.city.numbers, NOW
        )
    assert hub.writer.room == before
    await hub.hear(*[meter("bad", total_m3="?")] * 19)
    assert [reason for reason, _ in await hub.waits()] == ["wrong_type"] * 20


def decode_at(offset: int, said: Sequence[Said]):
    messages = [Message(offset + n, NOW_US, "city", topic, encoded(told)) for n, (topic, told) in enumerate(said)]
    return decode(messages, SOURCES.get, {})


# ---- forgetting ----


async def test_strangers_are_forgotten_by_their_names(hub: Hub):
    hub.writer.strangers = 100
    declared = Device("dijon", "water_meter", "invented-declared", "meter")
    await registry.import_devices(hub.writer.connection, [declared], NOW)
    await hub.hear(*(meter(f"invented-{n}") for n in range(5)), meter("in%ented-5"), meter("mine"))
    connection, whom = hub.writer.connection, Whom.of("invented-*", "water_meter")
    hub.city = City.of(await registry.load(connection))
    known_version = hub.city.registry.version
    assert await count(connection, whom) == (5, "invented-0", "invented-4")
    assert await count(connection, Whom.of("in%ented-*")) == (1, "in%ented-5", "in%ented-5")
    assert await count(connection, Whom.of("invented-*", "energy_meter")) == (0, "", "")
    await ask_to_forget(connection, whom, by="test", now=NOW)
    late = await registry.load(connection)
    forgotten = await forget_batch(connection, NOW)
    assert forgotten is not None and len(forgotten) == 5
    await connection.commit()
    hub.city.forget(forgotten)
    assert await forget_batch(connection, NOW) is None
    assert await hub.names() == ["in%ented-5", "invented-declared", "mine"]
    assert {key[2] for key in hub.city.numbers} == {"in%ented-5", "invented-declared", "mine"}
    hub.city.renew(late)  # read before, taken over after
    assert len(hub.city.registry) == len(hub.city.boards["water_meter"]) == len(hub.city.numbers) == 3
    assert await registry.version(connection) > known_version
    await connection.commit()
    await hub.hear(meter("invented-3", 1))
    assert "invented-3" in await hub.names(), "who speaks again is met anew"
    rows = await fetch(
        hub.url, "SELECT count(*) AS n, count(d.id) AS known FROM water_meter LEFT JOIN device d USING (device_no)"
    )
    assert [(row["n"], row["known"]) for row in rows] == [(8, 3)]
