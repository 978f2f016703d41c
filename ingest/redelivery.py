"""What a broker delivers again after a lost connection, told from what is new. Pure.

A broker delivers in the order in which it took messages. On a session that it kept it begins again with what was not
acknowledged, marked as delivered again (DUP). One that was killed begins again where its memory on disk was, a second
or two back, and what only waited then comes without that mark although it was delivered since. So what comes first on a
kept session, and follows what came last in the same order, is the same messages again.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

RECENT = 100_000
"""Messages of one source that are remembered: more than a broker delivers in REWIND_S."""
REWIND_US = 10_000_000
"""How far a killed broker's memory may lie back; Mosquitto writes it every two seconds, and the writing takes time."""
ALL_NEW = 5_000
"""So many messages after the first new one, more than a broker has under way at once, nothing is delivered again."""


@dataclass(slots=True)
class Redelivery:
    """The messages that come first on a kept session, followed along those that had come before."""

    places: dict[int, list[int]]
    """Of each digest that came before, its places in their order."""
    oldest: int
    """First place at which the memory of a killed broker may begin."""
    place: int = -1
    follows: bool = True
    """Has all of it come before, in this order, up to `place`?"""
    new: int = 0
    """Messages since it follows no longer."""

    def has(self, digest: int, *, is_marked: bool) -> bool:
        """Did this message come before? Without the broker's mark only one that follows."""
        places = self.places.get(digest, [])
        after = bisect_right(places, self.place if is_marked else max(self.place, self.oldest - 1))
        if after < len(places) and (self.follows or is_marked):
            self.place = places[after]
            return True
        self.follows = False
        self.new += 1
        return is_marked and bool(places)


@dataclass(slots=True)
class Received:
    """What came from one source lately; `came_before` recognises what the broker delivers again."""

    size: int = RECENT
    _recent: deque[tuple[int, int]] = field(init=False)
    """Digest and time of reception."""
    _again: Redelivery | None = None

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.size)

    def add(self, topic: str, payload: bytes, at_us: int) -> None:
        """Remember a message that is durable; not one that came before."""
        self._recent.append((hash((topic, payload)), at_us))

    def resume(self, *, rewind_us: int = REWIND_US) -> None:
        """A connection begins on a session that the broker kept; `rewind_us` is in the time of reception."""
        places: dict[int, list[int]] = {}
        for place, (digest, _) in enumerate(self._recent):
            places.setdefault(digest, []).append(place)
        since_us = self._recent[-1][1] - rewind_us if self._recent else 0
        oldest = next((place for place, (_, at_us) in enumerate(self._recent) if at_us >= since_us), 0)
        self._again = Redelivery(places, oldest)

    def start(self) -> None:
        """A connection begins on a session of its own: nothing is delivered again."""
        self._again = None

    def came_before(self, topic: str, payload: bytes, *, is_marked: bool) -> bool:
        """Is this one of the messages that are remembered, delivered again? `is_marked`: the broker says so."""
        if self._again is None:
            return False
        came_before = self._again.has(hash((topic, payload)), is_marked=is_marked)
        if self._again.new > ALL_NEW:
            self._again = None
        return came_before
