"""The hub's own format: every byte comes back, and a person can read it."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulators import record
from simulators.record import End, Gap, Recorded, Start

AT_US = 1_780_000_000_123_456
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(
    st.binary()
    | st.text().map(str.encode)
    | JSON.map(lambda x: json.dumps(x, ensure_ascii=False).encode("utf-8", "replace")),
    st.text(st.characters(exclude_characters="#+\0", exclude_categories=("Cs",)), min_size=1),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.booleans(),
)
@example(b"[" * 5000 + b"]" * 5000, "t", 1, False, False)
@example(b'{"deep":' * 300 + b"1" + b"}" * 300, "t", 1, False, False)
@example(b'{"a": 1}\r\n', "t", 1, False, False)
@example(b'{"a":\r 1.50e+2, "a": 2}', "t", 1, False, False)
@example(b'{"a": 1.50e+2,  "a": 2}', "t", 1, False, False)
@example(b'{"json":{"end":1}}', "t", 0, True, True)
@example(b'"\xed\xa0\x80"', "t", 0, True, True)
def test_a_message_comes_back_byte_for_byte(payload: bytes, topic: str, qos: int, retain: bool, replayed: bool) -> None:
    message = Recorded(AT_US, topic, payload, qos, retain, replayed)
    line = record.message_line(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert record.is_line(line)
    assert record.parse(line.rstrip(b"\n")) == message
    json.loads(line)


def test_a_person_reads_json_as_json_and_text_as_text() -> None:
    at = '{"at":"2026-05-28T20:26:40.123456Z","topic":"t","qos":1,'
    for payload, told in (
        (b'{"power_w": 60.50}', '"json":{"power_w": 60.50}}\n'),
        ("zähler\n1".encode(), '"text":"zähler\\n1"}\n'),
        (b"\xff\xfe", '"base64":"//4="}\n'),
        (b"", '"text":""}\n'),
    ):
        assert record.message_line(Recorded(AT_US, "t", payload)).decode() == at + told


def test_the_lines_around_the_messages() -> None:
    assert record.parse(record.first_line(AT_US, ["city/#"], 60)) == Start()
    assert record.parse(record.gap_line(AT_US, 4.5, "away")) == Gap(4.5, "away")
    assert record.parse(record.last_line(AT_US, 3)) == End(3)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"nonsense", "no line of a record"),
        (b'{"at":"2026-05-28T20:26:40Z","topic":"t","qos":1,"json":{"a":', "no line of a record"),
        (b'{"at":"yesterday","topic":"t","qos":1,"text":""}', "no line of a record"),
        (b'{"at":"2026-05-28T20:26:40","topic":"t","qos":1,"text":""}', "no line of a record"),
        (b'{"topic":"t","qos":1,"text":""}', "time of reception"),
        (b'{"at":"2026-05-28T20:26:40Z","topic":"t","qos":3,"text":""}', "qos"),
        (b'{"at":"2026-05-28T20:26:40Z","topic":"t","text":""}', '"qos"'),
        (b'{"at":"2026-05-28T20:26:40Z","topic":"a/#","qos":1,"text":""}', "wildcard"),
        (b'{"at":"2026-05-28T20:26:40Z","topic":"a","qos":1}', "payload"),
        (b'{"at":"2026-05-28T20:26:40Z","topic":"a","qos":1,"base64":"*"}', "no line of a record"),
        (b'{"beffroi":"record 9","at":"2026-05-28T20:26:40Z"}', "record 9"),
    ],
)
def test_a_bad_line_says_why(line: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        record.parse(line)
