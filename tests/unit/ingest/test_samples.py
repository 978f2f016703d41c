"""Samples wait for the database, one per quarter of an hour."""

from datetime import UTC, datetime, timedelta

from devices.kind import kinds
from devices.registry import Registry
from hub.clock import to_us
from ingest.samples import MAX_QUARTERS, Samples
from rules.board import Board

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROWS = [(1, "dijon", "water_meter", "M1", "meter", None, None, None, None, True, {})]
BOARDS = {"water_meter": Board.of(kinds()["water_meter"], Registry.of_rows(1, ROWS))}


def take(samples: Samples, *minutes: float) -> None:
    for minute in minutes:
        samples.take(BOARDS, to_us(NOON + timedelta(minutes=minute)))


def test_a_quarter_is_renewed_every_minute_until_it_is_over():
    samples = Samples()
    take(samples, 0)
    [(ts, first)] = samples.waiting()
    assert (ts, {figure.commune for figure in first}) == (NOON, {"dijon"})
    take(samples, 0.5)
    assert samples.waiting()[0][1] is first, "a minute has not passed"
    take(samples, 1)
    assert samples.waiting()[0][1] is not first
    take(samples, 15)
    assert [ts for ts, _ in samples.waiting()] == [NOON, NOON + timedelta(minutes=15)]


def test_what_was_renewed_while_it_was_written_is_written_again():
    samples = Samples()
    take(samples, 0)
    [(_, written)] = samples.waiting()
    take(samples, 1)
    samples.written(written)
    [(_, renewed)] = samples.waiting()
    samples.written(renewed)
    assert samples.waiting() == []


def test_a_database_that_stays_away_costs_a_week_of_memory_at_most():
    samples = Samples()
    take(samples, *range(0, 15 * (MAX_QUARTERS + 3), 15))
    waiting = samples.waiting()
    assert len(waiting) == MAX_QUARTERS
    assert waiting[0][0] == NOON + timedelta(minutes=45)
