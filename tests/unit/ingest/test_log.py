"""The log keeps what it says it keeps, through rolls, trims, torn ends and crashes."""

import os
import re
import shutil
from pathlib import Path
from random import Random

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import AlreadyRunning, LogError, LogMoved
from ingest.log import Flag, LogReader, LogWriter, Message, begin_at, held, segments, trim
from ingest.segment import pack, tag_of


def message(number: int, *, payload: bytes = b"{}", source: str = "city", flags: int = 0) -> Message:
    return Message(number, 1_000_000 + number, source, f"city/dijon/lamp/{number}/telemetry", payload, flags)


def everything(folder: Path) -> list[Message]:
    reader = LogReader(folder)
    offset, found = reader.first_offset, []
    while messages := reader.read(offset, 7):
        found += messages
        offset = messages[-1].offset + 1
    reader.close()
    return found


@given(
    batches=st.lists(
        st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=50), st.sampled_from(["a", "b"])), min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_appended_is_read_back(batches, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    written = []
    with LogWriter(folder, segment_bytes=200) as log:
        for batch in batches:
            messages = [
                Message(len(written) + i, 5, source, topic, payload, int(Flag.DUP))
                for i, (topic, payload, source) in enumerate(batch)
            ]
            assert log.append(messages) == len(written)
            written += messages
    assert everything(folder) == written


def test_offsets_go_on_after_a_restart(tmp_path):
    with LogWriter(tmp_path) as log:
        log.append([message(0), message(1)])
        log_id = log.log_id
    with LogWriter(tmp_path) as log:
        assert log.next_offset == 2
        assert log.log_id == log_id
        log.append([message(2)])
    assert [m.offset for m in everything(tmp_path)] == [0, 1, 2]


def as_a_crash_leaves_it(folder: Path, durable: int) -> None:
    """The writer died between the write and its fsync: `head` tells of less than the segment holds."""
    (folder / "head").write_bytes(durable.to_bytes(8, "little"))


def three_batches(folder: Path, *, payload: bytes = b"AAAA") -> tuple[Path, list[int]]:
    """A log of batches of 2, 1 and 3 messages in one segment: its file, and where each begins, and the end."""
    places = [0]
    with LogWriter(folder) as log:
        for first, count in ((0, 2), (2, 1), (3, 3)):
            log.append([message(number, payload=payload) for number in range(first, first + count)])
            places.append(log._size)
    return segments(folder)[-1][1], places


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_an_unfinished_last_batch_is_cut_wherever_it_ends(share, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    path, places = three_batches(folder)
    os.truncate(path, places[-2] + int(share * (places[-1] - places[-2])))
    as_a_crash_leaves_it(folder, 3)
    with LogWriter(folder) as log:
        assert (log.next_offset, path.stat().st_size) == (3, places[-2])
        log.append([message(3, payload=b"again")])
    assert [m.payload for m in everything(folder)] == [b"AAAA"] * 3 + [b"again"]


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_last_batch_with_a_wrong_byte_is_cut_wherever_that_is(share, flip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    path, places = three_batches(folder)
    spoil(path, places[-2] + 4 + int(share * (places[-1] - places[-2] - 4)), flip)  # the tag itself is not needed
    as_a_crash_leaves_it(folder, 3)
    with LogWriter(folder) as log:
        assert (log.next_offset, path.stat().st_size) == (3, places[-2])


def spoil(path: Path, at: int, flip: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= flip
    path.write_bytes(data)


@pytest.mark.parametrize("spoiled", [0, 1, 2])
@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_what_was_durable_and_is_damaged_keeps_its_place_and_is_told(spoiled, share, flip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    path, places = three_batches(folder)
    spoil(path, places[spoiled] + 4 + int(share * (places[spoiled + 1] - places[spoiled] - 4)), flip)
    lost = [[0, 1], [2], [3, 4, 5]][spoiled]
    for restarted in (False, True):
        if restarted:
            with LogWriter(folder) as log:
                assert log.next_offset == 6
                log.append([message(6)])
        found = everything(folder)
        assert [m.offset for m in found] == list(range(7 if restarted else 6))
        assert [m.offset for m in found if m.flags & Flag.DAMAGED] == lost
        assert {m.source for m in found if m.flags & Flag.DAMAGED} == {path.name}
        assert {m.payload for m in found[:6] if not m.flags & Flag.DAMAGED} == {b"AAAA"}


def test_damage_is_said_once_with_its_place(tmp_path):
    path, places = three_batches(tmp_path)
    spoil(path, places[2] - 1)
    with structlog.testing.capture_logs() as said:
        everything(tmp_path)
    (line,) = said
    place = (line["segment"], line["from_byte"], line["to_byte"], line["first_offset"], line["messages"])
    assert line["log_level"] == "error" and place == (path.name, places[1], places[2], 2, 1)


def test_a_whole_segment_that_is_gone_is_damage(tmp_path):
    with LogWriter(tmp_path, segment_bytes=1) as log:
        for number in range(3):
            log.append([message(number)])
    segments(tmp_path)[1][1].unlink()
    assert [m.flags & Flag.DAMAGED for m in everything(tmp_path)] == [0, Flag.DAMAGED, 0]


def test_a_lost_end_that_was_durable_is_not_given_to_others(tmp_path):
    path, places = three_batches(tmp_path)
    os.truncate(path, places[2] + 5)  # the disk had said that it was there
    with structlog.testing.capture_logs() as said, LogWriter(tmp_path) as log:
        assert log.next_offset == 6
        log.append([message(6)])
    assert [line["event"] for line in said] == ["an unfinished batch was cut", "the end of the log is gone"]
    assert [m.offset for m in everything(tmp_path) if m.flags & Flag.DAMAGED] == [3, 4, 5]


def test_a_payload_that_looks_like_a_batch_is_none(tmp_path):
    with LogWriter(tmp_path) as log:
        log.append([message(0)])
        forged = pack(b"BFR1", 1, [message(1, payload=b"forged")])
        log.append([message(1, payload=forged)])
        end = log._size
    os.truncate(segments(tmp_path)[-1][1], end - 1)
    as_a_crash_leaves_it(tmp_path, 1)
    with LogWriter(tmp_path) as log:
        assert log.next_offset == 1


def damaged(chance: Random, segment: bytes, others: list[bytes], tag: bytes) -> bytes:
    """A segment of which bytes changed, are missing or are too many; headers are hit as often as all the rest."""
    place = chance.randrange(len(segment))
    match chance.randrange(5):
        case 0:
            return segment[:place]
        case 1:
            return segment[:place] + chance.randbytes(chance.randint(1, 3)) + segment[place + 1 :]
        case 2:
            return segment[:place] + segment[place + chance.randint(1, 60) :]
        case 3:
            return segment[:place] + chance.choice(others)[: chance.randrange(200)] + segment[place:]
    header = chance.choice([found.start() for found in re.finditer(re.escape(tag), segment)])
    field, width = chance.choice(((4, 4), (8, 4), (12, 8), (20, 4), (24, 2)))
    number = int.from_bytes(segment[header + field : header + field + width], "little")
    told = max(0, number + chance.choice((-number, -2, -1, 1, 2, 2**15))) % 256**width
    return segment[: header + field] + told.to_bytes(width, "little") + segment[header + field + width :]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_of_a_damaged_log_nothing_wrong_is_read(seed, tmp_path_factory):
    """What is read is what was written, or told as damaged: never another message, never for ever, never an error."""
    chance, folder = Random(seed), tmp_path_factory.mktemp("log")
    written = [
        Message(n, n, chance.choice("ab"), f"city/{n}", chance.randbytes(chance.randrange(30))) for n in range(60)
    ]
    with LogWriter(folder, segment_bytes=600) as log:
        while log.next_offset < len(written):
            log.append(written[log.next_offset : log.next_offset + chance.randint(1, 5)])
    whole, tag = {path: path.read_bytes() for _, path in segments(folder)}, tag_of(log.log_id)
    for _ in range(12):
        path = chance.choice(list(whole))
        path.write_bytes(damaged(chance, whole[path], list(whole.values()), tag))
        reader, offset = LogReader(folder), chance.randrange(len(written))
        while messages := reader.read(offset, chance.choice((1, 7, 100))):
            assert [m.offset for m in messages] == list(range(offset, offset + len(messages)))
            assert all(m.flags & Flag.DAMAGED or m == written[m.offset] for m in messages)
            offset += len(messages)
        assert offset == len(written)
        reader.close()
        path.write_bytes(whole[path])


def test_a_reader_reads_no_further_than_what_is_durable(tmp_path):
    with LogWriter(tmp_path) as log:
        log.append([message(0)])
        reader = LogReader(tmp_path)
        log._head.set(0)  # as between write and fsync
        assert reader.read(0, 10) == []
        log._head.set(1)
        assert len(reader.read(0, 10)) == 1


def test_a_reader_follows_over_segments_while_they_are_written(tmp_path):
    with LogWriter(tmp_path, segment_bytes=1) as log:
        log.append([message(0)])
        reader = LogReader(tmp_path)
        assert [m.offset for m in reader.read(0, 10)] == [0]
        for number in range(1, 5):
            log.append([message(number)])
            assert [m.offset for m in reader.read(number, 10)] == [number]
        assert [m.offset for m in reader.read(2, 10)] == [2, 3, 4]


def test_trim_removes_only_what_every_reader_has_read(tmp_path):
    with LogWriter(tmp_path, segment_bytes=1) as log:
        for number in range(6):
            log.append([message(number)])
        assert trim(tmp_path, 3) == 2
        reader = LogReader(tmp_path)
        assert reader.first_offset == 2
        assert [m.offset for m in reader.read(3, 10)] == [3, 4, 5]
        with pytest.raises(LogError, match="trimmed"):
            reader.read(0, 10)
        assert trim(tmp_path, 100) == 2  # the last two segments stay
        assert reader.first_offset == 4


def test_nothing_is_trimmed_while_somebody_holds_the_log(tmp_path):
    with LogWriter(tmp_path, segment_bytes=1) as log:
        for number in range(6):
            log.append([message(number)])
        with held(tmp_path):
            with held(tmp_path):
                assert trim(tmp_path, 100) == 0
            assert trim(tmp_path, 100) == 0
        assert trim(tmp_path, 100) == 4


def test_a_log_begins_again_at_an_offset(tmp_path):
    with LogWriter(tmp_path) as log:
        log.append([message(0)])
    begin_at(tmp_path, log.log_id, 40)
    with LogWriter(tmp_path) as again:
        assert (again.log_id, again.next_offset) == (log.log_id, 40)
        assert again.append([message(0)]) == 40
        reader = LogReader(tmp_path)
        assert (reader.first_offset, [m.offset for m in reader.read(40, 10)]) == (40, [40])


def test_one_writer_at_a_time(tmp_path):
    with LogWriter(tmp_path), pytest.raises(AlreadyRunning):
        LogWriter(tmp_path)


def test_a_log_that_is_not_there_is_said(tmp_path):
    with pytest.raises(LogError, match="no log"):
        LogReader(tmp_path / "nowhere")


def test_what_was_written_is_no_surprise_at_the_next_start(tmp_path):
    for start in range(3):
        with LogWriter(tmp_path / "log") as log:
            assert not log.surprise
            log.append([message(start)])


@pytest.mark.parametrize("how", ["removed", "moved", "replaced by a copy"])
def test_a_folder_that_goes_while_it_is_written_takes_no_message_with_it(tmp_path, how):
    with LogWriter(tmp_path / "log") as log:
        log.append([message(0)])
        if how == "removed":
            shutil.rmtree(tmp_path / "log")
        else:
            (tmp_path / "log").rename(tmp_path / "aside")
        if how == "replaced by a copy":
            shutil.copytree(tmp_path / "aside", tmp_path / "log")
        for attempt in (lambda: log.append([message(1)]), log.roll, log.check):
            with pytest.raises(LogMoved, match="removed or replaced while it was written"):
                attempt()
        assert log.next_offset == 1


@pytest.mark.parametrize("how", ["removed", "replaced by a copy"])
def test_a_reader_notices_that_its_log_has_gone(tmp_path, how):
    with LogWriter(tmp_path / "log") as log:
        log.append([message(0)])
        reader = LogReader(tmp_path / "log", check_s=0)
        assert len(reader.read(0, 10)) == 1 and reader.read(1, 10) == []
        (tmp_path / "log").rename(tmp_path / "aside")
        if how == "replaced by a copy":
            shutil.copytree(tmp_path / "aside", tmp_path / "log")
        with pytest.raises(LogMoved, match="removed or replaced while it was read"):
            reader.read(1, 10)
        reader.close()


def test_a_lost_log_begins_anew_and_says_so(tmp_path):
    with LogWriter(tmp_path / "log") as log:
        log.append([message(0)])
        lost = log.log_id
    shutil.rmtree(tmp_path / "log")
    with LogWriter(tmp_path / "log") as log:
        assert (
            log.surprise == f"the log in {tmp_path / 'log'} is lost: log {lost}, which had 1 messages. A new one begins"
        )
        assert log.log_id != lost
    with LogWriter(tmp_path / "log") as log:
        assert not log.surprise


def test_another_log_is_told_from_the_one_that_was_written(tmp_path):
    for name in ("log", "other"):
        with LogWriter(tmp_path / name) as log:
            log.append([message(0)])
    other = log.log_id
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "other").rename(tmp_path / "log")
    with LogWriter(tmp_path / "log") as log:
        assert "was replaced" in log.surprise and log.log_id == other and log.next_offset == 1


def test_offsets_that_were_given_out_are_never_given_out_again_under_the_same_id(tmp_path):
    with LogWriter(tmp_path / "log") as log:
        log.append([message(0)])
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
        log.append([message(1)])
        before = log.log_id
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "copy").rename(tmp_path / "log")
    with LogWriter(tmp_path / "log") as log:
        assert "ends at 1, but 2 messages were written to it" in log.surprise
        assert log.log_id != before
        log.append([message(2)])
    assert [m.topic for m in everything(tmp_path / "log")] == [message(0).topic, message(2).topic]
