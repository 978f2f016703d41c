"""Evaluation: readings change the board, and rules on what changed give transitions. Pure.

Readings of one device are applied one after the other in the order of the log, as rounds over all devices, so that
it does not matter how the log is cut into batches. A reading that is older than its device's newest never rewinds it;
one of the very same time completes it.

Whether a reading is late is a matter of when the hub received it, not of when it is read from the log: what came on
time while the worker was down still calls. What only a late or a replayed reading has told calls nobody: not at a tick,
nor when a live reading comes that does not speak of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from devices.kind import Kind, Mask, Rule
from devices.readings import Readings
from devices.transition import Action, Explanation, Quiet, Transition
from hub.clock import SECOND_US
from rules.board import LATE, LIVE, NEVER, REPLAYED, Board, Life, Rows, Times, View, is_known
from rules.life import Outcome, live, rounds

QUIET: Mapping[int, Quiet] = {LIVE: "", LATE: "late", REPLAYED: "replayed"}
PAGE_WITHIN_US = 86_400 * SECOND_US
"""A fault that is told more than a day after it happened is recorded and calls nobody (our default)."""


def apply(board: Board, readings: Readings, *, now_us: int, timed: bool = True) -> list[Transition]:
    """Put readings of the board's kind on it and evaluate their devices' rules.

    Without `timed` only those that depend on nothing but readings: what is read again after a crash was already
    seen by the others at its time.
    """
    row = board.rows(readings.device_no)
    transitions: list[Transition] = []
    on_board = np.flatnonzero(row >= 0)
    place = rounds(row[on_board])
    for number in range(int(place.max(initial=-1)) + 1):
        entries = on_board[place == number]
        transitions += _apply_round(board, readings, entries, row[entries], now_us, timed)
    return transitions


def _apply_round(
    board: Board, readings: Readings, entries: Rows, rows: Rows, now_us: int, timed: bool
) -> list[Transition]:
    """One reading per device at most."""
    received_us = readings.received_us[entries]
    board.heard_us[rows] = np.maximum(board.heard_us[rows], received_us)
    # A clock that runs ahead must not make later readings look late.
    ts_us = np.minimum(readings.ts_us[entries], received_us)
    replayed, last_us = readings.replayed[entries], board.last_us[rows]
    # Many devices tell one moment in two messages; a replay of the newest one is left out.
    same = (ts_us == last_us) & ~replayed
    wanted = (ts_us > last_us) | same
    entries, rows, ts_us, received_us = entries[wanted], rows[wanted], ts_us[wanted], received_us[wanted]
    board.last_us[rows] = ts_us
    board.replayed[rows] = replayed[wanted]
    is_late = received_us - ts_us > PAGE_WITHIN_US
    how = np.where(replayed[wanted], REPLAYED, np.where(is_late, LATE, LIVE)).astype(np.uint8)
    _keep(board, rows, readings.values[:, entries], how, same[wanted])

    watched = board.commissioned[rows]
    transitions: list[Transition] = []
    for rule in board.kind.rules:
        here = watched & (board.type[rows] == board.type_index(rule.type))
        if here.any() and (timed or not rule.is_timed):
            view = View(board, rows[here], now_us)
            # A timed rule lives in hub time, by readings and by ticks alike.
            at_us = np.full(int(here.sum()), now_us) if rule.is_timed else ts_us[here]
            transitions += _evaluate(rule, view, at_us)
    return _in_causal_order(board.kind, transitions)


def _keep(board: Board, rows: Rows, told: NDArray[np.float64], how: NDArray[np.uint8], same: Mask) -> None:
    """Know what was told, shape (fields, rows). `same` marks what is of the moment that is the newest already."""
    values, heard_how = board.values[:, rows], board.heard_how[:, rows]
    # The same told again a day later does not make late what was told on time.
    how = np.where(same & (told == values), np.minimum(heard_how, how), how)
    is_told = ~np.isnan(told)
    board.values[:, rows] = np.where(is_told, told, values)
    board.heard_how[:, rows] = np.where(is_told, how, heard_how)


def tick(board: Board, *, now_us: int) -> list[Transition]:
    """Evaluate the rules that depend on the clock or on other devices, on every device."""
    transitions: list[Transition] = []
    for rule in board.kind.rules:
        if rule.is_timed and len(rows := board.rows_of(rule)):
            view = View(board, rows, now_us)
            transitions += _evaluate(rule, view, np.full(len(rows), now_us))
    return _in_causal_order(board.kind, transitions)


def _in_causal_order(kind: Kind, transitions: list[Transition]) -> list[Transition]:
    """What was seen at one moment, told so that no effect is mistaken for a fault of its own.

    A cause fires before what it explains, and clears after it.
    """
    causes = {code for rule in kind.rules for code in rule.explained_by}

    def place(transition: Transition) -> int:
        is_cause = transition.code in causes
        return int(not is_cause) if transition.action == "fire" else 2 + is_cause

    return sorted(transitions, key=place)


def _evaluate(rule: Rule, view: View, ts_us: Times) -> list[Transition]:
    bad, good, known = _look(rule, view)
    how = _how(rule, view)
    if how.any():  # would the rule say the same of what live readings alone have told?
        live_bad, live_good, live_known = _look(rule, replace(view, live_only=True))
        how[live_known & np.where(bad, live_bad, live_good)] = LIVE
    if rule.is_silence:
        how[view.board.replayed[view.rows]] = REPLAYED
    outcome = live(
        view.board.lives[rule.code],
        view.rows,
        bad=bad,
        good=good,
        known=known,
        ts_us=ts_us,
        worth_a_call=how == LIVE,
        hold_us=int(rule.hold_s * SECOND_US),
        calm_us=int(rule.calm_s * SECOND_US),
    )
    return list(_told(rule, view, ts_us, outcome, how))


def _look(rule: Rule, view: View) -> tuple[Mask, Mask, Mask]:
    """Where the condition holds, where the clearing one does, and where either can be believed."""
    bad: Mask = rule.condition(view)
    good: Mask = rule.clear(view) if rule.clear else ~bad
    return bad, good, is_known(rule.columns, view, optional=rule.optional, any_of=rule.any_of)


def _how(rule: Rule, view: View) -> NDArray[np.uint8]:
    """Whether any value that the rule reads, the children's too, is late or replayed; shape (rows,)."""
    board = view.board
    own = [board.kind.field_index(name) for name in rule.columns if name in board.kind.field_names]
    how: NDArray[np.uint8] = board.heard_how[own][:, view.rows].max(axis=0, initial=LIVE)
    for name in rule.columns:
        if name.startswith("children__"):
            formula = board.kind.derived_formula(name.split("__")[1])
            read = [board.kind.field_index(field) for field in formula.columns if field in board.kind.field_names]
            children = np.flatnonzero((board.parent >= 0) & board.heard_how[read].any(axis=0))
            by_row = np.full(len(board), LIVE, np.uint8)
            np.maximum.at(by_row, board.parent[children], board.heard_how[read][:, children].max(axis=0, initial=LIVE))
            how = np.maximum(how, by_row[view.rows])
    return how


