"""Tele-alert on the real log and the real database: once and only once, whoever dies; and what people then see."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog

from alerts.batch import READER, Desk, apply_batch
from alerts.channels import FileChannel, NotSent
from alerts.delivery import RETRY_AFTER_S, Outlet, deliver_next
from alerts.journal import Journal
from alerts.main import make_desk, run
from devices.kind import kinds
from devices.transition import Transition
from hub.clock import Clock
from hub.errors import LogError
from hub.settings import Settings
from ingest.log import LogReader, LogWriter
from ingest.log import Message as Logged
from store import incidents, readers
from store.database import Connection, connect
from store.restore import was_told
from tests.fuzz import damaged
from tests.unit.alerts.city import PLACES, clear, fire

LIMIT_S = 15.0
CLOCK = Clock()
EMPTY = "TRUNCATE incident, incident_member, incident_change, notification, reader, quarantine, device RESTART IDENTITY"
ADD_DEVICE = """
    INSERT INTO device (device_no, commune, kind, id, type, parent_no, gateway_no, street, commissioned_at,
        changed_at, changed_version)
    OVERRIDING SYSTEM VALUE
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END, now(), 1)
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """A connection to a database with the small city and nothing else."""
    async with connect(database_url, autocommit=True) as made:
        await made.execute(f"{EMPTY} CASCADE".encode())
        for p in PLACES:
            row = (p.device_no, p.commune, p.kind, p.id, p.type, p.parent_no, p.gateway_no, p.street, p.commissioned)
            await made.execute(ADD_DEVICE, row)
        yield made


class TransitionsLog:
    """The real log of transitions, in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = LogWriter(folder)
        self.reader = LogReader(folder)

    def say(self, *transitions: Transition | bytes) -> None:
        payloads = [t if isinstance(t, bytes) else t.encode() for t in transitions]
        self.writer.append([Logged(0, 0, "rules", "", payload) for payload in payloads])


@pytest.fixture
def log(tmp_path: Path) -> Any:
    made = TransitionsLog(tmp_path / "transitions")
    yield made
    made.reader.close()
    made.writer.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", page_url="http://page")


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return make_desk(settings, [FileChannel(settings.home / "unused", CLOCK)], kinds())


async def catch_up(connection: Connection, desk: Desk, log: TransitionsLog, *, limit: int = 1000) -> None:
    """Apply what the log holds beyond the database's offset, `limit` transitions at a time."""
    offset = await readers.claim(connection, READER, log.reader.log_id)
    while messages := log.reader.read(offset, limit)[:limit]:
        await apply_batch(connection, desk, CLOCK.now(), log_id=log.reader.log_id, offset=offset, messages=messages)
        offset += len(messages)


async def rows(connection: Connection, query: str) -> list[dict[str, Any]]:
    return await (await connection.execute(query.encode())).fetchall()


async def seen(connection: Connection) -> list[tuple[int, str, str, list[int]]]:
    """Incidents with the members still at fault."""
    found = await rows(
        connection,
        """SELECT cause_no, code, state, array(SELECT device_no FROM incident_member m WHERE until IS NULL
           AND m.incident_no = i.incident_no ORDER BY 1) AS members FROM incident i ORDER BY cause_no, incident_no""",
    )
    return [(row["cause_no"], row["code"], row["state"], row["members"]) for row in found]


async def story(connection: Connection, incident_no: int) -> list[str]:
    return [row["change"] for row in await incidents.changes(connection, incident_no)]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.02)


# --- what becomes of a storm ---


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_children_fold_into_their_feeder_in_one_batch_or_many(
    connection: Connection, desk: Desk, log: TransitionsLog, limit: int
) -> None:
    log.say(fire(21), fire(22), fire(31), fire(2, "feeder_out", minute=1), fire(23, minute=2), clear(22, minute=3))
    await catch_up(connection, desk, log, limit=limit)
    assert await seen(connection) == [
        (2, "feeder_out", "new", [21, 23]),
        (21, "lamp_out", "closed", []),
        (22, "lamp_out", "closed", []),
        (31, "lamp_out", "new", []),
    ]
    feeder, lamp = await incidents.open_incidents(connection)
    assert (feeder["member_count"], feeder["device_id"], feeder["quiet"]) == (2, "feeder-2", None)
    assert (lamp["quiet"], lamp["explanation"]["columns"]["power_w"]) == ("morning_list", 0.5)
    (notification,) = await rows(connection, "SELECT * FROM notification")
    assert "feeder-2, rue Monge (Dijon), 3 lampadaires, depuis" in notification["body"]
    assert notification["body"].endswith(f"http://page/incidents/{feeder['incident_no']}")


