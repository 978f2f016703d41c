"""Evaluation: readings change the board, and rules on what changed give transitions. Pure.

Readings of one device are applied one after the other in the order of the log, as rounds over all devices, so that
it does not matter how the log is cut into batches. A reading that is older than its device's newest never rewinds it;
one of the very same time completes it.

Whether a reading is late is a matter of when the hub received it, not of when it is read from the log: what came on
time while the worker was down still calls. What only a late or replayed reading tells calls nobody, at a tick neither.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from devices.kind import Kind, Mask, Rule
from devices.readings import Readings
from devices.transition import Action, Explanation, Quiet, Transition
from hub.clock import SECOND_US
from rules.board import NEVER, Board, Life, Rows, Times, View, is_known
from rules.life import Outcome, live, rounds

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
    # Many devices tell one moment in two messages. A replay of the newest moment brings nothing that is not known.
    same = (ts_us == last_us) & ~replayed
    wanted = (ts_us > last_us) | same
    entries, rows, ts_us, received_us = entries[wanted], rows[wanted], ts_us[wanted], received_us[wanted]
    board.last_us[rows] = ts_us
    board.replayed[rows] = replayed[wanted]
    # The same moment told again a day later does not make what was told on time late.
    board.late[rows] = (received_us - ts_us > PAGE_WITHIN_US) & (~same[wanted] | board.late[rows])
    told = readings.values[:, entries]
    board.values[:, rows] = np.where(np.isnan(told), board.values[:, rows], told)

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
    board, rows = view.board, view.rows
    bad: Mask = rule.condition(view)
    good: Mask = rule.clear(view) if rule.clear else ~bad
    is_replayed, is_late = board.replayed[rows] | _has_replayed_child(rule, view), _is_late(rule, view)
    outcome = live(
        board.lives[rule.code],
        rows,
        bad=bad,
        good=good,
        known=is_known(rule.columns, view, optional=rule.optional, any_of=rule.any_of),
        ts_us=ts_us,
        worth_a_call=~is_replayed & ~is_late,
        hold_us=int(rule.hold_s * SECOND_US),
        calm_us=int(rule.calm_s * SECOND_US),
    )
    return list(_told(rule, view, ts_us, outcome, is_replayed, is_late))


def _is_late(rule: Rule, view: View) -> Mask:
    """Rows whose newest reading came late; but what is overdue now is silent now, whatever it said before."""
    late = view.board.late[view.rows]
    if rule.is_silence and late.any():
        late &= ~(view["overdue_periods"] > 1)
    return late


def _has_replayed_child(rule: Rule, view: View) -> Mask:
    """Rows of a group rule of which a child's newest reading was replayed."""
    board = view.board
    if not any(name.startswith("children__") for name in rule.columns) or not board.replayed.any():
        return np.zeros(len(view.rows), bool)
    parents = board.parent[board.replayed & (board.parent >= 0)]
    return np.isin(view.rows, parents)


def _told(
    rule: Rule, view: View, ts_us: Times, outcome: Outcome, is_replayed: Mask, is_late: Mask
) -> Iterator[Transition]:
    """The transitions of what changed; few, so one by one."""
    changed = outcome.fired | outcome.confirmed | outcome.cleared
    if not changed.any():
        return
    columns = {name: view[name] for name in rule.columns}
    device_no = view.board.device_no
    for index in np.flatnonzero(changed).tolist():
        action: Action = "clear" if outcome.cleared[index] else "fire"
        quiet: Quiet = "replayed" if is_replayed[index] else "late" if is_late[index] else ""
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
