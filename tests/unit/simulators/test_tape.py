"""Files of recordings as streams: formats told by their content, bad and truncated files named with their lines."""

import gzip
import json
from pathlib import Path

import pytest

from hub.errors import BadFile
from simulators import record
from simulators.record import Gap, Recorded
from simulators.tape import BadLine, TextTape, open_tape

DATA = Path("tests/data")
BUS = b'2024-05-13T05:46:07Z /hfp/v2/x {"VP":{}}'
AT_US = 1_780_000_000_000_000


def messages(path: Path) -> list[Recorded]:
    return [item for item in open_tape(path).items() if isinstance(item, Recorded)]


def bad(path: Path) -> list[BadLine]:
    return [item for item in open_tape(path).items() if isinstance(item, BadLine)]


def a_record(count: int) -> bytes:
    told = (record.message_line(Recorded(AT_US + i, "t", b"%d" % i)) for i in range(count))
    return record.first_line(AT_US, ["#"], 1) + b"".join(told) + record.last_line(AT_US + count, count)


def test_the_samples_are_recognised_and_read_whole() -> None:
    bus, water = DATA / "hsl-hfp.dump", DATA / "wmbusmeters.jsonl"
    assert (len(messages(bus)), bad(bus)) == (445, [])
    assert 7 * 60e6 < (messages(bus)[-1].at_us or 0) - (messages(bus)[0].at_us or 0) < 10 * 60e6
    assert (len(messages(water)), bad(water)) == (68, [])
    assert messages(water)[0].topic == "wmbusmeters/21031894"


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_record_is_read_whole(tmp_path: Path, packed: object) -> None:
    path = tmp_path / "record"
    path.write_bytes(packed(a_record(30)))  # type: ignore[operator]
    assert [m.payload for m in messages(path)] == [b"%d" % i for i in range(30)]
    assert bad(path) == []
    tape = open_tape(path)
    assert len(list(tape.items())) == len(list(tape.items())) == 30, "it can be played again"
    assert tape.place == tape.length


def test_a_record_that_was_cut_off_says_where(tmp_path: Path) -> None:
    lines = a_record(30).splitlines(keepends=True)
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"".join(lines[:-1]))
    assert [line.number for line in bad(path)] == [32] and "without its last line" in bad(path)[0].reason
    path.write_bytes(b"".join(lines[:20]) + lines[20][:25])
    assert [line.number for line in bad(path)] == [21, 22]
    assert len(messages(path)) == 19
    packed = gzip.compress(a_record(30_000))
    path.write_bytes(packed[: len(packed) // 2])
    (line,) = bad(path)
    assert len(messages(path)) == line.number - 2 > 1000, "what is there is played"
    assert "cut off or damaged" in line.reason


def test_records_one_after_the_other_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_bytes(a_record(2) + a_record(1).replace(b'{"at"', record.gap_line(AT_US, 2.5, "away") + b'{"at"', 1))
    assert len(messages(path)) == 3
    assert bad(path) == []
    assert [item for item in open_tape(path).items() if isinstance(item, Gap)] == [Gap(2.5, "away")]


def test_bad_lines_are_named_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "mixed.dump"
    path.write_bytes(BUS + b"\r\n\nnonsense\n" + BUS + b"\n")
    assert [m.payload for m in messages(path)] == [b'{"VP":{}}'] * 2
    assert [line.number for line in bad(path)] == [3]


def test_a_meter_without_identity_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "meters.jsonl"
    path.write_text('{"id": "7", "total_m3": 1}\n{"total_m3": 2}\n{"id": "a/b"}\n[1]\n')
    assert [json.loads(m.payload)["id"] for m in messages(path)] == ["7"]
    assert [line.number for line in bad(path)] == [2, 3, 4]


def test_a_file_that_is_no_recording_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir,\n")
    with pytest.raises(BadFile, match=r"letter\.txt: no recording"):
        open_tape(path)
    with pytest.raises(BadFile, match="No such file"):
        open_tape(tmp_path / "nowhere.dump")
    with pytest.raises(BadFile, match="Is a directory"):
        open_tape(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(BadFile, match="no recording"):
        open_tape(tmp_path / "empty")


def test_the_format_is_told_by_what_most_lines_are() -> None:
    assert TextTape(DATA / "hsl-hfp.dump").recording.name == "hsl"
