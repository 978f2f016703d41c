"""Helsinki's vehicle feed: the recording, line by line, and what may go wrong."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from devices.fleet_vehicle import KIND
from hub.clock import to_datetime
from ingest.codecs.codec import WHOLE, Heard, Reject
from ingest.codecs.hfp import CODEC, EVENTS, parse_topic

RECORDING = Path("tests/data/hsl-hfp.dump")
TOPIC = "/hfp/v2/journey/ongoing/{}/bus/0012/01211/4735/2/Tikkurila as./08:54/4820207/5/60;25/31/30/83"
BODY = {
    "desi": "735", "dir": "2", "oper": 12, "veh": 1211, "tst": "2024-05-13T05:51:38.280Z", "tsi": 1715579498,
    "spd": 10.0, "hdg": 51, "lat": 60.338968, "long": 25.103441, "acc": 0.1, "dl": None, "odo": 15666, "drst": 1,
}  # fmt: skip


def recorded() -> list[tuple[str, bytes]]:
    """Topic and payload of every line."""
    lines = RECORDING.read_text(encoding="utf-8").splitlines()
    cut = [(line[: line.index(" {")].split(" ", 1)[1], line[line.index(" {") + 1 :]) for line in lines]
    return [(topic, payload.encode()) for topic, payload in cut]


def one(event: str = "vp", topic: str = TOPIC, **changed: object) -> Heard | Reject:
    body = {name: value for name, value in (BODY | changed).items() if value is not ...}
    payload = msgspec.json.encode({event.upper(): body})
    (found,) = CODEC.decode(topic.format(event), payload, "helsinki")
    return found


def heard(event: str = "vp", topic: str = TOPIC, **changed: object) -> Heard:
    found = one(event, topic, **changed)
    assert isinstance(found, Heard), found
    return found


def fields(found: Heard) -> dict[str, float]:
    return {n: v for n, v in zip(KIND.field_names, found.values, strict=True) if v is not None}


def test_every_line_of_the_recording_is_heard() -> None:
    found = [part for topic, payload in recorded() for part in CODEC.decode(topic, payload, "helsinki")]
    assert len(found) == 445
    assert all(isinstance(part, Heard) for part in found)
    assert {part.key for part in found if isinstance(part, Heard)} == {("helsinki", "fleet_vehicle", "0012-01211")}
    assert Counter(part.event for part in found if isinstance(part, Heard)) == {
        None: 426, "door_opened": 2, "door_closed": 2, "stop_due": 2, "stop_near": 2, "stop_arrived": 2,
        "stop_ready": 2, "stop_left": 2, "signed_on": 2, "signed_off": 2, "block_off": 1,
    }  # fmt: skip


def test_no_two_readings_of_the_recording_contradict_each_other() -> None:
    """A message of the next journey repeats the position of this one; a door event must not compete with it."""
    told: dict[int | None, dict[str, float]] = {}
    for topic, payload in recorded():
        (found,) = CODEC.decode(topic, payload, "helsinki")
        assert isinstance(found, Heard)
        earlier = told.setdefault(found.ts_us, {}) if fields(found) else {}
        assert all(earlier.get(name, value) == value for name, value in fields(found).items())
        earlier.update(fields(found))


def test_a_position_in_the_hubs_units() -> None:
    found = heard()
    assert found.event is None
    assert found.ts_us is not None and to_datetime(found.ts_us).isoformat() == "2024-05-13T05:51:38.280000+00:00"
    assert fields(found) == {
        "lat": 60.338968, "lon": 25.103441, "speed_kmh": 36.0, "course_deg": 51.0, "odometer_m": 15666.0,
        "doors_open": 1.0,
    }  # fmt: skip
    assert found.rest == {
        "desi": "735", "dir": "2", "oper": 12, "veh": 1211, "acc": 0.1,
        "journey": "journey", "temporal": "ongoing", "mode": "bus", "headsign": "Tikkurila as.",
    }  # fmt: skip


def test_an_event_tells_no_position_of_its_own() -> None:
    found = heard("doo")
    assert (found.event, fields(found)) == ("door_opened", {})
    assert found.rest is not None
    assert found.rest["doors_open"] == 1.0
    assert not {"lat", "lon", "long"} & set(found.rest)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_type_is_declared_by_the_kind(event: str) -> None:
    code = heard(event).event
    assert code is None or code in {declared.code for declared in KIND.events}


@pytest.mark.parametrize(
    "topic",
    [
        "/hfp/v2/deadrun/ongoing/{}/bus/0012/01211",
        "hfp/v2/journey/ongoing/{}/bus/0012/01211/4735/2/Tikkurila as./08:54/4820207/5/60;25/31/30/83",
        "/hfp/v2/journey/ongoing/{}/tram/0012/01211/1009/1//08:54/EOL/0////",
        "/hfp/v2/journey/upcoming/{}/train/0012/01211/3001I/1/Lentoasema - Helsinki/08:54/4820207/5/60;25/31/30/83",
    ],
)
def test_topics_of_all_sorts(topic: str) -> None:
    assert heard(topic=topic).key[2] == "0012-01211"
    assert CODEC.address(topic.format("vp"), "helsinki") == ("helsinki", "fleet_vehicle")


@pytest.mark.parametrize(
    "changed",
    [{"lat": None, "long": None}, {"lat": ..., "long": ...}, {"lat": 0, "long": 0}, {"lat": 0.0, "long": 0.0}],
)
def test_without_a_fix_there_is_no_position(changed: dict[str, object]) -> None:
    found = heard(**changed)
    assert not {"lat", "lon"} & set(fields(found))
    assert fields(found)["speed_kmh"] == 36.0


def test_the_equator_and_the_meridian_are_places() -> None:
    assert fields(heard(lat=0))["lat"] == 0
    assert fields(heard(long=0))["lon"] == 0


@pytest.mark.parametrize("name", ["spd", "hdg", "odo", "drst", "lat", "long"])
def test_null_is_unknown_and_not_zero(name: str) -> None:
    assert len(fields(heard(**{name: None}))) == 5


@pytest.mark.parametrize(
    ("changed", "ts"),
    [
        ({"tst": ...}, "2024-05-13T05:51:38+00:00"),
        ({"tst": "soon"}, "2024-05-13T05:51:38+00:00"),
        ({"tst": "2024-05-13T07:51:38+02:00", "tsi": None}, "2024-05-13T05:51:38+00:00"),
        ({"tst": "2024-05-13T05:51:38", "tsi": None}, None),
        ({"tst": None, "tsi": None}, None),
    ],
)
def test_time(changed: dict[str, object], ts: str | None) -> None:
    ts_us = heard(**changed).ts_us
    assert (ts_us and to_datetime(ts_us).isoformat()) == ts


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("/hfp/v1/journey/ongoing/vp/bus/0012/01211", "wrong_topic"),
        ("/hfp/v2/journey/ongoing/vp/bus/0012", "wrong_topic"),
        ("city/dijon/fleet_vehicle/1/telemetry", "wrong_topic"),
        ("", "wrong_topic"),
        ("/hfp/v2/journey/ongoing/xyz/bus/0012/01211", "unknown_event"),
        ("/hfp/v2/journey/ongoing/VP/bus/0012/01211", "unknown_event"),
        ("/hfp/v2/journey/ongoing/vp/bus//01211", "no_identity"),
        ("/hfp/v2/journey/ongoing/vp/bus/0012/", "no_identity"),
        (f"/hfp/v2/journey/ongoing/vp/bus/0012/{'1' * 70}", "no_identity"),
    ],
)
def test_a_topic_that_tells_nobody(topic: str, reason: str) -> None:
    found = one(topic=topic)
    assert isinstance(found, Reject)
    assert (found.part, found.reason) == (WHOLE, reason)
    assert CODEC.address(topic, "helsinki") is None


@pytest.mark.parametrize(
    ("payload", "reason", "says"),
    [
        (b"", "invalid_json", "not JSON"),
        (b"{", "invalid_json", "not JSON"),
        (b'{"VP":{"spd":NaN}}', "invalid_json", "NaN"),
        (b"\xff\xfe", "invalid_json", "UTF-8"),
        (b"[" * 100_000, "invalid_json", "not JSON"),
        (b"[]", "wrong_type", "expected a JSON object, found a list"),
        (b"{}", "wrong_type", "expected an object under 'VP', found nothing"),
        (b'{"DOO":{}}', "wrong_type", "expected an object under 'VP', found 'DOO'"),
        (b'{"VP":[]}', "wrong_type", "expected an object under 'VP'"),
        (b'{"VP":{"spd":"fast"}}', "wrong_type", "spd: expected a number, found the text 'fast'"),
        (b'{"VP":{"drst":true}}', "wrong_type", "drst: expected a number, found true or false"),
        (b'{"VP":{"odo":' + b"9" * 400 + b"}}", "out_of_range", "odo: the number has too many digits"),
    ],
)
def test_a_payload_that_cannot_be_read_says_why(payload: bytes, reason: str, says: str) -> None:
    (found,) = CODEC.decode(TOPIC.format("vp"), payload, "helsinki")
    assert isinstance(found, Reject)
    assert (found.part, found.reason) == (WHOLE, reason)
    assert says in found.detail


def test_what_is_kept_beside_can_be_stored() -> None:
    rest = heard(desi="7\x003", oper=2**70).rest
    assert rest is not None
    assert (rest["desi"], rest["oper"]) == ("7\ufffd3", "1.180592e+21")


def test_topics_are_parsed_once() -> None:
    topic = TOPIC.format("vp")
    assert parse_topic(topic) is parse_topic(topic)
