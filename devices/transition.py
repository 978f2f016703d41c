"""What the rules say and tele-alert hears: a device's rule fired or cleared. Pure."""

from typing import Literal

import msgspec

Action = Literal["fire", "clear"]
Quiet = Literal["", "replayed", "late"]


class Explanation(msgspec.Struct, frozen=True):
    """What the rule saw at that moment."""

    columns: dict[str, float | None]
    thresholds: dict[str, float]
    hold_s: float


class Transition(msgspec.Struct, frozen=True):
    """A rule fired or cleared on a device."""

    kind: str
    code: str
    device_no: int
    action: Action
    ts_us: int
    """Event time of the reading (or hub time, for a silence)."""
    at_us: int
    """Hub time at which the rules saw it."""
    priority: int
    quiet: Quiet
    """Why nobody is to be called for it; empty when somebody is. A quiet firing that a live reading confirms
    comes a second time, not quiet."""
    explanation: Explanation
    unstable: bool = False
    """Fires for the last time in a while: it came and went too often, and clears only after a long calm."""
    read_to: int = 0
    """How far in the log the rules had read: what a restart need not tell again."""

    @property
    def topic(self) -> str:
        """Its topic in the transitions log."""
        return f"{self.kind}/{self.code}"

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @staticmethod
    def decode(payload: bytes) -> "Transition":
        """Read a transition; msgspec.MsgspecError when the payload is none."""
        try:
            return msgspec.json.decode(payload, type=Transition)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error
