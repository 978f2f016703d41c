"""What intake recognises as delivered again, and how it reads a topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import MQTTMessage

from ingest.intake import Recent, topic_of


def test_what_came_lately_is_known_and_what_came_long_ago_is_not():
    recent = Recent(size=2)
    for payload in (b"1", b"2", b"3"):
        recent.add("t", payload)
    assert ("t", b"1") not in recent
    assert ("t", b"2") in recent
    assert ("t", b"3") in recent
    assert ("u", b"3") not in recent


@given(st.lists(st.sampled_from([b"a", b"b", b"c"])), st.integers(1, 4))
def test_the_same_message_twice_is_forgotten_only_with_its_last(payloads, size):
    recent = Recent(size=size)
    for payload in payloads:
        recent.add("t", payload)
    assert {p for p in (b"a", b"b", b"c") if ("t", p) in recent} == set(payloads[-size:])


@pytest.mark.parametrize(
    ("topic", "read"),
    [("city/é".encode(), "city/é"), (b"city/\xff", "city/\\xff"), (b"\xff" * 65_535, ("\\xff" * 65_535)[:65_535])],
)
def test_a_topic_that_is_no_text_is_read_all_the_same(topic: bytes, read: str):
    """MQTT forbids it and Mosquitto refuses it; were it to come from another broker, intake must not die of it."""
    assert topic_of(MQTTMessage(topic=topic)) == read
