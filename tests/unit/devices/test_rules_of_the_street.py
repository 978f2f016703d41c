"""Rules of lighting, signals and works that look beyond one reading, as timelines on hand-made boards."""

from collections.abc import Mapping

import numpy as np
import shapely

from devices.kind import kinds
from devices.registry import Registry
from rules.board import Board
from rules.evaluate import apply, tick
from tests.readings import NOW_US, readings_of

STEP_LAT = 0.0009
"""A hundred metres."""
NOON_S = 13 * 3600
"""NOW_US is Thursday, 28 May 2026, 22:26 in Dijon; so many seconds later it is bright day."""


def board_of(kind: str, type_: str, places: Mapping[int, float], **attributes: float) -> Board:
    """A board of devices of a type that stand so many hundred metres north of the first."""
    rows = [
        (no, "dijon", kind, f"D{no}", type_, None, None, 47.3 + place * STEP_LAT, 5.0, True, dict(attributes))
        for no, place in places.items()
    ]
    board = Board.of(kinds()[kind], Registry.of_rows(1, rows))
    board.watch(NOW_US)
    return board


def played(board: Board, *rows: Mapping[str, float], until: float | None = None) -> list[tuple[str, str, int, int]]:
    """Readings one after the other, with a tick after each, and one at the end: code, action, device, priority.

    Of silence nothing is said: the timelines are too coarse for it.
    """
    told = []
    for row in rows:
        now_us = NOW_US + int(row["ts"] * 1e6)
        told += apply(board, readings_of(board.kind.name, [row]), now_us=now_us) + tick(board, now_us=now_us)
    if until is not None:
        told += tick(board, now_us=NOW_US + int(until * 1e6))
    return [(t.code, t.action, t.device_no, t.priority) for t in told if not t.code.endswith("_silent")]


def out(no: int, ts: float) -> dict[str, float]:
    return {"no": no, "ts": ts, "dim_pct": 100, "power_w": 1}


def test_a_lamp_out_is_more_urgent_beside_another_and_at_a_crossing():
    lone = board_of("street_lighting", "lamp", {1: 0, 2: 5}, rated_power_w=60)
    assert played(lone, out(1, 0), out(2, 1), out(1, 900), out(2, 901)) == [
        ("lamp_out", "fire", 1, 3),
        ("lamp_out", "fire", 2, 3),
    ]
    beside = board_of("street_lighting", "lamp", {1: 0, 2: 0.4}, rated_power_w=60)
    assert played(beside, out(1, 0), out(1, 900), out(2, 901), out(1, 1800), out(2, 1801)) == [
        ("lamp_out", "fire", 1, 3),
        ("lamp_out", "fire", 1, 2),
        ("lamp_out", "fire", 2, 2),
    ]
    crossing = board_of("street_lighting", "lamp", {1: 0}, rated_power_w=60, at_crossing=1)
    assert played(crossing, out(1, 0), out(1, 900)) == [("lamp_out", "fire", 1, 2)]


def test_a_lamp_that_is_told_to_shine_by_day_is_lit_by_day_and_in_the_evening_it_is_not():
    def shines(no: int, ts: float, **more: float) -> dict[str, float]:
        return {"no": no, "ts": ts, "dim_pct": 100, "power_w": 58, **more}

    board = board_of("street_lighting", "lamp", {1: 0, 2: 9}, rated_power_w=60)
    assert played(board, shines(1, 0), shines(1, 2700)) == []
    assert played(board, shines(1, NOON_S), shines(1, NOON_S + 900)) == []
    assert played(board, shines(1, NOON_S + 1800)) == [("lit_by_day", "fire", 1, 3)]
    forced = (shines(2, NOON_S + at, override_active=1) for at in (1900, 3800))
    assert [one for one in played(board, *forced) if one[2] == 2] == []


def signals(no: int, ts: float, on: bool) -> dict[str, float]:
    return {"no": no, "ts": ts, "switched_on": float(on)}


def test_neighbours_that_go_dark_together_are_a_power_cut_and_one_alone_is_not():
    board = board_of("traffic_light", "junction", {1: 0, 2: 3, 3: 30})
    lit = [signals(no, ts, True) for ts in (0, 60, 120, 180) for no in (1, 2, 3)]
    assert played(board, *lit) == []
    assert played(board, signals(3, 200, False), signals(1, 205, False)) == []
    assert played(board, signals(2, 290, False)) == [("power_cut", "fire", 2, 1), ("power_cut", "fire", 1, 1)]
    told = played(board, signals(1, 300, False), signals(2, 350, False), signals(3, 360, False))
    assert [one for one in told if one[0] == "power_cut"] == [], "told once"
    assert ("signals_dark", "fire", 3, 1) in told
    again = played(board, *(signals(no, 420, True) for no in (1, 2, 3)))
    assert {one for one in again if one[0] == "power_cut"} == {
        ("power_cut", "clear", 1, 1),
        ("power_cut", "clear", 2, 1),
    }


