"""What intake recognises as delivered again, and what it takes for new."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.redelivery import ALL_NEW, Received

SECOND_US = 1_000_000


def received(*payloads: bytes, size: int = 100) -> Received:
    """A source of which these came, one a second, and whose session was then resumed."""
    found = Received(size)
    for number, payload in enumerate(payloads):
        found.add("t", payload, number * SECOND_US)
    found.resume()
    return found


def known(source: Received, *payloads: bytes, is_marked: bool = False) -> list[bool]:
    return [source.came_before("t", payload, is_marked=is_marked) for payload in payloads]


@pytest.mark.parametrize(
    ("came", "comes", "expected"),
    [
        ((b"1", b"2", b"3"), (b"2", b"3", b"4"), [True, True, False]),
        ((b"1", b"2", b"3"), (b"3", b"2"), [True, False]),  # 2 is new: it comes out of order
        ((b"1", b"2", b"3"), (b"4", b"2"), [False, False]),  # after a new one all are new
        ((b"1", b"1"), (b"1", b"1", b"1"), [True, True, False]),  # the third is one more
        ((b"1", b"qos 0", b"2"), (b"1", b"2"), [True, True]),  # what the broker does not queue is skipped
        ((b"old", *(b"%d" % n for n in range(20))), (b"old",), [False]),  # no memory lies so far back
        ((), (b"1",), [False]),
    ],
)
def test_without_the_brokers_mark_what_follows_in_order_came_before(
    came: tuple[bytes, ...], comes: tuple[bytes, ...], expected: list[bool]
):
    assert known(received(*came), *comes) == expected


def test_what_the_broker_marks_is_known_in_any_order_and_however_long_ago():
    source = received(b"old", *(b"%d" % n for n in range(20)))
    assert known(source, b"new", b"7", b"old", is_marked=True) == [False, True, True]


def test_a_marked_message_is_followed_by_those_that_only_waited():
    source = received(b"1", b"2", b"3")
    assert known(source, b"1", is_marked=True) + known(source, b"2", b"3", b"1") == [True, True, True, False]


def test_what_was_kept_without_its_payload_is_known_by_its_topic():
    source = Received(100)
    for topic, payload in (("t", b"1"), ("loud", None), ("t", b"2")):
        source.add(topic, payload, 0)
    source.resume()
    again = [("t", b"1"), ("loud", b"all of it"), ("t", b"2"), ("loud", b"one more")]
    told = [source.came_before(topic, payload, is_marked=False) for topic, payload in again]
    assert told == [True, True, True, False]


def test_another_topic_is_another_message():
    assert not received(b"1").came_before("u", b"1", is_marked=True)


def test_on_a_new_session_nothing_came_before():
    source = received(b"1")
    source.start()
    assert known(source, b"1", is_marked=True) == [False]


def test_it_is_over_once_many_new_ones_came():
    source = received(b"1", b"2")
    assert not any(known(source, *(b"new %d" % n for n in range(ALL_NEW + 1))))
    assert known(source, b"1", is_marked=True) == [False]


@given(
    st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=30),
    st.data(),
)
def test_a_broker_that_begins_again_anywhere_is_recognised(came: list[bytes], data: st.DataObject):
    """Whatever repeats: of a run to the end of what came, all is known, and what is new comes out of it."""
    source = Received(100)
    for payload in came:
        source.add("t", payload, 0)
    source.resume()
    begin = data.draw(st.integers(0, len(came)))
    again = came[begin : data.draw(st.integers(begin, len(came)))]
    assert all(known(source, *again))
    assert known(source, b"new", *came) == [False] * (len(came) + 1)