@pytest.mark.parametrize("limit", [1, 1000])
async def test_lamp_still_dark_when_its_feeder_is_back_has_an_incident(
    connection: Connection, desk: Desk, log: TransitionsLog, limit: int
) -> None:
    log.say(fire(2, "feeder_out"), fire(21), fire(22), clear(21, minute=4), clear(2, "feeder_out", minute=5))
    await catch_up(connection, desk, log, limit=limit)
    assert await seen(connection) == [(2, "feeder_out", "closed", []), (22, "lamp_out", "new", [])]
    feeder, lamp = await rows(connection, "SELECT * FROM incident ORDER BY incident_no")
    assert lamp["opened_at"] == feeder["opened_at"], "it is as old as its fault"
    assert lamp["explanation"]["columns"] == {"dim_pct": 100, "power_w": 0.5}
    members = await incidents.members(connection, feeder["incident_no"])
    assert {(m["device_id"], m["cleared"]) for m in members} == {("lamp-21", True), ("lamp-22", False)}
    purposes = await rows(connection, "SELECT purpose FROM notification ORDER BY 1")
    assert [row["purpose"] for row in purposes] == ["closed", "opened"]


async def test_what_the_rules_say_twice_counts_once(connection: Connection, desk: Desk, log: TransitionsLog) -> None:
    """After a crash the rules may append the same transitions again, at other offsets."""
    said = [fire(21), fire(2, "feeder_out"), fire(22), clear(22, minute=1), clear(2, "feeder_out", minute=2)]
    log.say(*said)
    await catch_up(connection, desk, log)
    before = await seen(connection), await rows(connection, "SELECT * FROM incident_change ORDER BY 1")
    log.say(*said)
    await catch_up(connection, desk, log, limit=2)
    assert (await seen(connection), await rows(connection, "SELECT * FROM incident_change ORDER BY 1")) == before


async def test_replay_is_held_back_until_a_live_reading(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "feeder_out", quiet="replayed"))
    await catch_up(connection, desk, log)
    assert await rows(connection, "SELECT * FROM notification") == []
    (incident,) = await incidents.open_incidents(connection)
    assert incident["quiet"] == "replayed"
    held_back = (await incidents.changes(connection, incident["incident_no"]))[-1]
    assert (held_back["change"], held_back["reason"]) == ("held_back", "lecture rejouée : n'appelle personne")
    log.say(fire(2, "feeder_out", minute=1))
    await catch_up(connection, desk, log)
    assert len(await rows(connection, "SELECT * FROM notification")) == 1
    assert await story(connection, incident["incident_no"]) == ["opened", "held_back", "confirmed", "called"]


async def test_call_that_did_not_go_out_is_taken_back_when_its_cause_is_explained(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "supply_voltage"))
    await catch_up(connection, desk, log)
    log.say(fire(2, "feeder_out", minute=1))
    await catch_up(connection, desk, log)
    titles = await rows(connection, "SELECT title FROM notification")
    assert [row["title"] for row in titles] == ["[P1] Alerte de panne : Départ hors tension"]


