"""Readings that may meet a stored row of the same key: new, filling what was missing, repeated or contrary. Pure.

The same key with other values fills what was missing; where both have a value and differ, the later one is a
conflict and changes nothing. Readings of one stretch with the same key count in the order of the log.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from devices.kind import Kind
from devices.readings import Readings


class Outcome(IntEnum):
    """What became of a reading."""

    STORED = 0
    MERGED = 1
    DUPLICATE = 2
    CONFLICT = 3


@dataclass(frozen=True, slots=True)
class Merged:
    """What is to be written, one row per key, and what became of each reading, shape (n,)."""

    new: Readings
    filled: Readings
    outcome: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of k keys: values of shape (fields, k), and whether there is a row at all."""

    values: NDArray[np.float64]
    exists: NDArray[np.bool_]


def keys_of(readings: Readings) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of readings sorted by device and time: the first row of each key, and the key of each row."""
    starts = np.ones(len(readings), bool)
    starts[1:] = (np.diff(readings.device_no) != 0) | (np.diff(readings.ts_us) != 0)
    return np.flatnonzero(starts), np.cumsum(starts) - 1


def merge(late: Readings, stored: Stored) -> Merged:
    """Merge readings, sorted by device and time, with what is stored of their keys."""
    first_row, key = keys_of(late)
    told = as_stored(late)
    values, exists = stored.values.copy(), stored.exists.copy()
    outcome = np.empty(len(late), np.int8)
    place = np.arange(len(late)) - first_row[key]
    by_place = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    for rows in by_place:  # the k-th readings of all keys at once
        k = key[rows]
        new, old = told[:, rows], values[:, k]
        is_told, is_known = ~np.isnan(new), ~np.isnan(old)
        conflict = (is_told & is_known & (new != old)).any(axis=0)
        fills = (is_told & ~is_known).any(axis=0)
        taken = np.where(~exists[k], Outcome.STORED, np.where(fills, Outcome.MERGED, Outcome.DUPLICATE))
        outcome[rows] = np.where(conflict, Outcome.CONFLICT, taken)
        kept = ~conflict
        values[:, k[kept]] = np.where(is_known, old, new)[:, kept]
        exists[k[kept]] = True
    written = np.unique(key[outcome < Outcome.DUPLICATE])
    by_key = replace(late.take(first_row), values=values, rest=_rest(late, key, outcome))
    was_there = stored.exists[written]
    return Merged(by_key.take(written[~was_there]), by_key.take(written[was_there]), outcome)


def as_stored(readings: Readings) -> NDArray[np.float64]:
    """Values in the precision of their columns, shape (fields, n)."""
    single = np.array([field.storage == "real" for field in readings.kind.fields])[:, None]
    with np.errstate(over="ignore"):
        return np.where(single, readings.values.astype(np.float32).astype(np.float64), readings.values)


def _rest(late: Readings, key: NDArray[np.intp], outcome: NDArray[np.int8]) -> dict[int, dict[str, object]]:
    """By key: what readings carry beside their fields; what came first stays."""
    rest: dict[int, dict[str, object]] = {}
    for row in sorted(late.rest):
        if outcome[row] < Outcome.DUPLICATE:
            k = int(key[row])
            rest[k] = {**late.rest[row], **rest.get(k, {})}
    return rest


@cache
def stored_statement(kind: Kind) -> sql.Composed:
    """The stored rows of keys, with their place among the keys; bounds let the planner leave chunks out."""
    return sql.SQL(
        "SELECT k.place, {fields}"
        " FROM unnest(%(devices)s::int[], %(times)s::timestamptz[]) WITH ORDINALITY AS k (device_no, ts, place)"
        " JOIN {table} t ON t.device_no = k.device_no AND t.ts = k.ts AND t.ts BETWEEN %(first)s AND %(last)s"
    ).format(
        fields=sql.SQL(", ").join(sql.Identifier("t", name) for name in kind.field_names),
        table=sql.Identifier(kind.name),
    )


def stage_ddl(kind: Kind) -> sql.Composed:
    """A session's own staging table with the kind's columns."""
    return sql.SQL("CREATE TEMP TABLE IF NOT EXISTS {} (LIKE {})").format(stage(kind), sql.Identifier(kind.name))


def stage(kind: Kind) -> sql.Identifier:
    """The name of the staging table."""
    return sql.Identifier(f"stage_{kind.name}")


@cache
def fill_statement(kind: Kind) -> sql.Composed:
    """Fill stored rows with what their staged ones have more."""
    fill = [sql.SQL("{0} = coalesce(t.{0}, s.{0})").format(sql.Identifier(name)) for name in kind.field_names]
    fill.append(sql.SQL("rest = coalesce(s.rest || t.rest, t.rest, s.rest)").format())
    return sql.SQL(
        "UPDATE {table} t SET {fill} FROM {stage} s"
        " WHERE t.device_no = s.device_no AND t.ts = s.ts AND t.ts BETWEEN %(first)s AND %(last)s"
    ).format(table=sql.Identifier(kind.name), fill=sql.SQL(", ").join(fill), stage=stage(kind))
