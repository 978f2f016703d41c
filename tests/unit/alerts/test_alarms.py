"""Which faults of the hub somebody is told of, when, and of their end."""

from collections.abc import Sequence
from typing import get_args

import pytest

from alerts.alarms import NEVER, OVER_S, PATIENCE_S, Alarms
from store.health import Code, Fault

PATIENT_S = PATIENCE_S["no_database"]


def alarms() -> Alarms:
    return Alarms(lambda fault: f"{fault.code} {fault.name} {fault.amount:.0f}")


def take(watched: Alarms, now_s: float, *channels: str) -> list[tuple[str, str, str]]:
    """What the channels are told at a moment; they take it all."""
    told = []
    for channel in channels or ("1",):
        while due := watched.due(channel, now_s):
            alarm, turn = due
            watched.tell(alarm, turn, channel)
            told.append((channel, alarm.code, turn))
    return told


def see(watched: Alarms, now_s: float, *codes: Code) -> None:
    watched.see([Fault(code) for code in codes], now_s, int(now_s * 1e6))


def test_a_fault_is_told_once_it_has_lasted_and_its_end_once_it_is_gone() -> None:
    watched = alarms()
    see(watched, 0, "no_database")
    assert take(watched, PATIENT_S - 1) == []
    see(watched, PATIENT_S, "no_database")
    assert take(watched, PATIENT_S) == [("1", "no_database", "began")]
    see(watched, 500, "no_database")
    assert take(watched, 500) == []
    see(watched, 510)
    assert take(watched, 510 + OVER_S - 1) == []
    assert take(watched, 510 + OVER_S) == [("1", "no_database", "ended")]
    see(watched, 600)
    assert (take(watched, 600), watched.told) == ([], [])


def test_a_fault_that_comes_and_goes_is_one_alarm() -> None:
    watched, told = alarms(), []
    for now_s in range(0, 400, 5):
        see(watched, now_s, *(("no_broker",) if now_s % 20 < 10 or now_s >= 100 else ()))
        told += take(watched, now_s)
    assert told == [("1", "no_broker", "began")]


def test_what_does_not_last_is_not_told() -> None:
    watched = alarms()
    for now_s in range(0, 300, 10):
        see(watched, now_s, *(("no_broker",) if now_s % 30 else ()))
        assert take(watched, now_s) == []


@pytest.mark.parametrize("code", sorted(NEVER))
def test_some_faults_wake_nobody(code: Code) -> None:
    watched = alarms()
    see(watched, 0, code)
    assert take(watched, 10**6) == []


def test_each_channel_is_told_on_its_own_and_the_end_only_where_the_beginning_was() -> None:
    watched = alarms()
    see(watched, 0, "disk")
    assert take(watched, 60, "1") == [("1", "disk", "began")]
    assert take(watched, 60, "1", "2") == [("2", "disk", "began")]
    see(watched, 70, "disk", "clock")
    assert take(watched, 200, "1") == [("1", "clock", "began")]
    see(watched, 210)
    ended = take(watched, 300, "1", "2")
    assert sorted(ended) == [("1", "clock", "ended"), ("1", "disk", "ended"), ("2", "disk", "ended")]


def test_what_cannot_be_seen_is_not_over() -> None:
    """While the database is away nobody knows whether a reader is still stuck."""
    watched = alarms()
    see(watched, 0, "stuck")
    assert take(watched, 60) == [("1", "stuck", "began")]
    for now_s in (70, 300):
        see(watched, now_s, "no_database")
    assert take(watched, 300) == [("1", "no_database", "began")]
    see(watched, 310, "stuck")
    assert take(watched, 310 + OVER_S) == [("1", "no_database", "ended")]


@pytest.mark.parametrize(
    ("then", "told"), [(["no_broker"], []), ([], [("1", "no_broker", "ended")])], ids=["still there", "gone meanwhile"]
)
def test_a_restart_does_not_repeat_and_still_tells_the_end(then: Sequence[Code], told: list[object]) -> None:
    before, after = alarms(), alarms()
    see(before, 0, "no_broker")
    take(before, 60)
    after.go_on(before.told, 1000)
    see(after, 1000, *then)
    see(after, 1000 + OVER_S, *then)
    assert take(after, 1000 + OVER_S) == told


def test_the_sentence_is_that_of_when_it_was_told() -> None:
    watched = alarms()
    for now_s, lag in ((0, 10), (200, 20), (300, 30)):
        watched.see([Fault("behind", "store", lag)], now_s, 7)
        take(watched, now_s)
    assert [(alarm.sentence, alarm.since_us) for alarm in watched.told] == [("behind store 20", 7)]


def test_of_every_fault_it_is_decided_whether_it_wakes_somebody() -> None:
    assert {*PATIENCE_S, *NEVER} == set(get_args(Code)) and not NEVER & PATIENCE_S.keys()
