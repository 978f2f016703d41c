"""Cursors come back as they went, and nothing else is one."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.api.cursor import BadCursor, cursor_of, cursor_of_number, number_of, place_of
from store.delegate import Place

NOW = datetime(2026, 11, 23, 6, 0, 0, 123456, tzinfo=UTC)


@given(st.integers(1, 2**31 - 1), st.integers(0, 10**15))
def test_a_place_survives(device_no, us):
    place = Place(device_no, NOW - timedelta(microseconds=us))
    assert place_of(cursor_of(place)) == place


@given(st.integers(0, 2**62))
def test_a_number_survives(number):
    assert number_of(cursor_of_number(number)) == number


@given(st.text(max_size=100))
def test_any_text_is_a_cursor_or_refused(text):
    for read in (place_of, number_of):
        try:
            read(text)
        except BadCursor:
            continue


@pytest.mark.parametrize(
    "said", ["", ".", "1", "1.", ".1", "-1.5", "1.5.6", "9999999999.1", "1." + "9" * 18, "\u0661.1"]
)
def test_what_we_did_not_say_is_refused(said):
    with pytest.raises(BadCursor):
        place_of(base64.urlsafe_b64encode(said.encode()).decode().rstrip("="))
