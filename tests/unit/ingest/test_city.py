"""The worker's picture of the registry: strangers come and are forgotten, the others keep their state."""

from devices.registry import Registry
from ingest.city import City


def registry(version, *devices):
    """(number, kind) of each, sorted by kind and number."""
    return Registry.of_rows(
        version, [(no, "dijon", kind, f"d{no}", None, None, None, None, None, True, {}) for no, kind in devices]
    )


def test_only_the_boards_of_kinds_that_changed_are_made_anew():
    city = City.of(registry(1, (1, "street_lighting"), (2, "water_meter")))
    city.boards["water_meter"].last_us[0] = 7
    lamps = city.boards["street_lighting"]
    city.renew(registry(2, (3, "water_meter")))
    assert city.boards["street_lighting"] is lamps
    assert city.boards["water_meter"].last_us.tolist() == [7, 0]
    assert city.registry.version == 2 and city.numbers[("dijon", "water_meter", "d3")] == 3


def test_a_change_that_names_nobody_is_a_newer_version():
    city = City.of(registry(1, (1, "street_lighting")))
    city.renew(registry(5))
    assert city.registry.version == 5 and len(city.registry) == 1


def test_who_was_forgotten_does_not_come_back_by_a_registry_that_was_read_before():
    city = City.of(registry(1, (1, "street_lighting"), (2, "water_meter"), (3, "water_meter")))
    city.boards["water_meter"].last_us[:] = (7, 8)
    city.forget([2])
    city.renew(registry(2, (2, "water_meter"), (4, "water_meter")))
    board = city.boards["water_meter"]
    assert board.device_no.tolist() == [3, 4] and board.last_us.tolist() == [8, 0]
    assert sorted(city.numbers.values()) == [1, 3, 4]
