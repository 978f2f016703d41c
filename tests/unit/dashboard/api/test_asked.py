"""What a question may say."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi import HTTPException

from dashboard.api.asked import MAX_DAYS, fields_of, kind_of, span
from devices.kind import kinds

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def test_a_time_is_not_empty_nor_too_long():
    assert span(NOW - timedelta(days=MAX_DAYS), NOW) == (NOW - timedelta(days=MAX_DAYS), NOW)
    for since in (NOW, NOW + timedelta(seconds=1), NOW - timedelta(days=MAX_DAYS, seconds=1)):
        with pytest.raises(HTTPException):
            span(since, NOW)


def test_fields_come_in_the_order_of_the_declaration():
    meter = kinds()["water_meter"]
    assert fields_of(meter, None) == meter.fields
    assert [field.name for field in fields_of(meter, "leak,total_m3,leak")] == ["total_m3", "leak"]
    with pytest.raises(HTTPException, match="no field colour"):
        fields_of(meter, "leak,colour")


def test_an_unknown_kind_is_told_the_known_ones():
    with pytest.raises(HTTPException, match="street_lighting"):
        kind_of("rockets")
