"""What a broker delivers again after a lost connection, told from what is new. Pure.

A broker delivers in the order in which it took messages. On a session that it kept it begins again with what was not
acknowledged, marked as delivered again (DUP). One that was killed begins again where its memory on disk was, a second
or two back, and what only waited then comes without that mark although it was delivered since. So what comes first on a
kept session, and follows what came last in the same order, is the same messages again.
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass

from ingest.segment import Flag, Message

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


class Received:
    """What came from one source lately; `came_before` recognises what the broker delivers again."""

    def __init__(self, size: int = RECENT) -> None:
        self._digests, self._times_us = (array("q", bytes(8 * size)) for _ in range(2))
        self._count = 0
        self._again: Redelivery | None = None

    def add(self, topic: str, payload: bytes | None, at_us: int) -> None:
        """Remember a message that is durable; not one that came before. None: its payload was not kept whole."""
        place = self._count % len(self._digests)
        self._digests[place], self._times_us[place] = hash((topic, payload)), at_us
        self._count += 1

    def remember(self, message: Message) -> None:
        """Remember a message of the log, unless it came before."""
        if not message.flags & Flag.DUPLICATE:
            whole = None if message.flags & Flag.OVER_QUOTA else message.payload
            self.add(message.topic, whole, message.received_us)

    def resume(self, *, rewind_us: int = REWIND_US) -> None:
        """A connection begins on a session that the broker kept; `rewind_us` is in the time of reception."""
        size = len(self._digests)
        recent = range(max(0, self._count - size), self._count)
        places: dict[int, list[int]] = {}
        for number in recent:
            places.setdefault(self._digests[number % size], []).append(number)
        since_us = self._times_us[(self._count - 1) % size] - rewind_us
        oldest = next((number for number in recent if self._times_us[number % size] >= since_us), self._count)
        self._again = Redelivery(places, oldest)

    def start(self) -> None:
        """A connection begins on a session of its own: nothing is delivered again."""
        self._again = None

    def came_before(self, topic: str, payload: bytes, *, is_marked: bool) -> bool:
        """Is this one of the messages that are remembered, delivered again? `is_marked`: the broker says so."""
        if self._again is None:
            return False
        known = hash((topic, payload))
        if known not in self._again.places and (topic_only := hash((topic, None))) in self._again.places:
            known = topic_only
        came_before = self._again.has(known, is_marked=is_marked)
        if self._again.new > ALL_NEW:
            self._again = None
        return came_before
