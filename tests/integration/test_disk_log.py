"""The log on disks that are full, that lie and that can only be read: what it took is there, and nothing else is."""

import asyncio
import errno
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from devices.transition import Explanation, Transition
from hub.clock import Clock
from hub.settings import BrokerAddress
from ingest import checkpoint
from ingest.intake import Journal, open_log
from ingest.live import Live
from ingest.log import LogReader, LogWriter, Message, segments
from ingest.voice import Voice
from store.room import database_disk_is_full, disk_of, disks, keep_reserve
from tests.disks import MIB, Disk, ext4, remount, tmpfs

PAYLOAD = bytes(8192 - 26 - 16 - len("city") - len("city/dijon/lamp/0/telemetry"))
"""Makes a batch of one message whole blocks: a loop device tells of a half written stretch as a success."""

FIRED = Transition("street_lighting", "lamp_out", 1, "fire", 1_000_000, 1_000_000, 2, "", Explanation({}, {}, 0.0))


def message(number: int, payload: bytes = PAYLOAD) -> Message:
    return Message(0, 1, "city", f"city/dijon/lamp/{number}/telemetry", payload)


def numbers(folder: Path) -> list[int]:
    """What the log holds."""
    reader = LogReader(folder)
    found: list[int] = []
    while messages := reader.read(reader.first_offset + len(found), 1000):
        found += [int(m.topic.split("/")[3]) for m in messages]
    reader.close()
    return found


def fill(log: LogWriter, first: int) -> tuple[int, OSError]:
    """Append number by number until the disk refuses: how many it took, and why no more."""
    number = first
    while True:
        try:
            log.append([message(number)])
        except OSError as error:
            return number, error
        number += 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with tmpfs(tmp_path / "home", MIB) as disk:
        yield disk


@pytest.fixture
def lying(tmp_path: Path) -> Iterator[Disk]:
    with ext4(tmp_path / "home", 32 * MIB, real_bytes=4 * MIB) as disk:
        yield disk


def test_a_full_disk_takes_whole_batches_or_nothing_and_goes_on_when_there_is_room(small: Disk):
    folder = small.folder / "log"
    with LogWriter(folder) as log:
        small.fill(80_000)
        took, refusal = fill(log, 0)
        assert refusal.errno == errno.ENOSPC and took > 5
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                log.append([message(took)])
            assert numbers(folder) == list(range(took))
        small.make_room()
        for number in range(took, took + 2):
            log.append([message(number)])
        assert numbers(folder) == list(range(took + 2))
    with LogWriter(folder) as log:
        assert log.next_offset == took + 2


def test_no_room_for_a_new_segment_refuses_until_there_is(tmp_path: Path):
    with tmpfs(
        tmp_path / "home", MIB, nr_inodes=8
    ) as disk:  # its root, the folder, mark, lock, id, head, a segment: 1 more
        folder = disk.folder / "log"
        with LogWriter(folder, segment_bytes=1) as log:
            took, refusal = fill(log, 0)
            assert (took, refusal.errno) == (2, errno.ENOSPC)
            segments(folder)[0][1].unlink()
            log.append([message(2)])
        assert numbers(folder) == [1, 2]


def test_after_a_failed_fsync_nothing_is_believed_that_only_memory_holds(lying: Disk):
    folder = lying.folder / "log"
    assert lying.backing is not None
    with LogWriter(folder) as log:
        log.append([message(0)])
        lying.backing.fill()
        took, refusal = fill(log, 1)
        assert refusal.errno in (errno.EIO, errno.ENOSPC)
        path = segments(folder)[-1][1]
        assert path.stat().st_size > log._size, "memory holds the batch that the disk refused"
        with path.open("rb+") as file:
            os.fdatasync(file.fileno())  # and says that all is well when it is asked again
        lying.backing.make_room()
        log.append([message(took)])
        assert len(segments(folder)) == 2, "it goes on in a file of which memory holds nothing"
    lying.forget_memory()
    assert numbers(folder) == list(range(took + 1))


def test_a_writer_killed_after_a_failed_fsync_finds_what_the_disk_holds(lying: Disk):
    folder = lying.folder / "log"
    assert lying.backing is not None
    log = LogWriter(folder)
    log.append([message(0)])
    lying.backing.fill()
    took, _ = fill(log, 1)
    log.close()  # as a kill: nothing is put in order
    lying.backing.make_room()
    with LogWriter(folder) as log:
        assert log.next_offset == took
        log.append([message(took)])
    lying.forget_memory()
    assert numbers(folder) == list(range(took + 1))


def test_a_disk_that_turns_read_only_refuses_and_loses_nothing(tmp_path: Path):
    with ext4(tmp_path / "home", 32 * MIB) as disk:
        folder = disk.folder / "log"
        with LogWriter(folder) as log:
            log.append([message(0)])
            disk.make_readonly()
            for _ in range(2):
                with pytest.raises(OSError, match="Read-only"):
                    log.append([message(1)])
            with pytest.raises(OSError, match="Read-only"):
                log.touch()
            assert numbers(folder) == [0]


