"""Recordings: formats told by their lines, event times moved, everything else byte for byte."""

import pytest

from simulators.record import Recorded
from simulators.recordings import RECORDINGS, recording_of, shifted

RECORD, HFP, WMBUSMETERS = RECORDINGS
BUS = (
    b"2024-05-13T05:46:07.356238Z /hfp/v2/journey/ongoing/vp/bus/0012/01211/4735/1/Vanha Mikkola/08:01/48/0/60;25/31"
    b' {"VP":{"tst":"2024-05-13T05:46:07.980Z","tsi":1715579167,"spd":7.87, "lat":60.339711}}'
)


def test_a_topic_may_hold_spaces() -> None:
    message = HFP.parse(BUS)
    assert isinstance(message, Recorded)
    assert message.topic.endswith("/1/Vanha Mikkola/08:01/48/0/60;25/31")
    assert message.payload.startswith(b'{"VP"')
    assert message.at_us == 1_715_579_167_356_238


def test_shifting_moves_tst_and_tsi_and_nothing_else() -> None:
    payload = BUS[BUS.index(b'{"VP"') :]
    moved = shifted("/hfp/v2/x", payload, lambda us: us + 1_000_030_400, 0)
    assert moved == payload.replace(b"05:46:07.980Z", b"06:02:48.010Z").replace(b"1715579167", b"1715580168")
    assert shifted("/hfp/v2/x", moved, lambda us: us - 1_000_030_400, 0) == payload


@pytest.mark.parametrize(
    ("payload", "moved"),
    [
        (b'{"ts":1795460400000,"a":1}', b'{"ts":1795460460000,"a":1}'),
        (
            b'[{"id":"x", "ts" : 1795460400},{"ts":1795460400.25}]',
            b'[{"id":"x", "ts" : 1795460460},{"ts":1795460460.25}]',
        ),
        (b'{"ts":"2026-11-23T19:00:00.5Z"}', b'{"ts":"2026-11-23T19:01:00.5Z"}'),
        (b'{"ts":"2026-11-23T20:00:00+01:00"}', b'{"ts":"2026-11-23T19:01:00Z"}'),
        *(
            (same, same)
            for same in (b'{"ts":0}', b'{"ts":null}', b'{"ts":"noon"}', b'{"ts":"1970-01-01T00:00:00Z"}', b"\xff")
        ),
        (b'{"label":"\\"ts\\":1795460400000"}', b'{"label":"\\"ts\\":1795460400000"}'),
        (b'{"ts":1e12}', b'{"ts":1e12}'),
    ],
)
def test_times_of_the_hubs_own_topics_move_as_they_are_written(payload: bytes, moved: bytes) -> None:
    assert shifted("city/dijon/water_meter/w1/telemetry", payload, lambda us: us + 60_000_000, 0) == moved
    assert shifted("elsewhere", payload, lambda us: us + 60_000_000, 0) == payload


def test_a_fast_replay_keeps_whole_seconds_apart() -> None:
    """Forty times as fast: readings a second apart must not become one."""
    told = [b'{"ts":"2026-11-23T19:00:%02dZ"}' % s for s in range(3)] + [
        b'{"ts":%d}' % (1795460403 + s) for s in range(2)
    ]
    start_us = 1_795_460_400_000_000
    moved = [shifted("city/x", payload, lambda us: start_us + (us - start_us) // 40, 0) for payload in told]
    assert moved == [
        b'{"ts":"2026-11-23T19:00:00Z"}',
        b'{"ts":"2026-11-23T19:00:00.025Z"}',
        b'{"ts":"2026-11-23T19:00:00.050Z"}',
        b'{"ts":1795460400.075}',
        b'{"ts":1795460400.100}',
    ]


def test_a_payload_without_an_event_time_is_left_alone() -> None:
    for payload in (b'{"VP":{"lat":1}}', b'{"VP":{"tst":"yesterday","tsi":1}}'):
        assert shifted("/hfp/v2/x", payload, lambda us: us + 10**9, 0) == payload


def test_placeholders_stay_and_true_times_become_now() -> None:
    placeholder = b'{"id": "1", "timestamp": "1111-11-11T11:11:11Z"}'
    assert shifted("wmbusmeters/1", placeholder, int, 1_795_460_400_000_000) == placeholder
    dated = b'{"id": "1", "timestamp": "2024-12-11T20:10:00Z", "total_m3": 1}'
    now = b'{"id": "1", "timestamp": "2026-11-23T19:00:00Z", "total_m3": 1}'
    assert shifted("wmbusmeters/1", dated, int, 1_795_460_400_000_000) == now


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"2024-05-13T05:46:07Z /hfp/v2/x", "expected a time"),
        (b"yesterday /hfp/v2/x {}", "expected a time"),
        (b'2024-05-13T05:46:07Z /hfp/v2/x {"VP":', "no JSON object"),
        (b"2024-05-13T05:46:07Z /hfp/#/x {}", "wildcard"),
        (b"2024-05-13T05:46:07Z /hfp/\xff/x {}", "not UTF-8"),
        (b"2024-13-45T05:46:07Z /hfp/v2/x {}", "month"),
    ],
)
def test_a_bad_line_says_why(line: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HFP.parse(line)


def test_a_first_bad_line_does_not_hide_the_format() -> None:
    assert recording_of([b"# a comment", BUS, BUS]) == HFP
    assert recording_of([b"{}", b'{"at":"2026-05-28T20:26:40Z","topic":"t","qos":1,"text":""}']) == WMBUSMETERS
    assert recording_of([b'{"beffroi":"record 1"}', b'{"at":"2026'] * 2) == RECORD
