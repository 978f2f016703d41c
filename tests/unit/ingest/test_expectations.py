"""When what is usual is loaded, and for which columns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from devices.columns import Usual, asked
from devices.kind import Column, Formula, Mask, Rule, Text, kinds
from devices.policy import Policy
from devices.registry import Registry
from hub.clock import Clock, to_us
from ingest.city import City
from ingest.expectations import Due, Expectations
from rules.board import Board, expected

LIGHTING = kinds()["street_lighting"]
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def drop(current_a: Column, current_a__usual_hour: Column, children__power_w__night_min__median: Column) -> Mask:
    return (current_a < current_a__usual_hour) & (children__power_w__night_min__median > 0)


RULE = Rule("drop", "feeder", Formula.of(drop), Text("", ""), 3, Text("", ""))


def line_at(moment: datetime, *rules: Rule) -> Expectations:
    city = City.of(Registry.of_rows(1, []))
    for name, kind in kinds().items():
        city.boards[name] = Board.of(replace(kind, rules=()), city.registry)
    policy = Policy(own={LIGHTING.name: rules})
    city.boards[LIGHTING.name] = Board.of(replace(LIGHTING, rules=()), city.registry, policy)
    return Expectations("", Clock(to_us(NOON), to_us(moment), 1e-9), city, ZoneInfo("Europe/Paris"), Path("/nowhere"))


def test_what_rules_ask_for_is_found_through_groups_with_its_type():
    assert expected(LIGHTING, [RULE]) == {"current_a__usual_hour": {"feeder"}, "power_w__night_min": {"lamp"}}


def test_nothing_is_loaded_that_nobody_asks_for():
    assert line_at(NOON).missing() == []


def test_an_hour_is_loaded_before_it_begins_and_nights_four_times_a_day():
    line = line_at(NOON + timedelta(minutes=5), RULE)
    hour, night = "current_a__usual_hour", "power_w__night_min"
    first = [Due("street_lighting", hour, NOON), Due("street_lighting", hour, NOON + HOUR)]
    assert line.missing() == [*first, Due("street_lighting", night, NOON)]
    line.done = set(line.missing())
    assert line.missing() == []
    for minutes, missing in ((64, []), (65, [Due("street_lighting", hour, NOON + 2 * HOUR)])):
        line.clock = line_at(NOON + timedelta(minutes=minutes)).clock
        assert line.missing() == missing
    line.clock = line_at(NOON + 6.2 * HOUR).clock
    assert [due.column for due in line.missing()] == [hour, hour, night]


def test_a_column_that_no_rule_reads_any_more_is_dropped():
    line = line_at(NOON, RULE)
    board = line.city.boards["street_lighting"]
    board.expect("current_a__usual_day", np.array([], int), np.array([]))
    board.expect("current_a__usual_hour", np.array([], int), np.array([]), hours=24)
    line.missing()
    assert list(board.usual) == ["current_a__usual_hour"]


def test_where_a_vehicle_was_is_not_usual():
    assert asked("lat__usual_hour") == Usual("lat", "usual_hour")
    assert kinds()["fleet_vehicle"].column_fault("vehicle", "lat__usual_hour") is not None
