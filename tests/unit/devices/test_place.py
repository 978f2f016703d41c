"""A place is said once."""

import pytest

from devices.place import said_once


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (["Départ D1", "Armoire A4", "rue Monge"], ["Départ D1", "Armoire A4", "rue Monge"]),
        (["Départ D1, armoire A4, rue de Dole", "Armoire A4, rue Monge"], ["Départ D1, armoire A4, rue de Dole"]),
        (["Lampadaire 9, rue Monge", "Départ D2, rue Monge"], ["Lampadaire 9, rue Monge", "Départ D2"]),
        (
            ["Départ D1, armoire A4, rue Monge", "Armoire A4, rue Monge", "rue Monge", "Dijon"],
            ["Départ D1, armoire A4, rue Monge", "Dijon"],
        ),
        (["L-1", None, ""], ["L-1"]),
    ],
)
def test_a_place_is_said_once(parts, said):
    assert said_once(parts) == said
