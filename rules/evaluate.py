"""Evaluation: readings change the board, and rules on what changed give transitions. Pure.

Readings of one device are applied one after the other in the order of the log, as rounds over all devices, so that
it does not matter how the log is cut into batches. A reading that is older than its device's newest never rewinds it;
one of the very same time completes it. Rules that wait for late readings see theirs later, in the order of event time.

Whether a reading is late is a matter of when the hub received it, not of when it is read from the log: what came on
time while the worker was down still calls. What only a late or a replayed reading has told calls nobody: not at a tick,
nor when a live reading comes that does not speak of it.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from devices.columns import Group, asked
from devices.kind import Column, Kind, Mask, Rule
from devices.readings import Readings
from devices.transition import Action, Explanation, Quiet, Transition
from hub.clock import SECOND_US
from rules.board import LATE, LIVE, REPLAYED, Board, Rows, Times, fields_of
from rules.life import (
    FIRING,
    LONG_AGO,
    LOUD,
    NEVER,
    PENDING,
    PRIORITY_BIT,
    STATE,
    UNSTABLE,
    Life,
    Outcome,
    Seen,
    live,
    rounds,
)
from rules.view import View, heard, is_known

QUIET: Mapping[int, Quiet] = {LIVE: "", LATE: "late", REPLAYED: "replayed"}
PAGE_WITHIN_US = 86_400 * SECOND_US
"""A fault that is told more than a day after it happened is recorded and calls nobody (our default)."""


def apply(board: Board, readings: Readings, *, now_us: int) -> list[Transition]:
    """Put readings of the board's kind on it and evaluate their devices' rules."""
    for delayed in board.delayed:
        delayed.put(readings)
    row = board.rows(readings.device_no)
    transitions: list[Transition] = []
    on_board = np.flatnonzero(row >= 0)
    place = rounds(row[on_board])
    for number in range(int(place.max(initial=-1)) + 1):
        entries = on_board[place == number]
        transitions += _apply_round(board, readings, entries, row[entries], now_us)
    if len(readings):
        transitions += release(board, until_us=int(readings.received_us.max()), now_us=now_us)
    return transitions


def tick(board: Board, *, now_us: int) -> list[Transition]:
    """Evaluate the rules that depend on the clock or on other devices, on every device, and those that have waited."""
    released, transitions = release(board, until_us=now_us, now_us=now_us), list[Transition]()
    for rule in board.rules:
        rows = board.rows_of_type(rule.type) if rule.code in board.timed else _switched_off(board, rule)
        if len(rows):
            transitions += _evaluate(rule, View(board.watching(rule), rows, now_us, rule.type))
    return released + _in_causal_order(board.kind, transitions)


def release(board: Board, *, until_us: int, now_us: int) -> list[Transition]:
    """Let the rules that wait for late readings see those that are due at a time."""
    return [
        transition
        for delayed in board.delayed
        if (due := delayed.due(until_us)) is not None
        for transition in apply(delayed.board, due, now_us=now_us)
    ]


def _switched_off(board: Board, rule: Rule) -> Rows:
    """The rows on which a rule fires though it is switched off: it is to clear without waiting for a reading."""
    rows = board.rows_by_type[board.type_index(rule.type)]
    enabled = board.thresholds.get(rule.code, {}).get("enabled")
    if enabled is None:
        return rows[:0]
    firing_on: Rows = rows[board.lives[rule.code].firing & (enabled == 0)]
    return firing_on


def _apply_round(board: Board, readings: Readings, entries: Rows, rows: Rows, now_us: int) -> list[Transition]:
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
    told = readings.values[:, entries]
    _keep(board, rows, told, how, same[wanted])

    types, transitions = board.type[rows], list[Transition]()
    for index, device_type in enumerate(board.kind.types):
        here = np.flatnonzero(types == index)
        if len(here):
            _remember(board, device_type.name, rows[here], ts_us[here], told[:, here])
            here = here[board.commissioned[rows[here]]]
            transitions += _look_at(board, device_type.name, rows[here], ts_us[here], now_us)
    return _in_causal_order(board.kind, transitions)


def _keep(board: Board, rows: Rows, told: NDArray[np.float64], how: NDArray[np.uint8], same: Mask) -> None:
    """Know what was told, shape (fields, rows). `same` marks what is of the moment that is the newest already."""
    is_told = ~np.isnan(told)
    for field, here in enumerate(is_told):
        if not here.any():
            continue
        whole = here.all()
        at, values, theirs = (rows, told[field], how) if whole else (rows[here], told[field, here], how[here])
        if same.any():  # the same told again a day later does not make late what was told on time
            again = (same if whole else same[here]) & (board.values[field, at] == values)
            theirs = np.where(again, np.minimum(board.heard_how[field, at], theirs), theirs)
        board.values[field, at] = values
        board.heard_how[field, at] = theirs


def _remember(board: Board, type_: str, rows: Rows, ts_us: Times, told: NDArray[np.float64]) -> None:
    """Take what was told into the tracks that the rules of a type ask for."""
    tracks = [(subject, track) for (of_type, subject), track in board.tracks.items() if of_type == type_]
    if not tracks:
        return
    slots, view = board.slot[rows], View(board, rows, 0, type_, ts_us)
    for subject, track in tracks:
        if subject in board.kind.field_names:
            track.push(slots, ts_us, told[board.kind.field_index(subject)])
        else:  # a derived column is told whenever a field is told that it is made of
            fields = [board.kind.field_index(name) for name in fields_of(board.kind, (subject,))]
            is_told = ~np.isnan(told[fields]).all(axis=0)
            track.push(slots, ts_us, np.where(is_told, view[subject], np.nan))


def _look_at(board: Board, type_: str, rows: Rows, ts_us: Times, now_us: int) -> Iterator[Transition]:
    """Evaluate the rules of a type on rows that have just spoken."""
    if not len(rows):
        return
    by_event, by_clock = View(board, rows, now_us, type_, ts_us), View(board, rows, now_us, type_)
    for rule in board.rules_of(type_):
        # A timed rule lives in hub time, by readings and by ticks alike.
        yield from _evaluate(rule, by_clock if rule.code in board.timed else by_event)


def _evaluate(rule: Rule, view: View) -> list[Transition]:
    board, rows, life = view.board, view.rows, view.board.lives[rule.code]
    tuned = {name: column[view.slots] for name, column in board.thresholds.get(rule.code, {}).items()}
    bad, good, known = look(rule, view, tuned)
    how = _how(rule, view)
    if how.any():  # would the rule say the same of what live readings alone have told?
        live_bad, live_good, live_known = look(rule, view.only_live(), tuned)
        how[live_known & np.where(bad, live_bad, live_good)] = LIVE
    if rule.is_silence:
        how[board.replayed[rows]] = REPLAYED
    seen = Seen(bad, good, known, how == LIVE, priority_now(rule, view, tuned, bad))
    hold_s, calm_s = (tuned.get(name, np.array(rule.thresholds[name])) for name in ("hold_s", "calm_s"))
    if "enabled" in tuned:  # what is switched off clears at once
        off = tuned["enabled"] == 0
        life.flags[view.slots[off]] &= ~np.uint8(UNSTABLE)
        calm_s, how[off] = np.where(off, 0, calm_s), LIVE
    outcome = live(life, view.slots, seen, view.times_us, hold_s=hold_s, calm_s=calm_s)
    return list(_told(rule, view, tuned, outcome, how)) if outcome.told.any() else []


def look(rule: Rule, view: View, tuned: Mapping[str, Column]) -> tuple[Mask, Mask, Mask]:
    """Where the condition holds, where the clearing one does, and where either can be believed."""
    bad: Mask = rule.condition(view, tuned)
    good: Mask = rule.clear(view, tuned) if rule.clear else ~bad
    known = is_known(rule.columns, view, optional=rule.optional, any_of=rule.any_of)
    if (enabled := tuned.get("enabled")) is not None:  # a rule that is switched off is content with everything
        off = enabled == 0
        bad, good, known = bad & ~off, good | off, known | off
    return bad, good, known


def priority_now(rule: Rule, view: View, tuned: Mapping[str, Column], bad: Mask) -> NDArray[np.uint8]:
    """The priority that a rule has where it holds."""
    priority = np.full(len(view.rows), rule.priority, np.uint8)
    if (other := tuned.get("priority")) is not None:
        priority = other.astype(np.uint8)
    here = np.flatnonzero(bad) if rule.grades else np.empty(0, np.intp)
    if len(here):  # few, so that neighbours are looked at for few
        part, mine = view.part(here), {name: column[here] for name, column in tuned.items()}
        for grade, formula in rule.grades:
            holds = is_known(formula.columns, part) & formula(part, mine)
            priority[here] = np.where(holds, np.minimum(priority[here], np.uint8(grade)), priority[here])
    return priority


def _how(rule: Rule, view: View) -> NDArray[np.uint8]:
    """Whether any value that the rule reads, the members' too, is late or replayed; shape (rows,)."""
    board, groups = view.board, [name for name in rule.columns if isinstance(asked(name), Group)]
    if view.is_all_live and not groups:
        return np.zeros(len(view.rows), np.uint8)
    how = heard(board, [name for name in rule.columns if name not in groups], view.rows)
    for name in groups:
        how = np.maximum(how, heard_of_members(name, view))
    return how


