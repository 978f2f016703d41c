"""What is remembered of a subject: steps, counters, and windows in panes."""

import math

import numpy as np
import pytest

from devices.columns import Step, Window
from rules.track import Track, increase

SECOND_US = 1_000_000
BEGAN_S = 1_780_000_000 - 1_780_000_000 % 3600
ONE = np.array([0])
HOWS = ("count", "sum", "mean", "min", "max", "rise", "changes", "still", "p50")


def track_of(*questions, rolls_at=None):
    return Track.of(2, questions, rolls_at)


def push(track, *values):
    """Values of slot 0, each with its second."""
    for at_s, value in values:
        track.push(ONE, np.array([(BEGAN_S + at_s) * SECOND_US]), np.array([float(value)]))
    return track


def look(track, question, at_s):
    return track.window(question, ONE, np.array([(BEGAN_S + at_s) * SECOND_US])).tolist()[0]


@pytest.mark.parametrize(("how", "expected"), [("prev", 10), ("diff", 5), ("rise", 5), ("rate_h", 10), ("gap_s", 1800)])
def test_a_step_is_the_newest_value_against_the_one_before(how, expected):
    track = track_of(Step("x", how))
    assert np.isnan(track.step(how, ONE))
    assert np.isnan(push(track, (0, 10)).step(how, ONE))
    push(track, (1800, 15), (1900, np.nan), (1800, 99), (600, 7))
    assert track.step(how, ONE).tolist() == [expected], "the unknown, the late and the repeated are left out"
    assert np.isnan(track.step(how, np.array([1]))), "of another device nothing is known"


@pytest.mark.parametrize(
    ("before", "value", "rolls_at", "rise"),
    [
        (10, 12, None, 2),
        (10, 10, 100, 0),
        (10, 3, None, 3),
        (95, 4, 100, 9),
        (50, 4, 100, 4),
        (95, 50, 100, 50),
        (99_999, 0, 100_000, 1),
    ],
)
def test_a_counter_that_stands_lower_began_again_or_rolled_over(before, value, rolls_at, rise):
    assert increase(np.array([float(value)]), np.array([float(before)]), rolls_at).tolist() == [rise]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("count", 3),
        ("sum", 13),
        ("mean", 13 / 3),
        ("min", 2),
        ("max", 8),
        ("rise", 3 + 2 + 1),
        ("changes", 3),
        ("p50", 3),
        ("p80", 3 + 0.6 * 5),
    ],
)
def test_a_window_is_the_pane_of_now_and_one_span_before(how, expected):
    question = Window("x", how, 15)  # in panes of 1 s
    track = push(track_of(question), (0, 5), (4, 5), (10, 8), (15, 2), (19, 3))
    assert look(track, question, 20) == pytest.approx(expected), "seconds 5 to 20"


@pytest.mark.parametrize("how", HOWS)
def test_a_window_is_unknown_until_it_is_full(how):
    question = Window("x", how, 60)  # in panes of 5 s
    track = push(track_of(question), (2, 1), *((at_s, 1) for at_s in range(5, 60, 5)))
    assert math.isnan(look(track, question, 59))
    assert not math.isnan(look(push(track, (60, 1)), question, 60))


@pytest.mark.parametrize("how", HOWS)
def test_a_window_in_which_nothing_was_told_is_unknown(how):
    """A meter that is silent, or speaks of something else, is not still and did not stand."""
    question = Window("x", how, 60)
    track = push(track_of(question), *((at_s, 1) for at_s in range(0, 100, 5)))
    found = look(track, question, 1000)
    assert found == 0 if how == "count" else math.isnan(found)


def test_what_rose_in_a_gap_may_hide_a_still_pane():
    question = Window("x", "still", 60)
    steady = [(at_s, at_s) for at_s in range(0, 125, 5)]
    assert look(push(track_of(question), *steady), question, 120) == 0
    with_gap = [one for one in steady if one[0] not in (80, 85, 90)]
    assert math.isnan(look(push(track_of(question), *with_gap), question, 120))
    stood = [(at_s, 70 if 70 <= at_s <= 95 else at_s) for at_s, _ in with_gap]
    assert look(push(track_of(question), *stood), question, 120) == 5
    assert math.isnan(look(push(track_of(question), *steady), question, 127)), "nobody knows of the last pane yet"


def test_a_value_of_long_ago_is_in_no_window():
    question = Window("x", "max", 60)
    track = push(track_of(question), (0, 99), *((at_s, 1) for at_s in range(100_000, 100_080, 5)))
    assert look(track, question, 100_075) == 1


def test_hub_time_that_is_behind_the_devices_sees_their_newest():
    question = Window("x", "count", 60)
    track = push(track_of(question), *((at_s, 1) for at_s in range(0, 200, 5)))
    assert look(track, question, 100) == look(track, question, 195) == 13


@pytest.mark.parametrize(
    ("span_s", "pane_s", "panes"),
    [
        (1, 1, 1),
        (15, 1, 15),
        (60, 5, 12),
        (900, 60, 15),
        (3600, 300, 12),
        (86_400, 3600, 24),
        (60 * 86_400, 86_400, 60),
    ],
)
def test_panes_of_every_length_of_window(span_s, pane_s, panes):
    question = Window("x", "sum", span_s)
    assert (question.pane_s, question.panes) == (pane_s, panes)
    track = push(track_of(question), *((place * pane_s, 1) for place in range(panes + 5)))
    assert look(track, question, (panes + 4) * pane_s) == panes + 1


def test_windows_of_one_span_share_panes_and_those_of_another_do_not():
    questions = [Window("x", "mean", 900), Window("x", "p80", 900), Window("x", "max", 900), Window("x", "max", 960)]
    track = track_of(*questions)
    assert {span_s: sorted(panes.stats) for span_s, panes in track.panes.items()} == {
        900: ["count", "max", "sum"],
        960: ["max"],
    }


def test_a_question_that_is_new_waits_for_its_own_window_and_leaves_the_others_alone():
    """As when somebody makes a rule while the city goes on."""
    old, new = Window("x", "count", 60), Window("x", "mean", 60)
    before = push(track_of(old), *((at_s, 4) for at_s in range(0, 100, 5)))
    after = track_of(old, new)
    known = dict(before.arrays())
    for name, array in after.arrays():
        if name in known:
            array[:] = known[name]
    push(after, (100, 4), (105, 4))
    assert look(after, old, 105) == 13
    assert math.isnan(look(after, new, 105))
    push(after, *((at_s, 4) for at_s in range(110, 165, 5)))
    assert look(after, new, 160) == 4


def test_nobody_at_all_is_no_trouble():
    nobody, none = np.zeros(0, np.intp), np.zeros(0, np.int64)
    question = Window("x", "p20", 60)
    track = Track.of(0, [question, Step("x", "rise")])
    track.push(nobody, none, np.zeros(0))
    assert len(track.window(question, nobody, none)) == len(track.step("rise", nobody)) == 0
