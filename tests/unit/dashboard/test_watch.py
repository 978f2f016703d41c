"""The list of open incidents that streams read."""

from datetime import UTC, datetime, timedelta

from dashboard.watch import RECENT_CHANGES, Watch
from store.pages import IncidentCard

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def card(no: int, *, priority: int = 2, state: str = "new", minutes: int = 0) -> IncidentCard:
    return IncidentCard(
        incident_no=no,
        kind="street_lighting",
        code="feeder_out",
        priority=priority,
        state=state,
        quiet=None,
        opened_at=NOON + timedelta(minutes=minutes),
        acknowledged_at=None,
        acknowledged_by=None,
        closed_at=None,
        members=0,
        cause_no=no,
        id=f"F{no}",
        type="feeder",
        label=None,
        street=None,
        commune="dijon",
        lat=None,
        lon=None,
        parent_type=None,
        parent_label=None,
    )


def test_the_most_urgent_and_then_the_newest_come_first() -> None:
    watch = Watch()
    watch.replace([card(1), card(2, minutes=5), card(3, priority=1), card(4, priority=3, minutes=9)])
    assert [c.incident_no for c in watch.cards] == [3, 2, 1, 4]


def test_a_change_is_told_once_and_a_closed_incident_leaves() -> None:
    watch = Watch()
    watch.replace([card(1), card(2)])
    since = watch.revision
    watch.update([card(1, state="acknowledged"), card(1, state="closed"), card(5)])
    assert [(c.incident_no, c.state) for c in watch.since(since) or []] == [(1, "closed"), (5, "new")]
    assert [c.incident_no for c in watch.cards] == [2, 5]
    assert watch.since(watch.revision) == []


def test_who_missed_too_much_or_a_reconnection_starts_anew() -> None:
    watch = Watch()
    since = watch.revision
    watch.replace([card(1)])
    assert watch.since(since) is None
    since = watch.revision
    for no in range(RECENT_CHANGES + 1):
        watch.update([card(no)])
    assert watch.since(since) is None


async def test_the_bell_cannot_be_missed() -> None:
    watch = Watch()
    next_ring = watch.bell.next
    watch.update([card(1)])
    assert next_ring.is_set()
    assert not watch.bell.next.is_set()
