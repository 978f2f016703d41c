"""Laws over every kind of device."""

import msgspec
import numpy as np
import pytest

from devices.kind import CLOCK_COLUMNS, Formula, Kind, Rule, kinds
from ingest.codecs.codec import Heard
from ingest.codecs.native import CODEC
from rules.board import is_known

KINDS = list(kinds().values())
RULES = [pytest.param(kind, rule, id=f"{kind.name}-{rule.code}") for kind in KINDS for rule in kind.rules]


def evaluate(kind: Kind, rule: Rule, sample: dict[str, float]) -> bool:
    columns = {name: np.array([sample.get(name, np.nan)]) for name in (*rule.columns, *sample)}
    known = is_known(rule.columns, columns, optional=rule.optional, any_of=rule.any_of)
    return bool((known & rule.condition(columns))[0])


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_a_rule_fires_on_what_it_says_and_on_nothing_else(kind, rule):
    assert rule.fires_on and rule.silent_on
    assert all(evaluate(kind, rule, sample) for sample in rule.fires_on)
    assert not any(evaluate(kind, rule, sample) for sample in rule.silent_on)
    assert not evaluate(kind, rule, {})


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_a_rule_is_told_in_words_with_its_source(kind, rule):
    assert all(rule.help) and rule.source and all(rule.title)
    assert rule.priority in (1, 2, 3)


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_a_rule_reads_columns_that_exist(kind, rule):
    known = {*kind.field_names, *(a.name for a in kind.attributes), *CLOCK_COLUMNS}
    derived = {f.function.__name__ for f in kind.derived}
    for name in rule.columns:
        assert name in known or (name.startswith("children__") and name.split("__")[1] in derived)
    assert rule.type in {t.name for t in kind.types}


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_what_explains_a_fault_is_a_rule_of_the_kind(kind, rule):
    assert set(rule.explained_by) <= {r.code for r in kind.rules}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_at_least_three_rules_and_unique_names(kind):
    assert len(kind.rules) >= 3
    codes, names = [r.code for r in kind.rules], list(kind.field_names)
    assert len(set(codes)) == len(codes)
    assert len(set(names)) == len(names)
    assert not {"id", "ts", "event", "rest", "device_no", "received_at", "time_flagged"} & set(names)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_type_has_an_example_that_decodes(kind):
    assert set(kind.examples) == {t.name for t in kind.types}
    for example in kind.examples.values():
        (found,) = CODEC.decode(f"city/dijon/{kind.name}/x/telemetry", msgspec.json.encode(example), "dijon")
        assert isinstance(found, Heard)
        assert found.rest is None and found.ts_us
        assert sum(v is not None for v in found.values) == len(example) - 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_expected_periods_are_known_also_of_devices_that_never_spoke(kind):
    for device_type in kind.types:
        formula = Formula.of(device_type.expected_period_s)
        attributes = {a.name: np.array([a.default]) for a in kind.attributes}
        blank = {name: np.array([np.nan]) for name in kind.field_names} | attributes
        assert formula(blank)[0] > 0
