"""What a transition means, as a table: what was said before, what is said now, the decision."""

import pytest
from msgspec.structs import replace

from alerts.decide import decide
from devices.transition import Transition
from tests.unit.alerts.city import clear, fire, ledger

OUT, QUIET_OUT = fire(21), fire(21, quiet="late")
LATER, LIT, OUT_AGAIN = fire(21, minute=1), clear(21, minute=1), fire(21, minute=2)
FEEDER, FEEDER_BACK = fire(2, "feeder_out"), clear(2, "feeder_out", minute=1)
QUIET_FEEDER = fire(2, "feeder_out", quiet="replayed")

TABLE: list[tuple[str, list[Transition], Transition, str]] = [
    ("a new fault", [], OUT, "opened: new_fault"),
    ("the parent's incident explains it", [FEEDER], LATER, "joined: explained"),
    ("the grandparent's too", [fire(1, "cabinet_silent")], LATER, "joined: explained"),
    ("and another one of the device itself", [FEEDER], fire(2, "supply_voltage"), "joined: explained"),
    ("another feeder's does not", [FEEDER], fire(31), "opened: new_fault"),
    ("an open door explains nothing", [fire(1, "cabinet_door")], LATER, "opened: new_fault"),
    ("a parent that closed explains nothing", [FEEDER, FEEDER_BACK], OUT_AGAIN, "opened: new_fault"),
    ("a member fires again", [FEEDER, OUT], OUT, "repeated: already_on"),
    ("said twice", [OUT], OUT, "repeated: already_on"),
    ("said twice with a later time", [OUT], LATER, "repeated: already_on"),
    ("replayed after live", [OUT], fire(21, minute=1, quiet="replayed"), "repeated: already_on"),
    ("replayed, then live", [fire(21, quiet="replayed")], LATER, "confirmed: live_reading"),
    ("late, then live", [QUIET_OUT], OUT, "confirmed: live_reading"),
    ("late twice", [QUIET_OUT], QUIET_OUT, "repeated: already_on"),
    ("a live fault does not hide behind a replayed one", [QUIET_FEEDER], LATER, "opened: new_fault"),
    ("a late one does", [QUIET_FEEDER], QUIET_OUT, "joined: explained"),
    ("a quiet member of a quiet incident, live", [QUIET_FEEDER, QUIET_OUT], LATER, "opened: live_reading"),
    ("a quiet member of a live incident, live", [FEEDER, QUIET_OUT], LATER, "confirmed: live_reading"),
    ("more urgent now", [OUT], replace(OUT, priority=1), "regraded: more_urgent"),
    ("less urgent now", [replace(OUT, priority=1)], OUT, "regraded: less_urgent"),
    ("a member's priority is its own affair", [FEEDER, OUT], replace(OUT, priority=1), "repeated: already_on"),
    ("the cause clears", [OUT], LIT, "cleared: rule_cleared"),
    ("a member clears", [FEEDER, OUT], LIT, "left: rule_cleared"),
    ("a replayed clearing clears too", [OUT], clear(21, quiet="replayed"), "cleared: rule_cleared"),
    ("a clearing with an earlier time clears too", [OUT_AGAIN], LIT, "cleared: rule_cleared"),
    ("nothing to clear", [], LIT, "ignored: nothing_to_clear"),
    ("cleared twice", [OUT, LIT], LIT, "ignored: nothing_to_clear"),
    ("another rule of the device clears", [OUT], clear(21, "lamp_silent"), "ignored: nothing_to_clear"),
    ("a firing that is over", [OUT, LIT], OUT, "ignored: already_dealt_with"),
    ("a member's firing that is over", [FEEDER, OUT, LIT], OUT, "ignored: already_dealt_with"),
    ("it fires anew", [OUT, LIT], OUT_AGAIN, "opened: new_fault"),
    ("an old clearing does not end a new fault", [OUT, LIT, OUT_AGAIN], LIT, "ignored: already_dealt_with"),
    ("nobody commissioned it", [], fire(99), "ignored: not_commissioned"),
    ("nor does its parent's incident take it in", [FEEDER], fire(99), "ignored: not_commissioned"),
    ("nobody knows it", [], fire(12345), "ignored: unknown_device"),
    ("a rule that this version does not know", [], fire(21, "lamp_sings"), "opened: new_fault"),
]


@pytest.mark.parametrize(("before", "now", "decision"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_decision(before: list[Transition], now: Transition, decision: str) -> None:
    city = ledger()
    city.apply(before)
    found = decide(now, city.scene)
    assert f"{found.what}: {found.reason}" == decision
