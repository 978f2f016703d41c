"""A recording is played within the hub's quota, however fast: judged by the hub's own buckets."""

from dataclasses import replace

from devices.quota import Rate
from hub.clock import SECOND_US
from ingest.quota import Quota
from simulators.record import Recorded
from simulators.replay import UNLIMITED, _Limit

RATE = Rate.of(200, 2_000_000)
START_US = 1_780_000_000_000_000


def played(limit, messages, now_us=START_US):
    """(hub time at which each was played)"""
    at_us = []
    for message in messages:
        now_us = limit.due_us(message, now_us)
        at_us.append(now_us)
    return at_us


def recorded(topic="city/dijon/water_meter/w1/telemetry", size=100):
    return Recorded(None, topic, b"x" * size)


def test_an_hour_of_a_device_that_speaks_every_second_is_never_over_the_quota():
    hour = [recorded()] * 3_600
    at_us = played(_Limit(RATE), hour)
    of = Quota(RATE, lambda topic: False)
    assert {of.judge(m.topic, len(m.payload), us / SECOND_US) for m, us in zip(hour, at_us, strict=True)} == {0}
    assert 30 < (at_us[-1] - at_us[0]) / SECOND_US < 40


def test_large_messages_are_played_by_their_bytes():
    at_us = played(_Limit(RATE), [recorded(size=1_000_000)] * 30)
    assert (at_us[-1] - at_us[0]) / SECOND_US > 20


def test_many_devices_do_not_wait_for_each_other():
    city = [replace(recorded(), topic=f"city/dijon/water_meter/w{n}/telemetry") for n in range(1000)] * 10
    assert played(_Limit(RATE), city)[-1] == START_US


def test_without_a_quota_nothing_waits():
    assert played(_Limit(UNLIMITED), [recorded()] * 10_000)[-1] == START_US
