"""Rules that wait for late readings, and what else the order of readings could spoil."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.kind import Column, Formula, Kind, Mask, Rule
from devices.policy import Override, Policy
from devices.registry import Registry
from devices.transition import Explanation, Transition
from rules.board import Board, Delayed, remembered
from rules.evaluate import apply, mark, see_again, tick
from rules.life import FIRING, LOUD, PRIORITY_BIT, UNSTABLE
from rules.view import View
from tests.pumps import BEGAN_US, PUMPS, TEXT, board, heard, readings, registry
from tests.reference import SECOND_US, Reading, Told

LATE_S = 60
WAITING = {"patient", "more_patient"}
PATIENT = replace(PUMPS, rules=tuple(rule for rule in PUMPS.rules if rule.code in WAITING))


def waiting_board() -> Board:
    return board(kind=PATIENT)


def told_by(made: Board, log: list[Reading], cuts: set[int] = frozenset(), ticks: bool = True) -> list[Told]:  # type: ignore[assignment]
    """What the rules that wait tell of a log that is read in these parts, with a tick after each."""
    told: list[Transition] = []
    for first, last in pairwise([0, *sorted(cut for cut in cuts if 0 < cut < len(log)), len(log)]):
        part = log[first:last]
        told += apply(made, readings(part), now_us=part[-1].received_us)
        told += tick(made, now_us=part[-1].received_us) if ticks else []
    told += tick(made, now_us=log[-1].received_us + 10_000 * SECOND_US)
    return [one for one in heard(told) if one.code in WAITING]


def log_of(seed: int, delays_s: tuple[int, ...]) -> list[Reading]:
    """What some pumps say, in the order in which it comes."""
    chance, made = random.Random(seed), list[Reading]()
    for at_s in range(0, 300, 3):
        values = {
            "level": chance.randint(0, 9),
            "total_m3": chance.choice((0, 10, 50)),
            "running": chance.randint(0, 1),
        }
        ts_us = BEGAN_US + at_s * SECOND_US
        kept = {name: float(value) for name, value in values.items() if chance.random() < 0.8}
        made.append(Reading(chance.choice((10, 11)), ts_us, ts_us + chance.choice(delays_s) * SECOND_US, kept))
    came = sorted(made, key=lambda reading: reading.received_us)
    return [reading._replace(offset=place) for place, reading in enumerate(came)]


@given(seed=st.integers(0, 10_000), cuts=st.sets(st.integers(1, 100), max_size=10), ticks=st.booleans())
@settings(max_examples=5)
def test_within_its_lateness_a_rule_tells_what_it_tells_of_the_sorted_stream(seed, cuts, ticks):
    log = log_of(seed, (0, 0, 1, 20, 59, LATE_S))
    in_order = [reading._replace(received_us=reading.ts_us) for reading in sorted(log, key=lambda r: r.ts_us)]
    in_order = [reading._replace(offset=place) for place, reading in enumerate(in_order)]
    expected = told_by(waiting_board(), in_order)
    assert expected and told_by(waiting_board(), log, cuts, ticks) == expected


@given(seed=st.integers(0, 10_000), cuts=st.sets(st.integers(1, 100), max_size=10), ticks=st.booleans())
@settings(max_examples=5)
def test_what_comes_too_late_is_seen_the_same_however_the_log_is_cut_and_never_rewinds(seed, cuts, ticks):
    log = log_of(seed, (0, 0, 20, 100, 300))
    told = told_by(waiting_board(), log, cuts, ticks)
    assert told == told_by(waiting_board(), log)
    for one, other in pairwise(told):
        assert one[:2] != other[:2] or one.ts_us <= other.ts_us


def test_a_device_that_tells_a_day_at_once_is_heard_in_order():
    """It comes too late for the rule to wait for it, but nothing newer has been seen of it."""
    came_us = BEGAN_US + 86_000 * SECOND_US
    levels = {BEGAN_US + at_s * SECOND_US: {"level": float(8 + at_s % 2)} for at_s in range(0, 99, 5)}
    day = [Reading(10, ts_us, came_us, told) for ts_us, told in levels.items()]
    assert [one.action for one in told_by(waiting_board(), day[::-1])] == ["fire"]


def test_a_tick_tells_what_was_released_in_its_order():
    """A rule that cleared and fired again while it waited: the other way round the second fault would be lost."""
    made = waiting_board()
    log = [*((at_s, 9 - at_s % 2) for at_s in range(0, 130, 5)), (130, 8), (135, 8), (140, 9), (150, 8), (161, 9)]
    came = [Reading(10, BEGAN_US + at * SECOND_US, BEGAN_US + at * SECOND_US, {"level": float(v)}) for at, v in log]
    apply(made, readings(came), now_us=came[-1].received_us)
    released = [one for one in tick(made, now_us=BEGAN_US + 10_000 * SECOND_US) if one.code == "patient"]
    assert {one.action for one in released} == {"fire", "clear"}
    assert [one.ts_us for one in released] == sorted(one.ts_us for one in released)


def test_a_delay_keeps_only_what_its_rules_look_at():
    delayed = board().delayed[0]
    delayed.put(readings([Reading(no, BEGAN_US, BEGAN_US, {"level": 1.0}) for no in (1, 10, 30, 99)]))
    assert delayed.waiting is not None and delayed.waiting.device_no.tolist() == [10]
    assert isinstance(delayed, Delayed) and delayed.due(BEGAN_US + LATE_S * SECOND_US - 1) is None
    assert delayed.due(BEGAN_US + LATE_S * SECOND_US) is not None and delayed.waiting is None


def test_a_clock_that_runs_ahead_does_not_delay_its_device():
    delayed = board().delayed[0]
    delayed.put(readings([Reading(10, BEGAN_US + 3600 * SECOND_US, BEGAN_US, {"level": 1.0})]))
    assert delayed.due(BEGAN_US + LATE_S * SECOND_US) is not None


def fired(code: str, no: int, at_s: int, action: str = "fire", **more: object) -> Transition:
    at_us = BEGAN_US + at_s * SECOND_US
    made = Transition("pumps", code, no, action, at_us, at_us, 2, "", Explanation({}, {}, 0.0))  # type: ignore[arg-type]
    return Transition(**{name: getattr(made, name) for name in made.__struct_fields__} | more)  # type: ignore[arg-type]


def marked(*transitions: Transition) -> tuple[int, int]:
    made = board()
    mark(made, {code: life.copy() for code, life in made.lives.items()}, transitions)
    life, slot = made.lives["dry"], made.slot[made.rows(np.array([10]))][0]
    return int(life.flags[slot]) % PRIORITY_BIT, int(life.priority[slot])


def test_after_a_crash_a_rule_is_as_loud_and_as_unstable_as_it_was_told():
    first, quiet = fired("dry", 10, 1), fired("dry", 10, 2, quiet="late", priority=1)
    assert marked(first, quiet) == (FIRING | LOUD, 1), "or it would be told once more"
    assert marked(quiet) == (FIRING, 1)
    assert marked(fired("dry", 10, 1, unstable=True)) == (FIRING | LOUD | UNSTABLE, 2)
    assert marked(first, fired("dry", 10, 2, "clear"), quiet) == (FIRING, 1)
    assert marked(first, fired("dry", 10, 2, "clear"))[0] == 0


def test_after_a_crash_what_waited_and_was_told_is_not_told_again():
    turns = [*(0,) * 100, *(20 if turn % 2 else 0 for turn in range(8))]
    came = [(BEGAN_US + turn * 3 * SECOND_US, {"total_m3": turn * 2.0, "running": r}) for turn, r in enumerate(turns)]
    log = [Reading(10, ts_us, ts_us, {**told, "running": float(told["running"] > 0)}) for ts_us, told in came]
    whole, again = waiting_board(), waiting_board()
    for made in (whole, again):
        assert apply(made, readings(log), now_us=log[-1].received_us) == []
    before = {code: life.copy() for code, life in again.lives.items()}
    now_us = log[-1].received_us + 57 * SECOND_US
    told = tick(whole, now_us=now_us)
    assert {one.action for one in told} == {"fire", "clear"}
    see_again(again, told)
    mark(again, before, told)
    whole_later, later = (heard(tick(made, now_us=now_us + 999 * SECOND_US)) for made in (whole, again))
    assert later == whole_later


@pytest.mark.parametrize("code", ["dry", "mute", "patient"])
def test_a_rule_that_is_switched_off_clears_without_waiting(code):
    """Neither for a reading, nor for its calm, nor for the hour of an unstable one."""
    old = board()
    no, rule = 10, old.kind.rule(code)
    slot = old.slot[old.rows(np.array([no]))]
    old.lives[code].flags[slot] = (FIRING | LOUD | UNSTABLE) + PRIORITY_BIT * rule.priority
    new = board(Policy(1, {}, [Override("pumps", code, "enabled", 0.0, "device", str(no))]))
    new.take_over_from(old)
    told = heard(tick(new, now_us=BEGAN_US + SECOND_US))
    assert [(one.code, one.device_no, one.action, one.quiet) for one in told] == [(code, no, "clear", "")]
    assert [one for one in heard(tick(new, now_us=BEGAN_US + 9999 * SECOND_US)) if one[:2] == (code, no)] == []


def within(in__yard: Column) -> Mask:
    return in__yard == 1


def steep(level__diff: Column) -> Column:
    return level__diff


def steeper(steep__max_1m: Column) -> Column:
    return steep__max_1m


def too_steep(steeper__min_1m: Column, steep__max_1m: Column, level__diff: Column) -> Mask:
    return steeper__min_1m > 0


def made_of(*rules: Rule, derived: tuple[Formula, ...] = ()) -> Kind:
    return replace(PUMPS, rules=rules, derived=derived)


def rule_of(condition) -> Rule:
    return Rule(condition.__name__, "pump", Formula.of(condition), TEXT, 2, TEXT)


def test_a_geofence_is_asked_of_what_does_not_move_too():
    """Its kind tells no position: the registry does."""
    made = Board.of(made_of(rule_of(within)), registry())
    made.fences.update(board().fences)
    assert [
        one.device_no for one in apply(made, readings([Reading(10, 1, BEGAN_US, {"level": 1.0})]), now_us=BEGAN_US)
    ] == [10]


def test_a_subject_is_remembered_after_those_that_it_is_made_of():
    kind = made_of(rule_of(too_steep), derived=(Formula.of(steep), Formula.of(steeper)))
    order = [subject for _, subject in remembered(kind, kind.rules)]
    assert order.index("level") < order.index("steep") < order.index("steeper")


def test_a_derived_column_that_hangs_on_the_clock_is_looked_at_every_tick():
    assert board().timed >= {"stuck", "mute", "overdue", "drained", "odd"}
    assert board().timed.isdisjoint({"dry", "patient", "leak"})


@pytest.mark.parametrize("rows", [[], [(5, "dijon", "pumps", "x", None, None, None, None, None, True, {})]])
def test_a_city_without_such_devices_or_without_their_type_is_no_trouble(rows):
    made = board(devices=Registry.of_rows(1, rows))
    assert tick(made, now_us=BEGAN_US + 10**10) == []
    assert apply(made, readings([Reading(5, BEGAN_US, BEGAN_US, {"level": 1.0})]), now_us=BEGAN_US) == []
    assert apply(made, readings([]), now_us=BEGAN_US) == []
    made.take_over_from(board())
    board().take_over_from(made)


@pytest.mark.parametrize("ts_us", [-(10**15), 0, 1, 10**18])
def test_times_that_cannot_be_move_nothing(ts_us):
    """Decoding puts the time of reception in their place; if one came through it would do no harm."""
    made = board()
    received_us = BEGAN_US + 5 * SECOND_US
    apply(made, readings([Reading(10, ts_us, received_us, {"level": 1.0})]), now_us=received_us)
    fine = [Reading(10, received_us + at * SECOND_US, received_us + at * SECOND_US, {"level": 1.0}) for at in (1, 40)]
    told = heard(apply(made, readings(fine), now_us=fine[-1].received_us))
    assert [one.action for one in told if one.code == "dry"] == ["fire"]


def test_a_board_of_which_all_is_unknown_tells_nothing():
    made = board()
    nothing = [Reading(no, BEGAN_US + SECOND_US, BEGAN_US + SECOND_US, {}) for no in (1, 2, 10, 11, 12, 13, 20)]
    inside = [one for one in apply(made, readings(nothing), now_us=BEGAN_US + SECOND_US) if one.code != "inside"]
    assert inside == [], "where it stands is known of the registry"
    view = View(made, made.rows_of_type("pump"), BEGAN_US, "pump")
    assert all(np.isnan(view[name]).all() for name in ("level", "level__mean_1m", "level__prev", "surge"))
