"""A hub is copied under load, lost, and restored: elsewhere, to a moment, or its database alone. Real servers."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.backup import Backup, read_list
from hub.clock import Clock, to_us
from hub.commands.restore import Wish, run
from hub.errors import AlreadyRunning, BadFile, BadSetting
from hub.home import only_hub_of
from hub.runtime.archive import segment_in
from hub.runtime.postgres import ADMIN
from hub.runtime.servers import Embedded, embedded
from hub.settings import Settings
from hub.up import environment
from ingest.log import Flag, LogReader, LogWriter, Message, begin_at
from store.database import connect
from store.health import Fault, Pulse, faults
from store.migrate import migrate
from store.people import ensure_person
from store.readers import claim
from tests.conftest import hub_settings
from tests.database import accounts_balance, everything_is_read, fetch, one
from tests.load import Load, Meters
from tests.processes import Processes, Publisher, eventually

RATE = 1_000
LAMP = "dark-after-the-backup"
BEGAN = datetime.now(UTC) - timedelta(hours=4)


@dataclass
class Lost:
    """A hub that ran, was copied while it did, went on, and was stopped."""

    settings: Settings
    backup: Path
    meters: Meters
    load: Load
    moment: datetime
    """Between the persons `before` and `after`."""

    @property
    def archive(self) -> Path:
        assert self.settings.archive
        return self.settings.archive

    def elsewhere(self, home: Path) -> Settings:
        """Settings of a hub on another home, without an archive of its own."""
        return self.settings.model_copy(update={"home": home, "archive": None})


def beffroi(settings: Settings, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the hub in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BEFFROI_")}
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *map(str, arguments)],
        env=plain | environment(settings, Clock()),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@asynccontextmanager
async def hub(settings: Settings, *names: str) -> AsyncIterator[tuple[Processes, Embedded]]:
    """A hub on its own servers."""
    async with embedded(settings, test=True) as servers:
        await migrate(servers.database_url)
        more = {"BEFFROI_NOTIFY_PRIORITY": "3"}
        with Processes(settings.home, servers.database_url, servers.mqtt_url, more) as processes:
            processes.start(*names)
            yield processes, servers


async def stored_all(servers: Embedded, home: Path) -> None:
    """Wait until store and tele-alert have read what their logs hold."""
    for name, folder in (("store", "log"), ("telealert", "transitions")):
        log = LogReader(home / folder)
        query = "SELECT log_id, next_offset FROM reader WHERE name = %s"

        async def place(log: LogReader = log, name: str = name, query: str = query) -> tuple[bool, object]:
            rows = await fetch(servers.database_url, query, name)
            return [(row["log_id"], row["next_offset"]) for row in rows] == [(log.log_id, log.next_offset)], rows

        await eventually(place, lambda seen: seen[0])
        log.close()


def tell_lamp(servers: Embedded, minute: float, power_w: float) -> None:
    publisher = Publisher(servers.simulator_url)
    ts = (BEGAN + timedelta(minutes=minute)).isoformat()
    publisher.publish(
        f"city/dijon/street_lighting/{LAMP}/telemetry", json.dumps({"ts": ts, "dim_pct": 100, "power_w": power_w})
    )
    publisher.close()


async def person(servers: Embedded, name: str) -> None:
    async with connect(servers.database_url) as connection:
        await ensure_person(connection, name, "a password of the test", "operator")
        await connection.commit()


async def switch_wal(settings: Settings, servers: Embedded) -> None:
    """Let the database begin a new file of its write-ahead log, as it does after a minute."""
    admin = f"postgresql://{ADMIN}:{servers.secrets.postgres_admin}@127.0.0.1:{settings.postgres_port}/beffroi"
    await fetch(admin, "SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()")


async def people(url: str) -> set[object]:
    return {row["login"] for row in await fetch(url, "SELECT login FROM person")}


def pages(home: Path) -> int:
    """How often somebody was called about the lamp."""
    path = home / "notifications.log"
    return path.read_text().count(LAMP) if path.exists() else 0


async def lose(folder: Path, per_s: int, before_s: float) -> Lost:
    """Run a hub under load, copy it meanwhile, and stop it."""
    settings = hub_settings(folder / "home", archive=folder / "archive")
    settings.home.mkdir()
    (folder / "lamps.csv").write_text(f"commune,kind,id,type,rated_power_w\ndijon,street_lighting,{LAMP},lamp,60")
    async with hub(settings) as (processes, servers):
        imported = await processes.command("devices", "import", str(folder / "lamps.csv"))
        assert imported.returncode == 0, imported.stderr
        processes.start("intake", "worker", "telealert")
        await processes.hears()
        meters = Meters()
        load = Load(servers.simulator_url, meters.message, per_s)
        await load.run(before_s)
        copying = asyncio.create_task(asyncio.to_thread(beffroi, settings, "backup", folder / "backup"))
        while not copying.done():
            await load.run(0.2)
        made = await copying
        assert made.returncode == 0, made.stderr
        assert "Recovery point of the database" in made.stdout and "all before" in made.stdout
        await load.run(0.5)
        tell_lamp(servers, 0, 0.3)
        tell_lamp(servers, 11, 0.3)
        await eventually(lambda: asyncio.sleep(0, pages(settings.home)), lambda n: n == 1)
        await stored_all(servers, settings.home)
        for _ in range(3):
            await switch_wal(settings, servers)
        await person(servers, "before")
        (row,) = await fetch(servers.database_url, "SELECT clock_timestamp() AS now")
        await person(servers, "after")
        moment = row["now"]
        assert isinstance(moment, datetime)
    return Lost(settings, folder / "backup", meters, load, moment)


@pytest.fixture(scope="module")
async def lost(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    return await lose(tmp_path_factory.mktemp("lost"), RATE, before_s=0.5)


def received_before(lost: Lost, backup: Backup) -> Counter[tuple[str, int]]:
    """(device, reading) of what the lost hub had received when it was copied, by its own log."""
    assert backup.log
    log, found = LogReader(lost.settings.home / "log"), Counter[tuple[str, int]]()
    for message in log.read(0, backup.log.next_offset, limit_bytes=1 << 30)[: backup.log.next_offset]:
        device = message.topic.split("/")[3]
        if device.startswith(lost.meters.run) and not message.flags & Flag.DUPLICATE:
            found[device, json.loads(message.payload)["total_m3"]] += 1
    log.close()
    return found


async def restored_elsewhere_has_everything(lost: Lost, home: Path) -> None:
    settings, backup = lost.elsewhere(home), read_list(lost.backup)
    restored = await asyncio.to_thread(beffroi, settings, "restore", lost.backup)
    assert restored.returncode == 0, restored.stderr
    assert "Recovery point: " in restored.stdout and "Recovery time: " in restored.stdout
    async with hub(settings, "intake", "worker", "telealert") as (processes, servers):
        await processes.hears()
        tell_lamp(servers, 2, 0.3)  # behind whatever the broker still held
        lit = "SELECT count(*) AS n FROM street_lighting"
        await eventually(lambda: one(servers.database_url, lit), lambda row: row["n"] == 1, timeout_s=120)
        await stored_all(servers, home)
        before, stored = received_before(lost, backup), await lost.meters.stored(servers.database_url)
        assert 0 < before.total() < lost.load.made and not before - stored, f"{len(before - stored)} are missing"
        # What the broker still held when it was copied comes again, as after a crash of the broker; once each.
        assert set(stored.values()) == {1} and not stored - lost.meters.wanted(lost.load.acknowledged)
        await accounts_balance(servers.database_url)


async def test_a_hub_that_is_lost_is_restored_elsewhere(lost: Lost, tmp_path: Path) -> None:
    await restored_elsewhere_has_everything(lost, tmp_path / "home")


async def test_a_moment_of_the_archive_is_restored(lost: Lost, tmp_path: Path) -> None:
    settings = lost.elsewhere(tmp_path / "home")
    await asyncio.to_thread(run, settings, Wish(lost.backup, to=lost.moment, archive=lost.archive))
    async with embedded(settings, test=True) as servers:
        logins = await people(servers.database_url)
        assert "before" in logins and "after" not in logins
        assert (await lost.meters.stored(servers.database_url)).total() == lost.load.made, "all came before the moment"
        place = await one(servers.database_url, "SELECT log_id, next_offset FROM reader WHERE name = 'store'")
    log = LogReader(settings.home / "log")
    assert (log.log_id, log.next_offset) == (place["log_id"], place["next_offset"]), "no message is taken for read"


@pytest.mark.soak
async def test_a_hub_that_the_archive_brought_further_than_its_logs_goes_on(lost: Lost, tmp_path: Path) -> None:
    settings = lost.elsewhere(tmp_path / "home")
    await asyncio.to_thread(run, settings, Wish(lost.backup, archive=lost.archive))
    async with hub(settings, "intake", "worker", "telealert") as (processes, servers):
        await processes.hears()
        more = Meters()
        load = Load(servers.simulator_url, more.message, 200)
        await load.run(0.5)
        tell_lamp(servers, 20, 58)
        await more.exactly_once(servers.database_url, load.acknowledged)
        query = "SELECT state FROM incident WHERE code = 'lamp_out'"
        await eventually(lambda: one(servers.database_url, query), lambda row: row["state"] == "closed")
        await accounts_balance(servers.database_url)


@pytest.mark.soak
async def test_the_database_alone_is_restored_and_the_log_brings_the_rest(lost: Lost) -> None:
    settings = lost.settings
    with pytest.raises(BadSetting, match=r"is not empty \(postgres \.\.\.\): --replace moves that aside"):
        await asyncio.to_thread(
            run, settings.model_copy(update={"archive": None}), Wish(lost.backup, database_only=True)
        )
    wish = Wish(lost.backup, database_only=True, replace=True)
    await asyncio.to_thread(run, settings.model_copy(update={"archive": None}), wish)
    (aside,) = settings.home.glob("before-restore-*")
    assert (aside / "postgres/data/PG_VERSION").exists(), "what was there can be put back"
    async with hub(settings, "intake", "worker", "telealert") as (processes, servers):
        await processes.hears()
        await stored_all(servers, settings.home)
        await lost.meters.exactly_once(servers.database_url, lost.load.acknowledged)
        incident = await one(servers.database_url, "SELECT state, quiet FROM incident WHERE code = 'lamp_out'")
        assert incident == {"state": "new", "quiet": "replayed"} and pages(settings.home) == 1, "nobody is called twice"
        await accounts_balance(servers.database_url)


async def test_what_was_trimmed_is_told_and_not_skipped(tmp_path: Path, database_url: str, broker: Embedded) -> None:
    """The database is older than the oldest message that the log still keeps."""
    with LogWriter(tmp_path / "log") as log, LogWriter(tmp_path / "transitions"):
        async with connect(database_url, autocommit=True) as connection:
            await claim(connection, "store", log.log_id)
    begin_at(tmp_path / "log", log.log_id, 7)
    with LogWriter(tmp_path / "log") as log:
        topic, payload = "city/dijon/water_meter/W1/telemetry", b'{"total_m3": 1}'
        log.append([Message(0, to_us(BEGAN), "city", topic, payload)])
    with Processes(tmp_path, database_url, broker.mqtt_url) as processes:
        processes.start("worker")
        said = await eventually(lambda: asyncio.to_thread(processes.said), lambda said: "nothing is stored" in said)
        assert "store has read up to 0" in said and "the 7 messages between" in said
        assert not await everything_is_read(database_url, log.log_id, 8), "never silently at another offset"
        health = await Pulse(tmp_path, Clock()).take(lambda: connect(database_url), has_broker=True)
        assert Fault("log_gap", "store") in faults(health)
        adopted = await processes.command("log", "adopt", "store")
        assert "store goes on at 7" in adopted.stdout, adopted.stderr
        await eventually(lambda: everything_is_read(database_url, log.log_id, 8), bool)
        assert "nothing to adopt" in (await processes.command("log", "adopt", "store")).stdout
    await accounts_balance(database_url)
    row = await one(
        database_url, "SELECT messages, began_offset - began_messages AS skipped FROM reader WHERE name = 'store'"
    )
    assert row == {"messages": 1, "skipped": 7}


async def test_with_a_database_of_one_s_own_the_home_alone_is_copied(
    tmp_path: Path, database_url: str, broker: Embedded
) -> None:
    """Its database is somebody else's to back up; a backup of the home is older than it here."""
    home, again = tmp_path / "home", tmp_path / "again"
    home.mkdir()
    again.mkdir()
    with LogWriter(home / "log") as log, LogWriter(home / "transitions") as transitions:
        async with connect(database_url, autocommit=True) as connection:
            await connection.execute("TRUNCATE reader")
            await claim(connection, "store", log.log_id)
            await claim(connection, "telealert", transitions.log_id)
        log.append([Message(0, to_us(BEGAN), "city", "city/a", b"{}")] * 5)
        await Processes(home, database_url, broker.mqtt_url).command("migrate")
        made = await Processes(home, database_url, broker.mqtt_url).command("backup", str(tmp_path / "backup"))
        assert made.returncode == 0, made.stderr
        assert (
            "The database of BEFFROI_DATABASE_URL is not in it" in made.stdout and "before 5 of the log" in made.stdout
        )
    async with connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE reader SET next_offset = 9, messages = 9 WHERE name = 'store'")
    restored = await Processes(again, database_url, broker.mqtt_url).command("restore", str(tmp_path / "backup"))
    assert restored.returncode == 0, restored.stderr
    assert "store goes on at 9." in restored.stdout
    assert (LogReader(again / "log").log_id, LogReader(again / "log").next_offset) == (log.log_id, 9)
    assert (again / "secrets.json").read_bytes() == (home / "secrets.json").read_bytes()
    with pytest.raises(BadSetting, match="holds no database: name the restored one in BEFFROI_DATABASE_URL"):
        run(hub_settings(tmp_path / "third"), Wish(tmp_path / "backup"))


