"""The quota of a topic: what is within it, what is beyond, who is not punished for the hub's absence, and no growth."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.quota import BURST_S, Rate, speaker
from ingest.log import Flag
from ingest.quota import AWAY_S, SAMPLES_PER_H, Quota

TOPIC = "city/dijon/water_meter/w1/telemetry"
GATEWAY = "city/dijon/water_meter/g1/batch"
DAY_S = 86_400


def quota(messages_per_s=200.0, bytes_per_s=2e6, **more):
    return Quota(Rate.of(messages_per_s, bytes_per_s), lambda topic: topic.endswith("/batch"), **more)


def within(of, times_s, *, topic=TOPIC, size=100):
    """How many of messages at these times are within the quota."""
    return sum(of.judge(topic, size, now_s) == 0 for now_s in times_s)


def at_once(n, now_s=1000.0):
    return [now_s] * n


def test_a_burst_is_taken_then_what_the_rate_allows():
    of = quota()
    assert within(of, at_once(5000)) == 2000
    assert within(of, at_once(500, 1001.0)) == 200


def test_a_thousand_a_second_for_a_minute_is_cut_to_the_rate():
    assert within(quota(), [1000 + n / 1000 for n in range(60_000)]) == pytest.approx(2000 + 60 * 200, abs=1)


def test_who_stays_below_the_rate_is_never_cut():
    assert within(quota(), [n / 199 for n in range(20_000)]) == 20_000


def test_a_gateway_may_say_a_hundred_times_as_much():
    assert within(quota(), at_once(300_000), topic=GATEWAY) == 200_000


def test_large_messages_are_cut_by_their_bytes():
    assert within(quota(), at_once(100), size=4_000_000) == 5
    assert within(quota(), at_once(100), size=4_000_000, topic=GATEWAY) == pytest.approx(50, abs=1)


def test_no_limit_is_no_limit():
    assert within(quota(0, 0), at_once(10_000), size=4_000_000) == 10_000


def test_one_does_not_use_up_what_is_another_s():
    of = quota()
    within(of, at_once(5000))
    assert within(of, at_once(1000), topic=TOPIC.replace("w1", "w2")) == 1000


def test_whoever_adds_levels_to_a_topic_speaks_from_the_same_bucket():
    journey = "/hfp/v2/journey/ongoing/vp/bus/0012/01211"
    assert speaker(TOPIC) == TOPIC
    assert speaker(f"{journey}/1010/2/Kamppi/10:20/60;24") == speaker(f"{journey}/1010/2/Ullan/10:21/60;25") == journey
    of = quota()
    assert sum(of.judge(f"{journey}/1010/{n}/x", 100, 1000.0) == 0 for n in range(5000)) == 2000
    assert len(of) == 1


def test_the_backlog_of_a_month_off_is_not_cut():
    of = quota()
    of.heard(0.0)
    back_s = 30.0 * DAY_S
    of.heard(back_s)
    minute = [back_s + n / 4000 for n in range(60 * 4000)]
    assert within(of, minute) == len(minute), "two and a half days of a device that speaks every second, in a minute"
    assert within(of, at_once(3000, back_s + 61), topic=TOPIC.replace("w1", "w2")) == 3000


def test_without_the_absence_the_same_backlog_is_cut():
    of = quota()
    of.heard(0.0)
    assert within(of, [n / 4000 for n in range(60 * 4000)]) < 15_000


def test_the_credit_of_an_absence_ends():
    of = quota()
    of.heard(0.0)
    of.heard(100.0)
    for now_s in range(101, 400):
        of.heard(float(now_s))
    assert within(of, at_once(30_000, 399.0)) == 2000


def test_pauses_shorter_than_the_burst_earn_nothing():
    of = quota()
    for n in range(100):
        of.heard(n * (AWAY_S - 0.1))
    assert within(of, at_once(10_000, 99 * (AWAY_S - 0.1))) == 2000


def test_few_of_those_that_are_cut_are_kept():
    of = quota()
    flags = [of.judge(TOPIC, 100, 1000 + n / 1000) for n in range(180 * 1000)]
    sampled = [n / 1000 for n, flag in enumerate(flags) if flag & Flag.SAMPLE]
    assert len(sampled) == 3 and all(b - a >= 59.99 for a, b in pairwise(sampled))
    flags = [of.judge(f"city/{n % 1000}", 10_000_000, 5000.0) for n in range(10_000)]
    assert sum(bool(flag & Flag.SAMPLE) for flag in flags) <= SAMPLES_PER_H


def test_what_is_empty_is_no_sample():
    of = quota()
    assert {of.judge(TOPIC, 0, 1000.0) for _ in range(3000)} == {0, Flag.OVER_QUOTA}


def test_a_hundred_thousand_names_leave_no_trace():
    of = quota(topics=1000)
    within(of, at_once(5000))
    for n in range(100_000):
        assert of.judge(f"city/dijon/water_meter/invented-{n}/telemetry", 100, 1000 + n / 10_000) == 0
        assert len(of) <= 1000
    assert within(of, at_once(5000, 1010.0)) == pytest.approx(2000, abs=1), "who used most is remembered longest"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 5_000_000), st.booleans()), max_size=200),
    st.floats(1, 500),
)
def test_nobody_gets_more_than_rate_burst_and_credit(said, messages_per_s):
    """Whatever comes when, and however often the hub was away: the whole time at the rate, and a burst."""
    of = quota(messages_per_s, 1e6)
    now_s = began_s = 100.0
    of.heard(now_s)
    used_s = 0.0
    for pause_s, size, is_crowd in said:
        now_s += pause_s
        of.heard(now_s)
        for _ in range(50 if is_crowd else 1):
            if of.judge(TOPIC, size, now_s) == 0:
                used_s += Rate.of(messages_per_s, 1e6).cost_s(size)
    assert used_s <= now_s - began_s + BURST_S + 0.001
