"""P1 without the database: real processes, a PostgreSQL that is killed, hangs, or is not there at the start."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace

from alerts.alarms import OVER_S, PATIENCE_S
from alerts.batch import READER, apply_batch
from alerts.channels import FileChannel
from alerts.main import make_desk
from alerts.snapshot import Files
from devices.kind import kinds
from devices.transition import Transition
from hub.clock import Clock
from hub.runtime.process import Process
from hub.runtime.servers import start_postgres
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from ingest.log import LogReader, LogWriter, Message
from store import readers
from store.database import connect
from store.migrate import migrate
from tests.conftest import hub_settings
from tests.database import fetch, one
from tests.processes import Processes, eventually
from tests.unit.alerts.city import PLACES, clear, fire

IN_TIME_S = 10
"""Within which a P1 must be out, with the database away."""
EMPTY = (
    b"TRUNCATE incident, incident_member, incident_change, notification, reader, quarantine RESTART IDENTITY CASCADE"
)
ADD_DEVICE = """
    INSERT INTO device (device_no, commune, kind, id, type, parent_no, gateway_no, street, commissioned_at,
        changed_at, changed_version)
    OVERRIDING SYSTEM VALUE
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END, now(), 1)
"""


@dataclass
class Server:
    """A PostgreSQL of this file's own, with a database for the hub and the small city in it."""

    settings: Settings
    secrets: Secrets
    process: Process

    @property
    def url(self) -> str:
        return database_url(self.settings, self.secrets)

    async def start(self) -> None:
        self.process = await start_postgres(self.settings, self.secrets, test=True)

    async def kill(self) -> None:
        """Immediately: no session ends in order, and the next start recovers."""
        os.kill(self.process.pid, signal.SIGQUIT)
        await self.process.wait()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the server and to all of its sessions."""
        for pid in (self.process.pid, *children(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    settings = hub_settings(tmp_path_factory.mktemp("server"))
    secrets = Secrets.of(settings.home)
    made = Server(settings, secrets, await start_postgres(settings, secrets, test=True))
    await migrate(made.url)
    async with connect(made.url, autocommit=True) as connection:
        for p in PLACES:
            row = (p.device_no, p.commune, p.kind, p.id, p.type, p.parent_no, p.gateway_no, p.street, p.commissioned)
            await connection.execute(ADD_DEVICE, row)
    yield made
    await made.process.stop()


@dataclass
class Hub:
    """A tele-alert, and the log that it reads."""

    processes: Processes
    log: LogWriter
    server: Server
    said: list[Transition] = field(default_factory=list)

    def say(self, *transitions: Transition) -> None:
        self.said += transitions
        self.log.append([Message(0, 0, "rules", "", transition.encode()) for transition in transitions])

    async def notified(self) -> list[str]:
        """The calls of the file channel, without their times; not the alarms of the hub itself."""
        path = self.processes.home / "notifications.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines if "[Beffroi]" not in line]

    async def has_notified(self, count: int, timeout_s: float = IN_TIME_S) -> list[str]:
        return await eventually(self.notified, lambda lines: len(lines) >= count, timeout_s)

    async def snapshot_is_at(self, offset: int) -> None:
        """Wait until the routing snapshot on disk knows the transitions up to an offset, and no call waits."""

        async def look() -> tuple[int, int]:
            found = Files(self.processes.home / "telealert").load()
            return (found.faults.next_offset, len(found.faults.pending)) if found else (-1, 0)

        await eventually(look, lambda seen: seen == (offset, 0))

    async def is_settled(self) -> None:
        """Wait until the database has read all transitions and no notification waits."""

        async def look() -> tuple[object, ...]:
            try:
                row = await one(
                    self.server.url,
                    "SELECT (SELECT next_offset FROM reader WHERE name = 'telealert') AS read,"
                    " (SELECT count(*) FROM notification WHERE sent_at IS NULL) AS waiting",
                )
            except Exception as error:
                return (repr(error),)
            return row["read"], row["waiting"]

        await eventually(look, lambda seen: seen == (self.log.next_offset, 0), 60)

    async def story(self, cause_no: int) -> list[tuple[str, str]]:
        """What happened to the live incidents of a device, in the order in which it was written."""
        rows = await fetch(
            self.server.url,
            "SELECT change, c.reason FROM incident_change c JOIN incident USING (incident_no) WHERE cause_no = %s"
            " AND quiet IS NULL ORDER BY change_no",
            cause_no,
        )
        return [(str(row["change"]), str(row["reason"])) for row in rows]

    def remembers(self) -> str:
        """What the journal of calls holds."""
        return (self.processes.home / "telealert" / "calls.journal").read_text(encoding="utf-8")


@pytest.fixture
async def hub(tmp_path: Path, server: Server) -> AsyncIterator[Hub]:
    if server.process.exit_code is not None:
        await server.start()
    async with connect(server.url, autocommit=True) as connection:
        await connection.execute(EMPTY)
    with (
        LogWriter(tmp_path / "transitions") as log,
        Processes(tmp_path, server.url, "mqtt://nobody:nothing@127.0.0.1:9") as processes,
    ):
        yield Hub(processes, log, server)


async def outcome(url: str) -> list[tuple[object, ...]]:
    """Every incident without its number, with its members, and with what its purposes were."""
    rows = await fetch(
        url,
        "SELECT cause_no, code, state, quiet, opened_at, cleared_at, array(SELECT (device_no, code, cleared)::text"
        " FROM incident_member m WHERE m.incident_no = i.incident_no ORDER BY 1) AS members FROM incident i"
        " ORDER BY cause_no, code, opened_at",
    )
    return [tuple(map(str, row.values())) for row in rows]


async def test_p1_goes_out_without_the_database_and_everything_is_entered_after(hub: Hub) -> None:
    hub.processes.start("telealert")
    hub.say(fire(31))
    await hub.snapshot_is_at(1)

    # It hangs.
    hub.server.tell(signal.SIGSTOP)
    try:
        hub.say(fire(3, "feeder_out"))
        await hub.has_notified(1)
    finally:
        hub.server.tell(signal.SIGCONT)
    await hub.snapshot_is_at(2)

    # It is killed. A P1 whose cause is found later, a P2, members, and three that call nobody though they are P1.
    await hub.server.kill()
    hub.say(replace(fire(2, "supply_voltage"), priority=1), fire(1, "supply_voltage"), fire(21), fire(99, "feeder_out"))
    hub.say(fire(1, "cabinet_door", quiet="late"), fire(3, "cabinet_door", quiet="replayed"))
    alone = await hub.has_notified(2)
    assert "Tension" in alone[1] and "base de données absente" in alone[1]
    hub.say(fire(2, "feeder_out", minute=2), fire(22, minute=3))
    alone = await hub.has_notified(3)
    assert "Départ hors tension - feeder-2" in alone[2]

    # Tele-alert is killed too, and starts without a database.
    hub.processes.kill("telealert")
    hub.processes.start("telealert")
    hub.say(clear(3, "feeder_out", minute=4))
    alone = await hub.has_notified(4, 2 * IN_TIME_S)  # a process that starts needs some of it
    assert "[P1] Fin de panne : Départ hors tension" in alone[3] and "base de données absente" not in alone[3]

    await hub.server.start()
    await hub.is_settled()
    await hub.snapshot_is_at(hub.log.next_offset)
    titles = [line.partition(" | ")[0] for line in await hub.notified()]
    assert (await hub.notified())[:4] == alone, "what went out is not sent again"
    assert titles[4:] == ["[P2] Alerte de panne : Tension d'alimentation anormale"], "the P2 waited"
    sent = await fetch(hub.server.url, "SELECT title, purpose, sent_at, attempts FROM notification ORDER BY sent_at")
    assert [(row["title"], row["attempts"]) for row in sent] == [(title, 1) for title in titles]
    told = {cause_no: await hub.story(cause_no) for cause_no in (2, 3)}
    alone_too = " ; appel passé pendant l'absence de la base de données"
    notified = [(change, reason.endswith(alone_too)) for change, reason in told[2] + told[3] if change == "notified"]
    assert notified == [("notified", True)] * 4
    assert "folded" in dict(told[2]) and [change for change, _ in told[3]][-2:] == ["closed", "notified"]
    await eventually(lambda: asyncio.sleep(0, hub.remembers()), lambda held: held == "")
    assert await outcome(hub.server.url) == await without_absence(hub)


async def without_absence(hub: Hub) -> list[tuple[object, ...]]:
    """The outcome of the same transitions on a database that was never away."""
    async with connect(hub.server.url, autocommit=True) as connection:
        await connection.execute(EMPTY)
        desk = make_desk(Settings(home=hub.processes.home), [FileChannel(Path("unused"), Clock())], kinds())
        log = LogReader(hub.log.folder)
        await readers.claim(connection, READER, log.log_id)
        for offset, message in enumerate(log.read(0, 1000)):
            await apply_batch(connection, desk, Clock().now(), log_id=log.log_id, offset=offset, messages=[message])
        log.close()
    return await outcome(hub.server.url)


class SlowHook(BaseHTTPRequestHandler):
    """Takes what is posted and answers only when it may."""

    taken: list[str]
    may_answer: threading.Event

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"])
        self.may_answer.wait(20)
        with suppress(OSError):
            self.send_response(200)
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def slow_hook() -> Iterator[tuple[str, type[SlowHook]]]:
    handler = type("OneHook", (SlowHook,), {"taken": [], "may_answer": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}/", handler
    handler.may_answer.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.soak
async def test_a_kill_between_channel_and_journal_makes_the_call_a_second_time_and_no_third(
    hub: Hub, slow_hook: tuple[str, type[SlowHook]]
) -> None:
    address, hook = slow_hook
    hub.processes.more["BEFFROI_NOTIFY_URLS"] = address
    hub.processes.start("telealert")
    await hub.snapshot_is_at(0)
    await hub.server.kill()
    hub.say(fire(2, "feeder_out"))
    await eventually(lambda: asyncio.sleep(0, len(hook.taken)), lambda taken: taken == 1, IN_TIME_S)
    hub.processes.kill("telealert")  # the channel has it, and the journal does not
    hook.may_answer.set()
    hub.processes.start("telealert")
    await eventually(lambda: asyncio.sleep(0, len(hook.taken)), lambda taken: taken == 2, 2 * IN_TIME_S)
    await hub.server.start()
    await hub.is_settled()
    assert len(hook.taken) == 2
    assert (await one(hub.server.url, "SELECT attempts FROM notification"))["attempts"] == 1


@pytest.mark.soak
async def test_an_absence_that_lasts_is_told_once_and_so_is_its_end(hub: Hub) -> None:
    """As an operator sees it who sleeps: one alarm, the P1, one end; the broker is away all the time and told too."""

    async def alarms() -> list[str]:
        lines = (hub.processes.home / "notifications.log").read_text(encoding="utf-8").splitlines()
        return [line.partition(" ")[2].partition(" Depuis")[0] for line in lines if "base de données ne" in line]

    hub.processes.start("telealert")
    hub.say(fire(31))
    await hub.snapshot_is_at(1)
    await hub.server.kill()
    await asyncio.sleep(PATIENCE_S["no_database"] / 2)
    hub.processes.kill("telealert")
    hub.processes.start("telealert")
    hub.say(fire(2, "feeder_out"))
    await hub.has_notified(1, 2 * IN_TIME_S)
    (began,) = await eventually(alarms, bool, PATIENCE_S["no_database"] + 20)
    assert began.startswith("[Beffroi] Alarme du système | La base de données ne répond pas.")
    hub.processes.kill("telealert")
    hub.processes.start("telealert")
    await asyncio.sleep(PATIENCE_S["no_database"] + 15)
    assert await alarms() == [began], "a restart repeats neither the alarm"
    assert len(await hub.notified()) == 1, "nor the call"
    await hub.server.start()
    _, ended = await eventually(alarms, lambda told: len(told) > 1, OVER_S + 30)
    assert ended.startswith("[Beffroi] Fin d'alarme du système | La base de données ne répond pas.")
