"""When each source was last heard, in a file: how long the hub was away is not punished (ingest/quota.py)."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

EVERY_S = 10.0


@dataclass(slots=True)
class HeardFile:
    """Real time of the last word of each source, ten seconds old at most. Its loss, or a full disk, stops nothing."""

    path: Path
    saved_s: float = field(default_factory=time.monotonic)

    def silent_s(self) -> dict[str, float]:
        """For how long each source has not been heard now, by name; a source that never was is not in it."""
        try:
            heard = msgspec.json.decode(self.path.read_bytes(), type=dict[str, float])
        except (OSError, msgspec.MsgspecError):
            return {}
        return {name: max(0.0, time.time() - heard_at) for name, heard_at in heard.items()}

    def save(self, silent_s: Mapping[str, float]) -> None:
        """Write it anew."""
        self.saved_s = time.monotonic()
        draft = self.path.with_suffix(".part")
        with contextlib.suppress(OSError):
            draft.write_bytes(msgspec.json.encode({name: time.time() - s for name, s in silent_s.items()}))
            draft.replace(self.path)

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self.saved_s > EVERY_S
