"""What was quarantined, read again: as messages that update history and state and page nobody. Pure."""

from collections.abc import Sequence

from ingest.log import Flag, Message
from store.release import Held


def messages_again(held: Sequence[Held]) -> list[Message]:
    """Held messages as a stretch of a log of their own, from offset 0, with the times at which they first came."""
    return [
        Message(place, one.received_us, one.source, one.topic, one.payload, Flag.REPLAY)
        for place, one in enumerate(held)
    ]