async def test_unreadable_transition_is_kept_and_the_others_count(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    log.say(b"{", fire(2**31), fire(21), fire(99))
    await catch_up(connection, desk, log)
    assert await seen(connection) == [(21, "lamp_out", "new", [])]
    kept = await rows(connection, "SELECT log_offset, reason FROM quarantine ORDER BY log_offset")
    assert [(row["log_offset"], row["reason"]) for row in kept] == [(0, "bad_transition"), (1, "bad_transition")]
    (reader,) = await rows(connection, "SELECT * FROM reader")
    assert (reader["messages"], reader["messages_decoded"], reader["messages_quarantined"]) == (4, 2, 2)


async def test_whatever_a_damaged_transition_says_tele_alert_goes_on(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    seed = secrets.randbits(32)
    chance, whole = Random(seed), [t.encode() for t in (fire(21), clear(21), fire(2, "feeder_out"), fire(22))]
    said = [damaged(chance, chance.choice(whole)) for _ in range(3_000)]
    said += [chance.choice(whole).replace(b"lamp_out", name) for name in (b"\\u0000", b"x" * 5_000, b"\\n\\u202e")]
    try:
        log.say(*said)
        await catch_up(connection, desk, log)
    except Exception as error:
        raise AssertionError(f"seed {seed}") from error
    (reader,) = await rows(connection, "SELECT * FROM reader")
    assert reader["messages"] == len(said) == reader["messages_decoded"] + reader["messages_quarantined"]
    assert 0 < reader["messages_decoded"] < len(said)


class CountedStatements:
    """A connection that counts what it is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.count = connection, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, *arguments: Any) -> Any:
        self.count += 1
        return await self._connection.execute(*arguments)


async def test_large_batch_takes_few_statements(connection: Connection, desk: Desk, log: TransitionsLog) -> None:
    await connection.execute(
        b"""INSERT INTO device (device_no, commune, kind, id, type, parent_no, commissioned_at, changed_at,
                changed_version) OVERRIDING SYSTEM VALUE
            SELECT 1000 + n, 'dijon', 'street_lighting', 'more-' || n, 'lamp', 2 + n % 2, now(), now(), 1
            FROM generate_series(1, 5000) n"""
    )
    lamps = [fire(1000 + n) for n in range(1, 5001)]
    log.say(*lamps, fire(2, "feeder_out", minute=1), fire(3, "feeder_out", minute=1))
    counted: Any = CountedStatements(connection)
    for batch in (log.reader.read(0, 9999)[:5000], log.reader.read(5000, 9999)):
        offset = await readers.claim(connection, READER, log.reader.log_id)
        await apply_batch(counted, desk, CLOCK.now(), log_id=log.reader.log_id, offset=offset, messages=batch)
    assert counted.count < 30
    assert {(row["device_no"], row["member_count"]) for row in await incidents.open_incidents(connection)} == {
        (2, 2500),
        (3, 2500),
    }


# --- who dies, who comes twice ---

TELEALERT = """
import asyncio, sys
from pathlib import Path
from alerts.main import run
from hub.clock import Clock
from hub.settings import Settings
from ingest.log import LogReader
folder, url, home = sys.argv[1:]
asyncio.run(run(transitions=LogReader(Path(folder)), database_url=url, settings=Settings(home=Path(home)),
                clock=Clock(), stop=asyncio.Event()))
"""


@asynccontextmanager
async def telealert_process(log: TransitionsLog, database_url: str, home: Path) -> AsyncIterator[None]:
    """tele-alert as a process of its own, that ends by kill -9."""
    arguments = (sys.executable, "-c", TELEALERT, str(log.folder), database_url, str(home))
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_killed_between_writing_and_commit_applies_once(
    connection: Connection, database_url: str, log: TransitionsLog, tmp_path: Path
) -> None:
    log.say(fire(21), fire(2, "feeder_out"), fire(22))
    async with connect(database_url) as blocker:
        # Lamp 22 becomes a member: the offset has moved and the incidents are written when this is waited for.
        await blocker.execute("SELECT FROM device WHERE device_no = 22 FOR UPDATE")
        waiting = "pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO incident_member%'"
        async with telealert_process(log, database_url, tmp_path):
            await until(lambda: _count(connection, waiting, 1))
        assert await seen(connection) == [], "nothing of an unfinished batch is seen"
    async with telealert_process(log, database_url, tmp_path):
        await until(lambda: _count(connection, "notification WHERE sent_at IS NOT NULL", 1))
    notifications = tmp_path / "notifications.log"
    assert [row for row in await seen(connection) if row[2] == "new"] == [(2, "feeder_out", "new", [21, 22])]
    assert len(notifications.read_text(encoding="utf-8").splitlines()) == 1
    (reader,) = await rows(connection, "SELECT next_offset, messages FROM reader")
    assert reader == {"next_offset": 3, "messages": 3}


async def test_what_was_told_before_a_restore_calls_nobody_again(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    """The database was restored to before both firings; one came after the restore."""
    log.say(fire(2, "feeder_out"), fire(3, "feeder_out", minute=1))
    told = log.reader.read(0, 10)
    offset = await readers.claim(connection, READER, log.reader.log_id)
    await was_told(connection, READER, 1)
    before = await readers.told_before(connection, READER)
    now, log_id = CLOCK.now(), log.reader.log_id
    await apply_batch(connection, desk, now, log_id=log_id, offset=offset, messages=told, told_before=before)
    assert [(row["cause_no"], row["quiet"]) for row in await rows(connection, "SELECT * FROM incident ORDER BY 1")] == [
        (2, "replayed"),
        (3, None),
    ]
    assert len(await rows(connection, "SELECT 1 FROM notification")) == 1


async def test_second_telealert_stops_and_changes_nothing(
    connection: Connection, database_url: str, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "feeder_out"))
    await readers.claim(connection, READER, log.reader.log_id)

    async def one() -> None:
        async with connect(database_url, autocommit=True) as mine:
            await apply_batch(
                mine, desk, CLOCK.now(), log_id=log.reader.log_id, offset=0, messages=log.reader.read(0, 10)
            )

    ended = await asyncio.gather(one(), one(), return_exceptions=True)
    assert sorted(type(end) for end in ended if end) == [LogError]
    assert await seen(connection) == [(2, "feeder_out", "new", [])]


async def test_database_away_is_said_once_and_nothing_is_lost(
    connection: Connection, database_url: str, log: TransitionsLog, settings: Settings
) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with structlog.testing.capture_logs() as lines:
        async with telealert(log, database_url, settings):
            log.say(fire(2, "feeder_out"))
            await until(lambda: _count(connection, "incident", 1))
            await rows(connection, f"SELECT pg_terminate_backend(pid) {others}")
            log.say(fire(3, "feeder_out"), clear(2, "feeder_out", minute=1))
            await until(lambda: _count(connection, "notification WHERE sent_at IS NOT NULL", 3))
    assert await seen(connection) == [(2, "feeder_out", "closed", []), (3, "feeder_out", "new", [])]
    events = [line["event"] for line in lines]
    assert events.count("the database is away: transitions wait in their log, P1 goes out without it") == 1
    assert events.count("the database is back: tele-alert goes on where it was") == 1


async def test_a_database_that_answers_and_takes_nothing_is_away(
    connection: Connection, database_url: str, log: TransitionsLog, settings: Settings
) -> None:
    """As a full disk, or a standby: P1 goes out, and is entered when it takes what it is given again."""
    file, name = settings.home / "notifications.log", database_url.rpartition("/")[2]

    async def is_called(count: int) -> bool:
        return file.exists() and len(file.read_text(encoding="utf-8").splitlines()) == count

    async def set_read_only(value: str) -> None:
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}".encode())
        await rows(connection, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    async with telealert(log, database_url, settings):
        log.say(fire(31))
        await until(lambda: _count(connection, "incident", 1))
        await until(lambda: asyncio.sleep(0, (settings.home / "telealert" / "faults.msgpack").exists()))
        await set_read_only("on")
        try:
            log.say(fire(2, "feeder_out"))
            await until(lambda: is_called(1))
            assert await _count(connection, "incident", 1)
        finally:
            await set_read_only("off")
        await until(lambda: _count(connection, "notification WHERE sent_at IS NOT NULL", 1))
    assert await is_called(1)


@asynccontextmanager
async def telealert(log: TransitionsLog, database_url: str, settings: Settings) -> AsyncIterator[None]:
    """tele-alert at work in this process; its failure fails the test."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            run(transitions=log.reader, database_url=database_url, settings=settings, clock=CLOCK, stop=stop)
        )
        try:
            yield
        finally:
            stop.set()


async def _count(connection: Connection, table: str, wanted: int) -> bool:
    return len(await rows(connection, f"SELECT 1 FROM {table}")) == wanted


# --- the outbox ---


@dataclass(slots=True)
class Recorder:
    """A channel that remembers what it took, and refuses while `refuses`."""

    name: str = "file"
    refuses: bool = False
    taken: list[str] = field(default_factory=list)

    def send(self, title: str, body: str) -> None:
        if self.refuses:
            raise NotSent("its server refused the message with status 503")
        self.taken.append(title)


async def test_two_deliverers_send_each_notification_once(
    connection: Connection, database_url: str, desk: Desk, log: TransitionsLog, tmp_path: Path
) -> None:
    log.say(fire(2, "feeder_out"), fire(3, "feeder_out"), fire(1, "cabinet_door"))
    await catch_up(connection, desk, log)
    channel = Recorder()
    journals = [Journal(tmp_path / name / "calls.journal") for name in ("one", "other")]

    async def drain(journal: Journal) -> None:
        async with connect(database_url, autocommit=True) as mine:
            while await deliver_next(mine, Outlet(channel, journal, CLOCK), CLOCK):
                pass

    await asyncio.gather(*map(drain, journals))
    assert len(channel.taken) == 3
    (feeder, *_) = await incidents.open_incidents(connection)
    assert (await story(connection, feeder["incident_no"]))[-1] == "notified"


async def test_refused_notification_is_tried_later_and_given_up_in_the_end(
    connection: Connection, desk: Desk, log: TransitionsLog, tmp_path: Path
) -> None:
    log.say(fire(2, "feeder_out"))
    await catch_up(connection, desk, log)
    channel = Outlet(Recorder(refuses=True), Journal(tmp_path / "calls.journal"), CLOCK)
    later_us = 0
    for wait_s in RETRY_AFTER_S:
        clock = Clock(hub_us=later_us)
        assert await deliver_next(connection, channel, clock)
        assert not await deliver_next(connection, channel, clock), "it waits for its time"
        later_us += (wait_s + 5) * 1_000_000
    assert await deliver_next(connection, channel, Clock(hub_us=later_us))
    (notification,) = await rows(connection, "SELECT * FROM notification")
    assert notification["attempts"] == len(RETRY_AFTER_S) + 1
    assert notification["failed_at"] is not None
    assert notification["last_error"] == "its server refused the message with status 503"
    (incident,) = await incidents.open_incidents(connection)
    assert (await story(connection, incident["incident_no"]))[-1] == "not_notified"
    assert not await deliver_next(connection, channel, Clock(hub_us=later_us + 10**12))


# --- people ---


async def test_acknowledge_is_idempotent_and_the_first_one_counts(
    connection: Connection, database_url: str, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "feeder_out"))
    await catch_up(connection, desk, log)
    (number,) = [row["incident_no"] for row in await incidents.open_incidents(connection)]
    now = CLOCK.now()
    async with connect(database_url, autocommit=True) as listener:
        await listener.execute("LISTEN beffroi_incident")
        first = await incidents.move(connection, number, "acknowledged", login="claire", channel="page", now=now)
        (notice,) = [notice async for notice in listener.notifies(timeout=LIMIT_S, stop_after=1)]
        assert notice.payload == str(number)
    again = await incidents.move(connection, number, "acknowledged", login="denis", channel="page", now=now)
    assert first == again
    assert again is not None
    assert (again["state"], again["acknowledged_by"], again["acknowledged_at"]) == ("acknowledged", "claire", now)
    assert await story(connection, number) == ["opened", "called", "acknowledged"]
    assert await incidents.move(connection, 12345, "acknowledged", login="claire", channel="page", now=now) is None


