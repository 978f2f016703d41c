"""The rules' checkpoint: the boards' state and how far they had read, in one file replaced at once."""

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hub.errors import BadFile
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
    """Replace the checkpoint; after a crash the old or the new one is there, whole."""
    arrays: dict[str, NDArray[np.generic]] = {
        "log_id": np.array(str(log_id)),
        "next_offset": np.array(next_offset),
        "next_transition": np.array(next_transition),
    }
    for kind, board in boards.items():
        arrays[f"{kind}/{NUMBERS}"] = board.device_no
        arrays |= {f"{kind}/{name}": array for name, array in board.arrays()}
    made = path.with_suffix(".new")
    try:
        with made.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        made.rename(path)
    except OSError:
        with suppress(OSError):
            made.unlink(missing_ok=True)  # it takes room
        raise


def load(path: Path) -> Checkpoint | None:
    """The last checkpoint, None when there is none yet; BadFile when it is damaged."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        state: dict[str, dict[str, NDArray[np.generic]]] = {}
        for name, array in arrays.items():
            kind, _, rest = name.partition("/")
            if rest:
                state.setdefault(kind, {})[rest] = array
        log_id = UUID(str(arrays["log_id"]))
        return Checkpoint(log_id, int(arrays["next_offset"]), int(arrays["next_transition"]), state)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as why:
        raise BadFile(f"{path} is damaged: {why}") from why
