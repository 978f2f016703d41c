"""How much may be said on one topic: so many messages and so many bytes a second, and a burst of them. Pure."""

from dataclasses import dataclass

BURST_S = 10.0
"""What a rate allows in so many seconds may come at once."""
GATEWAY_MESSAGES, GATEWAY_BYTES = 100, 10
"""So many times as much on a topic that carries the messages of many devices."""

LEVELS = 9
"""The first levels of a topic say who speaks. What follows is told by some feeds about a vehicle: stop, place."""


def speaker(topic: str) -> str:
    """Who shares a quota: whoever speaks under the same first levels."""
    return topic if topic.count("/") < LEVELS else "/".join(topic.split("/", LEVELS)[:LEVELS])


@dataclass(frozen=True, slots=True)
class Rate:
    """What a topic may use up in the long run; a message takes some seconds of it."""

    message_s: float
    """Of one message, however small; 0 when there is no limit."""
    byte_s: float

    @classmethod
    def of(cls, messages_per_s: float, bytes_per_s: float) -> "Rate":
        """From limits a second; 0 is none."""
        return cls(1 / messages_per_s if messages_per_s else 0.0, 1 / bytes_per_s if bytes_per_s else 0.0)

    def times(self, messages: float, bytes_: float) -> "Rate":
        """So many times as much."""
        return Rate(self.message_s / messages, self.byte_s / bytes_)

    def cost_s(self, size: int) -> float:
        """How many seconds of the rate a message of `size` bytes uses up."""
        return max(self.message_s, size * self.byte_s)
