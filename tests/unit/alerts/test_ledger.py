"""What a batch writes: incidents and members as they end up, who is called, and the reasons."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.ledger import Ledger
from devices.transition import Quiet, Transition
from tests.unit.alerts.city import clear, fire, ledger


def story(city: Ledger) -> list[str]:
    """Every incident of a batch as 'cause code state members'."""
    lines = []
    for incident in city.incidents:
        members = [f"{m.device_no}" for m in city.scene.members(incident)]
        state = "open" if incident.is_open else "folded" if incident in city.folded else "closed"
        lines.append(" ".join([f"{incident.cause_no}", incident.code, state, *sorted(members)]))
    return sorted(lines)


def calls(city: Ledger) -> list[tuple[int, str]]:
    return [(incident.cause_no, purpose) for incident, purpose in city.calls]


def reasons(city: Ledger, cause_no: int) -> list[str]:
    return [f"{c.change}: {c.why}" for c in city.changes if c.incident.cause_no == cause_no]


def after(*transitions: Transition, notify_priority: int = 2) -> Ledger:
    city = ledger(notify_priority)
    city.apply(transitions)
    return city


def test_parent_first_or_children_first_comes_to_the_same() -> None:
    children = [fire(lamp) for lamp in (21, 22, 23)]
    parent_first = after(fire(2, "feeder_out", minute=1), *children)
    children_first = after(*children, fire(2, "feeder_out", minute=1))
    assert story(parent_first) == ["2 feeder_out open 21 22 23"]
    assert [line for line in story(children_first) if "open" in line] == ["2 feeder_out open 21 22 23"]
    assert [line for line in story(children_first) if "folded" in line] == [
        f"{n} lamp_out folded" for n in (21, 22, 23)
    ]
    assert calls(parent_first) == calls(children_first) == [(2, "opened")]


def test_child_still_at_fault_stands_alone_when_the_parent_closes() -> None:
    city = after(fire(21), fire(22), fire(2, "feeder_out"), clear(21, minute=5), clear(2, "feeder_out", minute=6))
    assert [line for line in story(city) if "open" in line] == ["22 lamp_out open"]
    (own,) = [i for i in city.incidents if i.cause_no == 22 and i.is_open]
    assert own.opened_us == fire(22).ts_us, "it is as old as its fault"
    assert "opened: cause_closed" in reasons(city, 22)


def test_child_goes_to_another_cause_when_there_is_one() -> None:
    city = after(
        fire(1, "cabinet_silent"), fire(21), fire(2, "feeder_out", minute=1), clear(1, "cabinet_silent", minute=2)
    )
    assert story(city) == ["1 cabinet_silent closed", "2 feeder_out open 21"]


def test_members_of_a_folded_cause_move_with_it() -> None:
    # supply_voltage of the feeder folds into feeder_out; a lamp is explained by feeder_out alone.
    city = after(fire(2, "supply_voltage"), fire(21), fire(2, "feeder_out", minute=1))
    assert [line for line in story(city) if "open" in line] == ["2 feeder_out open 2 21"]
    city.apply([clear(2, "feeder_out", minute=2)])
    assert [line for line in story(city) if "open" in line] == ["2 supply_voltage open", "21 lamp_out open"]


@pytest.mark.parametrize(
    ("transition", "notify_priority", "quiet"),
    [
        (fire(2, "feeder_out"), 1, None),
        (fire(2, "supply_voltage"), 2, None),
        (fire(2, "supply_voltage"), 1, "morning_list"),
        (fire(21), 2, "morning_list"),
        (fire(21), 3, None),
        (fire(2, "feeder_out", quiet="replayed"), 3, "replayed"),
        (fire(2, "feeder_out", quiet="late"), 3, "late"),
    ],
)
def test_who_is_called(transition: Transition, notify_priority: int, quiet: str | None) -> None:
    city = after(transition, notify_priority=notify_priority)
    (incident,) = city.incidents
    assert incident.quiet == quiet
    assert bool(city.calls) is (quiet is None)
    held_back = f"held_back: {quiet}" if quiet else "called: priority_calls"
    assert held_back in reasons(city, transition.device_no)


@pytest.mark.parametrize("quiet", ["replayed", "late"])
def test_live_reading_of_a_quiet_fault_calls_now(quiet: Quiet) -> None:
    city = after(fire(21, quiet=quiet), fire(2, "feeder_out", quiet=quiet))
    assert calls(city) == []
    city.apply([fire(2, "feeder_out", minute=1)])
    assert calls(city) == [(2, "opened")]
    assert reasons(city, 2)[-2:] == ["confirmed: live_reading", "called: priority_calls"]


def test_a_fault_that_waited_for_the_morning_calls_when_it_becomes_urgent() -> None:
    city = after(fire(21))
    assert calls(city) == []
    city.apply([replace(fire(21), priority=2)])
    assert calls(city) == [(21, "opened")]
    assert reasons(city, 21)[-2:] == ["regraded: more_urgent", "called: priority_calls"]
    city.apply([replace(fire(21), priority=3)])
    assert [incident.priority for incident in city.incidents] == [3]
    assert calls(city) == [(21, "opened")]


def test_a_fault_that_comes_and_goes_says_so_in_its_story() -> None:
    assert reasons(after(replace(fire(21), unstable=True)), 21)[-1] == "unstable: unstable"


def test_live_lamp_joins_when_its_quiet_feeder_is_confirmed() -> None:
    city = after(fire(2, "feeder_out", quiet="late"), fire(21, quiet="late"), fire(21, minute=1))
    assert [line for line in story(city) if "open" in line] == ["2 feeder_out open", "21 lamp_out open"]
    city.apply([fire(2, "feeder_out", minute=2)])
    assert [line for line in story(city) if "open" in line] == ["2 feeder_out open 21"]


def test_end_is_told_to_those_who_were_called() -> None:
    assert calls(after(fire(2, "feeder_out"), clear(2, "feeder_out", minute=1))) == [(2, "opened"), (2, "closed")]
    assert calls(after(fire(21), clear(21, minute=1))) == []
    replayed_end = after(fire(2, "feeder_out"), clear(2, "feeder_out", minute=1, quiet="replayed"))
    assert calls(replayed_end) == [(2, "opened")]
    assert reasons(replayed_end, 2)[-1] == "held_back: end_replayed"


def test_redelivered_batch_changes_nothing() -> None:
    batch = [fire(21), fire(2, "feeder_out"), fire(22), clear(22, minute=1), clear(2, "feeder_out", minute=2)]
    city = after(*batch)
    before = story(city), dict(city.changes), dict(city.calls)
    city.apply(batch[:4])
    assert (story(city), dict(city.changes), dict(city.calls)) == before


def test_order_of_a_storm_does_not_matter() -> None:
    storm = [fire(21), fire(22), fire(2, "feeder_out"), fire(2, "supply_voltage")]
    ends = {tuple(line for line in story(after(*order)) if "open" in line) for order in permutations(storm)}
    assert ends == {("2 feeder_out open 2 21 22",)}


LAMPS = [(21, "lamp_out"), (22, "lamp_out"), (31, "lamp_silent")]
CAUSES = [(2, "feeder_out"), (3, "feeder_out"), (2, "supply_voltage"), (1, "cabinet_silent")]
SAYINGS = st.builds(
    lambda act, who, minute, quiet: act(*who, minute=minute, quiet=quiet),
    st.sampled_from([fire, clear]),
    st.sampled_from([*LAMPS, *CAUSES]),
    st.integers(0, 5),
    st.sampled_from(["", "", "", "replayed", "late"]),
)


@given(st.lists(SAYINGS, max_size=40))
def test_laws_over_any_sequence(sayings: list[Transition]) -> None:
    """A fault that is on has one open incident, a closed incident no members, and an identity is open once."""
    city = ledger()
    for saying in sayings:
        city.apply([saying])
        for fault in city.scene.faults.values():
            assert fault.incident.is_open
            if not fault.is_cause:
                cause = city.scene.faults[fault.incident.cause_no, fault.incident.code]
                assert cause.is_cause, "an incident that has members is itself on"
        for incident in city.incidents:
            assert incident.is_open or not city.scene.members(incident)
        identities = sorted((i.cause_no, i.code) for i in city.incidents if i.is_open)
        assert all(a != b for a, b in pairwise(identities))
        on = [m for m in city.members.values() if m.until_us is None]
        assert len({(m.device_no, m.code) for m in on}) == len(on), "a fault is the member of one incident"
    assert not [call for call in city.calls if call[0].quiet], "who was held back is not called"
