"""A small street for the slow evaluator and the engine: a cabinet, two feeders, six lamps, and what they may tell."""

import random
from dataclasses import replace

from devices.kind import kinds
from devices.policy import Policy
from devices.registry import Registry
from rules.board import Board
from tests.pumps import BEGAN_US
from tests.reference import Device, Reference

_DECLARED = kinds()["street_lighting"]
BY_THE_SUN = frozenset(rule.code for rule in _DECLARED.rules if "sun_elevation_deg" in rule.all_columns)
LIGHTING = replace(_DECLARED, rules=tuple(rule for rule in _DECLARED.rules if rule.code not in BY_THE_SUN))
"""Without the rules that look at the sun, of which the slow evaluator knows nothing."""
CABINET, FEEDERS, LAMPS = 1, (2, 3), range(10, 16)
TALKERS_OF_LIGHT = (CABINET, *FEEDERS, *LAMPS)


def lighting_device(no: int) -> tuple[str, int | None, dict[str, float]]:
    if no == CABINET:
        return "cabinet", None, {}
    if no in FEEDERS:
        return "feeder", CABINET, {"rated_current_a": 9.0}
    return "lamp", 2 + no % 2, {"rated_power_w": 60.0} | ({"max_burning_h": 5000.0} if no < 12 else {})


def registry_of_light() -> Registry:
    rows = []
    for no in (CABINET, *FEEDERS, *LAMPS):
        type_, parent, said = lighting_device(no)
        rows.append((no, "dijon", LIGHTING.name, str(no), type_, parent, None, 47.3, 5.0, True, said))
    return Registry.of_rows(1, rows)


def lighting(policy: Policy | None = None) -> tuple[Reference, Board]:
    """The slow evaluator and the engine, watching."""
    devices = {}
    for no in (CABINET, *FEEDERS, *LAMPS):
        type_, parent, said = lighting_device(no)
        attributes = {attribute.name: said.get(attribute.name, attribute.default) for attribute in LIGHTING.attributes}
        devices[no] = Device(no, type_, "dijon", parent or 0, 47.3, 5.0, attributes, watched_us=BEGAN_US)
    made = Board.of(LIGHTING, registry_of_light(), policy)
    made.watch(BEGAN_US)
    return Reference(LIGHTING, devices), made


def say_of_light(chance: random.Random, no: int) -> dict[str, float]:
    return {
        "dim_pct": chance.choice((0, 50, 100)),
        "dim_actual_pct": chance.choice((0, 50, 100)),
        "power_w": chance.choice((0, 1, 20, 30, 60)),
        "voltage_v": chance.choice((0, 230, 260)),
        "current_a": chance.choice((0, 1, 6)),
        "burning_h": chance.choice((1000, 4600)),
        "driver_temp_c": chance.choice((30, 95)),
        "lamp_failure": chance.choice((0, 0, 1)),
        "breaker_tripped": chance.choice((0, 0, 0, 1)),
        "contactor_closed": chance.randint(0, 1),
        "door_open": chance.randint(0, 1),
        "online": chance.choice((0, 1, 1)),
    }