async def test_what_cannot_be_restored_is_refused_in_a_sentence(lost: Lost, tmp_path: Path) -> None:
    def refuses(wish: Wish, kind: type[Exception], match: str, home: str = "empty") -> None:
        with pytest.raises(kind, match=match):
            run(lost.elsewhere(tmp_path / home), wish)
        assert not (tmp_path / home / "secrets.json").exists(), "nothing is half restored"

    damaged = tmp_path / "damaged"
    shutil.copytree(lost.backup, damaged)
    (tmp_path / "other").mkdir()
    refuses(Wish(tmp_path / "nowhere"), BadFile, "there is no folder .*nowhere")
    refuses(Wish(tmp_path / "other"), BadFile, "other is no backup: it has no backup.json")
    refuses(Wish(lost.backup, to=lost.moment), BadSetting, "--to needs the archive")
    refuses(Wish(lost.backup, archive=tmp_path / "gone"), BadSetting, "there is no archive .*gone")
    refuses(Wish(lost.backup, database_only=True), BadSetting, "has no hub to put a database into")
    (damaged / "home/secrets.json").write_text("{}")
    refuses(Wish(damaged), BadFile, "is damaged: .*secrets.json is not what was copied")
    with (damaged / "database/base/1/1259").open("r+b") as file:
        file.write(b"?")
    refuses(Wish(damaged), BadFile, r"is damaged: checksum mismatch for file .base/1/1259")
    told = json.loads((damaged / "backup.json").read_text())
    told["database"]["major"] = 16
    (damaged / "backup.json").write_text(json.dumps(told))
    refuses(Wish(damaged), BadSetting, "the backup is of PostgreSQL 16, and the programs in .* are of 17")
    with only_hub_of(tmp_path / "empty", "here"), pytest.raises(AlreadyRunning, match="a hub already runs on"):
        run(lost.elsewhere(tmp_path / "empty"), Wish(lost.backup))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("days", "sentence"),
    [(-1, "--to lies before the end of the backup"), (1, "--to lies after the end of the archive")],
)
async def test_a_moment_that_the_archive_does_not_reach_is_refused(
    lost: Lost, tmp_path: Path, days: int, sentence: str
) -> None:
    wish = Wish(lost.backup, to=lost.moment + timedelta(days=days), archive=lost.archive)
    with pytest.raises(BadSetting, match=sentence):
        await asyncio.to_thread(run, lost.elsewhere(tmp_path / "home"), wish)
    assert not (tmp_path / "home/postgres").exists()


