"""What `beffroi rules` reads of a file and says of a change."""

from pathlib import Path

import pytest

from devices.own_rule import OwnRule
from hub.commands.policy import read_rules, scope_of, told_change
from hub.errors import BadFile, BadSetting
from store.policy import Change

RULE = OwnRule("street_lighting", "lamp", "draws_much", "power_w > 100", title_fr="Surconsommation")
TEXT = "{kind: street_lighting, type: lamp, code: draws_much, condition: power_w > 100, title_fr: Surconsommation}"


@pytest.mark.parametrize("text", [TEXT, f"- {TEXT}"])
def test_a_file_holds_a_rule_or_a_list(tmp_path: Path, text: str):
    (tmp_path / "rule.yaml").write_text(text)
    assert read_rules(tmp_path / "rule.yaml") == [RULE]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expected `object`"),
        ("{kind: [", "cannot be read"),
        (TEXT.replace("code", "name"), "required field `code`|unknown field `name`"),
        (TEXT.replace("}", ", hold_s: soon}"), "Expected `float`"),
        (TEXT.replace("}", ", scope: district, place: x}"), "Invalid enum value 'district'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, why: str):
    (tmp_path / "rule.yaml").write_text(text)
    with pytest.raises(BadFile, match=why):
        read_rules(tmp_path / "rule.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change("k", "c", before=RULE), "k c removed"),
        (Change("k", "c", after=RULE), "k c added"),
        (
            Change("k", "c", before=RULE, after=OwnRule("street_lighting", "lamp", "draws_much", "power_w > 200")),
            "k c changed: condition, title_fr",
        ),
        (Change("k", "c", "hold_s", "commune", "dijon", None, 60.0), "k c hold_s for commune dijon: as around it → 60"),
        (Change("k", "c", "hold_s", "device", "7", 60.0, None), "k c hold_s for device dijon/L1: 60 → as around it"),
        (Change("k", "c", "hold_s", "group", "8", 1.0, 2.0), "k c hold_s for group 8: 1 → 2"),
    ],
)
def test_a_change_is_told_in_words(change: Change, said: str):
    assert told_change(change, {7: "dijon/L1"}) == said


def test_one_part_of_the_city_is_named_at_most():
    assert scope_of(commune=None, device="dijon/L1") == ("device", "dijon/L1")
    assert scope_of(commune=None, device=None) == ("city", "")
    with pytest.raises(BadSetting, match="--commune does not go with --device"):
        scope_of(commune="dijon", device="dijon/L1")