def _told(rule: Rule, view: View, ts_us: Times, outcome: Outcome, how: NDArray[np.uint8]) -> Iterator[Transition]:
    """The transitions of what changed; few, so one by one."""
    changed = outcome.fired | outcome.confirmed | outcome.cleared
    if not changed.any():
        return
    columns = {name: view[name] for name in rule.columns}
    device_no = view.board.device_no
    for index in np.flatnonzero(changed).tolist():
        action: Action = "clear" if outcome.cleared[index] else "fire"
        quiet = QUIET[how[index]]
        seen = {name: _number(column[index]) for name, column in columns.items()}
        yield Transition(
            kind=view.board.kind.name,
            code=rule.code,
            device_no=int(device_no[view.rows[index]]),
            action=action,
            ts_us=int(ts_us[index]),
            at_us=view.now_us,
            priority=rule.priority,
            quiet=quiet,
            explanation=Explanation(seen, dict(rule.condition.thresholds), rule.hold_s),
        )


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def mark(board: Board, before: Mapping[str, Life], transitions: Sequence[Transition]) -> None:
    """Make rules fire or not as was told, after a crash and after the log was read again in silence.

    Told is what was firing `before` that reading, by rule code, and then the last durable transition of each rule and
    device. Where reading came to the same end, its state is left: it may know what came after. What it found beyond
    that (a codec, a rule or the registry has changed meanwhile) was not told: the next reading will.
    """
    last = {(transition.device_no, transition.code): transition for transition in transitions}
    for transition in last.values():
        row = int(board.rows(np.array([transition.device_no]))[0])
        told = before.get(transition.code)
        if row < 0 or told is None:
            continue
        is_on = transition.action == "fire"
        told.firing[row], told.loud[row] = is_on, is_on and not transition.quiet
        told.since_us[row] = transition.ts_us
        if not is_on and board.lives[transition.code].firing[row]:
            board.lives[transition.code].since_us[row] = NEVER
    for code, life in board.lives.items():
        told = before[code]
        differs = life.firing != told.firing
        life.since_us[differs & told.firing] = told.since_us[differs & told.firing]
        life.calm_us[differs] = NEVER
        life.firing[:], life.loud[:] = told.firing, told.loud
