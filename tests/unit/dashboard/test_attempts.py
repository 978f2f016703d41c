"""Failed log-ins: a few are heard, then a pause."""

from dashboard.attempts import MAX_FAILURES, MAX_REMEMBERED, WINDOW_S, Attempts


def test_after_five_failures_the_next_waits_until_the_first_is_old() -> None:
    attempts = Attempts()
    for at_s in range(MAX_FAILURES):
        assert attempts.wait_s("a", at_s) == 0
        attempts.failed("a", at_s)
    assert attempts.wait_s("a", 10) == WINDOW_S - 10
    assert attempts.wait_s("b", 10) == 0
    assert attempts.wait_s("a", WINDOW_S) == 0


def test_success_forgets_failures() -> None:
    attempts = Attempts()
    for _ in range(MAX_FAILURES):
        attempts.failed("a", 0)
    attempts.succeeded("a")
    assert attempts.wait_s("a", 1) == 0


def test_memory_is_bounded_and_the_oldest_is_forgotten() -> None:
    attempts = Attempts()
    for key in range(MAX_REMEMBERED + 1):
        for _ in range(MAX_FAILURES):
            attempts.failed(str(key), 0)
    assert attempts.wait_s("0", 1) == 0
    assert attempts.wait_s(str(MAX_REMEMBERED), 1) > 0
