"""How often a key may ask."""

from dashboard.api.limits import MAX_EXPORTS, MAX_REMEMBERED, REQUESTS, WINDOW_S, Limits


def test_a_key_has_so_many_requests_a_minute_and_then_waits_for_the_rest_of_it():
    limits = Limits()
    left = [limits.ask(1, 100.0 + i / 100).left for i in range(REQUESTS)]
    assert left == list(range(REQUESTS - 1, -1, -1))
    refused = limits.ask(1, 130.0)
    assert refused.left < 0 and refused.reset_s == 30
    assert refused.headers["Retry-After"] == "30" and refused.headers["RateLimit"] == '"key";r=0;t=30'
    assert limits.ask(1, 100.0 + WINDOW_S).left == REQUESTS - 1


def test_keys_do_not_share_their_minute():
    limits = Limits()
    for _ in range(REQUESTS + 1):
        limits.ask(1, 0.0)
    assert limits.ask(2, 0.0).left == REQUESTS - 1


def test_what_is_remembered_is_bounded():
    limits = Limits()
    for key_no in range(MAX_REMEMBERED + 10):
        limits.ask(key_no, 0.0)
    assert len(limits._windows) == MAX_REMEMBERED


def test_exports_are_one_per_contract_and_few_in_all():
    limits = Limits()
    assert limits.may_export(1)
    limits.exports.add(1)
    assert not limits.may_export(1) and limits.may_export(2)
    limits.exports.update(range(2, 2 + MAX_EXPORTS))
    assert not limits.may_export(99)
