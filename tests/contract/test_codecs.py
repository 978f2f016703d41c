"""Laws over every codec: whatever arrives, it answers with readings or with a reason, and it never raises."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from devices.kind import kinds
from devices.registry import name_fault
from ingest.codecs.codec import WHOLE, Codec, Heard, Reason, Reject, codecs
from ingest.codecs.native import elements

NAMES = sorted(codecs())
TOPICS = (
    "city/dijon/street_lighting/L1/telemetry",
    "city/dijon/water_meter/gw/batch",
    "city/dijon/street_lighting/A1/state",
    "city/dijon/street_lighting/L1/config",
    "/hfp/v2/journey/ongoing/vp/bus/0012/01211/4735/1/Mikkola/08:01/4820213/4/60;25/31/30/90",
    "/hfp/v2/deadrun/ongoing/doo/bus/0012/01211",
    "wmbusmeters/cave",
)
PAYLOADS = (
    b'{"ts": "2026-11-23T08:00:00Z", "dim_pct": 100, "power_w": 58.2}',
    b'[{"id": "m1", "ts": 1700000000000, "total_m3": 3.5}, {"id": "m2", "leak": true}]',
    b'{"VP":{"tst":"2024-05-13T05:51:38.280Z","tsi":1715579498,"spd":1,"hdg":51,"lat":60.3,"long":25.1,"drst":1}}',
    b'{"DOO":{"tst":"2024-05-13T05:51:38.280Z","lat":0,"long":0}}',
    b'{"media":"water","id":"1","total_m3":1,"status":"LEAK","timestamp":"1111-11-11T11:11:11Z"}',
    b'{"media":"electricity","id":"1"}',
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES_SEEN = """
ts id event lat lon long spd tst tsi drst odo VP DOO media water status total_m3 leak dim_pct timestamp type
"""
names_seen = st.sampled_from(NAMES_SEEN.split())
objects = st.dictionaries(names_seen, json_values | st.sampled_from(["water", "OK", "1", 0, -1, 1e308, 2**70]))
near_payloads = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(PAYLOADS),
    json_values.map(lambda value: json.dumps(value).encode()),
    objects.map(lambda value: json.dumps(value).encode()),
    st.lists(objects, max_size=3).map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from(["VP", "DOO"]), objects).map(lambda pair: json.dumps({pair[0]: pair[1]}).encode()),
    st.tuples(st.sampled_from(PAYLOADS), st.integers(0, 120), st.binary(min_size=1, max_size=3)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + 1 :]
    ),
)
near_topics = st.one_of(
    st.sampled_from(TOPICS),
    st.text(max_size=80),
    st.lists(st.text(max_size=12) | st.sampled_from(["hfp", "v2", "city", "vp", "telemetry"]), max_size=12).map(
        "/".join
    ),
)


def assert_lawful(codec: Codec, topic: str, payload: bytes) -> None:
    for part in codec.decode(topic, payload, "dijon"):
        if isinstance(part, Reject):
            assert part.reason in get_args(Reason)
            assert part.part >= WHOLE and part.detail
            continue
        assert isinstance(part, Heard)
        kind = kinds()[part.kind]
        assert part.part >= 0
        assert len(part.values) == len(kind.fields)
        assert all(value is None or isinstance(value, int | float) for value in part.values)
        assert part.event is None or part.event in {event.code for event in kind.events}
        assert name_fault(part.key[2]) is None and name_fault(part.key[0]) is None
        assert part.ts_us is None or abs(part.ts_us) < 2**63
        address = codec.address(topic, "dijon")
        assert address in (None, part.key[:2]), "what a topic tells agrees with what is heard"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=400, deadline=None)
@given(topic=near_topics, payload=near_payloads)
def test_nothing_that_arrives_makes_it_raise(name: str, topic: str, payload: bytes) -> None:
    assert_lawful(codecs()[name], topic, payload)


def assert_parts_stand_alone(codec: Codec, topic: str, payload: bytes) -> None:
    numbered = [found for found in codec.decode(topic, payload, "dijon") if found.part != WHOLE]
    parts = codec.parts(payload) if numbered else ()
    for found in numbered:
        (alone,) = codec.decode(topic, parts[found.part], "dijon")
        assert replace(alone, part=found.part) == found


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=400, deadline=None)
@given(topic=near_topics, payload=near_payloads)
def test_a_part_alone_is_read_as_it_was_among_others(name: str, topic: str, payload: bytes) -> None:
    assert_parts_stand_alone(codecs()[name], topic, payload)


@given(st.lists(json_values, max_size=5), st.sampled_from([None, 2]))
def test_an_array_is_taken_apart_by_its_structure(values: list[object], indent: int | None) -> None:
    payload = json.dumps(values, indent=indent).encode()
    assert repr([json.loads(one) for one in elements(payload)]) == repr(json.loads(payload))


@pytest.mark.parametrize(
    "payload",
    [
        b' [ 5 , [{"dim_pct": 1}], {"dim_pct": "x"}, {"id": "L2", "dim_pct": 3, "x": [1, 2]}, null]',
        b'{"dim_pct": 3, "x": 1}',
        b"[" + b"[" * 100 + b"]" * 100 + b', {"dim_pct": 1}]',
        b"[" + b"[" * 250 + b"]" * 250 + b"]",
        b"[" + b"[" * 900 + b"]" * 900 + b"]",
        b"[" + b"[" * 985 + b"]" * 985 + b"]",
    ],
    ids=["odd elements", "an object", "deep", "deeper", "far too deep", "at Python's limit"],
)
def test_odd_parts_stand_alone(payload: bytes) -> None:
    for topic in TOPICS[:2]:
        assert codecs()["native"].decode(topic, payload, "dijon")
        assert_parts_stand_alone(codecs()["native"], topic, payload)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'"' + b"x" * 1_000_000 + b'"',
        b"9" * 5_000,
        b'{"total_m3": 1e999}',
        b"\x00",
        b"\xff" * 100,
        b'"\\ud800"',
    ],
    ids=["deep list", "deep object", "1 MB text", "long number", "infinity", "NUL", "not UTF-8", "half a character"],
)
def test_hostile_payloads(name: str, topic: str, payload: bytes) -> None:
    assert_lawful(codecs()[name], topic, payload)
    assert all(isinstance(part, Reject) for part in codecs()[name].decode(topic, payload, "dijon"))


def recordings() -> Iterator[tuple[str, str, bytes]]:
    for line in Path("tests/data/hsl-hfp.dump").read_bytes().splitlines():
        head, _, rest = line.partition(b" {")
        yield "hfp", head.split(b" ", 1)[1].decode(), b"{" + rest
    for line in Path("tests/data/wmbusmeters.jsonl").read_bytes().splitlines():
        yield "wmbusmeters", "wmbusmeters/cave", line


def test_recordings_are_read_lawfully_and_the_same_each_time() -> None:
    for name, topic, payload in recordings():
        assert_lawful(codecs()[name], topic, payload)
        assert codecs()[name].decode(topic, payload, "dijon") == codecs()[name].decode(topic, payload, "dijon")


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_is_named_as_its_file(name: str) -> None:
    assert type(codecs()[name]).__module__ == f"ingest.codecs.{name}"


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_declared_example_is_heard_whole(kind: str) -> None:
    for example in kinds()[kind].examples.values():
        (found,) = codecs()["native"].decode(f"city/dijon/{kind}/x/telemetry", msgspec.json.encode(example), "nowhere")
        assert isinstance(found, Heard)
        told = {name for name, value in zip(kinds()[kind].field_names, found.values, strict=True) if value is not None}
        assert told == set(example) - {"ts"}
        assert found.rest is None and found.ts_us is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_on_which_many_devices_speak_is_known_as_such(name):
    codec = codecs()[name]
    for topic in TOPICS:
        heard = [part for payload in PAYLOADS for part in codec.decode(topic, payload, "dijon")]
        if len({part.key for part in heard if isinstance(part, Heard)}) > 1:
            assert codec.carries_many(topic), topic
    assert codecs()["native"].carries_many(TOPICS[1]) and not codecs()["native"].carries_many(TOPICS[0])
