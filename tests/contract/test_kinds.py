"""Laws over every kind of device."""

import msgspec
import numpy as np
import pytest

from devices.columns import CLOCK
from devices.kind import INDICATOR_COLUMNS, Formula, Kind, Rule, kinds
from devices.kinds_page import PAGE, kinds_page
from ingest.codecs.codec import Heard
from ingest.codecs.native import CODEC
from rules.view import is_known

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
    assert rule.type in {t.name for t in kind.types}
    assert not [fault for name in rule.all_columns if (fault := kind.column_fault(rule.type, name))]
    assert not (rule.lateness_s and kind.is_timed(rule)), "a rule that waits for late readings has no clock"


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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_fields_attributes_and_events_are_told_in_both_languages_and_fields_have_a_range(kind):
    for told in (*kind.types, *kind.fields, *kind.attributes, *kind.events):
        assert all(told.label)
    names = [f.name for f in kind.fields] + [a.name for a in kind.attributes]
    assert len(set(names)) == len(names), "a field and an attribute of one name"
    types = {t.name for t in kind.types}
    for field in kind.fields:
        assert field.low is not None and field.high is not None and field.low < field.high
        assert set(field.types) <= types
    assert {t.parent for t in kind.types} - {None} <= types
    assert kind.usual_type is None or kind.usual_type in types
    assert {t.symbol for t in kind.types} <= {"dot", "square", "diamond", "triangle", "arrow"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_example_tells_only_fields_of_its_type_and_no_fault(kind):
    fields = {f.name: f for f in kind.fields}
    for type_, example in kind.examples.items():
        values = {name: value for name, value in example.items() if name not in ("ts", "event")}
        for name, value in values.items():
            assert not fields[name].types or type_ in fields[name].types
            assert fields[name].low <= value <= fields[name].high
        sample = {a.name: a.default for a in kind.attributes} | {name: float(value) for name, value in values.items()}
        firing = [rule.code for rule in kind.rules if rule.type == type_ and evaluate(kind, rule, sample)]
        assert not firing, f"the example of a {type_} is a fault: {firing}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_indicators_count_what_is_known_and_panels_show_one_unit(kind):
    types, fields = {t.name for t in kind.types}, {f.name: f for f in kind.fields}
    for indicator in kind.indicators:
        known = {*fields, *(a.name for a in kind.attributes), *CLOCK, *INDICATOR_COLUMNS}
        assert indicator.type in types and set(indicator.formula.columns) <= known and all(indicator.title)
        unknown = {name: np.full(3, np.nan) for name in indicator.formula.columns}
        assert np.isnan(indicator.of(unknown))
        some = {name: np.array([1.0, np.nan, 1.0]) for name in indicator.formula.columns}
        share = indicator.of(some)
        assert indicator.how != "share" or indicator.unit != "%" or np.isnan(share) or share <= 100
    for panel in kind.panels:
        assert panel.type in types and len({fields[name].unit for name in panel.fields}) == 1
        assert all(not fields[name].types or panel.type in fields[name].types for name in panel.fields)


BUILT_IN = {
    "energy_meter",
    "environment_station",
    "fleet_vehicle",
    "road_works",
    "street_lighting",
    "traffic_light",
    "water_meter",
}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_citys_seven_kinds_are_whole(name):
    kind = kinds()[name]
    assert len(kind.rules) >= 5 and {rule.priority for rule in kind.rules} >= {2, 3}
    assert len(kind.indicators) >= 2 and kind.panels and kind.events
    assert {rule.type for rule in kind.rules} == {t.name for t in kind.types}
    assert all(any(rule.is_silence and rule.type == t.name for rule in kind.rules) for t in kind.types if not_mute(t))


def not_mute(device_type):
    """A feeder speaks through its cabinet; that its lamps are overdue is a rule on its children."""
    return device_type.name != "feeder"


def test_the_page_of_kinds_is_that_of_the_declarations():
    page = PAGE.read_text(encoding="utf-8")
    assert page == kinds_page(kinds()), "write it again: python -m devices.kinds_page"
    for kind in kinds().values():
        assert all(f"`{rule.code}` ({rule.type})" in page for rule in kind.rules)
        assert all(f"| `{name}` |" in page for name in kind.field_names)
