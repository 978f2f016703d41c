"""Fences on the board: who is within, when that is told, and what is unknown."""

from dataclasses import replace

import numpy as np
import shapely

from devices.fences import FencePart, shapes
from devices.kind import Column, Formula, Mask, Rule, Text, kinds
from devices.policy import Policy
from devices.registry import Registry
from rules.board import Board
from rules.evaluate import apply
from rules.view import View
from tests.readings import NOW_US, readings_of

VEHICLES, LAMPS = kinds()["fleet_vehicle"], kinds()["street_lighting"]
DEPOT = shapes(
    [
        FencePart(
            "depot",
            "",
            None,
            {"type": "Polygon", "coordinates": [[[5.0, 47.3], [5.1, 47.3], [5.1, 47.4], [5.0, 47.4], [5.0, 47.3]]]},
        )
    ]
)
IN, OUT = {"lat": 47.35, "lon": 5.05}, {"lat": 47.35, "lon": 5.2}


def within(in__depot: Column) -> Mask:
    return in__depot == 1


def stopped(in__depot: Column, speed_kmh: Column) -> Mask:
    return (in__depot == 1) & (speed_kmh < 2)


def rule_of(function, **more):
    text = Text("", "")
    return Rule(function.__name__, "vehicle", Formula.of(function), text, 3, text, **more)


def board_of(*rules, kind=VEHICLES, places=((None, None), (None, None)), fences=DEPOT):
    rows = [
        (no, "dijon", kind.name, f"V{no}", kind.types[0].name, None, None, lat, lon, True, {})
        for no, (lat, lon) in enumerate(places, 1)
    ]
    board = Board.of(kind, Registry.of_rows(1, rows), Policy(own={kind.name: rules}))
    board.fence_in(fences)
    return board


def driven(board, *rows):
    told = apply(board, readings_of(board.kind.name, rows), now_us=NOW_US + int(max(row["ts"] for row in rows) * 1e6))
    return [(t.code, t.action, (t.ts_us - NOW_US) // 1_000_000) for t in told if t.code in ("within", "stopped")]


def test_entering_and_leaving_take_their_time():
    board = board_of(rule_of(within, hold_s=60, calm_s=120))
    said = [{"no": 1, "ts": 0, **IN}, {"no": 1, "ts": 50, **IN}, {"no": 1, "ts": 55, **OUT}]
    assert driven(board, *said) == []  # drove through
    assert driven(board, *({"no": 1, "ts": 100 + 20 * i, **IN} for i in range(6))) == [("within", "fire", 160)]
    assert driven(board, {"no": 1, "ts": 300, **OUT}, {"no": 1, "ts": 400, **OUT}, {"no": 1, "ts": 410, **IN}) == []
    assert driven(board, {"no": 1, "ts": 500, **OUT}, {"no": 1, "ts": 620, **OUT}) == [("within", "clear", 620)]


def test_stopped_inside_is_not_passing_nor_stopped_outside():
    board = board_of(rule_of(stopped, hold_s=180))
    assert driven(board, *({"no": 1, "ts": 60 * i, "speed_kmh": 0, **OUT} for i in range(6))) == []
    assert driven(board, *({"no": 1, "ts": 400 + 60 * i, "speed_kmh": 20, **IN} for i in range(6))) == []
    assert driven(board, *({"no": 1, "ts": 800 + 60 * i, "speed_kmh": 0, **IN} for i in range(4))) == [
        ("stopped", "fire", 980)
    ]


def test_who_is_within_is_as_shapely_says_point_by_point():
    rng = np.random.default_rng(3)
    lat, lon = rng.uniform(47.2, 47.5, 400), rng.uniform(4.9, 5.2, 400)
    board = board_of(kind=LAMPS, places=list(zip(lat, lon, strict=True)))
    inside = View(board, np.arange(400), NOW_US, "lamp")["in__depot"]
    assert inside.tolist() == [
        float(DEPOT["depot"].contains(shapely.Point(x, y))) for y, x in zip(lat, lon, strict=True)
    ]


def test_where_it_is_is_unknown_until_told_and_a_fence_until_known():
    board = board_of(rule_of(within), fences=None)
    rows = np.array([0, 1])
    driven(board, {"no": 1, "ts": 0, **IN})
    assert np.isnan(View(board, rows, NOW_US, "vehicle")["in__depot"]).all()
    board.fence_in({})  # all are known, and this is none of them
    assert View(board, rows, NOW_US, "vehicle")["in__depot"].tolist()[:1] == [0]
    board.fence_in(DEPOT)
    column = View(board, rows, NOW_US, "vehicle")["in__depot"]
    assert column[0] == 1 and np.isnan(column[1])


def test_a_rule_on_what_stands_still_may_read_fences_too():
    rule = replace(rule_of(stopped), code="within", type="lamp", condition=Formula.of(_lit_inside))
    board = board_of(rule, kind=LAMPS, places=[(47.35, 5.05), (47.35, 5.2)])
    assert driven(board, *({"no": no, "ts": 0, "power_w": 30} for no in (1, 2))) == [("within", "fire", 0)]


def _lit_inside(in__depot: Column, power_w: Column) -> Mask:
    return (in__depot == 1) & (power_w > 0)


def test_rules_that_wait_for_late_readings_see_fences_and_what_is_usual_too():
    board = board_of(rule_of(within, lateness_s=600))
    board.expect("speed_kmh__usual_hour", np.array([2, 7]), np.array([30.0, 1.0]), hour=3, hours=24)
    (delayed,) = board.delayed
    assert delayed.board.fences == DEPOT and delayed.board.usual["speed_kmh__usual_hour"][3, 1] == 30
    newer = board_of(rule_of(within, lateness_s=600), fences=None)
    newer.take_over_from(board)
    assert newer.delayed[0].board.fences == DEPOT and newer.delayed[0].board.knows_fences
    assert newer.delayed[0].board.usual["speed_kmh__usual_hour"][3, 1] == 30
