"""What wmbusmeters publishes: the sample, the words of its drivers, and what may go wrong."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from devices.water_meter import KIND
from hub.clock import to_datetime
from ingest.codecs.codec import WHOLE, Heard, Reject
from ingest.codecs.wmbusmeters import CODEC, PAST, WORDS, status_flags

SAMPLE = Path("tests/data/wmbusmeters.jsonl")
TELEGRAM = {
    "_": "telegram", "media": "water", "meter": "iperl", "name": "Cave", "id": "33225544", "total_m3": 123.529,
    "timestamp": "2026-11-23T08:00:00Z",
}  # fmt: skip
FLAGS = {field.name for field in KIND.fields if field.storage == "flag" and "zone" not in field.types}


def one(**changed: object) -> Heard | Reject:
    telegram = {name: value for name, value in (TELEGRAM | changed).items() if value is not ...}
    (found,) = CODEC.decode("wmbusmeters/cave", msgspec.json.encode(telegram), "dijon")
    return found


def heard(**changed: object) -> Heard:
    found = one(**changed)
    assert isinstance(found, Heard), found
    return found


def fields(found: Heard) -> dict[str, float]:
    return {n: v for n, v in zip(KIND.field_names, found.values, strict=True) if v is not None}


def raised(**changed: object) -> set[str]:
    return {name for name, value in fields(heard(**changed)).items() if name in FLAGS and value == 1}


def test_every_line_of_the_sample_is_read() -> None:
    found = [part for line in SAMPLE.read_bytes().splitlines() for part in CODEC.decode("any/topic", line, "dijon")]
    assert Counter(part.reason if isinstance(part, Reject) else part.kind for part in found) == {
        "water_meter": 55,
        "energy_meter": 13,
    }
    meters = [part for part in found if isinstance(part, Heard) and part.kind == KIND.name]
    assert {part.ts_us for part in meters} == {None}, "the placeholder 1111-11-11 is no time"
    told = Counter(name for part in meters for name in fields(part))
    assert (told["total_m3"], told["flow_m3h"], told["battery_y"], told["backflow_m3"]) == (54, 10, 7, 4)
    assert told["leak"] == 40, "every telegram with a status says whether there is a leak"
    assert Counter(name for part in meters for name, value in fields(part).items() if name in FLAGS and value) == {
        "meter_fault": 5
    }


def test_a_medium_without_a_kind_waits() -> None:
    found = one(media="heat")
    assert isinstance(found, Reject)
    assert (found.part, found.reason) == (WHOLE, "unsupported")
    assert found.detail == "media 'heat': the hub has no kind of device for it yet"


@pytest.mark.parametrize("media", ["water", "cold water", "warm water", "hot water", "Warm Water"])
def test_media_of_water(media: str) -> None:
    assert fields(heard(media=media)) == {"total_m3": 123.529}


@pytest.mark.parametrize("media", ["heat", "gas", "waste water", "heat cost allocation", "bus/system component"])
def test_other_media(media: str) -> None:
    assert isinstance(one(media=media), Reject)


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ("total_backward_m3", "backflow_m3"),
        ("total_backwards_m3", "backflow_m3"),
        ("total_backward_flow_m3", "backflow_m3"),
        ("flow_m3h", "flow_m3h"),
        ("volume_flow_m3h", "flow_m3h"),
        ("flow_temperature_c", "water_temp_c"),
        ("external_temperature_c", "ambient_temp_c"),
        ("remaining_battery_life_y", "battery_y"),
        ("battery_y", "battery_y"),
        ("rssi_dbm", "rssi_dbm"),
    ],
)
def test_one_field_has_several_names(member: str, field: str) -> None:
    found = heard(**{member: 7})
    assert fields(found) == {"total_m3": 123.529, field: 7.0}
    assert found.rest is not None and member not in found.rest


def test_totals_of_other_days_are_not_the_total() -> None:
    found = heard(total_m3=..., consumption_at_set_date_m3=3, total_at_date_m3=4, last_month_total_m3=5)
    assert fields(found) == {}
    assert found.rest is not None and found.rest["last_month_total_m3"] == 5


def test_the_temperature_of_a_missing_sensor_is_unknown_and_kept() -> None:
    found = heard(flow_temperature_c=-100)
    assert "water_temp_c" not in fields(found)
    assert found.rest is not None and found.rest["flow_temperature_c"] == -100


@pytest.mark.parametrize(
    ("timestamp", "ts"),
    [
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00+00:00"),
        ("1111-11-11T11:11:11Z", None),
        ("yesterday", None),
        (1700000000, None),
        (None, None),
        (..., None),
    ],
)
def test_time(timestamp: object, ts: str | None) -> None:
    ts_us = heard(timestamp=timestamp, meter_datetime="2026-11-23 07:58").ts_us
    assert (ts_us and to_datetime(ts_us).isoformat()) == ts


@pytest.mark.parametrize(
    ("member", "status", "flags"),
    [
        ("status", "OK", set()),
        ("current_status", "", set()),
        ("current_alarms", "no_alarm", set()),
        ("status", "LEAK", {"leak"}),  # kamwater
        (
            "status",
            "DRY REVERSE LEAK BURST TAMPER LOW_BATTERY",
            {"dry", "backflow", "leak", "burst", "tamper", "low_battery"},
        ),
        ("current_status", "DRY(dry 22-31 days)", {"dry"}),  # kamwater until 2021
        ("current_alarms", "meter_blocked,underflow", {"blocked"}),  # izar
        ("current_alarms", "leakage,back_flow,mechanical_fraud", {"leak", "backflow", "tamper"}),
        ("current_alarms", "general_alarm", set()),
        ("status", "METER_BLOCKED UNDERFLOW", {"blocked"}),  # izarv2
        ("status", "LEAKAGE PREV_SENSOR_FRAUD", {"leak"}),
        ("status", "PREV_LEAKAGE", set()),
        ("status", "BURSTING REMOVED WAS_LEAKING WAS_BACKFLOWING", {"burst", "tamper"}),  # minomess
        ("status", "BATTERY_EOL", {"low_battery"}),
        ("status", "BROKEN_PIPE CONTINUOUS_FLOW", {"burst", "leak"}),  # gwfwater
        ("status", "BATTERY_LOW POWER_LOW", {"low_battery"}),
        ("status", "ALARM LEAK_FLOW_HIGH LEAK_FLOW_LOW", {"leak"}),  # picoflux
        ("status", "NO_FLOW_PREV_MONTH REVERSE_THIS_MONTH", set()),  # ultrimisv2
        ("status", "PERMANENT_ERROR P_LEAK P_REVERSE_FLOW", {"meter_fault"}),  # aptmbusna
        ("current_status", "MAGNETIC_FIELD", {"tamper"}),  # apatorna1
        ("status", "REMOVAL_DETECTED MAGNETIC_MANIPULATION REVERSE_FLOW", {"tamper", "backflow"}),  # engelmann_faw
        ("status", "MANIPULATION", {"tamper"}),  # waterstarm
        ("status", "LEAKAGE_OR_NO_USAGE POWER_LOW", {"low_battery"}),
        ("status", "TEMPORARY_ERROR", {"meter_fault"}),
        ("status", "ERROR_FLAGS_800", {"meter_fault"}),
        ("status", "DRY ERROR RETURN_SENSOR_INTERRUPTED", {"dry", "meter_fault"}),
        ("status", "BATTERY_VOLTAGE_ERROR", {"low_battery"}),
        ("status", "FLOW_ABOVE_Q4 NO_CONSUMPTION", {"flow_above_q4"}),
        ("status", "SOMETHING_NEW", set()),
        ("error_flags", "SABOTAGE", {"tamper"}),  # aventieswm
    ],
)
def test_words_of_the_drivers(member: str, status: str, flags: set[str]) -> None:
    found = heard(**{member: status})
    assert raised(**{member: status}) == flags
    assert set(fields(found)) == {"total_m3", *FLAGS}, "a status makes every flag known"
    assert (found.rest or {})[member] == status


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"status": None},
        {"status": 3},
        {"previous_alarms": "leakage"},
        {"historic_status": "LEAK"},
        {"frame_status": "SUMMER_TIME"},
    ],
)
def test_what_is_not_told_now_is_unknown(members: dict[str, object]) -> None:
    assert status_flags(members) == {}


def test_two_statuses_are_read_together() -> None:
    assert raised(status="OK", current_status="LEAK", previous_alarms="BURST") == {"leak"}


def test_the_table_of_words_covers_the_kind_and_no_word_twice() -> None:
    assert set(WORDS) | {"meter_fault"} == FLAGS
    words = [word for known in WORDS.values() for word in known]
    assert len(words) == len(set(words))
    assert not [word for word in words if PAST.fullmatch(word)]


@pytest.mark.parametrize("meter_id", [..., None, "", "12/34", "#", "1" * 65, "a\nb"])
def test_a_meter_without_identity(meter_id: object) -> None:
    found = one(id=meter_id)
    assert isinstance(found, Reject) and found.reason == "no_identity"


@pytest.mark.parametrize(
    ("changed", "reason", "says"),
    [
        ({"id": 5}, "wrong_type", "id: expected a text, found a number"),
        ({"media": ...}, "wrong_type", "media is missing"),
        ({"media": 7}, "wrong_type", "media: expected a text"),
        ({"total_m3": "12"}, "wrong_type", "total_m3: expected a number, found the text '12'"),
        ({"total_m3": False}, "wrong_type", "total_m3: expected a number"),
        ({"total_m3": {"v": 1}}, "wrong_type", "total_m3: expected a number, found an object"),
        ({"battery_y": []}, "wrong_type", "battery_y: expected a number, found a list"),
    ],
)
def test_wrong_types(changed: dict[str, object], reason: str, says: str) -> None:
    found = one(**changed)
    assert isinstance(found, Reject)
    assert (found.part, found.reason) == (WHOLE, reason)
    assert says in found.detail


def test_the_topic_tells_nobody() -> None:
    assert CODEC.address("wmbusmeters/cave", "dijon") is None
