"""Release from the quarantine on the real database: exactly once, with its accounts, whatever breaks off."""

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from devices.readings import Decoded, Key
from hub.errors import LogError
from ingest.again import messages_again
from ingest.codecs.codec import WHOLE, Codec, Heard, Reject, codecs
from ingest.decode import decode
from ingest.log import Message
from store.database import connect
from store.quarantine import KEPT, Choice, forget_released, newest
from store.readers import claim
from store.release import Held, Release, ask, last_releases, release_batch, waiting
from store.write import Writer
from tests.database import accounts_balance, fetch, one
from tests.readings import NOW_US

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TS = NOW_US // 1000
EMPTY = """
TRUNCATE water_meter, street_lighting, fleet_vehicle, energy_meter, event, quarantine, quarantine_release, reader,
device RESTART IDENTITY CASCADE
"""


@dataclass(frozen=True)
class Older:
    """A codec as it was before a fix: it refuses what says `since_the_fix`, part by part."""

    present: Codec
    name: str = "older"

    def address(self, topic: str, commune: str) -> tuple[str, str] | None:
        return self.present.address(topic, commune)

    def parts(self, payload: bytes) -> Sequence[bytes]:
        return self.present.parts(payload)

    def decode(self, topic: str, payload: bytes, commune: str) -> list[Heard | Reject]:
        return [
            Reject(found.part, "wrong_type", "the older codec does not read it")
            if isinstance(found, Heard) and (found.rest or {}).get("since_the_fix")
            else found
            for found in self.present.decode(topic, payload, commune)
        ]


NATIVE, METERS = codecs()["native"], codecs()["wmbusmeters"]
BEFORE = {"city": (Older(NATIVE), "dijon"), "meters": (NATIVE, "dijon")}
"""Before the fixes: an older codec, a source with the wrong codec, and a source (`late`) that nobody has declared."""
AFTER = {"city": (NATIVE, "dijon"), "meters": (METERS, "dijon"), "late": (NATIVE, "dijon")}


@dataclass
class Hub:
    """The store of a hub: what it is sent, and its releases."""

    url: str
    writer: Writer
    offset: int = 0
    numbers: dict[Key, int] = field(default_factory=dict)

    async def hear(self, *said: tuple[str, str, object]) -> None:
        """(source, topic, payload), as the codecs before the fix read them."""
        messages = [
            Message(self.offset + i, NOW_US + i, source, topic, p if isinstance(p, bytes) else json.dumps(p).encode())
            for i, (source, topic, p) in enumerate(said)
        ]
        self.numbers |= await self.writer.write(decode(messages, BEFORE.get, self.numbers), self.numbers, NOW)
        self.offset += len(messages)

    async def read_again(self, held: Sequence[Held]) -> Decoded:
        return decode(messages_again(held), AFTER.get, self.numbers)

    async def ask(self, choice: Choice = Choice()) -> int:  # noqa: B008  # frozen
        """How many messages a release would try; it is asked for when there are some."""
        found = await waiting(self.writer.connection, choice)
        if found.total:
            await ask(self.writer.connection, choice, found, by="test", now=NOW)
        await self.writer.connection.commit()
        return found.total

    async def batch(self) -> bool:
        met = await release_batch(self.writer, self.offset, self.read_again, self.numbers, NOW)
        self.numbers |= met or {}
        return met is not None

    async def release(self, choice: Choice = Choice()) -> Release:  # noqa: B008  # frozen
        """Ask for a release and do it to its end, with balanced accounts after each batch."""
        assert await self.ask(choice)
        while await self.batch():
            await accounts_balance(self.url)
        (done,) = await last_releases(self.writer.connection, 1)
        await self.writer.connection.commit()
        assert done.finished_at == NOW
        return done

    async def waits(self) -> list[tuple[int, str]]:
        """(part, reason) of what is in quarantine."""
        rows = await fetch(
            self.url, "SELECT part, reason FROM quarantine WHERE released_at IS NULL ORDER BY log_offset, part"
        )
        return [(int(str(row["part"])), str(row["reason"])) for row in rows]

    async def stored(self) -> Counter[tuple[object, ...]]:
        rows = await fetch(
            self.url,
            "SELECT d.id, m.ts, m.total_m3, m.received_at FROM water_meter m JOIN device d USING (device_no)"
            " UNION ALL"
            " SELECT d.id, m.ts, m.import_wh, m.received_at FROM energy_meter m JOIN device d USING (device_no)",
        )
        return Counter(tuple(row.values()) for row in rows)


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with connect(database_url) as connection:
        await connection.execute(EMPTY)
        log_id = uuid.uuid4()
        await claim(connection, "store", log_id)
        await connection.commit()
        yield Hub(database_url, Writer(connection, "store", log_id))


