"""What was heard, as columns: the hand-over from decoding to the rules and the store. Pure.

Times are int64 microseconds since 1970 (UTC); values are float64 with NaN for unknown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from devices.kind import Kind

Key = tuple[str, str, str]
"""(commune, kind, id): who a device is."""
UNKNOWN = -1
"""The number of a device that the registry does not know."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one kind as columns, in the order of the log; n rows.

    `values` has shape (fields, n), float64, NaN where a device told nothing. Times are microseconds since 1970.
    `replayed` marks what must page nobody; `time_flagged` what has its time of reception in place of its own.
    """

    kind: Kind
    offset: NDArray[np.int64]
    part: NDArray[np.int32]
    device_no: NDArray[np.int64]
    ts_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    time_flagged: NDArray[np.bool_]
    replayed: NDArray[np.bool_]
    values: NDArray[np.float64]
    rest: Mapping[int, dict[str, object]]
    """By row, for the few that carry more than the kind declares."""
    strangers: Mapping[int, Key]
    """By row, devices that the registry does not know; their number is UNKNOWN."""

    def __len__(self) -> int:
        return len(self.ts_us)

    @staticmethod
    def joined(parts: Sequence["Readings"]) -> "Readings":
        """Readings of one kind, one part after the other, without what only the store wants of them."""
        if len(parts) == 1:
            return parts[0]
        return Readings(
            parts[0].kind,
            np.concatenate([part.offset for part in parts]),
            np.concatenate([part.part for part in parts]),
            np.concatenate([part.device_no for part in parts]),
            np.concatenate([part.ts_us for part in parts]),
            np.concatenate([part.received_us for part in parts]),
            np.concatenate([part.time_flagged for part in parts]),
            np.concatenate([part.replayed for part in parts]),
            np.concatenate([part.values for part in parts], axis=1),
            {},
            {},
        )

    def where(self, rows: NDArray[np.bool_]) -> "Readings":
        """Only the rows of a mask, shape (n,)."""
        return self if rows.all() else self.take(np.flatnonzero(rows))

    def take(self, rows: NDArray[np.integer]) -> "Readings":
        """The rows of these indices, in their order."""
        rest, strangers = self.rest, self.strangers
        if rest or strangers:
            wanted = list(enumerate(rows.tolist()))
            rest = {new: rest[old] for new, old in wanted if old in rest}
            strangers = {new: strangers[old] for new, old in wanted if old in strangers}
        return Readings(
            self.kind,
            self.offset[rows],
            self.part[rows],
            self.device_no[rows],
            self.ts_us[rows],
            self.received_us[rows],
            self.time_flagged[rows],
            self.replayed[rows],
            self.values[:, rows],
            rest,
            strangers,
        )


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a device."""

    offset: int
    part: int
    key: Key
    ts_us: int
    received_us: int
    code: str
    time_flagged: bool
    detail: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Announced:
    """What a device says of itself."""

    key: Key
    received_us: int
    announced: dict[str, object]
    offset: int
    part: int


Excess = Counter[tuple[str, str, str]]
"""Messages, or parts of some, beyond a limit, by (source, reason, name): a topic, a kind or another reason."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message or a part of one on its way to the quarantine."""

    offset: int
    part: int
    received_us: int
    source: str
    topic: bytes
    payload: bytes
    reason: str
    detail: str


class Refuse(Protocol):
    """How a reading that was read, but cannot be stored, goes to the quarantine."""

    def __call__(self, offset: int, part: int, reason: str, detail: str) -> Rejected: ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a stretch of the log says. `next_offset` is the first message after it."""

    first_offset: int
    next_offset: int
    readings: Sequence[Readings]
    withheld: Sequence[Readings]
    """Readings that privacy forbids to keep, stripped to the fields that say so: for the rules, never stored."""
    events: Sequence[Happened]
    announcements: Sequence[Announced]
    rejected: Sequence[Rejected]
    refuse: Refuse
    counts: Mapping[str, int]
    """messages, messages_decoded, messages_quarantined, messages_duplicate, messages_over_quota, readings,
    readings_quarantined, readings_withheld: see the table `reader`."""
    over_quota: Excess = field(default_factory=Counter)
    """Those whose topic was over its quota."""

    def __len__(self) -> int:
        """How many messages."""
        return self.next_offset - self.first_offset
