"""Recordings of real systems, played to the hub's real processes: a Helsinki bus, and meters that wmbusmeters heard.

What must come out is read from the recordings here, without the program's own codecs.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboard.api.files import ParquetFile
from devices.kind import kinds
from hub.clock import SECOND_US
from hub.runtime.servers import Embedded
from ingest.log import LogReader
from simulators import record
from simulators.record import Recorded
from tests.database import accounts_balance, count, everything_is_read, fetch, one
from tests.processes import Processes, Publisher, eventually

BUS, METERS = Path("tests/data/hsl-hfp.dump"), Path("tests/data/wmbusmeters.jsonl")
EVENTS = {
    "DOO": "door_opened",
    "DOC": "door_closed",
    "DUE": "stop_due",
    "ARR": "stop_near",
    "ARS": "stop_arrived",
    "PDE": "stop_ready",
    "DEP": "stop_left",
    "VJA": "signed_on",
    "VJOUT": "signed_off",
    "BOUT": "block_off",
}
FLAGS = {"leak": "LEAK", "burst": "BURST", "dry": "DRY", "tamper": "TAMPER"}
"""The rules on what a meter says of itself, and the word by which it says so."""
CALLED = {"burst", "tamper"}
"""Of priority 1 and 2; the others wait for the morning list."""
SCENES = ("live", "replayed")


class Hub:
    """The processes of a hub, and how to play a recording to it."""

    def __init__(self, processes: Processes, broker: Embedded, database_url: str) -> None:
        self.processes, self.broker, self.database_url = processes, broker, database_url

    async def replay(self, file: Path, *options: str, messages: int) -> None:
        """As `beffroi replay`; returns once the hub has read all of it."""
        log = LogReader(self.processes.home / "log")
        wanted = log.next_offset + messages
        await self.command("replay", str(file), *options)
        await eventually(lambda: asyncio.sleep(0, log.next_offset), lambda n: n >= wanted)
        await eventually(lambda: everything_is_read(self.database_url, log.log_id, wanted), bool)
        log.close()

    async def command(self, *arguments: str) -> None:
        ended = await self.processes.command(*arguments, BEFFROI_MQTT_URL=self.broker.simulator_url)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    async def incidents(self, scene: str) -> dict[str, str | None]:
        """Code and quiet of the incidents of one scene's meters."""
        rows = await fetch(
            self.database_url,
            "SELECT i.code, i.quiet FROM incident i JOIN device d ON d.device_no = i.cause_no WHERE d.id LIKE %s",
            f"{scene}-%",
        )
        assert len({row["code"] for row in rows}) == len(rows), rows
        return {row["code"]: row["quiet"] for row in rows}

    async def notified(self, scene: str) -> Counter[str]:
        """Codes of the incidents of one scene's meters that somebody was called for."""
        rows = await fetch(
            self.database_url,
            "SELECT i.code FROM notification n JOIN incident i USING (incident_no)"
            " JOIN device d ON d.device_no = i.cause_no WHERE d.id LIKE %s",
            f"{scene}-%",
        )
        return Counter(str(row["code"]) for row in rows)


@pytest.fixture(scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded) -> AsyncIterator[Hub]:
    home = tmp_path_factory.mktemp("replay")
    with Processes(home, database_url, broker.mqtt_url) as processes:
        hub = Hub(processes, broker, database_url)
        file = home / "meters.yaml"
        file.write_text(
            "".join(
                f"- {{commune: dijon, kind: water_meter, id: {scene}-{flag}, type: meter}}\n"
                for scene in SCENES
                for flag in FLAGS
            )
        )
        await hub.command("devices", "import", str(file))
        processes.start("intake", "worker", "telealert")
        await processes.hears()
        yield hub


def bus_lines() -> list[str]:
    return BUS.read_text().splitlines()


def recorded() -> list[tuple[str, dict[str, object]]]:
    """Event type and body of every message of the bus."""
    bodies = [json.loads(line[line.index(" {") :]) for line in bus_lines()]
    return [next(iter(body.items())) for body in bodies]


def telegrams() -> list[bytes]:
    """What wmbusmeters said, a line each."""
    return METERS.read_bytes().splitlines()


def telegram(meter: str, status: str) -> str:
    return json.dumps({"media": "water", "id": meter, "total_m3": 12.5, "current_status": status})