def water(device: str, payload: object, source: str = "city", suffix: str = "telemetry") -> tuple[str, str, object]:
    return source, f"city/dijon/water_meter/{device}/{suffix}", payload


def bus(payload: object) -> tuple[str, str, object]:
    return "late", "city/dijon/fleet_vehicle/B1/telemetry", payload


async def test_whole_messages_of_a_source_that_was_unknown(hub: Hub):
    await hub.hear(water("W1", {"ts": TS, "total_m3": 1.0}, "late"), water("W2", {"ts": TS, "total_m3": 2.0}, "late"))
    await hub.hear(water("W3", {"ts": TS, "total_m3": 3.0}))
    assert await hub.waits() == [(WHOLE, "unknown_source")] * 2
    done = await hub.release(Choice("unknown_source"))
    assert (done.wanted, done.tried, done.released, done.readings_stored) == (2, 2, 2, 2)
    assert {row[:3] for row in await hub.stored()} == {
        (f"W{n}", datetime.fromtimestamp(TS / 1000, UTC), float(n)) for n in (1, 2, 3)
    }
    assert await hub.waits() == []
    assert await hub.ask() == 0, "a second release finds nothing"
    assert not await hub.batch()


async def test_a_part_of_an_array_is_released_by_itself(hub: Hub):
    elements = [{"ts": TS + n, "total_m3": n + 1.0} | ({"since_the_fix": 1} if n == 1 else {}) for n in range(3)]
    await hub.hear(water("W1", elements))
    assert (await hub.waits(), len(await hub.stored())) == ([(1, "wrong_type")], 2)
    done = await hub.release()
    assert (done.released, done.readings_stored, done.readings_duplicate) == (1, 1, 0)
    assert sorted(row[2] for row in await hub.stored()) == [1.0, 2.0, 3.0]


async def test_what_is_refused_again_stays_with_its_new_reason(hub: Hub):
    await hub.hear(
        water("W1", b"{", "late"),
        water("W2", [{"ts": TS, "total_m3": 1.0}, {"ts": TS + 1, "total_m3": -5}, 7], "late"),
        water("W3", [{"ts": TS, "total_m3": -1, "since_the_fix": 1}]),
        ("meters", "wmbusmeters/cave", {"media": "heat", "id": "7"}),
        ("meters", "wmbusmeters/cave", {"media": "electricity", "id": "8", "total_energy_consumption_kwh": 2}),
    )
    assert [reason for _, reason in await hub.waits()] == [
        *["unknown_source"] * 2, "wrong_type", *["wrong_topic"] * 2,
    ]  # fmt: skip
    done = await hub.release()
    assert (done.tried, done.released, done.readings_stored) == (5, 2, 2)
    assert await hub.waits() == [
        (WHOLE, "invalid_json"), (1, "out_of_range"), (2, "wrong_type"), (0, "out_of_range"), (WHOLE, "unsupported"),
    ]  # fmt: skip
    assert {row[:1] + row[2:3] for row in await hub.stored()} == {("W2", 1.0), ("8", 2000.0)}
    again = await hub.release()
    assert (again.tried, again.released) == (5, 0)
    async with connect(hub.url) as connection:
        found = await newest(connection, Choice(), limit=10)
        gone = await newest(connection, Choice(), limit=10, released=True)
    assert {(message.tried_by, message.released_at) for message in found} == {("test", None)}
    assert {(message.tried_by, message.released_at) for message in gone} == {("test", NOW)}


