"""Files of devices: what goes in, and how each mistake is named."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.kind import kinds
from devices.registry import BadRow, Device, introduction, name_fault, parse_devices

HEADER = "commune,kind,id,type,parent,gateway,lat,lon,label,street,rated_power_w\n"
LAMP = "dijon,street_lighting,L1,lamp,F1,A1,47.32,5.04,Lampadaire 1,Rue de la Liberté,60\n"
LAMP_DEVICE = Device(
    *("dijon", "street_lighting", "L1", "lamp", "F1", "A1"),
    *(47.32, 5.04, "Lampadaire 1", "Rue de la Liberté", {"rated_power_w": 60.0}),
)


def test_csv() -> None:
    assert parse_devices(HEADER + LAMP, "csv") == ([LAMP_DEVICE], [])


def test_csv_as_a_french_spreadsheet_saves_it() -> None:
    text = "\ufeff" + (HEADER + LAMP).replace(",", ";").replace(".", ",").replace("\n", "\r\n")
    assert parse_devices(text, "csv") == ([LAMP_DEVICE], [])


def test_a_decimal_comma_needs_a_semicolon() -> None:
    _, bad = parse_devices(HEADER + LAMP.replace("47.32", '"47,32"'), "csv")
    assert bad == [BadRow(2, "lat '47,32' is not a number")]


def test_yaml() -> None:
    text = """
# the cabinets of the centre
- commune: dijon
  kind: street_lighting
  id: L1
  type: lamp
  parent: F1
  gateway: A1
  lat: 47.32
  lon: 5.04
  label: Lampadaire 1
  street: Rue de la Liberté
  rated_power_w: 60
