"""How often somebody may try a password. Pure: the time is an argument."""

from collections import OrderedDict
from dataclasses import dataclass, field

WINDOW_S = 300.0
MAX_FAILURES = 5
MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class Attempts:
    """Failed attempts of the last five minutes by key (an address with a login), bounded in memory."""

    _failures: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def wait_s(self, key: str, now_s: float) -> float:
        """Seconds until the next attempt is heard; 0 when it is heard now."""
        recent = self._recent(key, now_s)
        return 0.0 if len(recent) < MAX_FAILURES else recent[-MAX_FAILURES] + WINDOW_S - now_s

    def failed(self, key: str, now_s: float) -> None:
        self._failures[key] = [*self._recent(key, now_s), now_s]
        self._failures.move_to_end(key)
        while len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)

    def _recent(self, key: str, now_s: float) -> list[float]:
        return [at_s for at_s in self._failures.get(key, ()) if at_s > now_s - WINDOW_S]
