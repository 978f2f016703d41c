"""A test of rules played on the engine: what came against what was expected. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np

from devices.readings import Readings
from devices.transition import Transition
from hub.clock import SECOND_US
from rules.board import Board
from rules.evaluate import apply, tick
from rules.script import Expected, Said, Script

CAME = {"fire": "fired", "clear": "cleared"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What is not as expected, and on which line that was expected."""

    line: int
    reason: str


def rehearse(script: Script) -> list[Failure]:
    """Play a test; what was expected and did not come, then what came and was not expected."""
    came = [told for told in play(script) if not script.only or told.code in script.only]
    left, failures = list(came), []
    for expected in script.expected:
        found = next((told for told in left if fits(expected, told)), None)
        if found is None:
            failures.append(Failure(expected.line, _missed(script, expected, came)))
        else:
            left.remove(found)
    return [*failures, *(Failure(script.line, f"not expected: {_said(script, told)}") for told in left)]


def play(script: Script) -> Iterator[Transition]:
    """What the rules tell: readings as they are received, and a tick whenever one is due."""
    board = Board.of(script.kind, script.registry, script.policy, script.timezone)
    board.watch(script.start_us)
    next_tick_us = script.start_us + script.tick_us
    for received_us, said in groupby(script.said, key=lambda one: one.received_us):
        while next_tick_us < received_us:
            yield from tick(board, now_us=next_tick_us)
            next_tick_us += script.tick_us
        yield from apply(board, _readings(script, list(said)), now_us=received_us)
    while next_tick_us <= script.until_us:
        yield from tick(board, now_us=next_tick_us)
        next_tick_us += script.tick_us


def _readings(script: Script, said: Sequence[Said]) -> Readings:
    kind, n = script.kind, len(said)
    values = [[one.values.get(name, np.nan) for one in said] for name in kind.field_names]
    return Readings(
        kind=kind,
        offset=np.zeros(n, np.int64),
        part=np.zeros(n, np.int32),
        device_no=np.array([one.device_no for one in said], np.int64),
        ts_us=np.array([one.ts_us for one in said], np.int64),
        received_us=np.array([one.received_us for one in said], np.int64),
        time_flagged=np.zeros(n, bool),
        replayed=np.zeros(n, bool),
        values=np.array(values, np.float64),
        rest={},
        strangers={},
    )


def fits(expected: Expected, told: Transition) -> bool:
    """Is this what was expected?"""
    return (
        (told.action, told.code, told.device_no) == (expected.action, expected.code, expected.device_no)
        and expected.first_us <= told.ts_us <= expected.last_us
        and expected.priority in (None, told.priority)
    )


def _missed(script: Script, expected: Expected, came: Sequence[Transition]) -> str:
    """What was expected, and what of the rule came on the device instead."""
    first, last = (_clock(script, us) for us in (expected.first_us, expected.last_us))
    when = f"at {first}" if expected.first_us == expected.last_us else f"between {first} and {last}"
    grade = f" as P{expected.priority}" if expected.priority else ""
    on_it = [t for t in came if (t.code, t.device_no) == (expected.code, expected.device_no)]
    instead = ", ".join(f"it {CAME[t.action]} at {_clock(script, t.ts_us)} as P{t.priority}" for t in on_it)
    wanted = f"{expected.code} was to {expected.action} on {script.device(expected.device_no)} {when}{grade}"
    return f"{wanted}; {instead or 'it did nothing'}"


def _said(script: Script, told: Transition) -> str:
    at = _clock(script, told.ts_us)
    return f"{told.code} {CAME[told.action]} on {script.device(told.device_no)} at {at} as P{told.priority}"


def _clock(script: Script, us: int) -> str:
    """A moment as the city's clocks show it, with its day when it is not the first."""
    zone = ZoneInfo(script.timezone)
    moment, start = (datetime.fromtimestamp(at // SECOND_US, zone) for at in (us, script.start_us))
    return f"{moment:%H:%M:%S}" if moment.date() == start.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
