"""Reading JSON of other people's formats: objects, numbers and times, with words for what is wrong. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from hub.clock import to_us
from ingest.codecs.codec import DEEPEST, WHOLE, Reason, Reject, is_too_deep, shown
from store.jsonb import MAX_INTEGER, storable

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Windows writes before UTF-8; RFC 8259 lets a reader pass over it."""
NOT_UTF_8 = {
    b"\x1f\x8b": "it looks like gzip",
    b"\xff\xfe": "it looks like UTF-16",
    b"\xfe\xff": "it looks like UTF-16",
}
_LEAP_SECOND = re.compile(r"(T\d\d:\d\d:)60(?=\D|$)", re.IGNORECASE)


class RefusedError(Exception):
    """A message cannot be read; ends in the quarantine, never leaves a codec."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail

    def reject(self) -> Reject:
        return Reject(WHOLE, self.reason, self.detail)


def json_object(payload: bytes) -> dict[str, object]:
    """The JSON object that a payload is."""
    payload = payload.removeprefix(BYTE_ORDER_MARK)
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("invalid_json", not_json(payload, error)) from error
    if not isinstance(found, dict):
        raise RefusedError("wrong_type", f"expected a JSON object, found {_word(found)}")
    if is_too_deep(found):
        raise RefusedError("too_large", f"lists and objects are nested more than {DEEPEST} levels deep")
    return found


def not_json(payload: bytes, error: Exception) -> str:
    """Why a payload is not read, for a person."""
    looks = NOT_UTF_8.get(payload[:2], error)
    return f"not JSON in UTF-8 (NaN and Infinity are not JSON): {looks}"


def number(values: Mapping[str, object], name: str) -> float | None:
    """A number; None when absent or null."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError("wrong_type", f"{name}: expected a number, found {_word(value)}")
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        raise RefusedError("out_of_range", f"{name}: the number has too many digits")
    return float(value)


def text(values: Mapping[str, object], name: str) -> str | None:
    """A text; None when absent or null."""
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise RefusedError("wrong_type", f"{name}: expected a text, found {_word(value)}")
    return value


def instant_us(value: object) -> int | None:
    """An RFC 3339 time in microseconds since 1970; None for what is none or has no zone."""
    try:
        moment = (leap_second(value) or datetime.fromisoformat(value)) if isinstance(value, str) else None
        return to_us(moment) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def leap_second(value: str) -> datetime | None:
    """A time in a leap second as the same part of the second after it, as POSIX counts; None for any other text."""
    before, found = _LEAP_SECOND.subn(r"\g<1>59", value, count=1)
    try:
        return datetime.fromisoformat(before) + timedelta(seconds=1) if found else None
    except (ValueError, OverflowError):
        return None


def kept(values: Mapping[str, object], *, without: frozenset[str]) -> dict[str, object] | None:
    """What the kind does not declare, without nulls, as a database can keep it."""
    rest = {name: value for name, value in values.items() if name not in without and value is not None}
    return {str(storable(name)): storable(value) for name, value in rest.items()} or None


def _word(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return f"the text {shown(value, 40)}"
        case list():
            return "a list"
        case None:
            return "null"
    return "an object"
