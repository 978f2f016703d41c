"""What is called while the database is away: the decisions are those of always, the calls only those of P1."""

from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from alerts.absence import Absence
from alerts.batch import Desk
from alerts.journal import Call
from alerts.scene import Place, Standing, children, served
from alerts.snapshot import Faults, Pending, Snapshot
from alerts.text import Writer
from devices.kind import kinds
from devices.transition import Quiet, Transition
from hub.clock import Clock
from tests.unit.alerts.city import PLACES, T0_US, clear, fire

PLACED = {place.device_no: place for place in PLACES}
FEEDER_OUT = Standing(
    3, "feeder_out", T0_US, None, "", 7, 3, "feeder_out", "street_lighting", 1, None, T0_US, T0_US, ""
)
WAITING = Pending(Call(3, "feeder_out", T0_US, T0_US, "opened"), "1", "waits", "body")


def absence(*, standing: list[Standing] | None = None, pending: list[Pending] | None = None) -> Absence:
    desk = Desk(kinds(), 3, ["1", "2"], Writer("en", ZoneInfo("Europe/Paris"), "http://page", 3))
    faults = Faults("log", 10, T0_US, standing or [], pending or [])
    # As it comes from the disk.
    faults = msgspec.msgpack.decode(msgspec.msgpack.encode(faults), type=Faults)
    places = msgspec.json.decode(msgspec.json.encode(list(PLACED.values())), type=list[Place])
    return Absence.of(desk, Snapshot({place.device_no: place for place in places}, faults))


def called(city: Absence, *transitions: Transition) -> list[tuple[int, str, str]]:
    """Device, code and purpose of what waits for channel 1 after these."""
    for transition in transitions:
        city.apply([transition], city.offset + 1, Clock())
    assert [letter.call for letter in city.letters["1"]] == [letter.call for letter in city.letters["2"]]
    return [(letter.call.cause_no, letter.call.code, letter.call.purpose) for letter in city.letters["1"]]


def test_p1_calls_and_the_less_urgent_wait() -> None:
    city = absence()
    assert called(city, fire(2, "feeder_out"), fire(1, "supply_voltage"), fire(31)) == [(2, "feeder_out", "opened")]
    (letter,) = city.letters["1"]
    assert letter.body.startswith("Feeder out - feeder-2, rue Monge (Dijon), 3 street lights, since ")
    assert letter.body.endswith(
        "the database is away: the incident will be on the page when it is back\nhttp://page/devices/2"
    )
    assert letter.offset == 11


@pytest.mark.parametrize("quiet", ["late", "replayed"])
def test_late_and_replayed_readings_call_nobody(quiet: Quiet) -> None:
    city = absence()
    assert called(city, fire(2, "feeder_out", quiet=quiet), clear(2, "feeder_out", minute=1, quiet=quiet)) == []
    assert called(city, fire(2, "feeder_out", minute=2, quiet=quiet), fire(2, "feeder_out", minute=3)) == [
        (2, "feeder_out", "opened")
    ], "a live one does"


def test_what_was_on_before_is_not_called_again_and_its_end_is() -> None:
    city = absence(standing=[FEEDER_OUT])
    again = fire(3, "feeder_out", minute=1)
    assert called(city, again, replace(fire(31), priority=1)) == [], "on already, and explained by it"
    assert (
        called(city, clear(3, "feeder_out", minute=2)) == [(3, "feeder_out", "closed"), (31, "lamp_out", "opened")][:1]
    )
    assert city.letters["1"][0].body.endswith("http://page/incidents/7")


def test_a_call_that_did_not_go_out_is_taken_back_when_its_cause_is_explained() -> None:
    city = absence()
    urgent = replace(fire(2, "supply_voltage"), priority=1)
    assert called(city, urgent) == [(2, "supply_voltage", "opened")]
    assert called(city, fire(2, "feeder_out", minute=1)) == [(2, "feeder_out", "opened")]


def test_calls_that_the_database_had_decided_on_go_first() -> None:
    city = absence(standing=[FEEDER_OUT], pending=[WAITING])
    assert [letter.title for letter in city.letters["1"]] == ["waits"] and city.letters["2"] == []
    city.apply([fire(2, "feeder_out")], 11, Clock())
    assert [letter.call.cause_no for letter in city.letters["1"]] == [3, 2]


def test_a_call_that_the_database_had_decided_on_is_taken_back_when_its_cause_is_explained() -> None:
    voltage = replace(FEEDER_OUT, code="supply_voltage", cause_code="supply_voltage")
    waiting = replace(WAITING, call=replace(WAITING.call, code="supply_voltage"))
    city = absence(standing=[voltage], pending=[waiting])
    assert called_first(city, fire(3, "feeder_out", minute=1)) == [(3, "feeder_out")]


def called_first(city: Absence, transition: Transition) -> list[tuple[int, str]]:
    city.apply([transition], city.offset + 1, Clock())
    return [(letter.call.cause_no, letter.call.code) for letter in city.letters["1"]]


def test_unknown_and_uncommissioned_devices_call_nobody() -> None:
    assert called(absence(), fire(99, "feeder_out"), fire(12345, "feeder_out")) == []


def test_what_hangs_below_is_counted_by_type() -> None:
    hanging = children(PLACED)
    assert served(1, PLACED, hanging) == {"feeder": 2, "lamp": 4}
    assert served(2, PLACED, hanging) == {"lamp": 3}
    assert served(21, PLACED, hanging) == {}