@pytest.mark.parametrize(
    ("by", "state"),
    [(("claire", 59), "new"), (("claire", 61), "acknowledged"), (("denis", 5), "acknowledged")],
)
async def test_acknowledgement_is_taken_back_within_a_minute_by_the_same_person(
    connection: Connection, desk: Desk, log: TransitionsLog, by: tuple[str, int], state: str
) -> None:
    log.say(fire(2, "feeder_out"))
    await catch_up(connection, desk, log)
    (number,) = [row["incident_no"] for row in await incidents.open_incidents(connection)]
    now = CLOCK.now()
    await incidents.move(connection, number, "acknowledged", login="claire", channel="page", now=now)
    login, after_s = by
    later = now + timedelta(seconds=after_s)
    found = await incidents.take_back(connection, number, login=login, channel="page", now=later)
    assert found is not None
    assert found["state"] == state
    assert ("taken_back" in await story(connection, number)) is (state == "new")


async def test_an_incident_goes_through_its_states_and_the_story_keeps_who_when_and_why(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "feeder_out"), fire(21))
    await catch_up(connection, desk, log)
    (number,) = [row["incident_no"] for row in await incidents.open_incidents(connection)]
    moves: list[tuple[incidents.Move, str | None]] = [("on_site", None), ("on_hold", "material: fuse"), ("fixed", None)]
    for place, (to, reason) in enumerate(moves):
        now = CLOCK.now() + timedelta(minutes=place)
        found = await incidents.move(connection, number, to, login="claire", channel="page", now=now, reason=reason)
        assert found is not None
        assert (found["state"], found["acknowledged_by"]) == (to, "claire"), "whoever goes there has taken it"
    assert (await story(connection, number))[-3:] == ["on_site", "on_hold", "fixed"]
    assert [c["reason"] for c in await incidents.changes(connection, number)][-3:] == [None, "material: fuse", None]
    found = await incidents.move(connection, number, "acknowledged", login="denis", channel="page", now=CLOCK.now())
    assert found is not None and found["state"] == "fixed"
    log.say(clear(21, minute=1), clear(2, "feeder_out", minute=2))
    await catch_up(connection, desk, log)
    (row,) = await rows(connection, "SELECT state, cleared_at IS NOT NULL AS cleared FROM incident")
    assert row == {"state": "closed", "cleared": True}, "the readings confirm what was said to be fixed"


