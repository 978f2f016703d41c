"""PostgreSQL's binary COPY format, built with numpy. Pure.

All rows are laid out with a fixed width as if nothing were NULL; a mask of bytes then drops the values of NULLs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.clock import SECOND_US

SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
PG_EPOCH_US = 946_684_800 * SECOND_US
NULL = -1


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """One column: values in their PostgreSQL width (big-endian dtype), and where they are NULL (None: nowhere)."""

    values: NDArray[np.generic]
    is_null: NDArray[np.bool_] | None = None


def integer(values: NDArray[np.integer]) -> CopyColumn:
    return CopyColumn(values.astype(">i4"))


def timestamp(us: NDArray[np.int64]) -> CopyColumn:
    """Microseconds since 1970 as timestamptz."""
    return CopyColumn((us - PG_EPOCH_US).astype(">i8"))


def boolean(values: NDArray[np.bool_]) -> CopyColumn:
    return CopyColumn(values.astype("u1"))


def number(values: NDArray[np.float64], dtype: str) -> CopyColumn:
    """A float64 column, NaN as NULL, as `>f4` (real), `>f8` (double precision) or `u1` (boolean)."""
    is_null = np.isnan(values)
    return CopyColumn(np.where(is_null, 0, values).astype(dtype), is_null)


def copy_buffer(columns: Sequence[CopyColumn], tail: Mapping[int, bytes] | None = None) -> bytes:
    """Rows of columns of equal length n as one COPY stream.

    `tail` is one more column of variable width, given by row for the few rows that have one.
    """
    n = len(columns[0].values)
    pairs = [[(f"n{i}", ">i4"), (f"v{i}", c.values.dtype)] for i, c in enumerate(columns)]
    has_tail = tail is not None
    layout = np.dtype(
        [
            ("count", ">i2"),
            *(field for pair in pairs for field in pair),
            *([("tail", ">i4")] if has_tail else []),
        ]
    )
    rows = np.empty(n, layout)
    rows["count"] = len(columns) + has_tail
    for i, column in enumerate(columns):
        width = column.values.dtype.itemsize
        rows[f"n{i}"] = width if column.is_null is None else np.where(column.is_null, NULL, width)
        rows[f"v{i}"] = column.values
    if has_tail:
        rows["tail"] = NULL
    if not any(c.is_null is not None and c.is_null.any() for c in columns) and not tail:
        return SIGNATURE + rows.tobytes() + TRAILER
    return SIGNATURE + _compact(rows, columns, tail or {}) + TRAILER


def _compact(rows: NDArray[np.void], columns: Sequence[CopyColumn], tail: Mapping[int, bytes]) -> bytes:
    """The rows without the bytes of their NULLs, and with their tails."""
    layout = rows.dtype
    keep = np.ones((len(rows), layout.itemsize), bool)
    assert layout.fields is not None
    for i, column in enumerate(columns):
        if column.is_null is not None:
            start = layout.fields[f"v{i}"][1]
            keep[:, start : start + column.values.dtype.itemsize] = ~column.is_null[:, None]
    for row, value in tail.items():
        rows["tail"][row] = len(value)
    packed = rows.view(np.uint8).reshape(len(rows), layout.itemsize)[keep].tobytes()
    if not tail:
        return packed
    ends = np.cumsum(keep.sum(axis=1)).tolist()
    parts, start = [], 0
    for row in sorted(tail):
        parts += [packed[start : ends[row]], tail[row]]
        start = ends[row]
    return b"".join([*parts, packed[start:]])