async def positions(url: str, where: str) -> list[dict[str, object]]:
    return await fetch(
        url,
        "SELECT v.*, d.id, d.commune, d.commissioned_at, extract(epoch FROM v.ts) AS ts_s FROM fleet_vehicle v"
        f" JOIN device d USING (device_no) WHERE {where} ORDER BY v.ts",
    )


async def test_a_bus_is_stored_under_the_times_of_its_recording(hub: Hub):
    told = [(kind, body) for kind, body in recorded() if kind == "VP"]
    at = {str(body["tst"]): (body["lat"], body["long"]) for _, body in told}
    assert len(at) == 423
    await hub.replay(BUS, "--speed", "200", "--keep-time", messages=445)
    rows = await eventually(  # others speak on this broker too, and count
        lambda: positions(hub.database_url, "v.ts < '2025-01-01'"), lambda rows: len(rows) >= len(at)
    )
    found = {row["ts"].isoformat(timespec="milliseconds").replace("+00:00", "Z"): row for row in rows}
    assert {time: (row["lat"], row["lon"]) for time, row in found.items()} == at
    assert not any(row["time_flagged"] for row in rows)
    assert {(row["commune"], row["id"], row["commissioned_at"]) for row in rows} == {("helsinki", "0012-01211", None)}


async def test_a_bus_drives_now(hub: Hub, tmp_path: Path):
    first_minute = tmp_path / "first-minute.dump"
    first_minute.write_text("\n".join(bus_lines()[:60]))
    told = [(body["lat"], body["long"]) for kind, body in recorded()[:60] if kind == "VP"]
    await hub.replay(first_minute, "--speed", "20", messages=60)
    rows = await positions(hub.database_url, "v.ts > now() - interval '5 minutes'")
    assert [(row["lat"], row["lon"]) for row in rows] == told
    assert not any(row["time_flagged"] for row in rows)
    assert 2 < float(rows[-1]["ts_s"]) - float(rows[0]["ts_s"]) < 4, "a minute, 20 times as fast"


async def test_doors_and_stops_are_events(hub: Hub):
    told = Counter(EVENTS[kind] for kind, _ in recorded() if kind != "VP")
    rows = await fetch(hub.database_url, "SELECT code, ts, detail FROM event WHERE ts < '2025-01-01'")
    assert Counter(row["code"] for row in rows) == told
    assert not any({"lat", "lon", "long"} & row["detail"].keys() for row in rows), "an event would remember a place"


async def test_meters_tell_their_totals_and_flags(hub: Hub):
    told = [json.loads(line) for line in telegrams()]
    water = Counter((t["id"], t.get("total_m3")) for t in told if t["media"] != "electricity")
    await hub.replay(METERS, "--speed", "500", messages=68)
    rows = await fetch(
        hub.database_url,
        "SELECT d.id, m.* FROM water_meter m JOIN device d USING (device_no) WHERE d.commissioned_at IS NULL",
    )
    assert water.total() == 55
    assert Counter((row["id"], row["total_m3"]) for row in rows) == water
    assert all(row["time_flagged"] for row in rows), "the recording has placeholders for times"
    ill = {t["id"] for t in told if "ERROR" in t.get("status", "")} & {meter for meter, _ in water}
    assert len(ill) == 5
    assert {row["id"] for row in rows if row["meter_fault"]} == ill
    assert {row["leak"] for row in rows} == {False, None}


async def test_electricity_meters_tell_their_energy(hub: Hub):
    told = [t for t in map(json.loads, telegrams()) if t["media"] == "electricity"]
    rows = await fetch(
        hub.database_url, "SELECT d.id, m.import_wh FROM energy_meter m JOIN device d USING (device_no) ORDER BY m.ts"
    )
    assert len(told) == 13
    assert Counter(row["id"] for row in rows) == Counter(t["id"] for t in told)
    total = "total_energy_consumption_kwh"
    kwh = [t[total] for t in told if total in t] + [2423.653]  # one meter tells its tariffs alone
    stored = [row["import_wh"] / 1000 for row in rows if row["import_wh"] is not None]
    assert sorted(stored) == pytest.approx(sorted(kwh), abs=1e-6)
    assert await count(hub.database_url, "quarantine") == 0, "nothing was refused"


async def test_recordings_page_nobody(hub: Hub):
    assert await count(hub.database_url, "incident") == 0, "nobody declared what was played"
    assert await count(hub.database_url, "notification") == 0