@pytest.mark.soak
async def test_an_archive_that_is_another_s_broken_or_has_a_hole_is_told(lost: Lost, tmp_path: Path) -> None:
    def restore(archive: Path, home: str) -> None:
        run(lost.elsewhere(tmp_path / home), Wish(lost.backup, archive=archive))

    database = read_list(lost.backup).database
    assert database
    holed, broken, other = (tmp_path / name for name in ("holed", "broken", "other"))
    for copy in (holed, broken):
        shutil.copytree(lost.archive, copy)
    names = sorted(segment_in(path.name) for path in lost.archive.iterdir())
    *_, missing, last = [name for name in names if name[:8] == database.first_wal[:8] and name > database.first_wal]
    (holed / f"{missing}.gz").unlink()
    (broken / f"{last}.gz").write_bytes((broken / f"{last}.gz").read_bytes()[:-2000])
    ended = await asyncio.to_thread(beffroi, lost.elsewhere(tmp_path / "a"), "restore", lost.backup, "--archive", holed)
    assert ended.returncode == 0 and f"the archive goes on to {last}.gz" in ended.stdout, ended.stdout + ended.stderr
    with pytest.raises(BadFile, match="a file of the archive cannot be read"):
        await asyncio.to_thread(restore, broken, "b")
    settings = hub_settings(tmp_path / "stranger", archive=other)
    async with embedded(settings, test=True) as servers:
        for _ in range(9):
            await switch_wal(settings, servers)
    with pytest.raises(BadFile, match="the archive is of another database"):
        await asyncio.to_thread(restore, other, "c")


