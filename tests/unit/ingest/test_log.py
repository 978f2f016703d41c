"""The log keeps what it says it keeps, through rolls, trims, torn ends and crashes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import AlreadyRunning, LogCorrupt, LogError
from ingest.log import Flag, LogReader, LogWriter, Message, begin_at, held, segments, trim


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


@pytest.mark.parametrize("cut", [1, 10, 30, 60])
def test_a_torn_end_is_cut(tmp_path, cut):
    with LogWriter(tmp_path) as log:
        log.append([message(0)])
        log.append([message(1)])
    path = segments(tmp_path)[-1][1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with LogWriter(tmp_path) as log:
        assert log.next_offset == 1
        log.append([message(1, payload=b"again")])
    assert [m.payload for m in everything(tmp_path)] == [b"{}", b"again"]


def test_a_changed_byte_is_noticed(tmp_path):
    with LogWriter(tmp_path) as log:
        log.append([message(0, payload=b"AAAA")])
    path = segments(tmp_path)[-1][1]
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AAAB"))
    with pytest.raises(LogCorrupt, match="checksum"):
        LogReader(tmp_path).read(0, 10)


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
