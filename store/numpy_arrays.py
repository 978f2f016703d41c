"""PostgreSQL's arrays as numpy's: psycopg makes lists of Python objects, which of a million values takes a second."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncCursor
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

DIMENSIONLESS, HEADER = 12, 20
"""Bytes before the values, in an empty array and in one of one dimension."""
TYPES: Mapping[str, str] = {"int4": ">i4", "float4": ">f4", "timestamptz": ">i8"}
"""The elements, none of them NULL. Times are microseconds since 2000."""


def register(cursor: AsyncCursor[Any]) -> None:
    """Let a cursor that asks for binary results return arrays of TYPES as numpy's, shape (n,)."""
    for name, dtype in TYPES.items():
        cursor.adapters.register_loader(cursor.adapters.types[name].array_oid, _loader(dtype))


def _loader(dtype: str) -> type[Loader]:
    element = np.dtype([("bytes", ">i4"), ("value", dtype)])

    class Array(Loader):
        format = Format.BINARY

        def load(self, data: Buffer) -> NDArray[Any]:
            offset = HEADER if len(data) > DIMENSIONLESS else DIMENSIONLESS
            values = np.frombuffer(data, element, offset=offset)["value"]
            return values.astype(values.dtype.newbyteorder("="))

    return Array
