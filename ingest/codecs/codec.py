"""What every codec gives back: what was heard of a device, or why not. Pure."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, Protocol

import msgspec

from devices.kind import Kind
from devices.readings import Key

Reason = Literal[
    "invalid_json",
    "wrong_topic",
    "wrong_type",
    "unknown_kind",
    "unknown_event",
    "unknown_source",
    "out_of_range",
    "no_identity",
    "too_large",
    "unsupported",
    "conflict",
    "damaged",
    "over_quota",
    "too_many_strangers",
    "quarantine_full",
]
WHOLE = -1
"""The part number of a message as a whole."""
DEEPEST = 64
"""Levels of lists and objects inside each other that are kept; real payloads have three or four."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """One reading, event or announcement of one device."""

    part: int
    """Place in the message's array, from 0."""
    key: Key
    """(commune, kind, id)"""
    ts_us: int | None
    """Event time in microseconds since 1970, None when the device told none."""
    values: tuple[float | None, ...]
    """In the order of the kind's fields; None is unknown."""
    event: str | None = None
    rest: dict[str, object] | None = None
    """What the kind does not declare."""
    announced: dict[str, object] | None = None
    """What the device says of itself, to be commissioned."""

    @property
    def kind(self) -> str:
        return self.key[1]


class Reject(msgspec.Struct, frozen=True, gc=False):
    """A message, or a part of one, that goes into quarantine."""

    part: int
    reason: Reason
    detail: str
    """A sentence for a person."""


class Codec(Protocol):
    """One format of messages: whom a topic speaks of, and how a payload becomes readings."""

    name: str

    def address(self, topic: str, commune: str) -> tuple[str, str] | None:
        """The (commune, kind) that a topic speaks of, where the topic alone tells it."""

    def carries_many(self, topic: str) -> bool:
        """May many devices speak on this one topic? Its quota is then a gateway's."""

    def decode(self, topic: str, payload: bytes, commune: str) -> list[Heard | Reject]:
        """Read a message; `commune` is the source's, for formats that carry none. Never raises."""

    def parts(self, payload: bytes) -> Sequence[bytes]:
        """The parts of a payload that was read, by their number, each as the payload of a message of its own."""

    def examples(self) -> Sequence[tuple[str, bytes]]:
        """Some messages that it reads whole, as topic and payload: one of each sort; tests begin with them."""


def shown(text: str, most: int = 100) -> str:
    """A stranger's text for a sentence: quoted, of at most so many characters, none of which moves a cursor."""
    quoted = repr(text[:most])
    return quoted if len(quoted) <= most else f"{quoted[: most - 4]}...{quoted[0]}"


def is_too_deep(value: object, levels: int = DEEPEST) -> bool:
    """Are lists or objects in it nested so deep that later steps, which go down level by level, could fail?"""
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_too_deep(one, levels - 1) for one in inner)


def in_order(kind: Kind, fields: Mapping[str, float | None]) -> tuple[float | None, ...]:
    """Values by field name, as the tuple that `Heard` wants."""
    return tuple(fields.get(name) for name in kind.field_names)


@cache
def codecs() -> Mapping[str, Codec]:
    """Every codec by name: the files of this folder that hold a `CODEC`."""
    found = {}
    for module_info in pkgutil.iter_modules(__import__("ingest.codecs", fromlist=["codecs"]).__path__):
        codec: Codec | None = getattr(importlib.import_module(f"ingest.codecs.{module_info.name}"), "CODEC", None)
        if codec is not None:
            found[codec.name] = codec
    return found
