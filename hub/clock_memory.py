"""What a home remembers of hub time, which never goes back between two runs; pure but for one small file."""

import json
from dataclasses import dataclass
from pathlib import Path

from hub.clock import SECOND_US, Clock
from hub.errors import BadFile
from hub.secrets import write_private

LEASE_S = 10
"""How often the file is renewed while hub time runs, in real seconds."""


@dataclass(frozen=True, slots=True)
class ClockMemory:
    """The file of a home whose hub time is, or may be, ahead of real time; absent when it is not."""

    path: Path

    def read_us(self) -> int | None:
        """A hub time that no process of an earlier run has passed, or None when real time is safe."""
        try:
            return int(json.loads(self.path.read_text())["hub_us"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise BadFile(f"{self.path} does not tell the hub's time ({error!r}); remove it") from error

    def renew(self, clock: Clock, real_us: int) -> None:
        """Remember ahead of time, to the end of the lease: a killed hub then jumps forward, never back."""
        self._write(clock, clock.at_us(real_us + 2 * LEASE_S * SECOND_US), real_us)

    def close(self, clock: Clock, real_us: int) -> None:
        """Remember exactly, once every process has stopped."""
        self._write(clock, clock.at_us(real_us), real_us)

    def _write(self, clock: Clock, hub_us: int, real_us: int) -> None:
        if clock.is_real or clock.at_us(real_us) <= real_us:
            self.path.unlink(missing_ok=True)
        else:
            write_private(self.path, json.dumps({"hub_us": hub_us}))


def starting_clock(real_us: int, remembered_us: int | None, speed: float) -> Clock:
    """The clock of a run that begins at `real_us`: real time at speed 1, unless the home is ahead of it."""
    hub_us = max(real_us, remembered_us or 0)
    if speed == 1 and hub_us == real_us:
        return Clock()
    return Clock(real_us, hub_us, speed)