def heard_of_members(name: str, view: View) -> NDArray[np.uint8]:
    """How what a column over a group is made of was heard: the worst of all members; shape (rows,)."""
    board, group = view.board, asked(name)
    assert isinstance(group, Group)
    read = [board.kind.field_index(field) for field in fields_of(board.kind, (group.subject,))]
    if not board.heard_how[read].any():
        return np.zeros(len(view.rows), np.uint8)
    members, place = board.members(group, view.type).of(view.rows)
    worst = members.over("max", board.heard_how[read][:, members.rows].max(axis=0).astype(np.float64))
    theirs: NDArray[np.uint8] = np.nan_to_num(np.append(worst, np.nan)[place]).astype(np.uint8)
    return theirs


def _told(
    rule: Rule, view: View, tuned: Mapping[str, Column], outcome: Outcome, how: NDArray[np.uint8]
) -> Iterator[Transition]:
    """The transitions of what changed; few, so one by one."""
    board, life = view.board, view.board.lives[rule.code]
    columns = {name: view[name] for name in rule.all_columns}
    for place in np.flatnonzero(outcome.told).tolist():
        index = int(outcome.here[place])
        action: Action = "clear" if outcome.cleared[place] else "fire"
        thresholds = {
            name: float(tuned[name][index]) if name in tuned else own for name, own in rule.thresholds.items()
        }
        yield Transition(
            kind=board.kind.name,
            code=rule.code,
            device_no=int(board.device_no[view.rows[index]]),
            action=action,
            ts_us=int(view.times_us[index]),
            at_us=view.now_us,
            priority=int(life.priority[view.slots[index]]),
            quiet=QUIET[how[index]],
            explanation=Explanation(
                {name: _number(column[index]) for name, column in columns.items()}, thresholds, thresholds["hold_s"]
            ),
            unstable=bool(outcome.unstable[place]),
        )


