"""Days on which a French city rests: public holidays, and the school holidays of its zone. Pure but for one file."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import yaml

from hub.errors import BadFile

Period = tuple[date, date]
"""First and last day."""
FIXED = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
"""Month and day of the public holidays that keep their date."""
AFTER_EASTER = (1, 39, 50)
"""Easter Monday, Ascension, Whit Monday: days after Easter."""
YEAR = timedelta(weeks=52)


def easter(year: int) -> date:
    """Easter Sunday of a year (Butcher's rule of the Gregorian calendar)."""
    golden, century, in_century = year % 19, year // 100, year % 100
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (in_century // 4) - epact - in_century % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def public_holidays(year: int) -> frozenset[date]:
    """The eleven days of a year."""
    moving = (easter(year) + timedelta(days) for days in AFTER_EASTER)
    return frozenset((*(date(year, month, day) for month, day in FIXED), *moving))


def is_school_holiday(day: date, told: Sequence[Period]) -> bool:
    """Is it within one of the periods told, or in those of the nearest year told, whole weeks away?"""
    if not told:
        return False
    last = max(end for _, end in told)
    while day > last:
        day -= YEAR
    while day <= last - YEAR:
        day += YEAR
    return any(first <= day <= end for first, end in told)


def read_school_holidays(city_dir: Path) -> tuple[Period, ...]:
    """The periods of a city's folder, none when it has no such file; BadFile when they cannot be read."""
    path = city_dir / "school_holidays.yaml"
    try:
        rows = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadFile(f"{path}: cannot be read: {error}") from error
    is_list = isinstance(rows, list) and all(isinstance(row, list) and len(row) == 2 for row in rows)
    if not is_list or not all(type(day) is date for row in rows for day in row):
        raise BadFile(f"{path}: write a list of [first day, last day], for example [2026-02-07, 2026-02-22]")
    return tuple((first, last) for first, last in rows)