- {commune: dijon, kind: water_meter, id: 0012, type: meter, label: ~}
"""
    devices, bad = parse_devices(text, "yaml")
    assert bad == []
    assert devices == [LAMP_DEVICE, Device("dijon", "water_meter", "0012", "meter")]
    assert [device.line for device in devices] == [3, 14]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("dijon,street_lightning,L1,lamp,,,,,,,", "kind 'street_lightning' is unknown; the hub knows "),
        ("dijon,street_lighting,L1,lampe,,,,,,,", "type 'lampe' is unknown; street_lighting has lamp, feeder, cabinet"),
        ("dijon,water_meter,M1,meter,,,,,,,60", "water_meter has no 'rated_power_w'; its attributes are "),
        ("dijon,water_meter,Z2,zone,Z1,,,,,,", "a zone hangs from nothing, but parent is 'Z1'"),
        ("dijon,street_lighting,L1,lamp,,,91,5,,,", "lat 91 is not between -90 and 90 degrees"),
        ("dijon,street_lighting,L1,lamp,,,47,-181,,,", "lon -181 is not between -180 and 180 degrees"),
        ("dijon,street_lighting,L1,lamp,,,47,,,,", "only lat is given; a position is lat and lon"),
        ("dijon,street_lighting,L1,lamp,,,nan,5,,,", "lat 'nan' is not a number"),
        ("dijon,street_lighting,L1,lamp,,,47,5,,,1e999", "rated_power_w '1e999' is not a number"),
        ("dijon,street_lighting,L1,lamp,,,47,5,,,1_0", "rated_power_w '1_0' is not a number"),
        ("dijon,street_lighting,L1/2,lamp,,,,,,,", "id 'L1/2' holds / + or #"),
        ("dijon,street_lighting,L#,lamp,,,,,,,", "id 'L#' holds / + or #"),
        ("dijon,street_lighting,L\x07,lamp,,,,,,,", "id 'L\\x07' holds a control character"),
        ("d+,street_lighting,L1,lamp,,,,,,,", "commune 'd+' holds / + or #"),
        (f"dijon,street_lighting,{'L' * 65},lamp,,,,,,,", "has more than 64 characters"),
        (f"dijon,street_lighting,L1,lamp,,,,,{'x' * 201},,", "label has more than 200 characters"),
        (",street_lighting,L1,,,,,,,,", "commune and type missing"),
        ("dijon,street_lighting,L1,lamp", "4 values where the header has 11 columns"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_the_others_go_in(row: str, reason: str) -> None:
    good = LAMP.replace("L1", "other")
    devices, bad = parse_devices(HEADER + good + row + "\n" + good.replace("other", "third"), "csv")
    assert [device.id for device in devices] == ["other", "third"]
    assert [found.line for found in bad] == [3]
    assert reason in bad[0].reason


def test_an_id_is_there_once() -> None:
    devices, bad = parse_devices(HEADER + LAMP + LAMP + LAMP.replace("dijon", "talant"), "csv")
    assert [device.commune for device in devices] == ["dijon", "talant"]
    assert bad == [BadRow(3, "'L1' is already on line 2")]


def test_a_parent_of_the_file_is_of_the_type_that_the_kind_says() -> None:
    cabinet = "dijon,street_lighting,F1,cabinet,,,,,,,\n"
    devices, bad = parse_devices(HEADER + LAMP + cabinet, "csv")
    assert [device.id for device in devices] == ["F1"]
    assert bad == [BadRow(2, "the parent of a lamp is a feeder, but 'F1' is a cabinet")]


def test_an_unknown_column_is_named_once_and_not_read() -> None:
    text = "commune;kind;id;type;couleur\n" + "".join(f"dijon;water_meter;M{n};meter;bleu\n" for n in range(3))
    devices, bad = parse_devices(text, "csv")
    assert len(devices) == 3
    assert bad == [BadRow(1, "column 'couleur' is unknown and was not read")]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("kind,id,type", "column 'commune' is missing; no row was read"),
        ("commune,kind,id,type,id", "column 'id' is there twice; no row was read"),
        ("", "column 'commune' is missing"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_mistake(header: str, reason: str) -> None:
    devices, bad = parse_devices(f"{header}\n" + "dijon,water_meter,M1,meter,x\n" * 3, "csv")
    assert devices == []
    assert len(bad) == 1 and reason in bad[0].reason and bad[0].line == 1


def test_lines_count_also_past_a_cell_of_two_lines() -> None:
    text = HEADER + LAMP.replace("Lampadaire 1", '"deux\nlignes"') + "\n" + "dijon,x,y,z,,,,,,,\n"
    devices, bad = parse_devices(text, "csv")
    assert devices[0].label == "deux lignes"
    assert [row.line for row in bad] == [5]


def test_a_quote_never_closed_ends_the_reading_and_says_where() -> None:
    devices, bad = parse_devices(HEADER + LAMP + LAMP.replace("L1", '"L2'), "csv")
    assert len(devices) == 1
    assert bad[0].line == 3 and "not readable as CSV from here on" in bad[0].reason


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("commune: dijon\n", 1, "a list of devices is expected"),
        ("- M1\n- {commune: dijon}\n", 1, "a device is a mapping"),
        ("- commune: dijon\n  kind: [water_meter]\n", 1, "'kind' is not a single value"),
        ("- commune: dijon\n  commune: talant\n", 1, "'commune' is there twice"),
        ("- commune: &c dijon\n- commune: *c\n", 2, "'commune' is not a single value"),
        ("- {commune: dijon, kind: water_meter, id: M1, type: meter, ton: 3}", 1, "water_meter has no 'ton'"),
        ("- commune: dijon\n\tkind: x\n", 2, "not readable as YAML from here on"),
    ],
)  # fmt: skip
def test_bad_yaml(text: str, line: int, reason: str) -> None:
    _, bad = parse_devices(text, "yaml")
    assert [row.reason for row in bad if row.line == line and reason in row.reason], bad


def test_what_comes_before_a_yaml_mistake_goes_in() -> None:
    good = "- {commune: dijon, kind: water_meter, id: M1, type: meter}\n"
    devices, bad = parse_devices(good + "- {commune: [dijon, kind: 3\n" + good, "yaml")
    assert [device.id for device in devices] == ["M1"]
    assert bad


def test_a_yaml_bomb_is_many_bad_values_and_no_memory() -> None:
    levels = zip("abcdefgh", "bcdefghi", strict=True)
    bomb = "- &a {x: 1}\n" + "".join(f"- &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in levels)
    devices, bad = parse_devices(bomb, "yaml")
    assert devices == [] and len(bad) == 9


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["yaml", "csv"]))
def test_no_text_makes_it_fail(text: str, form: str) -> None:
    for prefix in ("", HEADER, "- commune: dijon\n  "):
        parse_devices(prefix + text, "csv" if form == "csv" else "yaml")


@given(st.text(max_size=80))
def test_a_name_without_fault_is_one_level_of_a_topic(name: str) -> None:
    if name_fault(name) is None:
        assert 1 <= len(name) <= 64
        assert not set(name) & set("/+#\x00\n\r\t")


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_type_and_attribute_of_every_kind_can_be_declared(kind: str) -> None:
    attributes = [attribute.name for attribute in kinds()[kind].attributes]
    header = ",".join(["commune", "kind", "id", "type", *attributes])
    rows = [",".join(["dijon", kind, t.name, t.name, *["1.5"] * len(attributes)]) for t in kinds()[kind].types]
    devices, bad = parse_devices("\n".join([header, *rows]), "csv")
    assert (len(devices), bad) == (len(kinds()[kind].types), [])
    assert all(set(device.attributes) == set(attributes) for device in devices)


def test_an_announcement_is_believed_as_far_as_it_makes_sense() -> None:
    assert introduction("street_lighting", {"type": "lamp", "lat": 47.3, "lon": 5}) == ("lamp", 47.3, 5.0, None)
    assert introduction("street_lighting", {"type": "toaster", "lat": 47.3, "label": "x" * 300}) == (None,) * 4
    assert introduction("water_meter", {"type": None, "lat": math.nan, "lon": 5, "label": ["x"]}).type == "meter"