async def test_flags_of_live_meters_raise_incidents(hub: Hub):
    publisher = Publisher(hub.broker.simulator_url)
    for flag, word in FLAGS.items():
        publisher.publish(f"wmbusmeters/live-{flag}", telegram(f"live-{flag}", "OK"))
        publisher.publish(f"wmbusmeters/live-{flag}", telegram(f"live-{flag}", word))
    await asyncio.to_thread(publisher.close)
    raised = {flag: None if flag in CALLED else "morning_list" for flag in FLAGS}
    await eventually(lambda: hub.incidents("live"), lambda found: found == raised)
    assert await hub.notified("live") == Counter(CALLED)


async def test_the_same_flags_replayed_page_nobody_unless_asked_to(hub: Hub, tmp_path: Path):
    recording = tmp_path / "flags.jsonl"
    recording.write_text("".join(telegram(f"replayed-{flag}", word) + "\n" for flag, word in FLAGS.items()))
    await hub.replay(recording, "--speed", "100", messages=4)
    await eventually(lambda: hub.incidents("replayed"), lambda found: found == dict.fromkeys(FLAGS, "replayed"))
    assert await hub.notified("replayed") == Counter()

    await hub.replay(recording, "--speed", "100", "--page", messages=4)
    raised = {flag: None if flag in CALLED else "morning_list" for flag in FLAGS}
    await eventually(lambda: hub.incidents("replayed"), lambda found: found == raised)
    assert await hub.notified("replayed") == Counter(CALLED)


async def test_exported_readings_are_stored_as_they_were(hub: Hub, tmp_path: Path):
    """Under the ids that the export names, whatever their numbers are here."""
    at = datetime(2026, 11, 1, 6, tzinfo=UTC)
    names = {7: ("dijon", "exported-1"), 9: ("dijon", "exported-2")}
    kind = kinds()["water_meter"]
    fields = [kind.fields[kind.field_index(name)] for name in ("total_m3", "flow_m3h", "leak")]
    told = [
        (
            no,
            at + timedelta(minutes=i, microseconds=no),
            at + timedelta(hours=1),
            False,
            no + i / 10,
            0.1,
            i == 3,
        )
        for no in names
        for i in range(24)
    ]
    file = ParquetFile(kind, fields)
    path = tmp_path / "readings.parquet"
    path.write_bytes(file.add(told) + file.end(names))
    await hub.replay(path, "--keep-time", "--speed", "1000", messages=48)
    rows = await fetch(
        hub.database_url,
        "SELECT d.commune, d.id, m.ts, m.time_flagged, m.total_m3, m.flow_m3h, m.leak FROM water_meter m"
        " JOIN device d USING (device_no) WHERE d.id LIKE 'exported-%' ORDER BY d.id, m.ts",
    )
    wanted = [(*names[no], ts, False, total, 0.1, leak) for no, ts, _, _, total, _, leak in told]
    assert [(*row.values(),) for row in rows] == [
        (commune, id_, ts, flagged, pytest.approx(total), pytest.approx(flow), leak)
        for commune, id_, ts, flagged, total, flow, leak in wanted
    ]


async def test_a_record_of_the_hubs_own_topics_is_stored_under_the_times_of_now(hub: Hub, tmp_path: Path):
    at_us = 1_780_000_000_000_000
    told = [
        Recorded(
            at_us + s * SECOND_US,
            "city/dijon/water_meter/recorded/telemetry",
            b'{"ts":%d,"total_m3":%d}' % (at_us // SECOND_US + s, s),
        )
        for s in range(10)
    ]
    path = tmp_path / "record.jsonl"
    lines = [record.first_line(at_us, ["city/#"], 1), *map(record.message_line, told), record.last_line(at_us, 10)]
    path.write_bytes(b"".join(lines))
    await hub.replay(path, "--speed", "20", messages=10)
    rows = await fetch(
        hub.database_url,
        "SELECT m.total_m3, m.time_flagged, extract(epoch FROM now() - m.ts) AS age_s FROM water_meter m"
        " JOIN device d USING (device_no) WHERE d.id = 'recorded' ORDER BY m.ts",
    )
    assert [row["total_m3"] for row in rows] == list(range(10)), "half a second in all, and none has become another"
    assert all(not row["time_flagged"] and -5 < row["age_s"] < 120 for row in rows)


async def test_everything_is_accounted_for(hub: Hub):
    await accounts_balance(hub.database_url, hub.processes.home)
    told = await one(hub.database_url, "SELECT messages, messages_decoded FROM reader WHERE name = 'telealert'")
    assert told["messages"] == told["messages_decoded"]
