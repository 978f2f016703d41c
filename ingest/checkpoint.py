"""The rules' checkpoint: the boards' state and how far they had read, in one file replaced at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from hub.clock import SECOND_US
from hub.errors import BadFile
from ingest import arrays
from rules.board import Board, Delayed
from rules.life import FIRING, LOUD, NEVER, PENDING, PRIORITY_BIT

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
    if (waiting := delayed.waiting) is not None:
        for name in WAITING:
            yield f"late.{delayed.lateness_us}.waiting.{name}", getattr(waiting, name)


def _put_back(delayed: Delayed, state: Arrays) -> None:
    prefix = f"late.{delayed.lateness_us}."
    columns = [state[f"{prefix}waiting.{name}"] for name in WAITING if f"{prefix}waiting.{name}" in state]
    if len(columns) == len(WAITING) and len(columns[-1]) == len(delayed.board.kind.fields):
        told = dict(zip(WAITING, columns, strict=True))
        delayed.put(Readings(kind=delayed.board.kind, **told, rest={}, strangers={}))  # type: ignore[arg-type]


def _take_over_first_format(board: Board, state: Arrays) -> None:
    """Checkpoints had no numbers by type once, and every rule's state by row: what fires or is held goes on."""
    row = board.rows(state[NUMBERS].astype(np.int32))
    for rule in board.rules:
        told = [state.get(f"rule.{rule.code}.{name}") for name in ("firing", "loud", "since_us", "calm_us")]
        here = np.flatnonzero(np.isin(row, board.rows_by_type[board.type_index(rule.type)]))
        if any(array is None for array in told):
            continue
        firing, loud, since_us, calm_us = (array[here] for array in told if array is not None)
        life, slots = board.lives[rule.code], board.slot[row[here]]
        life.since_s[slots] = np.where(firing, calm_us, since_us).astype(np.int64) // SECOND_US
        held = np.where(life.since_s[slots] != NEVER, PENDING, 0)
        life.flags[slots] = np.where(firing, FIRING + PRIORITY_BIT * rule.priority + np.where(loud, LOUD, 0), held)
