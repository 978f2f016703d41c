"""Every codec against messages that are nearly right, by the million in `make soak`: nothing raises, all is counted.

A codec is found by its file and fuzzed from its own examples, so a new one needs no edit here.
"""

import json
import math
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.health_words import reasons
from dashboard.words import load_words
from devices.kind import kinds
from devices.registry import name_fault
from hub.clock import SECOND_US
from ingest.codecs.codec import WHOLE, Codec, Heard, Reason, codecs
from ingest.decode import AHEAD_US, EARLIEST_US, decode
from ingest.log import Message
from store.jsonb import jsonb
from tests.fuzz import Fuzz
from tests.readings import NOW_US

NAMES = sorted(codecs())
WORDS = {language: reasons(words) for language, words in load_words("Europe/Paris", {}).items()}
STRETCH = 100
FOUND = Path("tests/data/found")
GUIDED_RUNS = 1_000_000


def assert_lawful(codec: Codec, messages: list[Message]) -> None:
    """Whatever the messages, decoding accounts for each, and the store can keep all that it gives."""
    found = decode(messages, {"city": (codec, "dijon")}.get, {})
    counts = found.counts
    assert counts["messages"] == len(messages)
    assert counts["messages"] == sum(counts[f"messages_{what}"] for what in ("decoded", "quarantined", "duplicate"))
    assert counts["messages_quarantined"] == sum(rejected.part == WHOLE for rejected in found.rejected)
    assert counts["readings_quarantined"] == sum(rejected.part != WHOLE for rejected in found.rejected)
    assert counts["readings_withheld"] == sum(map(len, found.withheld))
    rows = sum(map(len, found.readings))
    assert counts["readings"] == rows + counts["readings_quarantined"] + counts["readings_withheld"]
    for rejected in found.rejected:
        assert rejected.reason in get_args(Reason)
        assert all(rejected.reason in told for told in WORDS.values())
        assert 10 < len(rejected.detail) < 400 and rejected.detail.isprintable(), rejected.detail
        assert rejected.topic == messages[rejected.offset - messages[0].offset].topic.encode()
    for readings in found.readings:
        assert not (abs(readings.values) == math.inf).any()
        assert (readings.ts_us >= EARLIEST_US).all() and (readings.ts_us <= readings.received_us + AHEAD_US).all()
        assert (readings.ts_us == readings.received_us)[readings.time_flagged].all()
        assert all(is_storable(rest) for rest in readings.rest.values())
        assert all(name_fault(name) is None for key in readings.strangers.values() for name in key)
    for event in found.events:
        assert event.code in {declared.code for declared in kinds()[event.key[1]].events}
        assert event.detail is None or is_storable(event.detail)
    assert all(is_storable(told.announced) for told in found.announcements)
    for message in messages:
        assert codec.decode(message.topic, message.payload, "dijon") or says_nothing(message), message


def is_storable(value: object) -> bool:
    """May it go into a jsonb column?"""
    written = jsonb(value)
    return b"\\u0000" not in written and b"\x00" not in written and json.loads(written) is not None


def says_nothing(message: Message) -> bool:
    """A retained message that is cleared, a list of nothing, a command: decoded, and rightly nothing comes of it."""
    text = message.payload.removeprefix(b"\xef\xbb\xbf").strip()
    return not text or text.replace(b" ", b"") == b"[]" or message.topic.rsplit("/", 1)[-1] in ("cmd", "cmd_ack")


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_its_own_examples(name: str):
    examples = codecs()[name].examples()
    assert examples
    for topic, payload in examples:
        found = codecs()[name].decode(topic, payload, "dijon")
        assert found and all(isinstance(part, Heard) for part in found), (topic, payload, found)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_what_is_nearly_right_is_accounted_for(name: str, chance: Random):
    assert_lawful(codecs()[name], Fuzz(codecs()[name], chance).stretch(3))