def test_intake_waits_for_a_disk_that_it_cannot_write_and_says_so_once(small: Disk):
    folder = small.folder / "log"
    LogWriter(folder).close()
    remount(small.folder, "ro")
    stopping, opened = threading.Event(), []
    with structlog.testing.capture_logs() as said:
        waiting = threading.Thread(target=lambda: opened.append(open_log(folder, stopping)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        remount(small.folder, "rw")
        waiting.join(20)
    assert [(line["log_level"], line["event"]) for line in said] == [
        ("error", "the log cannot be opened; nothing is received"),
        ("info", "the log is open"),
    ]
    assert "Read-only file system" in said[0]["why"] and said[1]["after_s"] >= 0.5
    opened[0].close()


def test_the_reserve_is_taken_given_back_and_taken_again(tmp_path: Path):
    with tmpfs(tmp_path / "home", 32 * MIB) as disk:
        keep_reserve(disk.folder)
        reserve = disk.folder / "reserve"
        assert reserve.stat().st_size == 2 * MIB

        def state() -> tuple[bool, bool]:
            keep_reserve(disk.folder)
            found = disk_of(disk.folder, ".")
            assert found is not None
            return found.takes_messages, found.takes_readings

        assert state() == (True, True)
        disk.fill(7 * MIB)
        assert state() == (False, True), "intake stops while the store can still go on"
        disk.fill()
        assert state() == (False, False), "given back: the rest is for others"
        assert not reserve.exists() and disk.free_bytes >= 2 * MIB
        disk.make_room()
        assert state() == (True, True) and reserve.exists()


def test_a_log_on_a_disk_of_its_own_has_a_reserve_of_its_own(tmp_path: Path):
    home = tmp_path / "home"
    with tmpfs(home, 32 * MIB), tmpfs(home / "log", 32 * MIB) as disk:
        (home / "postgres").mkdir()
        keep_reserve(home)
        assert [reserve.parent.name for reserve in (home / "reserve", home / "log/reserve") if reserve.exists()] == [
            "home",
            "log",
        ]
        disk.fill()
        keep_reserve(home)
        found = {found.name: (found.takes_messages, found.has_reserve) for found in disks(home)}
        assert found == {"home": (True, True), "home/log": (False, False)} and not database_disk_is_full(home)


def test_the_journal_stops_before_the_disk_is_full_and_goes_on_by_itself(tmp_path: Path):
    with tmpfs(tmp_path / "home", 32 * MIB) as disk, LogWriter(disk.folder / "log") as log:
        journal, stopping = Journal(log, threading.Event()), threading.Event()
        assert journal.append([message(0)])
        disk.fill(7 * MIB)
        with structlog.testing.capture_logs() as said:
            appending = threading.Thread(target=lambda: journal.append([message(1)]))
            appending.start()
            appending.join(1.0)
            assert appending.is_alive() and log.next_offset == 1 and not stopping.is_set()
            disk.make_room()
            appending.join(20)
        assert numbers(log.folder) == [0, 1]
        assert [line["event"] for line in said] == [
            "the log cannot be written; nothing is acknowledged",
            "the log is written again",
        ]
        assert "7 MiB are left" in said[0]["why"]


async def test_the_rules_wait_for_a_disk_that_takes_what_they_tell(small: Disk):
    with LogWriter(small.folder / "transitions") as transitions:
        live = Live(BrokerAddress.parse("mqtt://nowhere"), Clock())
        voice = Voice(transitions, Clock(), live)
        small.fill()
        took, _ = fill(transitions, 0)
        with structlog.testing.capture_logs() as said:
            telling = [asyncio.create_task(voice.tell([replace(FIRED, device_no=n)], read_to=n)) for n in (1, 2)]
            await asyncio.sleep(0.1)
            assert voice.waiting == 2, "nothing may be saved that knows of them"
            small.make_room()
            await asyncio.wait_for(asyncio.gather(*telling), 10)
        assert voice.waiting == 0 and [line["log_level"] for line in said] == ["error", "info"]
        reader = LogReader(transitions.folder)
        told = [Transition.decode(m.payload) for m in reader.read(took, 10)]
        assert [(t.device_no, t.read_to) for t in told] == [(1, 1), (2, 2)]
        reader.close()


async def test_rules_that_are_stopped_while_they_wait_have_told_nothing(small: Disk):
    with LogWriter(small.folder / "transitions") as transitions:
        voice = Voice(transitions, Clock(), Live(BrokerAddress.parse("mqtt://nowhere"), Clock()))
        small.fill()
        fill(transitions, 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(voice.tell([FIRED], read_to=1), 0.1)
        assert voice.waiting == 1


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before_and_takes_none(small: Disk):
    path = small.folder / "rules.npz"
    log_id = uuid.uuid4()
    checkpoint.save(path, {}, log_id=log_id, next_offset=7, next_transition=0)
    small.fill()
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {}, log_id=log_id, next_offset=8, next_transition=0)
    assert [found.name for found in small.folder.glob("rules*")] == ["rules.npz"]
    saved = checkpoint.load(path)
    assert saved is not None and saved.next_offset == 7
