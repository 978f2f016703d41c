"""wmbusmeters' electricity meters: every line of the sample, and what the drivers' names and units become."""

import json
from pathlib import Path

import msgspec
import pytest

from devices.energy_meter import KIND
from ingest.codecs.codec import Heard, Reject
from ingest.codecs.wmbusmeters import CODEC
from ingest.codecs.wmbusmeters_electricity import BY_PHASE, BY_TARIFF, SIMPLE
from ingest.decode import decode
from ingest.log import Message
from tests.readings import NOW_US

SAMPLE = Path("tests/data/wmbusmeters.jsonl")
LINES = [line for line in SAMPLE.read_bytes().splitlines() if json.loads(line)["media"] == "electricity"]
TOLD: list[tuple[str, dict[str, float]]] = [
    ("abbb23", {"import_wh": 5_249_170, "cover_open": 0}),
    ("amiplus", {"power_w": 1055, "voltage_v": 239.666667, "import_wh": 9_652_220, "export_wh": 0}),
    ("amiplus", {"power_w": 295, "voltage_v": 239, "import_wh": 2_423_653, "export_wh": 143}),
    (
        "ebzwmbe",
        {"power_w": 216.79, "power_l1_w": 94.71, "power_l2_w": 106.02, "power_l3_w": 16.06, "import_wh": 2_816_304},
    ),
    ("ehzp", {"power_w": 2126, "import_wh": 41_171.8, "export_wh": 186.3, "cover_open": 0}),
    (
        "esyswm",
        {
            "power_w": 438.32,
            "power_l1_w": 28.1,
            "power_l2_w": 25.65,
            "power_l3_w": 384.56,
            "import_wh": 1_643_416.5,
            "export_wh": 187.6,
        },
    ),
    ("gransystems", {"voltage_v": 235, "current_a": 0, "import_wh": 916, "cover_open": 0}),
    (
        "iem3000",
        {
            "power_w": 16_949.934,
            "power_l1_w": 5173.187,
            "power_l2_w": 7899.824,
            "power_l3_w": 3876.922,
            "apparent_va": 17_474.401,
            "reactive_var": -4249.052,
            "cos_phi": 0.969987,  # its code 1.030013: leading
            "voltage_v": 231.832138,
            "current_a": 25.173983,
            "import_wh": 376_074_756,
            "cover_open": 0,
        },
    ),
    (
        "iem3000",
        {
            "power_w": 18_096.107,
            "power_l1_w": 6022.299,
            "power_l2_w": 6084.581,
            "power_l3_w": 5989.226,
            "apparent_va": 23_872.807,
            "reactive_var": 15_508.986,
            "cos_phi": 0.760233,
            "voltage_v": 231.273132,
            "current_a": 34.333912,
            "import_wh": 33_385_482,
            "cover_open": 0,
        },
    ),
    ("iem3000", {"import_wh": 33_385.496, "export_wh": 0.017, "cover_open": 0}),
    ("lansenpu", {"cover_open": 1}),  # a pulse counter: SABOTAGE_ENCLOSURE, its pulses are kept beside
    ("nemo", {"voltage_v": 232.166667, "current_a": 142.8, "cover_open": 0}),
    (
        "nzr",
        {
            "power_w": 2030,
            "power_l1_w": 643.54,
            "power_l2_w": 900.88,
            "power_l3_w": 489.01,
            "voltage_v": 234.666667,
            "current_a": 3.003333,
            "import_wh": 49_768_500,
            "cover_open": 0,
        },
    ),
]


def heard(payload: bytes) -> Heard:
    (found,) = CODEC.decode("wmbusmeters/cave", payload, "dijon")
    assert isinstance(found, Heard), found
    return found


def told(**members: object) -> dict[str, float]:
    return fields(heard(msgspec.json.encode({"media": "electricity", "id": "1"} | members)))


def fields(found: Heard) -> dict[str, float]:
    return {n: v for n, v in zip(KIND.field_names, found.values, strict=True) if v is not None}


