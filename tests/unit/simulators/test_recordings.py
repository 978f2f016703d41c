"""Recordings: formats told by their content, event times moved, everything else byte for byte."""

import json
from pathlib import Path

import pytest

from hub.errors import BadFile
from simulators.recordings import RECORDINGS, recording_of
from simulators.replay import read_tape

DATA = Path("tests/data")
HFP, WMBUSMETERS = RECORDINGS
BUS = (
    b"2024-05-13T05:46:07.356238Z /hfp/v2/journey/ongoing/vp/bus/0012/01211/4735/1/Vanha Mikkola/08:01/48/0/60;25/31"
    b' {"VP":{"tst":"2024-05-13T05:46:07.980Z","tsi":1715579167,"spd":7.87, "lat":60.339711}}'
)


def test_the_samples_are_recognised_and_read_whole() -> None:
    bus = read_tape(DATA / "hsl-hfp.dump")
    assert (bus.recording, len(bus.messages), bus.bad) == (HFP, 445, ())
    assert bus.offset_us[0] == 0
    assert 7 * 60e6 < bus.offset_us[-1] < 10 * 60e6
    water = read_tape(DATA / "wmbusmeters.jsonl")
    assert (water.recording, len(water.messages), water.bad) == (WMBUSMETERS, 68, ())
    assert water.messages[0].topic == "wmbusmeters/21031894"
    assert water.offset_us[:3] == (0, 1_000_000, 2_000_000)


def test_a_topic_may_hold_spaces() -> None:
    message = HFP.parse(BUS)
    assert message.topic.endswith("/1/Vanha Mikkola/08:01/48/0/60;25/31")
    assert message.payload.startswith(b'{"VP"')
    assert message.at_us == 1_715_579_167_356_238


def test_shifting_moves_tst_and_tsi_and_nothing_else() -> None:
    payload = HFP.parse(BUS).payload
    moved = HFP.shift(payload, lambda us: us + 1_000_030_400, 0)
    assert moved == payload.replace(b"05:46:07.980Z", b"06:02:48.010Z").replace(b"1715579167", b"1715580168")
    assert HFP.shift(moved, lambda us: us - 1_000_030_400, 0) == payload


def test_a_payload_without_an_event_time_is_left_alone() -> None:
    for payload in (b'{"VP":{"lat":1}}', b'{"VP":{"tst":"yesterday","tsi":1}}'):
        assert HFP.shift(payload, lambda us: us + 10**9, 0) == payload


def test_placeholders_stay_and_true_times_become_now() -> None:
    placeholder = b'{"id": "1", "timestamp": "1111-11-11T11:11:11Z"}'
    assert WMBUSMETERS.shift(placeholder, int, 1_795_460_400_000_000) == placeholder
    dated = b'{"id": "1", "timestamp": "2024-12-11T20:10:00Z", "total_m3": 1}'
    now = b'{"id": "1", "timestamp": "2026-11-23T19:00:00Z", "total_m3": 1}'
    assert WMBUSMETERS.shift(dated, int, 1_795_460_400_000_000) == now


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"2024-05-13T05:46:07Z /hfp/v2/x", "expected a time"),
        (b"yesterday /hfp/v2/x {}", "expected a time"),
        (b'2024-05-13T05:46:07Z /hfp/v2/x {"VP":', "no JSON object"),
        (b"2024-05-13T05:46:07Z /hfp/#/x {}", "wildcard"),
        (b"2024-05-13T05:46:07Z /hfp/\xff/x {}", "not UTF-8"),
        (b"2024-13-45T05:46:07Z /hfp/v2/x {}", "month"),
    ],
)
def test_a_bad_line_says_why(line: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HFP.parse(line)


def test_bad_lines_are_named_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "mixed.dump"
    path.write_bytes(BUS + b"\n\nnonsense\n" + BUS + b"\n")
    tape = read_tape(path)
    assert len(tape.messages) == 2
    assert [line.number for line in tape.bad] == [3]


def test_a_meter_without_identity_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "meters.jsonl"
    path.write_text('{"id": "7", "total_m3": 1}\n{"total_m3": 2}\n{"id": "a/b"}\n[1]\n')
    tape = read_tape(path)
    assert [json.loads(m.payload)["id"] for m in tape.messages] == ["7"]
    assert [line.number for line in tape.bad] == [2, 3, 4]


def test_a_file_that_is_no_recording_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir,\n")
    with pytest.raises(BadFile, match=r"letter\.txt: no recording"):
        read_tape(path)
    with pytest.raises(BadFile, match="No such file"):
        read_tape(tmp_path / "nowhere.dump")
    with pytest.raises(BadFile, match="Is a directory"):
        read_tape(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(BadFile, match="no recording"):
        read_tape(tmp_path / "empty")


def test_a_first_bad_line_does_not_hide_the_format() -> None:
    assert recording_of([b"# a comment", BUS, BUS]) == HFP
