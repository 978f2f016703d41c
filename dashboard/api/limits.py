"""How often a key may ask. Pure: the time is an argument."""

from collections import OrderedDict
from dataclasses import dataclass, field

REQUESTS = 300
WINDOW_S = 60
MAX_REMEMBERED = 10_000
MAX_EXPORTS = 2
"""Exports that one process sends at once; each holds a connection to the database."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key has left in the present minute."""

    left: int
    """Below zero: this request is one too many."""
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """As the IETF's draft on rate limit headers names them."""
        headers = {
            "RateLimit-Policy": f'"key";q={REQUESTS};w={WINDOW_S}',
            "RateLimit": f'"key";r={max(self.left, 0)};t={self.reset_s}',
        }
        return headers if self.left >= 0 else {**headers, "Retry-After": str(self.reset_s)}


@dataclass(slots=True)
class Limits:
    """Requests of the present minute by key, bounded in memory; one process counts for itself."""

    exports: set[int] = field(default_factory=set)
    """Contracts to which an export is being sent."""
    _windows: OrderedDict[int, tuple[float, int]] = field(default_factory=OrderedDict)

    def ask(self, key_no: int, now_s: float) -> Allowance:
        """Count a request."""
        started_s, count = self._windows.get(key_no, (now_s, 0))
        if now_s - started_s >= WINDOW_S:
            started_s, count = now_s, 0
        self._windows[key_no] = (started_s, count + 1)
        self._windows.move_to_end(key_no)
        while len(self._windows) > MAX_REMEMBERED:
            self._windows.popitem(last=False)
        return Allowance(REQUESTS - count - 1, max(1, round(started_s + WINDOW_S - now_s)))

    def may_export(self, contract_no: int) -> bool:
        """Is there room for one more export, and none under way for this contract?"""
        return contract_no not in self.exports and len(self.exports) < MAX_EXPORTS
