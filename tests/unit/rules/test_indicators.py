"""The figures that a city watches, from a board of lamps in two communes."""

import numpy as np
import pytest

from devices.kind import Figure, Goal, State, kinds
from devices.registry import Registry
from rules.board import Board
from rules.evaluate import apply
from rules.indicators import figures
from rules.life import FIRING, PRIORITY_BIT
from tests.readings import NOW_US, readings_of

LIGHTING, WATER = kinds()["street_lighting"], kinds()["water_meter"]
HOUR_US = 3_600_000_000


def lamps(*communes: str) -> Board:
    """A lamp per commune, numbered from 1, and one that nobody declared."""
    rows = [
        (no, commune, "street_lighting", f"L{no}", "lamp", None, None, 47.3, 5.0, True, {"rated_power_w": 60})
        for no, commune in enumerate(communes, 1)
    ]
    rows.append((99, "dijon", "street_lighting", "stranger", "lamp", None, None, None, None, False, {}))
    return Board.of(LIGHTING, Registry.of_rows(1, rows))


def of(board: Board, name: str, now_us: int = NOW_US) -> dict[str, tuple[float, int]]:
    told = [figure for figure in figures(board, now_us=now_us) if figure.indicator == name]
    return {figure.commune: (figure.total, figure.counted) for figure in told}


def test_figures_are_by_commune_and_leave_out_what_is_unknown_or_undeclared():
    board = lamps("dijon", "dijon", "dijon", "talant")
    rows = [{"no": no, "ts": 1, "dim_pct": 100, "power_w": power} for no, power in ((1, 58), (2, 0), (4, 57), (99, 58))]
    apply(board, readings_of("street_lighting", rows), now_us=NOW_US)
    assert of(board, "lit") == {"dijon": (1, 2), "talant": (1, 1)}, "the third never spoke"
    assert all(figure.kind == "street_lighting" for figure in figures(board, now_us=NOW_US))


def test_the_split_of_a_night_counts_every_declared_lamp_once():
    board = lamps(*["dijon"] * 4)
    board.heard_us[:] = NOW_US
    board.heard_us[3] = 0  # never heard
    for code, slot in (("lamp_out", 0), ("lamp_silent", 1)):
        board.lives[code].flags[slot] = FIRING + 3 * PRIORITY_BIT
    assert [of(board, name)["dijon"] for name in ("sound", "at_fault", "silent")] == [(1, 4), (1, 4), (1, 4)]


def test_a_meter_is_read_by_the_time_of_its_reading_and_not_of_its_message():
    rows = [(no, "dijon", "water_meter", f"M{no}", "meter", None, None, None, None, True, {}) for no in (1, 2, 3)]
    board = Board.of(WATER, Registry.of_rows(1, rows))
    board.last_us[:2] = NOW_US - 23 * HOUR_US, NOW_US - 71 * HOUR_US  # the third never spoke
    assert of(board, "read_24_h") == {"dijon": (1, 3)}
    assert of(board, "read_72_h") == {"dijon": (2, 3)}
    assert of(board, "read_72_h", NOW_US + 2 * HOUR_US) == {"dijon": (1, 3)}


def test_a_city_without_devices_has_no_figures():
    assert list(figures(Board.of(WATER, Registry.of_rows(1, [])), now_us=NOW_US)) == []


def test_figures_of_communes_add_up_to_those_of_the_city():
    columns = {"state": np.array([State.NORMAL, State.FAULT_P3, State.NORMAL, State.SILENT], float)}
    share = next(i for i in LIGHTING.indicators if i.name == "at_fault")
    assert share.of(columns) == share.figure(1, 4) == 25
    assert np.isnan(share.figure(0, 0))
    power = next(i for i in LIGHTING.indicators if i.name == "power")
    assert power.figure(12.5, 3) == 12.5
    burnt = next(i for i in LIGHTING.indicators if i.name == "burnt")
    assert burnt.figure(900, 3) == 300


@pytest.mark.parametrize(("figure", "met"), [(0.9, True), (1.0, True), (1.1, False), (float("nan"), True)])
def test_a_goal_is_met_up_to_its_limit(figure: float, met: bool):
    assert Goal("a contract", high=1.0).is_met(figure) is met
    assert Goal("a contract", low=99.0).is_met(100 - figure) is met


def test_a_figure_is_a_row():
    assert Figure("a", "b", "dijon", 1.0, 2)._fields == ("kind", "indicator", "commune", "total", "counted")