@pytest.mark.soak
async def test_what_came_after_a_restore_is_another_timeline(lost: Lost, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    shutil.copytree(lost.archive, archive)
    first = lost.settings.model_copy(update={"home": tmp_path / "first", "archive": archive})
    await asyncio.to_thread(run, first, Wish(lost.backup, to=lost.moment))
    async with embedded(first, test=True) as servers:
        await person(servers, "second life")
        await switch_wal(first, servers)

    async def restored(home: str, *options: str) -> tuple[str, set[object]]:
        settings = lost.elsewhere(tmp_path / home)
        done = await asyncio.to_thread(beffroi, settings, "restore", lost.backup, "--archive", archive, *options)
        assert done.returncode == 0, done.stderr
        async with embedded(settings, test=True) as servers:
            return done.stdout, await people(servers.database_url)

    said, logins = await restored("old")
    later = said.partition("--timeline ")[2].strip().split(".")[0]
    assert later and "after" in logins and "second life" not in logins, said
    said, logins = await restored("new", "--timeline", later)
    assert "second life" in logins and "after" not in logins and "--timeline" not in said


@pytest.mark.soak
async def test_an_archive_that_fails_is_a_fault_until_it_is_back(tmp_path: Path) -> None:
    settings = hub_settings(tmp_path / "home", archive=tmp_path / "archive")
    async with embedded(settings, test=True) as servers:
        await migrate(servers.database_url)

        async def wrong() -> bool:
            health = await Pulse(settings.home, Clock()).take(lambda: connect(servers.database_url), has_broker=True)
            return "archive" in {fault.code for fault in faults(health)}

        assert not await wrong()
        (tmp_path / "archive").rename(tmp_path / "away")
        await switch_wal(settings, servers)
        await eventually(wrong, bool)
        (tmp_path / "away").rename(tmp_path / "archive")
        await switch_wal(settings, servers)  # wakes the archiver, which tries again by itself once a minute
        await eventually(wrong, lambda is_wrong: not is_wrong)


@pytest.mark.soak
async def test_4000_a_second(tmp_path: Path) -> None:
    lost = await lose(tmp_path, 4_000, before_s=15)
    await restored_elsewhere_has_everything(lost, tmp_path / "elsewhere")
