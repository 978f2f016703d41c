"""What intake knows of a source when it starts, and how it reads a topic."""

import threading
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from ingest.intake import Journal, topic_of
from ingest.log import Flag, LogWriter, Message


def test_what_the_log_holds_is_known_after_a_restart_by_source_and_in_order(tmp_path: Path):
    with LogWriter(tmp_path) as log:
        log.append([Message(0, 1, "city", "t", b"1"), Message(0, 2, "hsl", "t", b"2")])
        log.append([Message(0, 3, "city", "t", b"1", Flag.DUP | Flag.DUPLICATE), Message(0, 4, "city", "t", b"3")])
        received = Journal(log, threading.Event()).received_lately()
    assert set(received) == {"city", "hsl"}
    city = received["city"]
    city.resume()
    told = [city.came_before("t", payload, is_marked=False) for payload in (b"1", b"3", b"2")]
    assert told == [True, True, False], "a duplicate of the first is not one more"


@pytest.mark.parametrize(
    ("topic", "read"),
    [("city/é".encode(), "city/é"), (b"city/\xff", "city/\\xff"), (b"\xff" * 65_535, ("\\xff" * 65_535)[:65_535])],
)
def test_a_topic_that_is_no_text_is_read_all_the_same(topic: bytes, read: str):
    """MQTT forbids it and Mosquitto refuses it; were it to come from another broker, intake must not die of it."""
    assert topic_of(MQTTMessage(topic=topic)) == read
