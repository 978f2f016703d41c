"""The rules' life cycle on the board, as timelines."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kind import State, kinds
from devices.registry import Registry
from devices.transition import Explanation, Transition
from rules.board import Board
from rules.evaluate import apply, mark, tick
from rules.life import rounds
from rules.view import states
from tests.readings import NOW_US, readings_of

LIGHTING = kinds()["street_lighting"]
FEEDER_NO, FIRST_LAMP_NO, LAMPS = 2, 10, 10


def lighting_board() -> Board:
    """A cabinet, a feeder and its ten lamps, a kilometre apart."""
    rows = [
        (1, "dijon", "street_lighting", "A", "cabinet", None, None, 47.3, 5.0, True, {}),
        (2, "dijon", "street_lighting", "F", "feeder", 1, 1, 47.3, 5.0, True, {"rated_current_a": 9}),
        *(
            (
                FIRST_LAMP_NO + i,
                "dijon",
                "street_lighting",
                f"L{i}",
                "lamp",
                2,
                1,
                47.3 + i / 100,
                5.0,
                True,
                {"rated_power_w": 60},
            )
            for i in range(LAMPS)
        ),
        (99, "dijon", "street_lighting", "stranger", None, None, None, None, None, False, {}),
    ]
    board = Board.of(LIGHTING, Registry.of_rows(1, rows))
    board.watch(NOW_US)
    return board


def board_watched_since(seconds):
    board = lighting_board()
    board.watch(NOW_US + int(seconds * 1e6), anew=True)
    return board


def heard(board, *rows, now=None):
    now = max(row.get("received", row["ts"]) for row in rows) if now is None else now
    told = apply(board, readings_of("street_lighting", rows), now_us=NOW_US + int(now * 1e6))
    return [(t.code, t.action, t.device_no, t.quiet) for t in told]


def ticked(board, now):
    told = tick(board, now_us=NOW_US + int(now * 1e6))
    return [(t.code, t.action, t.device_no) for t in told if t.code != "cabinet_silent"]  # its cabinet never speaks


def out(no, ts, **more):
    return {"no": no, "ts": ts, "dim_pct": 100, "power_w": 1, **more}


def lit(no, ts, **more):
    return {"no": no, "ts": ts, "dim_pct": 100, "power_w": 60, **more}


def test_a_lamp_out_fires_after_its_hold_and_clears():
    board = lighting_board()
    assert heard(board, out(10, 0)) == []
    assert heard(board, out(10, 300)) == []
    assert heard(board, out(10, 900)) == [("lamp_out", "fire", 10, "")]
    assert heard(board, out(10, 1800)) == []
    assert heard(board, lit(10, 2700)) == [("lamp_out", "clear", 10, "")]


def test_a_short_fault_does_not_fire():
    board = lighting_board()
    assert heard(board, out(10, 0), lit(10, 300), out(10, 600), out(10, 1100)) == []
    assert heard(board, out(10, 1200)) == [("lamp_out", "fire", 10, "")]


def test_unknown_neither_fires_nor_clears():
    board = lighting_board()
    heard(board, out(10, 0))
    assert heard(board, {"no": 11, "ts": 900, "power_w": 1}, {"no": 11, "ts": 1900, "power_w": 1}) == []
    assert heard(board, out(10, 900)) == [("lamp_out", "fire", 10, "")]
    assert heard(board, {"no": 10, "ts": 1000, "driver_temp_c": 40}) == []


def test_late_readings_never_rewind():
    board = lighting_board()
    heard(board, lit(10, 5000))
    assert heard(board, out(10, 0, received=5001), out(10, 4000, received=5002)) == []
    assert heard(board, lit(10, 5900)) == []


def test_a_clock_that_ran_ahead_once_does_not_stop_the_rules():
    board = lighting_board()
    heard(board, lit(10, 50_000, received=0))
    heard(board, out(10, 10))
    assert heard(board, out(10, 700)) == [("lamp_out", "fire", 10, "")]


def test_a_replay_is_quiet_until_a_live_reading_confirms():
    board = lighting_board()
    heard(board, out(10, 0, replayed=True))
    assert heard(board, out(10, 900, replayed=True)) == [("lamp_out", "fire", 10, "replayed")]
    assert heard(board, out(10, 1000)) == [("lamp_out", "fire", 10, "")]
    assert heard(board, out(10, 1100)) == []


def test_what_is_told_a_month_late_pages_nobody():
    board = lighting_board()
    heard(board, out(10, 0))
    assert heard(board, out(10, 900, received=30 * 86_400)) == [("lamp_out", "fire", 10, "late")]


def test_what_only_a_late_reading_told_is_not_confirmed_by_the_clock():
    board = board_watched_since(30 * 86_400)
    tripped = {"no": FEEDER_NO, "ts": 0, "breaker_tripped": 1, "received": 30 * 86_400}
    assert heard(board, tripped) == [("feeder_out", "fire", FEEDER_NO, "late")]
    assert ticked(board, 30 * 86_400 + 1) == []
    assert heard(board, tripped | {"ts": 30 * 86_400 + 2, "received": 30 * 86_400 + 2}) == [
        ("feeder_out", "fire", FEEDER_NO, "")
    ]


@pytest.mark.parametrize("how", [{"replayed": True}, {"ts": -40 * 86_400}])
def test_a_live_reading_that_does_not_speak_of_it_confirms_nothing(how):
    board = lighting_board()
    said = {"no": FEEDER_NO, "ts": 1, "breaker_tripped": 1, "received": 1} | how
    told = heard(board, said)
    assert [t[:2] for t in told] == [("feeder_out", "fire")] and told[0][3] in ("late", "replayed")
    assert heard(board, {"no": FEEDER_NO, "ts": 2, "voltage_v": 230}) == []
    assert heard(board, {"no": FEEDER_NO, "ts": 3, "breaker_tripped": 1}) == [("feeder_out", "fire", FEEDER_NO, "")]


def test_a_live_fault_calls_whatever_old_readings_told_beside_it():
    board = lighting_board()
    heard(board, {"no": FEEDER_NO, "ts": 0, "received": 40 * 86_400, "current_a": 4, "contactor_closed": 1})
    heard(board, *(out(10 + i, 0, received=40 * 86_400) for i in range(3)))
    told = heard(board, {"no": FEEDER_NO, "ts": 40 * 86_400 + 1, "breaker_tripped": 1})
    assert told == [("feeder_out", "fire", FEEDER_NO, "")]


def test_lamps_that_told_a_month_late_that_they_were_dark_are_no_feeder_out():
    board = board_watched_since(30 * 86_400)
    heard(board, *(out(10 + i, 0, received=30 * 86_400) for i in range(LAMPS)))
    told = tick(board, now_us=NOW_US + (30 * 86_400 + 5) * 1_000_000)
    assert [(t.code, t.quiet) for t in told if t.code != "cabinet_silent"] == [("feeder_out", "late")]
    heard(board, *(out(10 + i, 30 * 86_400 + 6) for i in range(LAMPS)))
    assert ticked(board, 30 * 86_400 + 7) == [("feeder_out", "fire", FEEDER_NO)]


def test_a_device_that_told_late_and_is_silent_since_is_silent():
    board = board_watched_since(3 * 86_400)
    heard(board, lit(10, 0, received=3 * 86_400), {"no": 1, "ts": 0, "online": 0, "received": 3 * 86_400})
    told = tick(board, now_us=NOW_US + 3 * 86_400_000_000 + 1_000_000)
    assert [(t.code, t.quiet) for t in told if not t.quiet] == [], "told late that it is offline, and speaks"
    told = tick(board, now_us=NOW_US + 4 * 86_400_000_000)
    assert ("lamp_silent", 10, "") in [(t.code, t.device_no, t.quiet) for t in told]
    assert ("cabinet_silent", 1, "") in [(t.code, t.device_no, t.quiet) for t in told]


def test_two_messages_of_one_moment_complete_each_other():
    board = lighting_board()
    halves = [{"dim_pct": 100}, {"power_w": 1}]
    heard(board, *({"no": 10, "ts": 0, **half} for half in halves))
    assert heard(board, *({"no": 10, "ts": 900, **half} for half in halves)) == [("lamp_out", "fire", 10, "")]


def test_the_newest_moment_told_again_changes_nothing():
    board = lighting_board()
    heard(board, out(10, 0), out(10, 900))
    before = [(name, array.copy()) for name, array, _ in board.arrays() if name != "heard_us"]
    assert heard(board, out(10, 900, received=40 * 86_400), out(10, 900, replayed=True)) == []
    for (name, was), (_, now, _) in zip(before, [one for one in board.arrays() if one[0] != "heard_us"], strict=True):
        np.testing.assert_array_equal(was, now, name)


def test_what_came_on_time_and_is_read_a_week_later_calls():
    board = lighting_board()
    board.watched_us[:] = 0  # the hub was away
    assert heard(board, out(10, 0), out(10, 900), now=7 * 86_400) == [("lamp_out", "fire", 10, "")]


def test_after_a_crash_a_fault_that_was_read_again_and_never_told_is_told_with_the_next_reading():
    """As when a codec, a rule or the registry changed between the two readings of the log."""
    board = lighting_board()
    before = {code: life.copy() for code, life in board.lives.items()}
    heard(board, out(10, 0), out(10, 900), out(11, 0), out(11, 900))
    told = Transition(LIGHTING.name, "lamp_out", 11, "fire", NOW_US + 900_000_000, 0, 3, "", Explanation({}, {}, 900.0))
    mark(board, before, [told])
    assert board.lives["lamp_out"].firing[board.slot[board.rows(np.array([10, 11]))]].tolist() == [False, True]
    assert heard(board, out(10, 960), out(11, 960)) == [("lamp_out", "fire", 10, "")]


def test_after_a_crash_what_was_told_stays_told_whatever_the_log_says_now():
    board = lighting_board()
    heard(board, out(10, 0), out(10, 900))
    before = {code: life.copy() for code, life in board.lives.items()}
    heard(board, lit(10, 1000))
    mark(board, before, [])
    assert heard(board, lit(10, 1060)) == [("lamp_out", "clear", 10, "")]


def test_a_stranger_pages_nobody():
    board = lighting_board()
    assert heard(board, out(99, 0), out(99, 3600)) == []
    assert states(board, board.rows(np.array([99])))[0] == State.NORMAL


def test_a_tripped_breaker_is_one_fault_on_the_feeder():
    board = lighting_board()
    told = heard(board, {"no": FEEDER_NO, "ts": 0, "breaker_tripped": 1})
    assert told == [("feeder_out", "fire", FEEDER_NO, "")]
    assert ticked(board, 5) == []
    assert heard(board, {"no": FEEDER_NO, "ts": 60, "breaker_tripped": 0, "contactor_closed": 0}) == [
        ("feeder_out", "clear", FEEDER_NO, "")
    ]


@pytest.mark.parametrize(("dark", "fires"), [(5, False), (6, True), (10, True)])
def test_most_lamps_dark_is_a_feeder_out(dark, fires):
    board = lighting_board()
    heard(board, *(out(10 + i, 0) if i < dark else lit(10 + i, 0) for i in range(LAMPS)))
    assert ticked(board, 5) == ([("feeder_out", "fire", FEEDER_NO)] if fires else [])


def test_silent_lamps_are_a_feeder_out_within_20_minutes_and_not_by_day():
    board = lighting_board()
    heard(board, *(lit(10 + i, 0) for i in range(LAMPS)))
    assert ticked(board, 17 * 60) == []
    assert ticked(board, 20 * 60) == [("feeder_out", "fire", FEEDER_NO)]
    by_day = lighting_board()
    heard(by_day, *({"no": 10 + i, "ts": 0, "dim_pct": 0, "power_w": 0} for i in range(LAMPS)))
    assert ticked(by_day, 20 * 60) == []


def test_silence_is_counted_in_periods_of_the_state():
    board = lighting_board()
    heard(board, lit(10, 0), {"no": 11, "ts": 0, "dim_pct": 0, "power_w": 0})
    assert ("lamp_silent", "fire", 10) in ticked(board, 50 * 60)
    assert ("lamp_silent", "fire", 11) in ticked(board, 3 * 3600 + 60)
    assert heard(board, lit(10, 4 * 3600)) == [("lamp_silent", "clear", 10, "")]


def test_states_show_the_worst():
    board = lighting_board()
    heard(board, lit(10, 0), {"no": 11, "ts": 0, "dim_pct": 0, "power_w": 0}, out(12, 0), out(12, 900, received=900))
    shown = states(board, board.rows(np.array([10, 11, 12, 13])))
    assert shown.tolist() == [State.NORMAL, State.RESTING, State.FAULT_P3, State.UNKNOWN]


READING = st.fixed_dictionaries(
    {
        "no": st.integers(10, 12),
        "ts": st.integers(0, 5000),
        "dim_pct": st.sampled_from([0, 50, 100]),
        "power_w": st.sampled_from([0, 1, 20, 30, 60]),
    }
)


@given(stream=st.lists(READING, max_size=40), cuts=st.sets(st.integers(0, 40)))
def test_it_does_not_matter_how_the_log_is_cut(stream, cuts):
    stream = [{**reading, "received": 6000 + i} for i, reading in enumerate(stream)]
    whole, cut = lighting_board(), lighting_board()
    at_once = heard(whole, *stream) if stream else []
    in_parts = []
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    for first, last in pairwise(edges):
        if first < last:
            in_parts += heard(cut, *stream[first:last])
    assert sorted(at_once) == sorted(in_parts)
    for (_, a, _), (_, b, _) in zip(whole.arrays(), cut.arrays(), strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.lists(st.integers(0, 5)))
def test_rounds_count_what_came_before(rows):
    assert rounds(np.array(rows, np.int64)).tolist() == [rows[:i].count(row) for i, row in enumerate(rows)]


def test_silence_is_not_counted_before_the_hub_watches():
    board = lighting_board()
    board.watched_us[:] = 0
    assert ticked(board, 10 * 86_400) == []
    board.watch(NOW_US + 10 * 86_400_000_000)
    assert ticked(board, 10 * 86_400 + 60) == []
    assert ("lamp_silent", "fire", 10) in ticked(board, 11 * 86_400)


def test_what_was_silent_before_the_hub_was_away_stays_so_until_it_is_heard():
    board, day = lighting_board(), 86_400
    heard(board, {"no": FIRST_LAMP_NO, "ts": 0, "dim_pct": 0, "power_w": 0})
    assert ("lamp_silent", "fire", FIRST_LAMP_NO) in ticked(board, day)
    board.watched_us[:] = 0
    board.watch(NOW_US + 2 * day * 1_000_000, anew=True)
    assert ("lamp_silent", "clear", FIRST_LAMP_NO) not in ticked(board, 2 * day + 1)
    spoken = {"no": FIRST_LAMP_NO, "ts": 2 * day + 2, "dim_pct": 0, "power_w": 0}
    assert ("lamp_silent", "clear", FIRST_LAMP_NO, "") in heard(board, spoken)


def test_a_device_that_joins_later_is_watched_from_then():
    board = lighting_board()
    board.watched_us[3:] = 0
    board.watch(NOW_US + 3600 * 1_000_000)
    assert board.watched_us.tolist() == [NOW_US] * 3 + [NOW_US + 3600 * 1_000_000] * (len(board) - 3)


def test_a_cause_fires_before_what_it_explains_and_clears_after_it():
    board = lighting_board()
    dead = {"no": FEEDER_NO, "breaker_tripped": 1, "voltage_v": 0}
    heard(board, {**dead, "ts": 0, "breaker_tripped": 0})
    assert [t[:2] for t in heard(board, {**dead, "ts": 400})] == [("feeder_out", "fire"), ("supply_voltage", "fire")]
    well = {"no": FEEDER_NO, "ts": 500, "breaker_tripped": 0, "voltage_v": 230}
    assert [t[:2] for t in heard(board, well)] == [("supply_voltage", "clear"), ("feeder_out", "clear")]
