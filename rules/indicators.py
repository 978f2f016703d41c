"""The figures that a city watches, by commune, from a board. Pure."""

from collections.abc import Iterator

import numpy as np

from devices.kind import Figure
from rules.board import Board
from rules.view import View


def figures(board: Board, *, now_us: int) -> Iterator[Figure]:
    """Every indicator of the board's kind in every commune where a device counts."""
    for indicator in board.kind.indicators:
        rows = board.rows_of_type(indicator.type)
        values = indicator.values(View(board, rows, now_us, indicator.type))
        counts = ~np.isnan(values)
        commune = board.commune[rows[counts]]
        counted = np.bincount(commune, minlength=len(board.communes))
        total = np.bincount(commune, weights=values[counts], minlength=len(board.communes))
        for place in np.flatnonzero(counted).tolist():
            yield Figure(
                board.kind.name, indicator.name, board.communes[place], float(total[place]), int(counted[place])
            )
