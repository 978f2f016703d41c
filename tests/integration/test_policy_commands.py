"""`beffroi rules`, as a person calls it."""

from pathlib import Path

import pytest

from tests.commands import beffroi

RULE = """
kind: street_lighting
type: lamp
code: draws_much
condition: power_w > 1.3 * rated_power_w
priority: 2
title_fr: Surconsommation
"""


@pytest.mark.soak
async def test_a_rule_is_added_tuned_listed_and_taken_back(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"

    async def rules(*arguments: str) -> tuple[int, str]:
        return await beffroi(database_url, tmp_path, "rules", *arguments)

    file.write_text(RULE.replace("power_w >", "powr_w >"))
    code, said = await rules("add", str(file))
    assert code == 1 and "rule 'draws_much'" in said and "(character 1)" in said and said.count("\n") == 1
    file.write_text(RULE)
    assert (await rules("add", str(file)))[1].startswith("Version 1; ")
    assert (await rules("set", "street_lighting", "draws_much", "hold_s", "90"))[1].startswith("Version 2; ")
    code, listed = await rules("list", "--kind", "street_lighting")
    line = next(line for line in listed.splitlines() if line.startswith("draws_much"))
    assert "hold_s 90 in the city" in line and "power_w > 1.3 * rated_power_w (in the city)" in line
    assert (await rules("undo", "2"))[1].startswith("Version 3; ")
    code, history = await rules("history")
    told = [line.split(")", 1)[1].strip() for line in history.splitlines()[1:]]
    assert told == [
        "undoes version 2; street_lighting draws_much hold_s in the city: 90 → as around it",
        "street_lighting draws_much hold_s in the city: as around it → 90",
        "street_lighting draws_much added",
    ]
    code, said = await rules("set", "street_lighting", "lamp_out", "min_ratio", "1", "--commune", "x", "--model", "y")
    assert (code, said) == (2, "beffroi: --commune does not go with --model: name one part of the city\n")
