"""What becomes of what is on when a city changes its rules. Pure.

A rule that is no more, or that no longer watches a device, would stay on for ever: nothing would ever say that it is
over. So it is told to be over when the change is made.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from devices.kind import Mask, Rule
from devices.transition import Explanation, Transition
from rules.board import Board, Rows
from rules.life import NEVER

NOT_WATCHED = Explanation({}, {"enabled": 0.0}, 0.0)
"""What the rules say of a fault that is over because nobody watches for it any more."""


def dismissed(old: Board, new: Board, *, now_us: int) -> list[Transition]:
    """What is on by the old board's rules and watched no more by the new one's; there it is off from now on."""
    told: list[Transition] = []
    for rule in old.rules:
        rows = old.firing(rule)
        gone = rows[~_watched(new, rule, new.rows(old.device_no[rows]))]
        here = new.rows(old.device_no[gone])
        if rule.code in new.lives:
            life, slots = new.lives[rule.code], new.slot[here[here >= 0]]
            life.flags[slots], life.since_s[slots] = 0, NEVER
        priority = old.lives[rule.code].priority[old.slot[gone]]
        told += [
            _over(old.kind.name, rule.code, int(number), int(told_as), now_us)
            for number, told_as in zip(old.device_no[gone], priority, strict=True)
        ]
    return told


def _watched(board: Board, rule: Rule, rows: Rows) -> Mask:
    """Does a board's rule of that code look at these rows (-1: not there)? Shape of rows."""
    if rule.code not in board.lives:
        return np.zeros(len(rows), bool)
    watched: Mask = (rows >= 0) & (board.type[rows] == board.type_index(rule.type))
    if (enabled := board.thresholds.get(rule.code, {}).get("enabled")) is not None:
        watched[watched] = enabled[board.slot[rows[watched]]] != 0
    return watched


def begin_again(board: Board, codes: Iterable[str]) -> None:
    """Count holds and calms of some rules anew: what they wait for has become something else."""
    for code in codes:
        if code in board.lives:
            board.lives[code].since_s[:] = NEVER


def orphaned(boards: Mapping[str, Board], told: Iterable[Transition], *, now_us: int) -> Iterator[Transition]:
    """What was told to be on, and is of a rule that no board has."""
    last = {(one.kind, one.code, one.device_no): one for one in told}
    for one in last.values():
        if one.action == "fire" and one.kind in boards and one.code not in boards[one.kind].lives:
            yield _over(one.kind, one.code, one.device_no, one.priority, now_us)


def _over(kind: str, code: str, device_no: int, priority: int, now_us: int) -> Transition:
    return Transition(
        kind=kind,
        code=code,
        device_no=device_no,
        action="clear",
        ts_us=now_us,
        at_us=now_us,
        priority=priority or 3,
        quiet="",
        explanation=NOT_WATCHED,
    )
