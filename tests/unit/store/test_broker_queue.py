"""What a broker tells of its queue."""

import pytest

from store.broker_queue import TOPICS, BrokerQueue, Told

MOSQUITTO = {
    "$SYS/broker/store/messages/count": b"853",
    "$SYS/broker/retained messages/count": b"353",
    "$SYS/broker/store/messages/bytes": b"130218",
    "$SYS/broker/publish/messages/dropped": b"12",
    "$SYS/broker/load/publish/dropped/15min": b"0.80",
    "$SYS/broker/heap/current": b"1497480",
}
"""From Mosquitto 2.0.21."""


def test_what_waits_is_what_is_stored_and_not_kept() -> None:
    told = Told()
    assert all(told.take(topic, payload) for topic, payload in MOSQUITTO.items())
    assert told.is_complete and set(TOPICS) == set(MOSQUITTO)
    assert told.queue == BrokerQueue(500, 130_218, 12, 0.8, 1_497_480)


@pytest.mark.parametrize("topic", ["city/a", "$SYS/broker/uptime"])
def test_other_topics_are_somebody_else_s(topic: str) -> None:
    assert not Told().take(topic, b"1")


def test_a_broker_that_does_not_tell_has_no_queue() -> None:
    told = Told()
    assert told.queue is None
    assert told.take("$SYS/broker/store/messages/count", b"many") and told.queue is None
