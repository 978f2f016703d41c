"""Moments and durations as people order them for a simulation: `90s`, `-3h`, `22:40`, `2d07:30`. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from hub.clock import to_datetime, to_us

UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LENGTH = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>s|min|h|d)?")
_CLOCK = re.compile(r"((?P<days>\d+)d)?(?P<hour>\d{1,2}):(?P<minute>\d\d)")
LENGTHS = "a number with s, min, h or d"
MOMENTS = f"{LENGTHS} after the start (or - before it), or a local time such as 22:40 or 2d22:40"
STARTS = "now, 2027-03-27T20:00, 07-05T06:00 (the next 5 July), spring_change or autumn_change"
EVE = time(20)
"""A night in which the clocks change is begun at this hour of the evening before."""


def length_us(text: str) -> int:
    """A duration in microseconds; seconds without a unit. ValueError when it is none."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {LENGTHS}")
    return int(float(match["number"]) * UNITS_S[match["unit"] or "s"] * 1e6)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of a simulation: so long after its start, or the next such time on the wall, some days on."""

    after_us: int = 0
    clock: time | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `90s`, `-3h`, `22:40` or `2d07:30` (two days after the next 07:30); ValueError when it is none."""
        if match := _CLOCK.fullmatch(text):
            try:
                clock = time(int(match["hour"]), int(match["minute"]))
            except ValueError:
                raise ValueError(f"{text!r}: there is no such time of the day") from None
            return cls(int(match["days"] or 0) * 86_400_000_000, clock)
        try:
            return cls(-length_us(text[1:]) if text.startswith("-") else length_us(text))
        except ValueError:
            raise ValueError(f"{text!r} is not {MOMENTS}") from None

    def us(self, start_us: int, zone: ZoneInfo) -> int:
        """When that is in a simulation that starts at `start_us`."""
        if self.clock is None:
            return start_us + self.after_us
        day = to_datetime(start_us).astimezone(zone).date()
        first = next(at for n in (0, 1) if (at := _local_us(day + timedelta(n), self.clock, zone)) >= start_us)
        return _local_us(
            to_datetime(first).astimezone(zone).date() + timedelta(microseconds=self.after_us), self.clock, zone
        )


def start_us(text: str, now_us: int, zone: ZoneInfo) -> int:
    """When a scenario starts that is played at `now_us`: see STARTS; ValueError when it is none of them."""
    now = to_datetime(now_us).astimezone(zone)
    if text == "now":
        return now_us
    if text in ("spring_change", "autumn_change"):
        return _local_us(_change(now, zone, spring=text == "spring_change"), EVE, zone)
    try:
        if re.fullmatch(r"\d\d-\d\dT.*", text):
            at = min(us for year in range(5) if (us := _in_year(text, now.year + year, zone)) and us >= now_us)
            return at
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {STARTS}") from None
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _in_year(text: str, year: int, zone: ZoneInfo) -> int | None:
    """A month, day and time in a year; None where the year has no such day."""
    try:
        return to_us(datetime.fromisoformat(f"{year}-{text}").replace(tzinfo=zone))
    except ValueError:
        return None


def _change(now: datetime, zone: ZoneInfo, *, spring: bool) -> date:
    """The day before the next night in which the clocks change; ValueError where they never do."""
    for n in range(800):
        eve = now.date() + timedelta(n)
        evening, morning = (datetime.combine(eve + timedelta(days), EVE, zone) for days in (0, 1))
        forward = (morning.utcoffset() or timedelta()) - (evening.utcoffset() or timedelta())
        if evening >= now and forward and (forward > timedelta()) is spring:
            return eve
    raise ValueError(f"the clocks of {zone} do not change")


def _local_us(day: date, at: time, zone: ZoneInfo) -> int:
    return to_us(datetime.combine(day, at, zone).astimezone(UTC))
