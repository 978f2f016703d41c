"""The COPY stream is what PostgreSQL documents, NULLs and tails included."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store.pgcopy import SIGNATURE, TRAILER, boolean, copy_buffer, integer, number


def parse(stream: bytes) -> list[list[bytes | None]]:
    """A plain reader of the format, field by field."""
    assert stream.startswith(SIGNATURE) and stream.endswith(TRAILER)
    at, rows = len(SIGNATURE), []
    while (count := struct.unpack_from(">h", stream, at)[0]) != -1:
        at += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", stream, at)
            at += 4
            row.append(None if length < 0 else stream[at : at + length])
            at += max(length, 0)
        rows.append(row)
    assert at + 2 == len(stream)
    return rows


ROW = st.tuples(
    st.integers(-(2**31), 2**31 - 1), st.none() | st.floats(-1e6, 1e6), st.booleans(), st.none() | st.binary(max_size=9)
)


@given(st.lists(ROW, min_size=1, max_size=30))
def test_rows_come_back(rows):
    numbers = np.array([np.nan if r[1] is None else r[1] for r in rows], float)
    tail = {i: r[3] for i, r in enumerate(rows) if r[3] is not None}
    columns = [integer(np.array([r[0] for r in rows])), number(numbers, ">f8"), boolean(np.array([r[2] for r in rows]))]
    assert parse(copy_buffer(columns, tail)) == [
        [
            struct.pack(">i", r[0]),
            None if r[1] is None else struct.pack(">d", r[1]),
            bytes([r[2]]),
            r[3],
        ]
        for r in rows
    ]
