"""The city's own rules in tele-alert: their words, what explains them, and their P1 without the database."""

from zoneinfo import ZoneInfo

from alerts.absence import Absence
from alerts.batch import Desk
from alerts.ledger import Ledger
from alerts.scene import Scene
from alerts.snapshot import Faults, Snapshot
from alerts.text import Writer
from devices.own_rule import Decisions, OwnRule
from devices.transition import Transition
from hub.clock import Clock
from tests.unit.alerts.city import PLACES, T0_US, clear, fire

PLACED = {place.device_no: place for place in PLACES}
HOT = OwnRule(
    "street_lighting",
    "lamp",
    "draws_much",
    "power_w > 100",
    priority=1,
    title_en="Draws too much",
    explained_by=("supply_voltage",),
)
IN_FORCE, REMOVED = Decisions(1, (HOT,)), Decisions(2, removed=(HOT,))


def urgent(device_no: int) -> Transition:
    told = fire(device_no, "draws_much")
    return Transition(**{**{name: getattr(told, name) for name in told.__struct_fields__}, "priority": 1})


def test_its_p1_goes_out_without_the_database_in_its_own_words():
    desk = Desk(IN_FORCE.kinds(), 3, ["1"], Writer("en", ZoneInfo("Europe/Paris"), "http://page", 3))
    absence = Absence.of(desk, Snapshot(PLACED, Faults("log", 10, T0_US, [], [])))
    absence.apply([urgent(21)], 11, Clock())
    (letter,) = absence.letters["1"]
    assert "Draws too much" in letter.title and letter.call.code == "draws_much"


def test_it_joins_what_explains_it():
    ledger = Ledger(Scene(PLACED, IN_FORCE.kinds()), 3)
    ledger.apply([fire(2, "supply_voltage"), urgent(21)])
    assert [(incident.cause_no, purpose) for incident, purpose in ledger.calls] == [(2, "opened")]


def test_when_it_was_removed_its_end_still_has_words():
    scene = Scene(PLACED, REMOVED.kinds())
    assert scene.title("street_lighting", "draws_much", "fr") == "Draws too much"
    ledger = Ledger(scene, 3)
    ledger.apply([urgent(21), clear(21, "draws_much", minute=1)])
    assert [incident.is_open for incident in ledger.incidents] == [False]
