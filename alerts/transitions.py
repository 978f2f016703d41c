"""The log of transitions, as tele-alert reads it. Pure."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

BATCH = 5_000
IDLE_S = 0.2
"""Real time between two looks when there was nothing."""


class Message(Protocol):
    """A message of the transitions log."""

    @property
    def payload(self) -> bytes:
        """A devices.transition.Transition, encoded."""


class Transitions(Protocol):
    """The log of transitions, as its reader shows it."""

    @property
    def log_id(self) -> UUID:
        """Which log it is."""

    @property
    def first_offset(self) -> int:
        """The oldest that is still kept."""

    @property
    def next_offset(self) -> int:
        """The offset after the last message."""

    def read(self, offset: int, limit: int) -> Sequence[Message]:
        """Up to `limit` messages from an offset on, one per offset; empty at the end."""
