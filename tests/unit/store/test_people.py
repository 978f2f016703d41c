"""What a team covers, and what a role lets a person see."""

import pytest

from store.people import Person, Team


@pytest.mark.parametrize(
    ("team", "sees"),
    [
        (Team("all"), (True, True, True)),
        (Team("signals", ["traffic_light"]), (True, True, False)),
        (Team("north", [], ["talant"]), (False, True, False)),
        (Team("water of Dijon", ["water_meter"], ["dijon"]), (False, False, True)),
    ],
)
def test_an_agent_sees_what_the_team_covers_and_an_operator_everything(team: Team, sees: tuple[bool, ...]):
    places = (("traffic_light", "dijon"), ("traffic_light", "talant"), ("water_meter", "dijon"))
    agent, operator = Person("a", "agent", "fr", team), Person("o", "operator", "fr", team)
    assert tuple(agent.sees(*place) for place in places) == sees
    assert all(operator.sees(*place) for place in places)


def test_an_agent_without_a_team_sees_nothing():
    assert not Person("a", "agent", "fr").sees("traffic_light", "dijon")
