"""The rules' state survives: in a checkpoint, in one of the first format, and on the boards of another registry."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest import checkpoint
from ingest.checkpoint import Checkpoint
from rules.board import Board
from rules.life import FIRING, LOUD, PENDING, PRIORITY_BIT
from tests.pumps import BEGAN_US, NUMBERS, board, engine_tells, know, registry, stream
from tests.reference import SECOND_US, Reading
from tests.street import TALKERS_OF_LIGHT, lighting, registry_of_light, say_of_light

SEEDS = st.integers(0, 2**32 - 1)
MORE = {"station": (1, 2, 5), "pump": (10, 11, 12, 13, 14, 20, 25), "valve": (30, 31)}
"""More devices, which never speak: in front of the others and between them, of a type that nobody else is of."""


def restored(old: Board, blank: Board) -> Board:
    """A blank board with what a checkpoint of another keeps."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.npz"
        checkpoint.save(path, {old.kind.name: old}, log_id=uuid4(), next_offset=3, next_transition=4)
        saved = checkpoint.load(path)
    assert saved is not None and (saved.next_offset, saved.next_transition) == (3, 4)
    saved.restore(blank)
    return blank


def taken_over(old: Board, blank: Board) -> Board:
    blank.take_over_from(old)
    return blank


def of_the_first(told: list[list[tuple[object, ...]]]) -> list[list[tuple[object, ...]]]:
    """What is told of the devices that every registry has."""
    return [[one for one in step if one[1] in sum(NUMBERS.values(), ())] for step in told]


@given(seed=SEEDS, length=st.integers(2, 60), cut=st.integers(1, 59))
@settings(max_examples=3)
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(seed, length, cut):
    steps, old = stream(seed, length), board()
    whole = engine_tells(board(), steps)
    first = engine_tells(old, steps[:cut])
    blank = Board.of(old.kind, registry())
    know(blank)
    assert first + engine_tells(restored(old, blank), steps[cut:]) == whole


@pytest.mark.soak
@given(seed=SEEDS, cut=st.integers(1, 79))
@settings(max_examples=200)
def test_a_checkpoint_goes_on_for_long(seed, cut):
    test_a_checkpoint_goes_on_as_if_nothing_had_happened.hypothesis.inner_test(seed, 80, cut)  # type: ignore[attr-defined]


@pytest.mark.parametrize("keep", [restored, taken_over])
@given(seed=SEEDS, cut=st.integers(1, 60))
@settings(max_examples=2)
def test_devices_and_types_that_come_and_go_leave_the_others_alone(keep, seed, cut):
    steps = stream(seed, 80)
    whole = engine_tells(board(), steps)
    few = board()
    first = engine_tells(few, steps[:cut])
    many = board(devices=registry(MORE))
    second = engine_tells(keep(few, many), steps[cut : cut + 10])
    few = Board.of(many.kind, registry({name: nos for name, nos in NUMBERS.items() if name != "valve"}))
    know(few)
    third = engine_tells(keep(many, few), steps[cut + 10 :])
    assert of_the_first(first + second + third) == whole


def first_format(old: Board) -> dict[str, NDArray[np.generic]]:
    """The state as checkpoints had it once: all by row, and no priority."""
    found: dict[str, NDArray[np.generic]] = {"device_no": old.device_no}
    found |= {name: array for name, array, type_ in old.arrays() if type_ is None}
    for rule in old.rules:
        rows, life = old.rows_by_type[old.type_index(rule.type)], old.lives[rule.code]
        by_row: Mapping[str, NDArray[np.generic]] = {
            "firing": life.firing,
            "loud": life.flags & LOUD != 0,
            "since_us": np.where(life.firing, 0, life.since_s * np.int64(SECOND_US)),
            "calm_us": np.where(life.firing, life.since_s * np.int64(SECOND_US), 0),
        }
        for name, values in by_row.items():
            found[f"rule.{rule.code}.{name}"] = np.zeros(len(old), values.dtype)
            found[f"rule.{rule.code}.{name}"][rows] = values
    return found


@given(seed=SEEDS, cut=st.integers(1, 59))
@settings(max_examples=3)
def test_a_checkpoint_of_the_first_format_is_understood(seed, cut):
    steps, old = stream(seed, 60, say_of_light, TALKERS_OF_LIGHT), lighting()[1]
    engine_tells(old, steps[:cut])
    for rule in old.rules:  # it did not count how often a rule fires, nor keep what priority was told
        life = old.lives[rule.code]
        life.fires[:] = 0
        life.flags[:] = np.where(
            life.firing, life.flags & (FIRING | LOUD) | PRIORITY_BIT * rule.priority, life.flags & PENDING
        )
    blank = Board.of(old.kind, registry_of_light())
    Checkpoint(uuid4(), 0, 0, {old.kind.name: first_format(old)}).restore(blank)
    assert engine_tells(blank, steps[cut:]) == engine_tells(old, steps[cut:])
    empty = Board.of(old.kind, registry())
    Checkpoint(uuid4(), 0, 0, {old.kind.name: first_format(old)}).restore(empty)


def test_what_was_held_in_the_first_format_is_held_on():
    old = lighting()[1]
    out = {"dim_pct": 100.0, "power_w": 0.0}
    engine_tells(old, [[Reading(10, BEGAN_US, BEGAN_US, out)]])
    blank = Board.of(old.kind, registry_of_light())
    Checkpoint(uuid4(), 0, 0, {old.kind.name: first_format(old)}).restore(blank)
    later_us = BEGAN_US + 600 * SECOND_US
    told = engine_tells(blank, [[Reading(10, later_us, later_us, out)]])
    assert [(one.code, one.action) for one in told[0]] == [("lamp_out", "fire")]
