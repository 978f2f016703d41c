"""What the operator's form of filters asks for."""

import pytest

from dashboard.incidents_page import address, ask
from devices.kind import kinds as declared
from store.people import Team

TEAMS = [Team("Signals", ["traffic_light"], ["dijon", "talant"]), Team("All", [], [])]
NOTHING = dict.fromkeys(("show", "kind", "priority", "state", "team", "commune", "text"), "")


@pytest.mark.parametrize(
    ("given", "kinds", "communes"),
    [
        ({}, [], []),
        ({"kind": "water_meter"}, ["water_meter"], []),
        ({"team": "Signals"}, ["traffic_light"], ["dijon", "talant"]),
        ({"team": "Signals", "commune": "dijon"}, ["traffic_light"], ["dijon"]),
        ({"team": "Signals", "kind": "water_meter"}, [""], ["dijon", "talant"]),
        ({"team": "All", "kind": "water_meter"}, ["water_meter"], []),
        ({"team": "of yesterday"}, [], []),
    ],
)
def test_a_team_narrows_to_what_it_answers_for(given, kinds, communes):
    asked = ask(NOTHING | given, TEAMS, declared())
    assert (list(asked.kinds), list(asked.communes)) == (kinds, communes)


def test_a_text_also_finds_rules_by_their_title_in_any_language():
    assert "lamp_out" in ask(NOTHING | {"text": "LAMPADAIRE ÉTEINT"}, [], declared()).codes
    assert "lamp_out" in ask(NOTHING | {"text": "lamp out"}, [], declared()).codes
    assert ask(NOTHING, [], declared()).codes == []


def test_states_narrow_open_incidents_only():
    assert ask(NOTHING | {"show": "open", "state": "on_hold"}, [], declared()).state == "on_hold"
    closed = ask(NOTHING | {"show": "closed", "state": "on_hold"}, [], declared())
    assert (closed.is_closed, closed.state) == (True, None)


def test_an_address_holds_what_narrows_and_is_quoted():
    assert address({"kind": "", "text": 'a&b"', "page": 2}) == "text=a%26b%22&page=2"