@pytest.mark.parametrize("count", [5_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", NAMES)
def test_and_so_are_very_many(name: str, count: int, capsys: pytest.CaptureFixture[str]):
    seed, began = secrets.randbits(32), time.perf_counter()
    fuzz = Fuzz(codecs()[name], Random(seed))
    for place in range(0, count, STRETCH):
        messages = fuzz.stretch(STRETCH, first_offset=place)
        try:
            assert_lawful(codecs()[name], messages)
        except Exception as error:
            raise AssertionError(f"{name}: stretch {place // STRETCH} of seed {seed}") from error
    if count >= 1_000_000:
        with capsys.disabled():
            sys.stdout.write(f" {name}: {count:,} messages, {count / (time.perf_counter() - began):,.0f} a second ")


# Guided by what it reaches of the code (atheris); what it finds stays as a regression


def found_by(name: str) -> list[Path]:
    """Inputs that once failed, and are to be kept in the repository: a topic, a line feed and a payload."""
    return sorted(FOUND.glob(f"{name}-*"))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_once_stays_mended(name: str):
    for path in found_by(name):
        topic, _, payload = path.read_bytes().partition(b"\n")
        message = Message(0, NOW_US, "city", topic.decode("utf-8", "replace"), payload)
        assert_lawful(codecs()[name], [message])


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_a_million_guided_inputs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 only; elsewhere it needs clang")
    FOUND.mkdir(exist_ok=True)
    limits = [f"-runs={GUIDED_RUNS}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=1"]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.guided", name, str(tmp_path), f"-artifact_prefix={FOUND}/{name}-", *limits],
        capture_output=True,
        text=True,
        check=False,
    )
    said = ran.stderr[-3_000:]
    assert ran.returncode == 0, f"commit the input that {FOUND} now holds, and mend {name}:\n{said}"
    with capsys.disabled():
        sys.stdout.write(f" {name}: {ran.stderr.strip().splitlines()[-1]} ")


# Time: what a payload costs grows with its bytes, not with their square


def filled(text: str) -> Callable[[int], str]:
    """A text of so many bytes, by repetition."""
    return lambda n: (text * (n // len(text) + 1))[:n]


SHAPES: Mapping[str, Callable[[int], str]] = {
    "digits": filled("9"),
    "digits after a point": lambda n: "0." + "3" * n,
    "digits of an exponent": lambda n: "1e" + "0" * n + "1",
    "open lists": filled("["),
    "lists": lambda n: "[" * (n // 2) + "]" * (n // 2),
    "open objects": filled('{"a":'),
    "objects": lambda n: '{"a":' * (n // 6) + "1" + "}" * (n // 6),
    "empty objects": lambda n: "[" + "{}," * (n // 3) + "{}]",
    "odd elements": lambda n: "[" + '{"id":7,"total_m3":"x"},' * (n // 24) + "0]",
    "deep elements": lambda n: "[" + ("[" * 70 + "]" * 70 + ",") * (n // 141) + "0]",
    "names": lambda n: "{" + "".join(f'"{i:06}":{i},' for i in range(n // 16)) + '"a":1}',
    "one name again and again": lambda n: "{" + '"total_m3":1,' * (n // 13) + '"total_m3":1}',
    "a long name": lambda n: '{"' + "x" * n + '":1}',
    "a text of brackets": lambda n: '{"media":"water","id":"1","status":"' + "(" * n + '"}',
    "a text of words": lambda n: '{"media":"water","id":"1","status":"' + "ERROR_ " * (n // 7) + '"}',
    "a text of underscores": lambda n: '{"media":"water","id":"1","status":"' + "_" * n + '"}',
    "a text of spaces": lambda n: '{"media":"water","id":"1","status":"' + " " * n + '"}',
    "a text of backslashes": lambda n: '"' + "\\\\" * (n // 2) + '"',
    "open texts": filled('"'),
    "escapes": lambda n: '"' + "\\u0061" * (n // 6) + '"',
    "half characters": filled('"\\ud800" '),
    "places": lambda n: '{"lat":1,"x":[' + '{"lat":47.1,"lon":5.1},' * (n // 23) + '0],"speed_kmh":"x"}',
    "cut places": filled('{"lat" : 47.1, '),
    "places without an end": lambda n: '{"lat":' + " " * n,
    "a time": lambda n: '{"ts":"2026-05-28T20:26:40.' + "1" * n + 'Z"}',
    "a leap second": lambda n: '{"ts":"' + "T23:59:6" * (n // 8) + '"}',
    "NUL": filled("\x00"),
    "spaces": filled(" "),
    "commas": filled(","),
}
ONE_KIND = "/fleet_vehicle/"
SMALL, TIMES_LARGER = 6_000, 8


def cost_s(codec: Codec, topic: str, payload: bytes) -> float:
    """Processor time of decoding and refusing a message, the least of two."""
    took = []
    for _ in range(2):
        began = time.thread_time()
        decode([Message(0, NOW_US, "city", topic, payload)], {"city": (codec, "dijon")}.get, {})
        took.append(time.thread_time() - began)
    return min(took)


def growth(codec: Codec, topic: str, shape: Callable[[int], str]) -> float:
    """By how much a byte costs more in a payload that is larger; a linear cost gives about 1, a square one 8."""
    small, large = (shape(n).encode() for n in (SMALL, SMALL * TIMES_LARGER))
    floor_s = 0.002
    return (
        max(cost_s(codec, topic, large), floor_s)
        / max(cost_s(codec, topic, small), floor_s / TIMES_LARGER)
        / TIMES_LARGER
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_no_payload_costs_more_than_its_bytes(shape: str):
    for name in NAMES:
        topics = [topic for topic, _ in codecs()[name].examples() if topic.count("/") != 4 or ONE_KIND in topic]
        for topic in topics:
            grown = [growth(codecs()[name], topic, SHAPES[shape])]
            while grown[-1] >= 4 and len(grown) < 4:  # a busy machine: look again
                grown.append(growth(codecs()[name], topic, SHAPES[shape]))
            assert min(grown) < 4, (
                f"{name} on {topic}: a byte of {shape} costs {grown} times as much in a larger payload"
            )


@pytest.mark.parametrize("level", ["x" * 65_000, "'\";--", "<b>", "=1+1", "é", "\u202e", "\U0001f6b0"])
@pytest.mark.parametrize("name", NAMES)
def test_no_topic_that_is_refused_is_remembered(name: str, level: str):
    codec = codecs()[name]
    for topic, payload in codec.examples():
        for place in range(topic.count("/") + 1):
            levels = topic.split("/")
            levels[place] = level
            assert_lawful(codec, [Message(0, NOW_US + SECOND_US, "city", "/".join(levels), payload)])
