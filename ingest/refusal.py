"""A disk that refuses, as the log of a process tells it: one line when it begins, one when it ends."""

import threading
import time
from dataclasses import dataclass, field

import structlog

logger = structlog.get_logger("disk")


@dataclass(slots=True)
class Refusal:
    """What cannot be done while it lasts, said once by whichever thread meets it first."""

    what: str
    """The line that begins it."""
    over: str
    """The line that ends it."""
    _since_s: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_on(self) -> bool:
        return self._since_s is not None

    def began(self, why: str) -> None:
        """It does not go; says so the first time."""
        with self._lock:
            if self._since_s is None:
                self._since_s = time.monotonic()
                logger.error(self.what, why=why)

    def ended(self) -> None:
        """It goes; says so when it did not before."""
        if self._since_s is None:
            return
        with self._lock:
            if self._since_s is not None:
                logger.info(self.over, after_s=round(time.monotonic() - self._since_s, 1))
                self._since_s = None