async def test_a_conflict_that_stays_and_a_duplicate_that_goes(hub: Hub):
    await hub.hear(water("W1", {"ts": TS, "total_m3": 1.0}), water("W1", {"ts": TS, "total_m3": 2.0}))
    await hub.hear(water("W1", {"ts": TS, "total_m3": 1.0}, "late"), water("W1", {"ts": TS, "total_m3": 9.0}, "late"))
    assert await hub.waits() == [(0, "conflict"), *[(WHOLE, "unknown_source")] * 2]
    done = await hub.release()
    assert (done.released, done.readings_duplicate, done.readings_stored) == (2, 1, 0)
    assert await hub.waits() == [(0, "conflict"), (0, "conflict")], "the message is read, and its reading refused"
    await hub.writer.connection.execute("UPDATE water_meter SET total_m3 = 2")  # somebody mends the stored one
    await hub.writer.connection.commit()
    assert (await hub.release()).readings_duplicate == 1
    assert await hub.waits() == [(0, "conflict")]


async def test_positions_stay_hidden_and_events_are_released(hub: Hub):
    on = {"ts": TS, "on_duty": True, "lat": 47.3, "lon": 5.04, "speed_kmh": 20}
    await hub.hear(bus(on), bus({"ts": TS + 5, "on_duty": False, "lat": 47.3, "lon": 5.04}))
    await hub.hear(("late", "city/dijon/street_lighting/A1/telemetry", {"ts": TS, "event": "door_opened"}))
    done = await hub.release()
    assert (done.released, done.readings_stored, done.readings_withheld) == (3, 1, 1)
    assert await fetch(hub.url, "SELECT lat, lon, speed_kmh FROM fleet_vehicle") == [
        {"lat": None, "lon": None, "speed_kmh": 20}
    ]
    events = await fetch(hub.url, "SELECT code, received_at FROM event ORDER BY code")
    assert [event["code"] for event in events] == ["door_opened", "off_duty"]
    assert await fetch(hub.url, "SELECT 1 FROM quarantine WHERE payload LIKE '%47.3%'::bytea") == []


async def test_a_batch_that_breaks_off_leaves_everything_as_it_was(hub: Hub):
    said = [water(f"W{n % 50}", {"ts": TS + n, "total_m3": float(n)}, "late") for n in range(2500)]
    await hub.hear(*said)
    assert await hub.ask() == 2500
    assert await hub.batch()
    halfway = await hub.stored()
    async with connect(hub.url, autocommit=True) as admin:
        await admin.execute("ALTER TABLE quarantine_release ADD CONSTRAINT halt CHECK (tried <= 1000)")
        with pytest.raises(psycopg.errors.CheckViolation):
            await hub.batch()
        await accounts_balance(hub.url)
        assert await hub.stored() == halfway and len(halfway) == 1000
        await admin.execute("ALTER TABLE quarantine_release DROP CONSTRAINT halt")
    hub.writer = Writer(hub.writer.connection, "store", hub.writer.log_id)  # the process that comes after
    while await hub.batch():
        await accounts_balance(hub.url)
    stored = await hub.stored()
    assert len(stored) == 2500 and set(stored.values()) == {1}
    (done,) = await last_releases(hub.writer.connection, 1)
    assert (done.tried, done.released, done.readings_stored, done.readings_duplicate) == (2500, 2500, 2500, 0)


async def test_two_workers_at_once_release_it_once(hub: Hub):
    await hub.hear(*(water("W1", {"ts": TS + n, "total_m3": float(n)}, "late") for n in range(300)))
    await hub.ask()
    async with connect(hub.url) as connection:
        other = replace(hub, writer=Writer(connection, "store", hub.writer.log_id), numbers={})
        outcomes = await asyncio.gather(hub.batch(), other.batch(), return_exceptions=True)
    assert True in outcomes
    assert all(isinstance(one, bool | LogError) for one in outcomes), outcomes
    await accounts_balance(hub.url)
    while await hub.batch():
        await accounts_balance(hub.url)
    (done,) = await last_releases(hub.writer.connection, 1)
    assert (done.tried, done.released, done.readings_stored, done.readings_duplicate) == (300, 300, 300, 0)


async def test_a_worker_that_was_left_behind_releases_nothing(hub: Hub):
    await hub.hear(water("W1", {"ts": TS, "total_m3": 1.0}, "late"))
    await hub.ask()
    behind = replace(hub, offset=hub.offset - 1)
    with pytest.raises(LogError, match="another process"):
        await behind.batch()
    assert await hub.stored() == Counter()
    assert await hub.waits() == [(WHOLE, "unknown_source")]