@pytest.mark.parametrize(
    ("line", "meter", "expected"),
    [pytest.param(line, *one, id=one[0]) for line, one in zip(LINES, TOLD, strict=True)],
)
def test_every_line_of_the_sample(line: bytes, meter: str, expected: dict[str, float]) -> None:
    found, telegram = heard(line), json.loads(line)
    assert telegram["meter"] == meter
    assert found.key == ("dijon", "energy_meter", telegram["id"])
    assert fields(found) == expected


def test_every_line_of_the_sample_is_in_range() -> None:
    messages = [Message(i, NOW_US, "meters", "any", line) for i, line in enumerate(LINES)]
    found = decode(messages, {"meters": (CODEC, "dijon")}.get, {})
    assert (found.rejected, found.counts["readings"]) == ([], len(LINES))


def test_what_is_not_a_field_is_kept() -> None:
    telegram = json.loads(LINES[-1])
    rest = heard(LINES[-1]).rest or {}
    assert rest == {
        name: value
        for name, value in telegram.items()
        if name not in {"_", "media", "id", "total_energy_consumption_kwh"} and not name.startswith("current_power")
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"power_kw": 0.5}, {"power_w": 500}),
        ({"current_power_consumption_w": 12}, {"power_w": 12}),
        ({"current_power_consumption_kw": 0.3, "current_power_production_kw": 1.5}, {"power_w": -1200}),
        ({"current_power_production_kw": 1.5}, {"power_w": -1500}),
        ({"current_power_consumption_kw": None}, {}),
        ({"total_energy_consumption_mwh": 1.25}, {"import_wh": 1_250_000}),
        ({"total_kwh": 289.68, "total_tariff_1_kwh": 200}, {"import_wh": 289_680}),  # eltako
        ({"total_energy_consumption_kwh": 5, "total_energy_consumption_tariff_1_kwh": 3}, {"import_wh": 5000}),
        (
            {"total_energy_production_tariff1_kwh": 1, "total_energy_production_tariff2_kwh": 2},
            {"export_wh": 3000},
        ),
        ({"target_energy_consumption_kwh": 5, "max_power_consumption_kw": 9}, {}),
        ({"active_power_overall_kw": 0.98, "reactive_power_overall_kw": 0.25}, {"power_w": 980, "reactive_var": 250}),
        ({"voltage_l1_n_v": 230, "voltage_l2_n_v": 0, "voltage_l3_n_v": 232}, {"voltage_v": 154}),  # a phase is lost
        ({"amperage_at_phase_1_a": 4, "amperage_at_phase_3_a": 6}, {"current_a": 5}),
        ({"power_factor": -0.996}, {"cos_phi": -0.996}),
        ({"power_factor": -1.1}, {"cos_phi": -0.9}),
        ({"power_factor": 2.5}, {"cos_phi": 2.5}),  # no code of anybody: the range refuses it
        ({"status": "TAMPER"}, {"cover_open": 1}),
        ({"status": "LOW_BATTERY"}, {"cover_open": 0}),
    ],
    ids=str,
)
def test_names_and_units(members: dict[str, object], expected: dict[str, float]) -> None:
    assert told(**members) == expected


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {"total_energy_consumption_kwh": "12"},
            "total_energy_consumption_kwh: expected a number, found the text '12'",
        ),
        ({"voltage_at_phase_2_v": True}, "voltage_at_phase_2_v: expected a number"),
        ({"current_power_consumption_kw": []}, "current_power_consumption_kw: expected a number, found a list"),
    ],
)
def test_wrong_types(members: dict[str, object], says: str) -> None:
    payload = msgspec.json.encode({"media": "electricity", "id": "1"} | members)
    (found,) = CODEC.decode("any", payload, "dijon")
    assert isinstance(found, Reject) and says in found.detail


def test_the_tables_name_fields_of_the_kind() -> None:
    assert {*SIMPLE, *BY_TARIFF, *BY_PHASE} <= set(KIND.field_names)
