"""Contracts as a file tells them, and the width of buckets."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadFile
from store.contracts import parse_contracts
from store.delegate import WIDTHS_S, bucket_width

WATER = """
- name: eau-2026
  provider: Odivea
  kinds: [water_meter]
  communes: [quetigny, dijon]
  from: 2026-01-01
  to: 2035-12-31
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_contract_is_read():
    (contract,) = parse_contracts(WATER, "Europe/Paris")
    assert contract.communes == ("dijon", "quetigny") and contract.time_zone == "Europe/Paris"
    assert (contract.from_day, contract.to_day) == (date(2026, 1, 1), date(2035, 12, 31))
    assert contract.vehicle_positions is False and contract.household_readings == "daily"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("kinds: [water_meter]", "kinds: [rockets]", "no kind rockets"),
        ("kinds: [water_meter]", "kinds: water_meter", "list of names"),
        ("  provider: Odivea\n", "", "does not say: provider"),
        ("provider: Odivea", "provider: 7", "texts"),
        ("to: 2035-12-31", "to: 2025-12-31", "ends before it begins"),
        ("to: 2035-12-31", "to: never", "from and to are days"),
        ("from: 2026-01-01", "from: 2026-01-01T00:00:00", "from and to are days"),
        ("to: 2035-12-31", "until: 2035-12-31", "until is no key"),
        ("to: 2035-12-31", "time_zone: Mars/Base", "time_zone"),
        ("to: 2035-12-31", "household_readings: hourly", "daily or all"),
        ("to: 2035-12-31", "household_readings: all", "for what purpose"),
        ("to: 2035-12-31", "vehicle_positions: true", "for what purpose"),
        ("to: 2035-12-31", "vehicle_positions: maybe", "true or false"),
        ("- name: eau-2026", "- name: [", "not YAML"),
    ],
)
def test_a_wrong_contract_is_told_what_is_wrong(before, after, said):
    with pytest.raises(BadFile, match=said):
        parse_contracts(WATER.replace(before, after), "Europe/Paris")


@pytest.mark.parametrize("text", ["", "7", "{}", "[]", "- 7", "- {}"])
def test_what_is_no_list_of_contracts_is_refused(text):
    with pytest.raises(BadFile):
        parse_contracts(text, "Europe/Paris")


def test_two_contracts_have_two_names():
    with pytest.raises(BadFile, match="two contracts"):
        parse_contracts(WATER + WATER, "Europe/Paris")


@given(st.integers(1, 400 * 86_400), st.integers(2, 2000))
def test_buckets_are_at_most_so_many_and_no_wider_than_needed(span_s, points):
    width_s = bucket_width(START, START + timedelta(seconds=span_s), points).total_seconds()
    assert span_s / width_s + 1 <= points or width_s >= span_s
    narrower = [w for w in WIDTHS_S if w < width_s]
    assert not narrower or span_s / narrower[-1] + 1 > points
