"""Moments as people order them: after the start, by the clock on the wall, and the starts of scenarios."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from hub.clock import to_datetime, to_us
from simulators.moments import Moment, length_us, start_us

PARIS = ZoneInfo("Europe/Paris")


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


def local(at_us: int) -> str:
    return to_datetime(at_us).astimezone(PARIS).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("90s", "2026-11-24T18:01:30+01:00"),
        ("-3h", "2026-11-24T15:00:00+01:00"),
        ("22:40", "2026-11-24T22:40+01:00"),
        ("18:00", "2026-11-24T18:00+01:00"),
        ("17:59", "2026-11-25T17:59+01:00"),
        ("2d07:30", "2026-11-27T07:30+01:00"),
    ],
)
def test_a_moment_is_after_the_start_or_the_next_on_the_wall(text: str, when: str) -> None:
    assert Moment.parse(text).us(us("2026-11-24T18:00+01:00"), PARIS) == us(when)


def test_days_on_are_days_of_the_wall_also_when_the_clocks_change() -> None:
    start = us("2027-03-27T20:00+01:00")
    assert local(Moment.parse("1d21:00").us(start, PARIS)) == "2027-03-28T21:00+02:00"
    assert Moment.parse("21:00") == Moment(0, time(21))


@pytest.mark.parametrize("text", ["", "soon", "5weeks", "25:10", "12:60", "--3h", "1e3"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number with|there is no such time"):
        Moment.parse(text)
    with pytest.raises(ValueError, match="is not a number with"):
        length_us("-1h")


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("now", "2026-11-24T18:00+01:00"),
        ("2027-03-27T20:00", "2027-03-27T20:00+01:00"),
        ("2027-07-01T20:00:00Z", "2027-07-01T20:00+00:00"),
        ("07-05T06:00", "2027-07-05T06:00+02:00"),
        ("11-24T18:00", "2026-11-24T18:00+01:00"),
        ("02-29T12:00", "2028-02-29T12:00+01:00"),
        ("spring_change", "2027-03-27T20:00+01:00"),
        ("autumn_change", "2027-10-30T20:00+02:00"),
    ],
)
def test_a_scenario_starts_then(text: str, when: str) -> None:
    assert start_us(text, us("2026-11-24T18:00+01:00"), PARIS) == us(when)


@pytest.mark.parametrize("text", ["tomorrow", "13-05T06:00", "2027-02-30T10:00", "02-30T12:00"])
def test_what_is_no_start_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not now, 2027-03-27T20:00"):
        start_us(text, us("2026-11-24T18:00+01:00"), PARIS)


def test_where_the_clocks_never_change_there_is_no_such_night() -> None:
    with pytest.raises(ValueError, match="the clocks of Africa/Tunis do not change"):
        start_us("spring_change", us("2026-11-24T18:00+01:00"), ZoneInfo("Africa/Tunis"))
