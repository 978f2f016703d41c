"""How much the quarantine holds at most: law 2's one exception. Pure but for `load`; runs store/queries/quarantine.sql.

Of each source and reason so many messages and bytes are kept, the first that came; then a few of the newest as
samples (`quarantine_full`), and the others are counted. What came over a quota is kept as samples from the start.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from devices.readings import Excess, Rejected
from store.database import Connection
from store.sql import statements

SQL = statements("quarantine")
FULL = "quarantine_full"
SAMPLED = frozenset({"over_quota", "too_many_strangers", FULL})
LOADED_S = 600.0
"""Somebody may delete from the quarantine: it is looked at again so often."""

Of = tuple[str, str]
"""(source, reason)"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of each source and reason."""

    messages: int = 20_000
    """Messages, and parts of some."""
    bytes: int = 100_000_000
    samples: int = 1000
    """Of a reason whose messages are samples: the newest, ..."""
    sample_bytes: int = 16_384
    """... none of which is larger."""
    samples_at_once: int = 10
    """In one write of the store, and ..."""
    samples_every_s: float = 10.0
    """... not in every write: it must not be busy with samples."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What becomes of messages that were refused."""

    kept: list[Rejected]
    counted: list[Rejected]
    excess: Excess
    """Those of a reason whose quarantine is full."""
    too_many: dict[Of, int]
    """So many of the oldest samples give way."""


@dataclass(slots=True)
class Room:
    """What the quarantine holds."""

    bounds: Bounds
    messages: dict[Of, int] = field(default_factory=lambda: defaultdict(int))
    bytes: dict[Of, int] = field(default_factory=lambda: defaultdict(int))
    sampled_s: dict[Of, float] = field(default_factory=dict)
    """When a sample was last taken."""
    loaded_s: float = field(default_factory=time.monotonic)

    @classmethod
    async def load(cls, connection: Connection, bounds: Bounds) -> Self:
        """As the database says."""
        room = cls(bounds)
        for row in await (await connection.execute(SQL["held"])).fetchall():
            of = (row["source"], row["reason"])
            room.messages[of], room.bytes[of] = row["messages"], row["bytes"]
        return room

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.loaded_s > LOADED_S

    def share(self, rejected: Sequence[Rejected], now_s: float) -> Shared:
        """Tell what is kept from what is only counted, and remember it as held; `now_s` is of a steady clock."""
        bounds = self.bounds
        kept: list[Rejected] = []
        counted: list[Rejected] = []
        excess: Excess = Counter()
        at_once: Counter[Of] = Counter()
        for one in rejected:
            if one.reason not in SAMPLED:
                of = (one.source, one.reason)
                if self.messages[of] < bounds.messages and self.bytes[of] + len(one.payload) <= bounds.bytes:
                    self._hold(of, one)
                    kept.append(one)
                    continue
                excess[one.source, FULL, one.reason] += 1
                one = replace(one, reason=FULL, detail=f"{one.reason}: {one.detail}")  # noqa: PLW2901
            of = (one.source, one.reason)
            rested = now_s - self.sampled_s.get(of, -bounds.samples_every_s) >= bounds.samples_every_s
            if rested and at_once[of] < bounds.samples_at_once and len(one.payload) <= bounds.sample_bytes:
                at_once[of] += 1
                self._hold(of, one)
                kept.append(one)
            else:
                counted.append(one)
        too_many = {of: self.messages[of] - bounds.samples for of in at_once if self.messages[of] > bounds.samples}
        self.sampled_s.update(dict.fromkeys(at_once, now_s))
        for of in too_many:
            self.messages[of] = bounds.samples
        return Shared(kept, counted, excess, too_many)

    def _hold(self, of: Of, one: Rejected) -> None:
        self.messages[of] += 1
        self.bytes[of] += len(one.payload)
