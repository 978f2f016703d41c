"""Where a page ended, as an opaque text that a program sends back. Pure."""

import base64
import binascii
from datetime import UTC, datetime

from hub.clock import to_datetime, to_us
from store.delegate import Place

MAX_NO = 2**31 - 1
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class BadCursor(ValueError):
    """A cursor that no answer of ours gave."""


def cursor_of(place: Place) -> str:
    """The text for a place among readings."""
    return _packed(f"{place.device_no}.{to_us(place.ts)}")


def place_of(cursor: str) -> Place:
    """The place that a text stands for; BadCursor when it is none."""
    device_no, _, ts_us = _unpacked(cursor).partition(".")
    return Place(_number(device_no, MAX_NO), to_datetime(_number(ts_us, to_us(LATEST))))


def cursor_of_number(number: int) -> str:
    """The text for a place in a list that is sorted by number."""
    return _packed(str(number))


def number_of(cursor: str) -> int:
    """The number that a text stands for; BadCursor when it is none."""
    return _number(_unpacked(cursor), 2**62)


def _packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError) as error:
        raise BadCursor("the cursor is not one that an answer gave as next_cursor") from error


def _number(text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= largest):
        raise BadCursor("the cursor is not one that an answer gave as next_cursor")
    return int(text)
