"""JSON as PostgreSQL can keep it: what a stranger's payload holds must never stop the store. Pure."""

from collections.abc import Mapping

import msgspec

MAX_INTEGER = 2**63


def jsonb(value: object) -> bytes:
    """A JSON value, as decoded, in text for a jsonb column."""
    return msgspec.json.encode(storable(value))


def storable(value: object) -> object:
    """The value without NUL characters, which jsonb and text refuse; numbers past 64 bits become texts."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, Mapping):
        return {str(storable(name)): storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        return f"{value:.6e}" if abs(value) < 10**300 else "a number of more than 300 digits"
    return value
