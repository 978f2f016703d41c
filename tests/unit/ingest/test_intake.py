"""What intake recognises as delivered again."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.intake import Recent


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