async def test_what_a_person_closes_stays_closed_until_it_fires_again(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "feeder_out"), fire(21))
    await catch_up(connection, desk, log)
    (number,) = [row["incident_no"] for row in await incidents.open_incidents(connection)]
    now = CLOCK.now()
    found = await incidents.move(
        connection, number, "closed", login="claire", channel="page", now=now, reason="feeder removed"
    )
    assert found is not None and (found["state"], found["closed_at"]) == ("closed", now)
    back = await incidents.take_back(connection, number, login="claire", channel="page", now=now)
    assert back is not None and back["state"] == "closed"
    assert not [member for member in await incidents.members(connection, number) if member["until"] is None]
    log.say(clear(21, minute=1), clear(2, "feeder_out", minute=2))
    await catch_up(connection, desk, log)
    assert await incidents.open_incidents(connection) == []
    log.say(fire(2, "feeder_out", minute=9))
    await catch_up(connection, desk, log)
    (again,) = await incidents.open_incidents(connection)
    assert (again["state"], again["incident_no"] != number) == ("new", True)


async def test_a_step_taken_back_leaves_the_state_before_it(
    connection: Connection, desk: Desk, log: TransitionsLog
) -> None:
    log.say(fire(2, "feeder_out"))
    await catch_up(connection, desk, log)
    (number,) = [row["incident_no"] for row in await incidents.open_incidents(connection)]
    now = CLOCK.now()
    claire = {"login": "claire", "channel": "page", "now": now}
    await incidents.move(connection, number, "acknowledged", **claire)
    await incidents.move(connection, number, "fixed", **claire)
    found = await incidents.take_back(connection, number, **claire)
    assert found is not None and (found["state"], found["acknowledged_by"]) == ("acknowledged", "claire")
    again = await incidents.take_back(connection, number, **claire)
    assert again is not None and again["state"] == "acknowledged", "one step is taken back, not the whole story"