async def test_a_choice_of_source_time_and_number(hub: Hub):
    await hub.hear(
        water("W1", {"ts": TS, "total_m3": 1.0}, "late"),
        ("meters", "x", {"media": "water", "id": "M1", "total_m3": 2}),
        water("W2", {"ts": TS, "total_m3": 3.0}, "late"),
    )
    first = datetime.fromtimestamp(NOW_US / 1e6, UTC)
    step = timedelta(microseconds=1)
    conn = hub.writer.connection
    assert (await waiting(conn, Choice(source="late"))).total == 2
    assert (await waiting(conn, Choice(since=first + step))).total == 2
    assert (await waiting(conn, Choice(until=first + 2 * step))).total == 2
    assert (await waiting(conn, Choice(source="late", until=first + step))).by_reason == {"unknown_source": 1}
    assert (await waiting(conn, Choice("conflict"))).total == 0
    (last, *_) = await newest(conn, Choice(), limit=5)
    assert (await hub.release(Choice(numbers=[last.quarantine_no]))).released == 1
    assert [row[0] for row in await hub.stored()] == ["W2"]


async def test_the_released_are_forgotten_after_a_while(hub: Hub):
    await hub.hear(water("W1", {"ts": TS, "total_m3": 1.0}, "late"), water("W1", b"{", "late"))
    await hub.release()
    conn = hub.writer.connection
    assert await forget_released(conn, NOW + KEPT) == 0
    assert await forget_released(conn, NOW + KEPT + timedelta(seconds=1)) == 1
    await conn.commit()
    assert await hub.waits() == [(WHOLE, "invalid_json")], "what waits is never forgotten"


def anything(chance: random.Random, n: int) -> tuple[str, str, object]:
    """A message that is fine, or wrong in one of many ways; every reading has a moment of its own."""
    source = chance.choice(("city", "city", "late"))
    device = f"W{chance.randrange(8)}"

    def element(i: int) -> object:
        fine: dict[str, object] = {"id": device, "ts": TS + 100 * n + i, "total_m3": chance.randrange(1000) / 4}
        return chance.choice(
            (fine, fine, fine | {"since_the_fix": True}, fine | {"total_m3": -1.0}, fine | {"total_m3": "?"}, 5, [fine])
        )

    if chance.random() < 0.1:
        return water(device, b"{", source)
    if chance.random() < 0.2:
        return (
            "meters",
            "x",
            {"media": "water", "id": device, "total_m3": n, "timestamp": f"2026-01-01T00:00:{n % 60:02}Z"},
        )
    if chance.random() < 0.5:
        return water(
            device, [element(i) for i in range(chance.randrange(5))], source, chance.choice(("telemetry", "batch"))
        )
    return water(device, element(0), source)


@pytest.mark.parametrize("seed", range(6))
async def test_in_the_end_the_same_is_stored_as_if_it_had_been_read_at_once(hub: Hub, seed: int):
    chance = random.Random(seed)
    said = [anything(chance, n) for n in range(60)]
    await hub.hear(*said)
    await accounts_balance(hub.url)
    for choice in (Choice(source="late"), Choice("wrong_type"), Choice()):
        if await hub.ask(choice):
            while await hub.batch():
                await accounts_balance(hub.url)
    again = await waiting(hub.writer.connection, Choice())
    assert not again.total or (await hub.release()).released == 0
    found, left = await hub.stored(), Counter(await hub.waits())

    messages = [
        Message(i, NOW_US + i, source, topic, p if isinstance(p, bytes) else json.dumps(p).encode())
        for i, (source, topic, p) in enumerate(said)
    ]
    at_once = decode(messages, AFTER.get, hub.numbers)
    assert set(found.values()) == {1}
    refused = Counter((reject.part, reject.reason) for reject in at_once.rejected)
    assert Counter({key: n for key, n in left.items() if key[1] != "conflict"}) == refused
    reader = await one(hub.url, "SELECT * FROM reader WHERE name = 'store'")
    assert reader["readings"] == at_once.counts["readings"]
    assert reader["messages_decoded"] == at_once.counts["messages_decoded"]
    kept = ("readings_stored", "readings_merged", "readings_duplicate")
    conflicts = sum(n for (_, reason), n in left.items() if reason == "conflict")
    assert sum(int(str(reader[name])) for name in kept) + conflicts == sum(map(len, at_once.readings))
