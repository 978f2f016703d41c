"""Decoding: columns, times, ranges, privacy, duplicates and rejects."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.readings import UNKNOWN
from ingest.codecs import hfp, native
from ingest.codecs.codec import codecs
from ingest.decode import AHEAD_US, decode
from ingest.log import Flag, Message
from tests.readings import NOW_US

SOURCES = {"city": (codecs()["native"], "dijon")}
TS = NOW_US // 1000


def message(topic, payload, *, offset=0, flags=0, source="city"):
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(offset, NOW_US, source, topic, payload, flags)


def decoded(*messages, numbers=None):
    placed = [Message(i, m.received_us, m.source, m.topic, m.payload, m.flags) for i, m in enumerate(messages)]
    return decode(placed, SOURCES.get, numbers or {})


def lamp(payload, device="L1", suffix="telemetry", kind="street_lighting", **more):
    return message(f"city/dijon/{kind}/{device}/{suffix}", payload, **more)


def test_a_reading_becomes_a_row():
    (readings,) = decoded(
        lamp({"ts": TS, "dim_pct": 50, "lamp_failure": True}), numbers={("dijon", "street_lighting", "L1"): 7}
    ).readings
    assert readings.kind.name == "street_lighting"
    assert readings.device_no.tolist() == [7]
    assert readings.ts_us.tolist() == [NOW_US]
    told = dict(zip(readings.kind.field_names, readings.values[:, 0], strict=True))
    assert (told["dim_pct"], told["lamp_failure"]) == (50, 1)
    assert np.isnan(told["power_w"])
    assert not readings.time_flagged[0]


def test_a_stranger_is_named():
    (readings,) = decoded(lamp({"ts": TS, "dim_pct": 50})).readings
    assert readings.device_no.tolist() == [UNKNOWN]
    assert readings.strangers == {0: ("dijon", "street_lighting", "L1")}


@pytest.mark.parametrize("part", [{"dim_pct": 1}, {"dim_pct": "?"}])
def test_an_array_that_is_too_long_is_refused_whole(part):
    (rejected,) = decoded(lamp([part] * (native.MOST_PARTS + 1))).rejected
    assert (rejected.part, rejected.reason) == (-1, "too_large") and "20001 readings" in rejected.detail
    assert decoded(lamp([part] * native.MOST_PARTS)).counts["readings"] == native.MOST_PARTS


def test_a_batch_speaks_of_many_devices():
    (readings,) = decoded(
        lamp([{"id": "L1", "ts": TS, "dim_pct": 1}, {"id": "L2", "ts": TS, "dim_pct": 2}], "A1", "batch")
    ).readings
    assert [key[2] for key in readings.strangers.values()] == ["L1", "L2"]
    assert readings.part.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("ts", "expected_us", "flagged"),
    [
        (TS, NOW_US, False),
        (TS / 1000, NOW_US, False),
        (TS * 1_000, NOW_US, False),
        (TS * 1_000_000, NOW_US, False),
        (1_779_999_999.123, NOW_US - 877_000, False),
        ("2026-05-28T20:26:40Z", NOW_US, False),
        ("2026-05-28T20:25:60Z", NOW_US - 40_000_000, False),
        ("2026-05-28t22:25:60.5+02:00", NOW_US - 39_500_000, False),
        ("2026-05-28T20:25:60", NOW_US, True),
        ("9999-12-31T23:59:60Z", None, None),
        (4_294_967_295, NOW_US, True),
        ("2026-05-28T22:26:40+02:00", NOW_US, False),
        (TS - 30 * 86_400_000, NOW_US - 30 * 86_400_000_000, False),
        (TS + 3_600_000, NOW_US + 3_600_000_000, False),
        (None, NOW_US, True),
        (TS + AHEAD_US // 1000 + 1, NOW_US, True),
        (0, NOW_US, True),
        (-5, NOW_US, True),
        (1e300, NOW_US, True),
        ("0001-01-01T00:00:00Z", NOW_US, True),
        ("9999-12-31T23:59:59Z", NOW_US, True),
        ("2026-05-28T20:26:40", NOW_US, True),
    ],
)
def test_event_times(ts, expected_us, flagged):
    found = decoded(lamp({"ts": ts, "dim_pct": 50}))
    if expected_us is None:
        assert [(r.reason, "ts: " in r.detail) for r in found.rejected] == [("wrong_type", True)]
        return
    (readings,) = found.readings
    assert readings.ts_us.tolist() == [expected_us]
    assert readings.time_flagged.tolist() == [flagged]


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "says"),
    [
        ("city/dijon/street_lighting/L1/telemetry", b"{", "invalid_json", "not JSON"),
        ("city/dijon/street_lighting/L1/telemetry", b"\xff\xfe{}", "invalid_json", "UTF-8"),
        ("city/dijon/street_lighting/L1/telemetry", b'{"dim_pct": NaN}', "invalid_json", "NaN"),
        ("city/dijon/street_lighting/L1/telemetry", b"[" * 5000, "invalid_json", "not JSON"),
        ("city/dijon/street_lighting/L1/telemetry", b'"text"', "wrong_type", "JSON object"),
        ("city/dijon/street_lighting/L1/telemetry", b'{"dim_pct": "50"}', "wrong_type", "dim_pct: expected a number"),
        ("city/dijon/street_lighting/L1/telemetry", b'{"ts": "yesterday"}', "wrong_type", "ts"),
        ("city/dijon/street_lighting/L1/telemetry", b'{"event": "party"}', "unknown_event", "party"),
        ("city/dijon/street_lighting/L1", b"{}", "wrong_topic", "city/commune/kind/device"),
        ("city/dijon/street_lighting/L1/telemetry/x", b"{}", "wrong_topic", "city/commune/kind/device"),
        ("city/dijon/street_lighting/L1/gossip", b"{}", "wrong_topic", "gossip"),
        ("city/dijon/submarine/L1/telemetry", b"{}", "unknown_kind", "submarine"),
        ("city/dijon/street_lighting//telemetry", b"{}", "wrong_topic", "printable"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_a_reason(topic, payload, reason, says):
    found = decoded(message(topic, payload))
    (rejected,) = found.rejected
    assert rejected.reason == reason
    assert says in rejected.detail
    assert rejected.payload == payload
    assert found.counts["messages_quarantined"] == 1
    assert not found.readings


@pytest.mark.parametrize("value", [-1, 101, 1e308])
def test_an_impossible_value_is_quarantined(value):
    found = decoded(lamp({"ts": TS, "dim_pct": value}), lamp({"ts": TS, "dim_pct": 5}, "L2"))
    (rejected,) = found.rejected
    assert rejected.reason == "out_of_range"
    assert "0 to 100 %" in rejected.detail
    assert len(found.readings[0]) == 1
    assert (found.counts["readings"], found.counts["readings_quarantined"]) == (2, 1)


def test_one_bad_element_disturbs_no_other():
    found = decoded(lamp([{"id": "L1", "dim_pct": 1}, {"id": "L2", "dim_pct": "x"}, 5, {"dim_pct": 3}], "A", "batch"))
    assert [(r.part, r.reason) for r in found.rejected] == [(1, "wrong_type"), (2, "wrong_type"), (3, "no_identity")]
    assert json.loads(found.rejected[0].payload) == [{"id": "L2", "dim_pct": "x"}], "a message with that part alone"
    assert len(found.readings[0]) == 1
    assert found.counts["messages_decoded"] == 1
    assert (found.counts["readings"], found.counts["readings_quarantined"]) == (4, 3)


def test_what_the_kind_does_not_declare_is_kept():
    (readings,) = decoded(lamp({"ts": TS, "dim_pct": 5, "firmware": "1.2"})).readings
    assert readings.rest == {0: {"firmware": "1.2"}}


def test_an_event_is_no_reading_unless_it_measures():
    found = decoded(
        lamp({"ts": TS, "event": "breaker_tripped"}), lamp({"ts": TS, "event": "door_opened", "door_open": 1})
    )
    assert [event.code for event in found.events] == ["breaker_tripped", "door_opened"]
    assert found.counts["readings"] == 1


def test_off_duty_positions_are_withheld_and_quarantined_ones_redacted():
    on, off = (
        {"ts": TS, "lat": 47.1, "lon": 5.1, "on_duty": True},
        {"ts": TS, "lat": 47.2, "lon": 5.2, "on_duty": False},
    )
    bad = {"ts": TS, "lat": 47.3, "lon": 5.3, "speed_kmh": 9999}
    hidden_from_sight = b'{"l\\u0061t": 47.5, "lon": [47.6, 47.7], "speed_kmh": "x"}'
    found = decoded(
        *(lamp(told, kind="fleet_vehicle") for told in (on, off, bad)),
        lamp(b'{"lat": 47.4, "lon"', kind="fleet_vehicle"),
        lamp(hidden_from_sight, kind="fleet_vehicle"),
    )
    assert found.readings[0].values[0].tolist() == [47.1]
    assert [event.code for event in found.events] == ["off_duty"]
    assert found.counts["readings_withheld"] == 1
    (hidden,) = found.withheld
    told = dict(zip(hidden.kind.field_names, hidden.values[:, 0], strict=True))
    assert [name for name, value in told.items() if not np.isnan(value)] == ["on_duty"]
    assert not any(b"47." in rejected.payload for rejected in found.rejected)
    assert len(found.rejected) == 3


@pytest.mark.parametrize(
    ("source", "topic"), [("gone", "city/dijon/fleet_vehicle/B1/telemetry"), ("city", "city/dijon/buses/B1/telemetry")]
)
def test_what_may_speak_of_a_vehicle_is_redacted_too(source, topic):
    (rejected,) = decoded(message(topic, {"lat": 47.1, "lon": 5.1, "speed_kmh": 3}, source=source)).rejected
    assert json.loads(rejected.payload) == {"lat": None, "lon": None, "speed_kmh": 3}


def test_a_place_that_is_named_twice_is_redacted_though_the_last_is_null():
    twice = b'{"lat": 47.1, "lat": null, "lon": 5.1, "lon": null, "speed_kmh": "x"}'
    (rejected,) = decoded(lamp(twice, kind="fleet_vehicle")).rejected
    assert b"47.1" not in rejected.payload and b"5.1" not in rejected.payload


@pytest.mark.parametrize("cut", [b'{"lat": 47.1, "lon', b'{"lat": [47.1, 47.2], "lon', b'{"x": 1, "lat": [47.1, 47.2'])
def test_a_place_is_redacted_also_where_the_message_is_cut(cut):
    (rejected,) = decoded(lamp(cut, kind="fleet_vehicle")).rejected
    assert b"47." not in rejected.payload and b'"lat": null' in rejected.payload


def test_a_byte_order_mark_is_passed_over_and_of_a_name_told_twice_the_last_counts():
    mark = b"\xef\xbb\xbf"
    (readings,) = decoded(
        lamp(mark + b'{"dim_pct": 1, "dim_pct": 2}\r\n'),
        lamp(mark + b'{"dim_pct": 1, "dim_pct": 2, "more": 1}'),
        lamp(mark + b'[{"id": "L1", "dim_pct": 2}, {"id": "L2", "dim_pct": 2, "more": 1}]', suffix="batch"),
    ).readings
    assert readings.values[0].tolist() == [2, 2, 2, 2]
    (rejected,) = decoded(lamp(mark + b'[{"dim_pct": 2}, {"dim_pct": 200}]')).rejected
    assert json.loads(rejected.payload) == [{"dim_pct": 200}]


@pytest.mark.parametrize(
    ("payload", "says"),
    [(gzip.compress(b"{}", mtime=0), "gzip"), ("{}".encode("utf-16"), "UTF-16"), ("{}".encode("utf-16-be"), "JSON")],
)
def test_what_a_payload_looks_like_is_said(payload, says):
    (rejected,) = decoded(lamp(payload)).rejected
    assert rejected.reason == "invalid_json" and says in rejected.detail


def test_what_strangers_invent_does_not_fill_the_memory():
    caches = (native._parsed, native._is_identity, hfp._parsed)
    before = sum(cache.cache_info().currsize for cache in caches)
    for number in range(50):
        decoded(lamp({"dim_pct": 1}, f"{number}" + "x" * 60_000), lamp({"id": f"{number}" + "x" * 900}, suffix="batch"))
        hfp.parse_topic(f"/hfp/v2/journey/ongoing/vp/bus/0012/{number}" + "/x" * 30_000)
    assert sum(cache.cache_info().currsize for cache in caches) - before <= 3


def test_duplicates_commands_and_cleared_messages_give_nothing():
    found = decoded(
        lamp({"dim_pct": 5}, flags=Flag.DUP | Flag.DUPLICATE),
        lamp({"dim_pct": 5}, suffix="cmd"),
        lamp(b"", suffix="state"),
    )
    assert not found.readings and not found.rejected
    assert found.counts["messages_duplicate"] == 1
    assert found.counts["messages_decoded"] == 2


def test_a_source_that_left_the_settings_is_said():
    found = decoded(message("x", b"{}", source="gone"))
    assert found.rejected[0].reason == "unknown_source"


def test_what_the_log_has_lost_is_counted_and_refused_whole():
    found = decoded(lamp({"ts": TS, "dim_pct": 50}), message("", b"", source="0042.log", flags=Flag.DAMAGED))
    (refused,) = found.rejected
    assert (refused.reason, refused.offset) == ("damaged", 1) and "0042.log" in refused.detail
    counts = {name: found.counts[name] for name in ("messages", "messages_decoded", "messages_quarantined")}
    assert counts == {"messages": 2, "messages_decoded": 1, "messages_quarantined": 1}


TOPIC = st.one_of(
    st.text(max_size=40),
    st.builds(
        "city/{}/{}/{}/{}".format,
        st.text(max_size=5),
        st.sampled_from(["street_lighting", "water_meter", "fleet_vehicle", "x"]),
        st.text(max_size=5),
        st.sampled_from(["telemetry", "batch", "state", "config", "cmd", "y"]),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "ts", "event", "dim_pct", "lat", "total_m3", "leak", "z"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
PAYLOAD = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())


@given(st.lists(st.tuples(TOPIC, PAYLOAD, st.sampled_from([0, 1, 4, 9])), min_size=1, max_size=10))
def test_nothing_crashes_and_everything_is_counted(stream):
    found = decoded(*(message(topic, payload, flags=flags) for topic, payload, flags in stream))
    counts = found.counts
    assert counts["messages"] == len(stream)
    assert counts["messages"] == sum(counts[f"messages_{w}"] for w in ("decoded", "quarantined", "duplicate"))
    rows = sum(map(len, found.readings))
    assert counts["readings"] == rows + counts["readings_quarantined"] + counts["readings_withheld"]
    assert all(r.detail for r in found.rejected)
    for readings in found.readings:
        assert not np.isinf(readings.values).any()


def test_what_is_over_its_quota_is_counted_and_a_sample_is_refused():
    cut = lamp(b"", flags=Flag.OVER_QUOTA)
    sample = lamp(b"anything", flags=Flag.OVER_QUOTA | Flag.SAMPLE)
    found = decoded(lamp({"ts": TS, "dim_pct": 50}), cut, sample, cut)
    assert {name: count for name, count in found.counts.items() if name.startswith("messages")} == {
        "messages": 4,
        "messages_decoded": 1,
        "messages_quarantined": 1,
        "messages_duplicate": 0,
        "messages_over_quota": 2,
    }
    (rejected,) = found.rejected
    assert (rejected.reason, rejected.payload, rejected.offset) == ("over_quota", b"anything", 2)
    assert found.over_quota == {("city", "over_quota", "city/dijon/street_lighting/L1/telemetry"): 3}


def test_a_name_over_its_quota_tells_no_place():
    topic = "/hfp/v2/journey/ongoing/vp/bus/0012/01211/1010/2/Kamppi/10:20/1040/4/60;24/18/29/05"
    found = decoded(message(topic, b"", flags=Flag.OVER_QUOTA))
    assert list(found.over_quota) == [("city", "over_quota", "/hfp/v2/journey/ongoing/vp/bus/0012/01211")]
