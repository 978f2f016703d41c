"""When the hub is well and when not: pure judgement of given figures, and what its files tell."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.clock import Clock
from ingest.log import LogWriter, Message
from store.audit import Audit, LastAudit
from store.broker_queue import BrokerQueue
from store.health import LIMITS, Beyond, Health, Reader, Stored, faults
from store.health_files import Files, LastError, LogFiles, last_errors, oversized, read_files, read_log
from store.quarantine import readable
from store.room import Disk

LOG = LogFiles("a", head=50_000, size_bytes=10, still_s=0.1)
DISK = Disk((".", "log", "postgres"), free_bytes=90, size_bytes=100, has_reserve=True)
FILES = Files({"log": LOG, "transitions": LOG}, checkpoint_s=20.0, written_s=1.0, disks=(DISK,), last_errors=())
STORE = Reader("store", 50_000, 50_000, 0, 0.5, 100.0, False, 0, 0)
STORED = Stored((STORE,), (), {1: 0, 2: 0, 3: 0}, 0, 0, 10, 0.0, 0.01, None)
QUEUE = BrokerQueue(waiting=2_000, size_bytes=5_000_000, dropped=7, dropped_per_min=0.0, heap_bytes=9_000_000)
WELL = Health(datetime.now(UTC), Clock(), 0.0, FILES, {"log": 100.0, "transitions": 0.0}, STORED, True, QUEUE)


def with_store(**values: object) -> Health:
    return replace(WELL, stored=replace(STORED, readers=(replace(STORE, **values),)))  # type: ignore[arg-type]  # fields by name


def with_files(**values: object) -> Health:
    return replace(WELL, files=replace(FILES, **values))  # type: ignore[arg-type]  # fields by name


def beyond(reason: str, name: str = "a/b", messages: int = 10, since_s: float = 90.0) -> Beyond:
    return Beyond("city", reason, name, messages, WELL.at - timedelta(seconds=since_s), WELL.at)


def test_many_who_are_beyond_a_limit_are_one_fault() -> None:
    who = (beyond("over_quota", "worst", 500), beyond("over_quota", "other", 7, 300.0))
    (fault,) = faults(replace(WELL, stored=replace(STORED, beyond=who)))
    assert (fault.code, fault.amount, fault.for_s, fault.who) == ("over_quota", 507, 300.0, ("worst", "other"))


def test_who_sends_too_large_packets_is_read_from_the_broker_s_log(tmp_path: Path) -> None:
    log, now_s = tmp_path / "mosquitto.log", time.time()
    told, old = (datetime.fromtimestamp(s).isoformat(timespec="seconds") for s in (now_s - 30, now_s - 3600))
    log.write_text(
        f"{old}: Client old disconnected due to oversize packet.\n"
        f"{told}: New client connected from 127.0.0.1:51077 as a whale (p2, c1, k60, u'gateway-7').\n"
        f"{told}: Client a whale disconnected due to oversize packet.\n"
        f"{told}: Client other disconnected due to oversize packet.\n"
        f"{told}: Client a whale disconnected due to oversize packet.\n"
        f"{told}: Client honest closed its connection.\n"
    )
    assert oversized(log, now_s) == ("a whale (gateway-7)", "other")
    assert oversized(tmp_path / "none.log", now_s) == ()


def codes(health: Health) -> list[str]:
    return [fault.code for fault in faults(health)]


def test_nothing_is_wrong_with_a_hub_that_is_well() -> None:
    assert codes(WELL) == []


@pytest.mark.parametrize(
    ("health", "code"),
    [
        (replace(WELL, stored=None), "no_database"),
        (replace(WELL, has_broker=False), "no_broker"),
        (replace(WELL, queue=replace(QUEUE, waiting=100_001)), "broker_queue"),
        (replace(WELL, queue=replace(QUEUE, size_bytes=256_000_001)), "broker_queue"),
        (replace(WELL, queue=replace(QUEUE, dropped_per_min=0.07)), "broker_dropped"),
        (with_files(logs={"transitions": LOG}), "no_log"),
        (with_store(is_of_other_log=True, lag=None), "other_log"),
        (with_store(is_outside_log=True), "log_gap"),
        (with_store(lag=1, still_s=61.0), "stuck"),
        (with_store(lag=10_001), "behind"),
        (with_store(messages_unaccounted=-1), "unaccounted"),
        (with_store(readings_unaccounted=2), "unaccounted"),
        (with_files(checkpoint_s=None), "no_rules"),
        (with_files(checkpoint_s=121.0), "no_rules"),
        (with_files(logs={"log": replace(LOG, still_s=901.0)}), "silence"),
        (with_files(disks=(replace(DISK, free_bytes=4, places=(".",)),)), "disk"),
        (with_files(disks=(DISK, replace(DISK, free_bytes=23, places=("log",)))), "disk_full"),
        (with_files(disks=(replace(DISK, is_readonly=True),)), "disk_readonly"),
        (
            with_files(disks=(DISK, replace(DISK, free_bytes=11, has_reserve=False, places=("postgres",)))),
            "database_full",
        ),
        (with_files(written_s=61.0), "unwritten"),
        (replace(WELL, stored=replace(STORED, clock_ahead_s=-2.1)), "clock"),
        (with_files(oversized=("whale (gateway-7)",)), "oversized"),
        *((replace(WELL, stored=replace(STORED, beyond=(beyond(code),))), code) for code in LIMITS),
        (replace(WELL, stored=replace(STORED, notifications_overdue=1)), "notifications"),
        (replace(WELL, stored=replace(STORED, audit=LastAudit(60.0, 2, Audit(1.0, [], [], [])))), "audit"),
        (replace(WELL, stored=replace(STORED, archive_fails_s=1.0)), "archive"),
    ],
)
def test_one_thing_that_is_wrong_is_told_alone(health: Health, code: str) -> None:
    assert codes(health) == [code]


@pytest.mark.parametrize(
    "health",
    [
        with_store(still_s=86_400.0),
        replace(WELL, queue=None),
        with_store(lag=9_000, still_s=1.0),
        replace(with_store(lag=50_000), arrivals_per_s={"log": 1000.0}),
        with_files(logs={"log": replace(LOG, head=0, still_s=None)}),
        with_files(disks=(replace(DISK, free_bytes=21 << 30, size_bytes=1 << 50),)),
    ],
    ids=[
        "nothing to read",
        "broker without figures",
        "a little behind",
        "less than a minute behind",
        "nothing ever received",
        "large disk",
    ],
)
def test_what_looks_wrong_and_is_not(health: Health) -> None:
    assert codes(health) == []


def test_the_head_is_where_the_log_s_writer_says(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log") as writer:
        empty = read_log(tmp_path / "log")
        assert empty is not None and (empty.head, empty.size_bytes, empty.still_s) == (0, 0, None)
        writer.append([Message(0, 1, "city", "city/a", b"{}")] * 7)
        found = read_log(tmp_path / "log")
        assert found is not None and found.still_s is not None
        assert (found.head, found.log_id) == (writer.next_offset, str(writer.log_id)) == (7, str(writer.log_id))
        assert found.size_bytes > 7 and found.still_s < 60
    assert read_log(tmp_path / "transitions") is None


def test_files_of_a_home_where_nothing_ran(tmp_path: Path) -> None:
    files = read_files(tmp_path)
    assert (files.logs, files.checkpoint_s, files.last_errors) == ({}, None, ())
    (disk,) = files.disks
    assert (disk.name, disk.has_reserve) == ("home", False) and 0 < disk.free_bytes <= disk.size_bytes


def test_the_age_of_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "rules.npz").touch()
    os.utime(tmp_path / "rules.npz", (time.time() - 300,) * 2)
    assert read_files(tmp_path).checkpoint_s == pytest.approx(300, abs=30)


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-24T01:00:00 [error    ] page failed    path=/",
        '{"event": "page failed", "level": "error"}',
        "2026-11-24 00:35:43.646 UTC [27560] @ ERROR:  no such table",
        "1763942400: Error: Address already in use",
        "ValueError: not a number",
        "beffroi: port 8080 is in use; free it",
    ],
)
def test_the_last_error_of_a_process_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.log").write_text(f"[error    ] an earlier one\n{line}\n2026 [info     ] all is well again\n")
    (tmp_path / "b.log").write_text("2026 [info     ] no error here\n2026 [warning  ] not yet\n")
    assert last_errors(tmp_path) == (LastError("a", line),)


def test_what_is_shown_cannot_move_the_terminal_s_cursor() -> None:
    assert readable(b"\x1b[2J\xff caf\xc3\xa9\n") == "\\x1b[2J\\xff caf\u00e9\\n"