def _in_causal_order(kind: Kind, transitions: list[Transition]) -> list[Transition]:
    """What was seen at one moment, told so that no effect is mistaken for a fault of its own.

    A cause fires before what it explains, and clears after it.
    """
    if len(transitions) < 2:
        return transitions
    causes = {code for rule in kind.rules for code in rule.explained_by}

    def place(transition: Transition) -> int:
        is_cause = transition.code in causes
        return int(not is_cause) if transition.action == "fire" else 2 + is_cause

    return sorted(transitions, key=place)


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def see_again(board: Board, transitions: Sequence[Transition]) -> None:
    """Let the rules that wait see, after a crash and in silence, what they had seen when they last told something."""
    rules = {rule.code: rule for rule in board.rules}
    for delayed in board.delayed:
        seen_us = (
            min(transition.ts_us + delayed.lateness_us, transition.at_us)
            for transition in transitions
            if transition.code in rules and board.watching(rules[transition.code]) is delayed.board
        )
        if until_us := max(seen_us, default=0):
            release(board, until_us=until_us, now_us=until_us)


def mark(board: Board, before: Mapping[str, Life], transitions: Sequence[Transition]) -> None:
    """Make rules fire or not as was told, after a crash and after the log was read again in silence.

    Told is what was firing `before` that reading, by rule code, and then the durable transitions, in their order. Where
    reading came to the same end, its state is left: it may know what came after. What it found beyond that (a codec, a
    rule or the registry has changed meanwhile) was not told: the next reading will.
    """
    rules = {rule.code: rule for rule in board.rules}
    for transition in transitions:
        row = int(board.rows(np.array([transition.device_no]))[0])
        told = before.get(transition.code)
        rule = rules.get(transition.code)
        if row < 0 or told is None or rule is None or board.type[row] != board.type_index(rule.type):
            continue
        slot = board.slot[row]
        if transition.action == "clear":
            told.flags[slot] = PRIORITY_BIT * transition.priority
        else:
            loud, unstable = 0 if transition.quiet else LOUD, UNSTABLE if transition.unstable else 0
            state = (told.flags[slot] & STATE & ~np.uint8(PENDING)) | FIRING | loud | unstable
            told.flags[slot] = PRIORITY_BIT * transition.priority + state
    for code, life in board.lives.items():
        told = before[code]
        differs = life.firing != told.firing
        life.since_s[differs] = np.where(told.firing, NEVER, LONG_AGO)[differs]  # its hold is over, if it still holds
        pending = np.where(differs, PENDING, life.flags & PENDING)
        life.flags[:] = np.where(told.firing, 0, pending) + (told.flags & ~np.uint8(PENDING))
