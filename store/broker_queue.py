"""What the broker tells of its own queue, under $SYS as Mosquitto does. Pure."""

from dataclasses import dataclass, field

_OF = {
    "$SYS/broker/store/messages/count": "stored",
    "$SYS/broker/retained messages/count": "retained",
    "$SYS/broker/store/messages/bytes": "size_bytes",
    "$SYS/broker/publish/messages/dropped": "dropped",
    "$SYS/broker/load/publish/dropped/15min": "dropped_per_min",
    "$SYS/broker/heap/current": "heap_bytes",
}
TOPICS = tuple(_OF)
"""To subscribe to; they are retained, and renewed every ten seconds (sys_interval) when they change."""


@dataclass(frozen=True, slots=True)
class BrokerQueue:
    """What waits in the broker."""

    waiting: int
    """Messages that somebody has still to take; those that are also retained are not counted."""
    size_bytes: int
    """Of all messages that it holds, retained ones too."""
    dropped: int
    """Since it started, for want of room."""
    dropped_per_min: float
    """Lately: over 15 minutes, fading."""
    heap_bytes: int
    """Its memory; 0 when it does not tell."""


@dataclass(slots=True)
class Told:
    """What a broker has told so far; empty it when the connection is lost."""

    values: dict[str, float] = field(default_factory=dict)

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message in; False when it is not about the queue."""
        name = _OF.get(topic)
        if name is None:
            return False
        try:
            self.values[name] = float(payload)
        except ValueError:
            self.values.pop(name, None)
        return True

    @property
    def is_complete(self) -> bool:
        return len(self.values) == len(_OF)

    @property
    def queue(self) -> BrokerQueue | None:
        """None when the broker does not tell how much it holds."""
        told = self.values.get
        if (stored := told("stored")) is None:
            return None
        return BrokerQueue(
            waiting=max(0, int(stored - told("retained", 0))),
            size_bytes=int(told("size_bytes", 0)),
            dropped=int(told("dropped", 0)),
            dropped_per_min=told("dropped_per_min", 0),
            heap_bytes=int(told("heap_bytes", 0)),
        )
