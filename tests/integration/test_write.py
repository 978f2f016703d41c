"""The store's write on the real database: once, in order, with its accounts."""

import uuid
from datetime import UTC, datetime

import pytest

from devices.registry import Device
from hub.errors import LogError, LogGap
from store import registry
from store.database import connect
from store.readers import Place, advance, claim
from store.write import Writer
from tests.readings import decoded_of, readings_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)
KIND = "water_meter"


@pytest.fixture
async def writer(database_url):
    async with connect(database_url) as connection:
        await connection.execute("TRUNCATE water_meter, event, quarantine, reader")
        log_id = uuid.uuid4()
        assert await claim(connection, "store", log_id) == 0
        await connection.commit()
        yield Writer(connection, "store", log_id)


class Log:
    """Stretches of a log, one after the other."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.offset = writer, 0

    async def write(self, *rows):
        decoded = decoded_of(readings_of(KIND, rows, first_offset=self.offset))
        await self.writer.write(decoded, {}, NOW)
        self.offset = decoded.next_offset

    async def rows(self):
        found = await self.writer.connection.execute(
            "SELECT device_no AS no, total_m3, flow_m3h FROM water_meter ORDER BY device_no, ts"
        )
        return [tuple(row.values()) for row in await found.fetchall()]

    async def counts(self):
        found = await self.writer.connection.execute("SELECT * FROM reader WHERE name = 'store'")
        row = await found.fetchone()
        assert row["readings"] == sum(
            row[f"readings_{what}"] for what in ("stored", "merged", "duplicate", "quarantined", "withheld")
        )
        assert row["next_offset"] == self.offset
        return {what: row[f"readings_{what}"] for what in ("stored", "merged", "duplicate", "quarantined")}


async def test_new_rows_are_stored_in_any_order(writer):
    log = Log(writer)
    await log.write({"no": 2, "ts": 5, "total_m3": 2.5}, {"no": 1, "ts": 9, "total_m3": 1.5}, {"no": 1, "ts": 3})
    await log.write({"no": 1, "ts": 1, "total_m3": 1.25}, {"no": 1, "ts": 10, "total_m3": 1.75})
    assert await log.rows() == [(1, 1.25, None), (1, None, None), (1, 1.5, None), (1, 1.75, None), (2, 2.5, None)]
    assert await log.counts() == {"stored": 5, "merged": 0, "duplicate": 0, "quarantined": 0}


async def test_the_same_again_is_a_duplicate(writer):
    log = Log(writer)
    await log.write({"no": 1, "ts": 1, "total_m3": 1.0}, {"no": 1, "ts": 1, "total_m3": 1.0})
    await log.write({"no": 1, "ts": 1, "total_m3": 1.0})
    assert await log.rows() == [(1, 1.0, None)]
    assert await log.counts() == {"stored": 1, "merged": 0, "duplicate": 2, "quarantined": 0}


async def test_the_same_key_fills_what_was_missing(writer):
    log = Log(writer)
    await log.write({"no": 1, "ts": 1, "total_m3": 1.0}, {"no": 1, "ts": 1, "flow_m3h": 0.5})
    assert await log.rows() == [(1, 1.0, 0.5)]
    assert await log.counts() == {"stored": 1, "merged": 1, "duplicate": 0, "quarantined": 0}


async def test_another_value_at_the_same_key_is_quarantined(writer):
    log = Log(writer)
    await log.write({"no": 1, "ts": 1, "total_m3": 1.0})
    await log.write({"no": 1, "ts": 1, "total_m3": 2.0, "flow_m3h": 0.5}, {"no": 2, "ts": 1, "total_m3": 7.0})
    assert await log.rows() == [(1, 1.0, None), (2, 7.0, None)]
    assert await log.counts() == {"stored": 2, "merged": 0, "duplicate": 0, "quarantined": 1}
    found = await writer.connection.execute("SELECT reason, detail, payload FROM quarantine")
    (row,) = await found.fetchall()
    assert row["reason"] == "conflict"
    assert b'"total_m3":2.0' in row["payload"]


async def test_what_another_writer_stored_meanwhile_is_noticed(writer):
    log = Log(writer)
    await log.write({"no": 1, "ts": 1, "total_m3": 1.0})
    await writer.connection.execute(
        "INSERT INTO water_meter (device_no, ts, received_at, total_m3)"
        " SELECT 1, ts + interval '1 s', received_at, 9 FROM water_meter"
    )
    await log.write({"no": 1, "ts": 2, "total_m3": 9.0}, {"no": 1, "ts": 3, "total_m3": 10.0})
    assert await log.counts() == {"stored": 2, "merged": 0, "duplicate": 1, "quarantined": 0}


async def test_a_process_that_was_replaced_writes_nothing(writer):
    log = Log(writer)
    await log.write({"no": 1, "ts": 1, "total_m3": 1.0})
    await advance(writer.connection, "store", writer.log_id, 1, 5, {"messages": 4}, NOW)  # the replacement
    await writer.connection.commit()
    with pytest.raises(LogError, match="another process"):
        await log.write({"no": 1, "ts": 2, "total_m3": 2.0})
    await writer.connection.rollback()
    assert await log.rows() == [(1, 1.0, None)]


async def test_a_registry_device_is_known_by_its_number(database_url):
    async with connect(database_url) as connection:
        device = Device("dijon", KIND, "W-1", "meter", None, None, 47.3, 5.0, "Compteur", None, {"q3_m3h": 2.5})
        assert (await registry.import_devices(connection, [device], NOW)).added == 1
        loaded = await registry.load(connection)
        assert ("dijon", KIND, "W-1") in loaded.numbers()
        await connection.rollback()


async def test_after_a_lost_connection_a_reader_is_where_it_left_off_or_where_it_was_going(writer):
    connection, place = writer.connection, Place("store", writer.log_id)
    assert await place.claim(connection, lambda: range(101)) == 0
    for reached, committed in ((10, True), (20, False)):
        with pytest.raises(ConnectionError), place.moving(reached):
            if committed:
                await advance(connection, "store", writer.log_id, place.offset, reached, {}, NOW)
            raise ConnectionError
        assert await place.claim(connection, lambda: range(101)) == 10
    with place.moving(20):
        await advance(connection, "store", writer.log_id, 10, 20, {}, NOW)
    assert place.offset == 20


async def test_a_reader_that_another_process_has_moved_meanwhile_stops(writer):
    connection, place = writer.connection, Place("store", writer.log_id)
    await place.claim(connection, lambda: range(101))
    await advance(connection, "store", writer.log_id, 0, 30, {}, NOW)  # who took its place
    with pytest.raises(LogError, match="no longer at 0: another process reads in its name; this one stops"):
        await place.claim(connection, lambda: range(101))
    assert (
        await Place("store", writer.log_id).claim(connection, lambda: range(101)) == 30
    )  # a new process goes on there


async def test_a_reader_ahead_of_its_log_refuses_it(writer):
    connection = writer.connection
    await advance(connection, "store", writer.log_id, 0, 30, {}, NOW)
    with pytest.raises(LogGap, match=r"has read up to 30, but the log ends at 29: .*beffroi log adopt store"):
        await Place("store", writer.log_id).claim(connection, lambda: range(29))