async def test_people_acknowledge_while_transitions_arrive(
    connection: Connection, database_url: str, desk: Desk, log: TransitionsLog
) -> None:
    cycles = 30
    said: list[Transition] = []
    for minute in range(0, 2 * cycles, 2):
        said += [fire(2, "feeder_out", minute=minute), fire(21, minute=minute)]
        said += [clear(2, "feeder_out", minute=minute + 1), clear(21, minute=minute + 1)]
    log.say(*said)
    done = asyncio.Event()

    async def people() -> int:
        answered = 0
        async with connect(database_url, autocommit=True) as mine:
            while not done.is_set():
                for row in await incidents.open_incidents(mine):
                    found = await incidents.move(
                        mine, row["incident_no"], "acknowledged", login="claire", channel="page", now=CLOCK.now()
                    )
                    answered += found is not None and found["state"] == "acknowledged"
        return answered

    answering = asyncio.create_task(people())
    await catch_up(connection, desk, log, limit=1)
    done.set()
    assert await answering > 0
    closed = await rows(connection, "SELECT DISTINCT state FROM incident")
    assert closed == [{"state": "closed"}], "an acknowledgement never opens what is over"
    assert len(await rows(connection, "SELECT 1 FROM incident WHERE code = 'feeder_out'")) == cycles
    acknowledged = await rows(connection, "SELECT 1 FROM incident WHERE acknowledged_by = 'claire'")
    assert len(acknowledged) == len(
        await rows(connection, "SELECT 1 FROM incident_change WHERE change = 'acknowledged'")
    )


# --- all the way ---


async def test_from_the_log_to_the_file(
    connection: Connection, database_url: str, log: TransitionsLog, settings: Settings
) -> None:
    file = settings.home / "notifications.log"

    async def lines(count: int) -> Sequence[str]:
        async def there() -> bool:
            return file.exists() and len(file.read_text(encoding="utf-8").splitlines()) == count

        await until(there)
        return file.read_text(encoding="utf-8").splitlines()

    async with telealert(log, database_url, settings):
        log.say(fire(2, "feeder_out"), fire(21))
        (opened,) = await lines(1)
        assert "[P1] Alerte de panne : Départ hors tension | Départ hors tension - feeder-2, rue Monge" in opened
        log.say(clear(21, minute=1), clear(2, "feeder_out", minute=2))
        assert "[P1] Fin de panne" in (await lines(2))[1]
