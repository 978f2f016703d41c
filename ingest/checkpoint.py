"""The rules' checkpoint: the boards' state and how far they had read, in one file replaced at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from hub.errors import BadFile
from ingest import arrays
from rules.board import Board

NUMBERS = "device_no"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State by kind: arrays by name, with the device numbers they are of."""

    log_id: UUID
    next_offset: int
    """First message that the state has not seen."""
    next_transition: int
    """First transition that came after the state."""
    state: Mapping[str, Mapping[str, NDArray[np.generic]]]

    def restore(self, board: Board) -> None:
        """Put what the checkpoint knows of a board's devices on it."""
        if (state := self.state.get(board.kind.name)) is not None:
            board.take_over(state[NUMBERS].astype(np.int32), state)


def save(path: Path, boards: Mapping[str, Board], *, log_id: UUID, next_offset: int, next_transition: int) -> None:
    """Replace the checkpoint; OSError when the disk refuses, and then the one before is there."""
    found: dict[str, NDArray[np.generic]] = {
        "log_id": np.array(str(log_id)),
        "next_offset": np.array(next_offset),
        "next_transition": np.array(next_transition),
    }
    for kind, board in boards.items():
        found[f"{kind}/{NUMBERS}"] = board.device_no
        found |= {f"{kind}/{name}": array for name, array in board.arrays()}
    arrays.write(path, found)


def load(path: Path) -> Checkpoint | None:
    """The last checkpoint, None when there is none yet; BadFile when it is damaged."""
    if (found := arrays.read(path)) is None:
        return None
    state: dict[str, dict[str, NDArray[np.generic]]] = {}
    for name, array in found.items():
        kind, _, rest = name.partition("/")
        if rest:
            state.setdefault(kind, {})[rest] = array
    try:
        log_id = UUID(str(found["log_id"]))
        return Checkpoint(log_id, int(found["next_offset"]), int(found["next_transition"]), state)
    except (ValueError, KeyError) as why:
        raise BadFile(f"{path} is damaged: {why}") from why
