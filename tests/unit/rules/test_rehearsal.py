"""Tests of rules in YAML: the shipped example holds, what fails is said, and what makes no sense too."""

from pathlib import Path

import pytest

from hub.commands import rules_test
from rules.rehearsal import rehearse
from rules.script import read_scripts

EXAMPLE = Path("docs/examples/lighting-rules.yaml")
HEAD = """\
kind: street_lighting
start: 2026-11-20 18:00
devices:
  - {id: A, type: cabinet}
  - {id: L1, type: lamp, rated_power_w: 60}
tests:
  - name: one
    only: [lamp_out]
"""
DARK = "    readings: [{at: 18:00, every: 10min, until: 18:30, device: L1, dim_pct: 100, power_w: 1}]\n"


def failures(text):
    scripts, bad = read_scripts(text)
    assert not bad
    return [(failure.line, failure.reason) for script in scripts for failure in rehearse(script)]


def faults(text):
    _, bad = read_scripts(text)
    return [f"{row.line}: {row.reason}" for row in bad]


def test_the_shipped_example_holds(capsys):
    assert rules_test.run([EXAMPLE], None) == 0
    assert capsys.readouterr().out.endswith("4 of 4 tests passed\n")
    assert rules_test.run([EXAMPLE], "water_meter") == 0


def test_what_did_not_come_is_said_with_what_came_instead(tmp_path, capsys):
    expected = "    expect:\n      - {fire: lamp_out, on: L1, at: 18:20}\n"
    assert failures(HEAD + DARK + expected) == [
        (11, "lamp_out was to fire on L1 at 18:20:00; it fired at 18:10:00 as P3"),
        (7, "not expected: lamp_out fired on L1 at 18:10:00 as P3"),
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(HEAD + DARK + expected)
    assert rules_test.run([file], None) == 1
    said = capsys.readouterr().out
    assert "✗ one" in said and f"{file}:11: lamp_out was to fire" in said.replace("\n", "")


@pytest.mark.parametrize(
    ("expected", "reasons"),
    [
        ("{fire: lamp_out, on: L1, at: 18:10}", []),
        ("{fire: lamp_out, on: L1, at: 10min}", []),
        ("{fire: lamp_out, on: L1, at: 2026-11-20T18:10+01:00}", []),
        ("{fire: lamp_out, on: L1, between: [18:00, 19:00], priority: 3}", []),
        (
            "{fire: lamp_out, on: L1, at: 18:10, priority: 1}",
            [
                "lamp_out was to fire on L1 at 18:10:00 as P1; it fired at 18:10:00 as P3",
                "not expected: lamp_out fired on L1 at 18:10:00 as P3",
            ],
        ),
        (
            "{clear: lamp_out, on: L1, between: [18:00, 2026-11-21 01:00]}",
            [
                "lamp_out was to clear on L1 between 18:00:00 and 2026-11-21 01:00:00; it fired at 18:10:00 as P3",
                "not expected: lamp_out fired on L1 at 18:10:00 as P3",
            ],
        ),
    ],
)
def test_ways_to_say_when(expected, reasons):
    assert [reason for _, reason in failures(HEAD + DARK + f"    expect: [{expected}]\n")] == reasons


def test_a_late_reading_does_not_rewind_and_the_night_that_has_an_hour_twice():
    late = "    readings: [{at: 18:00, device: L1, dim_pct: 100, power_w: 58},"
    late += " {at: 17:59, device: L1, dim_pct: 100, power_w: 1}]\n    expect: []\n"
    assert failures(HEAD + late) == []
    twice = (HEAD + DARK).replace("2026-11-20 18:00", "2026-10-25 02:50")
    twice = twice.replace("18:00", "02:10").replace("18:30", "02:30")  # the second 2 o'clock, 20 minutes later
    assert failures(twice + "    expect: [{fire: lamp_out, on: L1, at: 2026-10-25T02:20+01:00}]\n") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "2: not readable as YAML: "),
        ("", "1: there is no test in it"),
        ("- 1", "1: a file of tests is a mapping of names to values"),
        ("kind: lamp\nstart: 0\ndevices: []\ntests: []", "1: kind 'lamp' is unknown"),
        ("kind: street_lighting\ndevices: []\ntests: []", "1: a file of tests needs start"),
        (HEAD.replace("18:00", "25:00") + DARK, "2: '2026-11-20 25:00' is no time"),
        (HEAD.replace("type: cabinet", "type: box") + DARK + "    expect: []\n", "4: type 'box' is unknown"),
        (
            HEAD.replace("[lamp_out]", "[lamp_ot]") + DARK + "    expect: []\n",
            "8: street_lighting has no rule 'lamp_ot'",
        ),
        (HEAD + DARK, "7: a test needs expect"),
        (HEAD + DARK.replace("power_w", "power") + "    expect: []\n", "9: street_lighting has no field 'power'"),
        (HEAD + DARK.replace("power_w: 1", "power_w: -1") + "    expect: []\n", "9: power_w -1 is out of its range"),
        (HEAD + DARK.replace("L1", "A") + "    expect: []\n", "9: a cabinet does not tell dim_pct"),
        (HEAD + DARK.replace("every: 10min, ", "") + "    expect: []\n", "9: every and until go together"),
        (
            HEAD + DARK.replace("10min", "1s").replace("18:30", "2027-11-20") + "    expect: []\n",
            "9: that is more than",
        ),
        (HEAD + DARK + "    expect: [{fire: lamp_out, on: L9, at: 18:10}]\n", "10: there is no device 'L9'"),
        (HEAD + DARK + "    expect: [{fire: lamp_out, on: L1}]\n", "10: say either fire or clear"),
        (
            HEAD + DARK + "    expect: [{fire: lamp_out, on: A, at: 0}]\n",
            "10: lamp_out is a rule of a lamp, but A is a",
        ),
        (HEAD + DARK + "    expect: [{fire: lit_unasked, on: L1, at: 0}]\n", "10: lit_unasked is not among the rules"),
        (HEAD + DARK + "    expect: [{fire: lamp_out, on: L1, at: 1, at: 2}]\n", "10: 'at' is there twice"),
        (
            HEAD + "    set: {lamp_out: {hold: 1}}\n" + DARK + "    expect: []\n",
            "9: the thresholds of lamp_out has no 'h",
        ),
    ],
)
def test_what_makes_no_sense_is_said_with_its_line(text, said):
    assert any(fault.startswith(said) for fault in faults(text)), faults(text)


def test_every_fault_of_a_file_is_said_at_once(tmp_path, capsys):
    file = tmp_path / "rules.yaml"
    readings = "    readings:\n      - {at: x, device: L1}\n      - {at: 1, device: L2}\n"
    readings += "    expect: [{fire: no, on: L1, at: 1}]\n"
    file.write_text(HEAD + readings)
    assert rules_test.run([file], None) == 2
    said = capsys.readouterr().out.replace("\n", " ")
    assert (
        ":10: 'x' is no time" in said and ":11: there is no device 'L2'" in said and ":12: street_lighting has" in said
    )
