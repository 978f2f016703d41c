"""The rules' checkpoint: the boards' state and how far they had read, in one file replaced at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from hub.errors import BadFile
from ingest import arrays
from rules.board import Board, Delayed
from rules.life import FIRING, LOUD, PRIORITY_BIT

NUMBERS = "device_no"
WAITING = ("offset", "part", "device_no", "ts_us", "received_us", "time_flagged", "replayed", "values")
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State by kind: arrays by name, with the device numbers they are of."""

    log_id: UUID
    next_offset: int
    """First message that the state has not seen."""
    next_transition: int
    """First transition that came after the state."""
    state: Mapping[str, Arrays]

    def restore(self, board: Board) -> None:
        """Put what the checkpoint knows of a board's devices on it."""
        if (state := self.state.get(board.kind.name)) is None:
            return
        numbers: dict[str | None, NDArray[np.integer]] = {
            device_type.name: state[name].astype(np.int32)
            for device_type in board.kind.types
            if (name := f"{NUMBERS}.{device_type.name}") in state
        }
        board.take_over({None: state[NUMBERS].astype(np.int32), **numbers}, state)
        if not numbers:
            _take_over_first_format(board, state)
        for delayed in board.delayed:
            _put_back(delayed, state)


def save(path: Path, boards: Mapping[str, Board], *, log_id: UUID, next_offset: int, next_transition: int) -> None:
    """Replace the checkpoint; OSError when the disk refuses, and then the one before is there."""
    found: dict[str, NDArray[np.generic]] = {
        "log_id": np.array(str(log_id)),
        "next_offset": np.array(next_offset),
        "next_transition": np.array(next_transition),
    }
    for kind, board in boards.items():
        for type_, numbers in board.numbers().items():
            found[f"{kind}/{NUMBERS}.{type_}" if type_ else f"{kind}/{NUMBERS}"] = numbers
        found |= {f"{kind}/{name}": array for name, array, _ in board.arrays()}
        for delayed in board.delayed:
            found |= {f"{kind}/{name}": array for name, array in _waiting(delayed)}
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


def _waiting(delayed: Delayed) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """What waits for its time, as arrays."""
    prefix = f"late.{delayed.lateness_us}."
    yield f"{prefix}released_us", np.array(delayed.released_us)
    if delayed.waiting:
        waiting = Readings.joined(delayed.waiting)
        for name in WAITING:
            yield f"{prefix}waiting.{name}", getattr(waiting, name)


def _put_back(delayed: Delayed, state: Arrays) -> None:
    prefix = f"late.{delayed.lateness_us}."
    if f"{prefix}released_us" in state:
        delayed.released_us = int(state[f"{prefix}released_us"])
    columns = [state[f"{prefix}waiting.{name}"] for name in WAITING if f"{prefix}waiting.{name}" in state]
    if len(columns) == len(WAITING) and len(columns[-1]) == len(delayed.board.kind.fields):
        told = dict(zip(WAITING, columns, strict=True))
        delayed.waiting = [Readings(kind=delayed.board.kind, **told, rest={}, strangers={})]  # type: ignore[arg-type]


def _take_over_first_format(board: Board, state: Arrays) -> None:
    """Checkpoints had no numbers by type once, and every rule's state by row: what fires goes on firing."""
    row = board.rows(state[NUMBERS].astype(np.int32))
    for rule in board.rules:
        told = [state.get(f"rule.{rule.code}.{name}") for name in ("firing", "loud")]
        if told[0] is None or told[1] is None:
            continue
        here = (row >= 0) & (board.type[row] == board.type_index(rule.type))
        life, slots = board.lives[rule.code], board.slot[row[here]]
        life.flags[slots] = np.where(
            told[0][here], FIRING + PRIORITY_BIT * rule.priority + np.where(told[1][here], LOUD, 0), 0
        )
