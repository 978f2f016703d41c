"""Rules tried over readings that were recorded: what each fires, and what differs."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from devices.kind import kinds
from devices.policy import Override, Policy
from devices.registry import Registry
from rules.backtest import TRIED, BadTrial, Run, Trial
from rules.board import Board
from rules.evaluate import apply
from tests.readings import NOW_US, readings_of
from tests.unit.rules.test_evaluate import FEEDER_NO, FIRST_LAMP_NO, lit, out

LIGHTING = kinds()["street_lighting"]
MIN, HOUR = 60, 3600


def registry(lamps=4):
    head = (1, "dijon", "street_lighting", "A", "cabinet", None, None, 47.3, 5.0, True, {})
    feeder = (FEEDER_NO, "dijon", "street_lighting", "F", "feeder", 1, 1, 47.3, 5.0, True, {"rated_current_a": 9})
    lamp = ("lamp", 2, 1, 47.3, 5.0, True, {"rated_power_w": 60})
    rows = [(FIRST_LAMP_NO + i, "dijon", "street_lighting", f"L{i}", *lamp) for i in range(lamps)]
    return Registry.of_rows(1, [head, feeder, *rows])


def seen(trial, *rows, since=0, until=4 * HOUR, at_once=1000):
    """A run over readings, given so many at once."""
    run = Run.of(trial, registry(), NOW_US + since * 10**6, NOW_US + until * 10**6, timezone="Europe/Paris")
    rows = sorted(rows, key=lambda row: row["ts"])
    for first in range(0, len(rows), at_once):
        readings = readings_of("street_lighting", rows[first : first + at_once])
        wanted = [LIGHTING.field_index(name) for name in trial.fields]
        run.see(readings.device_no, readings.ts_us, readings.values[wanted])
    run.end()
    return run


def told(sheet):
    """(device, start, end) in seconds."""
    starts, ends = ((times - NOW_US) // 10**6 for times in (sheet.start_us, sheet.end_us))
    return list(zip(sheet.device_no.tolist(), starts.tolist(), ends.tolist(), strict=True))


NIGHT = (
    *(lit(no, ts) for no in (10, 11, 12) for ts in range(0, HOUR, 15 * MIN)),
    *(out(10, ts) for ts in range(HOUR, 2 * HOUR, 15 * MIN)),
    *(out(11, ts) for ts in range(HOUR, HOUR + 20 * MIN, 15 * MIN)),
    *(lit(10, ts) for ts in range(2 * HOUR, 4 * HOUR, 15 * MIN)),
    *(lit(11, ts) for ts in range(HOUR + 30 * MIN, 4 * HOUR, 15 * MIN)),
)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_a_longer_hold_beside_the_one_in_force(at_once):
    rule = LIGHTING.rule("lamp_out")
    run = seen(Trial(LIGHTING, rule, rule, {"hold_s": 1800}), *NIGHT, at_once=at_once)
    tried, in_force = run.sheets()
    assert told(in_force) == [(10, HOUR + 15 * MIN, 2 * HOUR), (11, HOUR + 15 * MIN, HOUR + 30 * MIN)]
    assert told(tried) == [(10, HOUR + 30 * MIN, 2 * HOUR)]
    assert tried.met(in_force).tolist() == [True]
    assert in_force.met(tried).tolist() == [True, False]
    assert in_force.most(1) == [(10, 1, 45 * 60.0)]
    hours = NOW_US + np.arange(4) * 3_600_000_000
    assert in_force.by_hour(hours).tolist() == [0, 2, 0, 0]


def test_what_was_on_at_the_beginning_and_at_the_end_is_cut():
    rule = LIGHTING.rule("lamp_out")
    rows = [out(10, ts) for ts in range(-2 * HOUR, 2 * HOUR, 15 * MIN)]
    tried, in_force = seen(Trial(LIGHTING, rule), *rows, until=HOUR).sheets()
    assert in_force is None
    assert told(tried) == [(10, 0, HOUR)]
    assert (tried.standing.tolist(), tried.still_on.tolist()) == ([True], [True])
    assert tried.by_hour(np.array([NOW_US])).tolist() == [0], "it did not begin then"


def test_what_was_over_before_the_beginning_is_left_out():
    rows = [*(out(10, ts) for ts in range(-3 * HOUR, -2 * HOUR, 15 * MIN)), lit(10, -2 * HOUR)]
    assert len(seen(Trial(LIGHTING, LIGHTING.rule("lamp_out")), *rows).sheets()[0]) == 0


def test_silence_is_told_by_simulated_ticks():
    rule = LIGHTING.rule("lamp_silent")
    rows = [lit(no, ts) for no in (10, 11) for ts in range(0, 4 * HOUR, 15 * MIN) if no == 10 or ts < HOUR]
    run = seen(Trial(LIGHTING, rule, rule, {"max_periods": 2}), *rows, at_once=3)
    tried, in_force = ([one for one in told(sheet) if one[0] == 11] for sheet in run.sheets())
    heard_last = HOUR - 15 * MIN
    assert [start - heard_last for _, start, _ in in_force] == [46 * MIN]
    assert [start - heard_last for _, start, _ in tried] == [31 * MIN]


def test_the_whole_feeder_through_its_lamps():
    lamps = range(FIRST_LAMP_NO, FIRST_LAMP_NO + 4)
    rows = [(out if HOUR <= ts < 2 * HOUR else lit)(no, ts) for no in lamps for ts in range(0, 3 * HOUR, 15 * MIN)]
    trial = Trial(LIGHTING, LIGHTING.rule("feeder_out"))
    assert set(trial.needs) == {"feeder", "lamp"} and "power_w" in trial.needs["lamp"]
    assert "driver_temp_c" not in trial.fields
    tried, _ = seen(trial, *rows, until=3 * HOUR - 15 * MIN).sheets()
    ((no, start, end),) = told(tried)
    assert no == FEEDER_NO and HOUR <= start <= HOUR + MIN and 2 * HOUR <= end <= 2 * HOUR + MIN


def test_what_the_city_has_tuned_counts_for_both_but_for_what_is_changed():
    rule = LIGHTING.rule("lamp_out")
    tuned = [
        Override("street_lighting", "lamp_out", "hold_s", 7200, "device", "10"),
        Override("street_lighting", "lamp_out", "enabled", 0),
        Override("street_lighting", "lamp_out", "min_ratio", 0.5),
    ]
    trial = Trial(LIGHTING, rule, rule, {"hold_s": 60}, Policy(3, {}, tuned))
    board = trial.board(registry(), "Europe/Paris")
    tried = {name: column.tolist() for name, column in board.thresholds["lamp_out" + TRIED].items()}
    assert tried == {"hold_s": [60] * 4, "min_ratio": [0.5] * 4}
    assert board.thresholds["lamp_out"]["hold_s"].tolist() == [7200, 600, 600, 600]
    run = seen(trial, *NIGHT)
    assert len(run.sheets()[0]) == 2 and len(run.sheets()[1]) == 0, "it is switched off"


def test_it_fires_what_the_whole_board_of_the_hub_fires():
    chance = np.random.default_rng(3)
    rows = [
        {"no": no, "ts": ts, "dim_pct": chance.choice([0, 100]), "power_w": chance.choice([1, 45, 60]), "energy_wh": ts}
        for ts in range(0, 4 * HOUR, 10 * MIN)
        for no in (10, 11, 12)
    ]
    board = Board.of(LIGHTING, registry())
    live = apply(board, readings_of("street_lighting", rows), now_us=NOW_US + 4 * HOUR * 10**6)
    for rule in (rule for rule in LIGHTING.rules if rule.type == "lamp" and not LIGHTING.is_timed(rule)):
        told = {no: [t for t in live if (t.code, t.device_no) == (rule.code, no)] for no in (10, 11, 12)}
        fired = [  # not those that only say another priority
            (no, t.ts_us)
            for no, mine in told.items()
            for before, t in pairwise([None, *mine])
            if t.action == "fire" and (before is None or before.action == "clear")
        ]
        sheet = seen(Trial(LIGHTING, rule), *rows, at_once=50).sheets()[0]
        assert list(zip(sheet.device_no.tolist(), sheet.start_us.tolist(), strict=True)) == fired
    assert {t.code for t in live} >= {"lamp_out", "lit_unasked"}


def test_a_new_rule_has_nothing_beside_it_and_reads_only_what_it_needs():
    new = replace(LIGHTING.rule("driver_hot"), code="driver_warm", hold_s=0.0)
    trial = Trial(LIGHTING, new, None, {"max_temp_c": 40})
    assert trial.fields == ("driver_temp_c",)
    run = seen(trial, {"no": 10, "ts": 0, "driver_temp_c": 50}, {"no": 10, "ts": 60, "driver_temp_c": 30})
    assert told(run.sheets()[0]) == [(10, 0, 60)]
    assert run.unknown() == {"driver_temp_c": 0.75}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_rato": 1.0}, "has no threshold 'min_rato'; it has min_ratio"),
        ({"hold_s": -1.0}, "hold_s cannot be -1"),
        ({"priority": 4.0}, "priority is 1, 2 or 3"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(BadTrial, match=said):
        Trial(LIGHTING, LIGHTING.rule("lamp_out"), None, changes)
