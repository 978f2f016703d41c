"""docs/simulating.md tells every fault, scenario, spell, disturbance and the size of the city as the code has them."""

import re
from dataclasses import fields
from pathlib import Path

from simulators.city import make_city
from simulators.disturbances import EVERYDAY, Rates
from simulators.fault_table import SORTS
from simulators.scenario import KEYS, known
from simulators.weather import SPELLS

PAGE = Path("docs/simulating.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_fault_with_its_cause_and_the_rule_that_should_notice() -> None:
    assert rows("Faults") == [
        [
            f"`{name}`",
            f"{sort.kind} {sort.type}",
            sort.cause,
            f"`{sort.code}`" if sort.code else f"no rule: {sort.why_unseen}",
        ]
        for name, sort in SORTS.items()
    ]


def test_every_scenario_key_and_spell() -> None:
    told = {name for row in rows("Scenarios") for name in re.findall(r"`(\w+)`", row[0])}
    assert told == {scenario.name for scenario in known()}
    section = PAGE.split("\n## Scenarios\n")[1].split("\n## ")[0]
    assert all(f"    {key}:" in section for key in KEYS)
    assert all(f"`{name}`" in section for name in SPELLS)


def test_every_disturbance_with_its_everyday_share() -> None:
    told = {name.strip("`"): share for name, _, share in rows("Disturbances")}
    assert told == {
        field.name: f"{100 * share:g} %" if (share := getattr(EVERYDAY, field.name)) else "0" for field in fields(Rates)
    }


def test_the_size_of_the_city() -> None:
    city = make_city(Path("simulators/cities/dijon"))
    fixtures = city.fixtures
    tables = {
        "lamps": city.lamps,
        "feeders": city.feeders,
        "cabinets": city.cabinets,
        "water meters": city.meters,
        "network zones": city.zones,
        "vehicles": city.vehicles,
        "junctions": fixtures.junctions,
        "energy meters": fixtures.energy,
        "environment stations": fixtures.stations,
        "road works": fixtures.sites,
    }
    assert {row[0]: row[1] for row in rows("The simulated city")} == {
        what: f"{len(table):,}" for what, table in tables.items()
    }
