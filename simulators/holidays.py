"""The school holidays of a city's zone. Pure but for one file."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import yaml

from hub.errors import BadFile

Period = tuple[date, date]
"""First and last day."""
YEAR = timedelta(weeks=52)


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