def test_a_neighbour_that_has_been_dark_for_long_makes_no_power_cut():
    board = board_of("traffic_light", "junction", {1: 0, 2: 3})
    rows = [signals(no, ts, no == 1 or ts < 100) for ts in range(0, 600, 60) for no in (1, 2)]
    told = played(board, *rows, signals(1, 620, False), signals(1, 680, False))
    assert [one[0] for one in told] == ["signals_dark", "signals_dark"]


def site(no: int, ts: float, **more: float) -> dict[str, float]:
    return {"no": no, "ts": ts, "active": 0, "has_order": 1, "lanes_closed": 1, **more}


def test_an_idle_site_is_told_after_two_working_days_unless_nobody_works():
    board = board_of("road_works", "site", {1: 0, 2: 9})
    # Thursday evening; since when nobody has worked at the first, while the second was at work until today.
    assert played(board, site(1, 0, idle_h=30), site(2, 1, idle_h=3)) == []
    friday = 24 * 3600
    told = played(board, site(1, friday, idle_h=54), site(2, friday + 1, idle_h=3))
    assert told == [("order_without_works", "fire", 1, 3)]
    monday = 3.5 * 24 * 3600  # 10 o'clock: the first has worked again on Friday night, the second not since
    told = played(board, site(1, monday, idle_h=1), site(2, monday + 1, idle_h=64))
    assert told == [("order_without_works", "clear", 1, 3)], "the week-end does not count"
    wednesday = 5.9 * 24 * 3600
    foul = played(board, site(1, wednesday, idle_h=58), site(2, wednesday + 1, idle_h=121))
    assert foul == [], "nobody works anywhere"


def test_two_works_on_one_street_and_works_on_a_bus_route():
    board = board_of("road_works", "site", {1: 0, 2: 0.6, 3: 9})
    board.fences["bus_route"] = shapely.box(4.99, 47.3 + 8.5 * STEP_LAT, 5.01, 47.3 + 9.5 * STEP_LAT)
    rows = [site(no, ts, idle_h=0) for ts in (0, 1000) for no in (1, 2, 3)]
    assert played(board, *rows) == [("works_on_bus_route", "fire", 3, 3)]
    told = played(board, *(site(no, 3700, idle_h=0) for no in (1, 2, 3)))
    assert sorted(told) == [("works_too_near", "fire", 1, 3), ("works_too_near", "fire", 2, 3)]
    told = played(board, site(2, 4000, idle_h=0, lanes_closed=0))
    assert sorted(told) == [("works_too_near", "clear", 1, 3), ("works_too_near", "clear", 2, 3)]


def test_a_feeder_whose_lamps_shine_by_day_is_told_once_and_not_from_what_was_told_by_night():
    feeder = (1, "dijon", "street_lighting", "F", "feeder", None, None, 47.3, 5.0, True, {"rated_current_a": 9})
    lamp = {"rated_power_w": 60}
    rows = [
        feeder,
        *(
            (no, "dijon", "street_lighting", f"L{no}", "lamp", 1, None, 47.3 + no / 100, 5.0, True, lamp)
            for no in (2, 3)
        ),
    ]
    board = Board.of(kinds()["street_lighting"], Registry.of_rows(1, rows))
    board.watch(NOW_US)
    night = [{"no": no, "ts": 0, "dim_pct": 100, "power_w": 58} for no in (2, 3)]
    played(board, *night, {"no": 1, "ts": 1, "contactor_closed": 1, "current_a": 5})
    told = played(board, until=NOON_S) + played(board, until=NOON_S + 2000)
    assert "feeder_lit_by_day" not in {one[0] for one in told}, "nothing was heard since the night"
    day = [{"no": 1, "ts": NOON_S + at, "contactor_closed": 1, "current_a": 5} for at in range(3000, 5000, 120)]
    assert ("feeder_lit_by_day", "fire", 1, 2) in played(board, *day)


def test_what_is_told_of_a_rule_is_of_the_device_on_which_it_fires():
    board = board_of("street_lighting", "lamp", {1: 0, 2: 0.4, 3: 9}, rated_power_w=60)
    first = [{"no": no, "ts": 0, "dim_pct": 100, "power_w": power} for no, power in ((1, 59), (2, 2), (3, 1))]
    apply(board, readings_of("street_lighting", first), now_us=NOW_US)
    later = [row | {"ts": 900} for row in first]
    told = apply(board, readings_of("street_lighting", later), now_us=NOW_US + 900_000_000)
    assert [(t.device_no, t.explanation.columns["power_w"]) for t in told] == [(2, 2), (3, 1)]
    assert np.array([t.priority for t in told]).tolist() == [3, 3]
