"""What codecs make of nearly right messages, on the real database: each is kept, counted, shown, and released again."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import pytest

from devices.readings import Decoded, Key
from ingest.again import messages_again
from ingest.codecs.codec import codecs
from ingest.decode import decode
from ingest.log import LogReader, LogWriter, Message
from store.database import connect
from store.quarantine import Choice, newest
from store.readers import claim
from store.release import Held, ask, release_batch, waiting
from store.write import Writer
from tests.database import accounts_balance, fetch, one
from tests.fuzz import LONGEST_TOPIC, Fuzz
from tests.readings import NOW_US

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STRETCH = 500
SOURCES = {name: (codec, "dijon") for name, codec in codecs().items()}
HOSTILE_LEVELS = (
    "x" * 65_000,
    "'; DROP TABLE quarantine; --",
    "<script>",
    "=cmd|' /C calc'!A0",
    '",;',
    "\u202e",
    "é" * 32_000,
)
HOSTILE_PAYLOADS = (
    b"\x00" * 10,
    b'{"total_m3":"\\u0000"}',
    b'"\\ud800"',
    b'{"x":"' + b"\xed\xa0\x80" + b'"}',
    b"\xff" * (4 << 20),
)


class Store:
    """The store of a hub, fed past intake."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.offset = writer, 0
        self.numbers: dict[Key, int] = {}

    async def hear(self, messages: Sequence[Message]) -> None:
        assert messages[0].offset == self.offset
        self.numbers |= await self.writer.write(decode(messages, SOURCES.get, self.numbers), self.numbers, NOW)
        self.offset += len(messages)

    async def read_again(self, held: Sequence[Held]) -> Decoded:
        return decode(messages_again(held), SOURCES.get, self.numbers)

    async def release_everything(self) -> None:
        found = await waiting(self.writer.connection, Choice())
        await ask(self.writer.connection, Choice(), found, by="test", now=NOW)
        await self.writer.connection.commit()
        while (met := await release_batch(self.writer, self.offset, self.read_again, self.numbers, NOW)) is not None:
            self.numbers |= met


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.soak)])
async def test_what_is_nearly_right_is_stored_or_waits_and_is_released(count: int, database_url: str) -> None:
    seed = secrets.randbits(32)
    chance = Random(seed)
    async with connect(database_url) as connection:
        store = await a_store(connection)
        for codec in codecs().values():
            fuzz = Fuzz(codec, chance)
            for _ in range(0, count, STRETCH):
                await store.hear(fuzz.stretch(STRETCH, first_offset=store.offset, source=codec.name))
        await accounts_balance(database_url)
        before = await one(database_url, "SELECT count(*) AS n FROM quarantine")
        await store.release_everything()
        await accounts_balance(database_url)
        after = await one(database_url, "SELECT count(*) AS n FROM quarantine WHERE released_at IS NULL")
        assert 0 < after["n"] <= before["n"], f"seed {seed}"


async def test_no_topic_and_no_payload_that_mqtt_allows_is_lost(tmp_path, database_url: str) -> None:
    """Through the log and into the quarantine, as they came."""
    topics = [topic for level in HOSTILE_LEVELS for topic in (level, f"city/dijon/water_meter/{level}/telemetry")]
    said = [("native", topic, b"{") for topic in topics]
    said += [("native", "city/dijon/water_meter/w/telemetry", payload) for payload in HOSTILE_PAYLOADS]
    said += [("a source that is gone", "x", payload) for payload in HOSTILE_PAYLOADS]
    with LogWriter(tmp_path) as log:
        log.append([Message(0, NOW_US + place, *one_said) for place, one_said in enumerate(said)])
    reader = LogReader(tmp_path)
    messages = reader.read(0, len(said))
    reader.close()
    assert all(len(topic.encode()) <= LONGEST_TOPIC for topic in topics)
    assert [(m.source, m.topic, m.payload) for m in messages] == said
    async with connect(database_url) as connection:
        store = await a_store(connection)
        await store.hear(messages)
        rows = await fetch(database_url, "SELECT topic, payload FROM quarantine ORDER BY log_offset")
        assert [(bytes(row["topic"]).decode(), bytes(row["payload"])) for row in rows] == [one[1:] for one in said]
        shown = await newest(connection, Choice(), limit=100)
        assert all(text.isprintable() for row in shown for text in (row.topic, row.payload, row.detail))
        await store.release_everything()
        await accounts_balance(database_url)


async def a_store(connection) -> Store:
    tables = "water_meter, street_lighting, fleet_vehicle, energy_meter, environment_station, road_works, traffic_light"
    await connection.execute(
        f"TRUNCATE {tables}, event, quarantine, quarantine_release, reader, device CASCADE".encode()
    )
    log_id = uuid.uuid4()
    await claim(connection, "store", log_id)
    await connection.commit()
    return Store(Writer(connection, "store", log_id))
