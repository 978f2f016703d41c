"""Rows of a CSV or YAML file as texts by column, each with its line, and what could not be read. Pure."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal, NamedTuple

import yaml

Form = Literal["yaml", "csv"]
_QUOTES = frozenset({"'", '"', "|", ">"})
_EMPTY_YAML = frozenset({"", "~", "null", "Null", "NULL"})


class Row(NamedTuple):
    """One row; a value that is absent or empty is not there."""

    line: int
    values: Mapping[str, str]


class BadRow(NamedTuple):
    """A row of a file that was left out, and why, in words for the person who wrote it."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Columns:
    """What a CSV file may hold."""

    required: Sequence[str]
    known: Collection[str]
    numbers: Collection[str]
    """Columns that may be written with a decimal comma where the separator is a semicolon."""


class _UnreadableError(ValueError):
    """Why one row cannot be read."""


def read_rows(text: str, form: Form, columns: Columns, bad: list[BadRow]) -> Iterator[Row]:
    """The rows of a file; what cannot be read is appended to `bad`. In YAML every name is passed on."""
    text = text.removeprefix("\ufeff")
    return _yaml_rows(text, bad) if form == "yaml" else _csv_rows(text, columns, bad)


# CSV


def _csv_rows(text: str, columns: Columns, bad: list[BadRow]) -> Iterator[Row]:
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    numbers = frozenset(columns.numbers if separator == ";" else ())
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        line = reader.line_num
        kept = _kept_columns(header, columns, bad)
        for cells in reader if kept else ():
            start, line = line + 1, reader.line_num
            if len(cells) == len(header):
                yield Row(start, dict(_cells(header, cells, kept, numbers)))
            elif any(map(str.strip, cells)):
                bad.append(BadRow(start, f"{len(cells)} values where the header has {len(header)} columns"))
    except csv.Error as error:
        bad.append(BadRow(line + 1, f"not readable as CSV from here on: {error}"))


def _kept_columns(header: Sequence[str], columns: Columns, bad: list[BadRow]) -> frozenset[str]:
    """The columns to read; empty when the header cannot be used."""
    reasons = [f"column {name!r} is missing" for name in columns.required if name not in header]
    reasons += [f"column {name!r} is there twice" for name in sorted(set(header)) if header.count(name) > 1]
    if reasons:
        bad.append(BadRow(1, f"{'; '.join(reasons)}; no row was read"))
        return frozenset()
    bad.extend(
        BadRow(1, f"column {name!r} is unknown and was not read") for name in header if name not in columns.known
    )
    return frozenset(header).intersection(columns.known)


def _cells(
    header: Sequence[str], cells: Sequence[str], kept: frozenset[str], numbers: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for column, cell in zip(header, cells, strict=True):
        value = cell.strip()
        if value and column in kept:
            yield column, value.replace(",", ".") if column in numbers else value


# YAML: events, not nodes, since they keep line numbers, are five times as fast on a city's file, and leave
# an id such as 0012 the text that it is


def _yaml_rows(text: str, bad: list[BadRow]) -> Iterator[Row]:
    line = 1
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    try:
        for event in events:
            line = _line(event)
            if isinstance(event, yaml.SequenceStartEvent):
                yield from _yaml_list(events, bad)
            elif isinstance(event, yaml.MappingStartEvent | yaml.ScalarEvent | yaml.AliasEvent):
                bad.append(BadRow(line, "a list of devices is expected, each starting with '- '"))
                return
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        bad.append(BadRow(mark.line + 1 if mark else line, f"not readable as YAML from here on: {problem}"))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _yaml_list(events: Iterator[yaml.Event], bad: list[BadRow]) -> Iterator[Row]:
    for event in events:
        line = _line(event)
        if isinstance(event, yaml.SequenceEndEvent):
            return
        if isinstance(event, yaml.MappingStartEvent):
            try:
                yield Row(line, _yaml_mapping(events))
            except _UnreadableError as error:
                bad.append(BadRow(line, str(error)))
        else:
            _skip(event, events)
            bad.append(BadRow(line, "a device is a mapping of names to values"))


def _yaml_mapping(events: Iterator[yaml.Event]) -> dict[str, str]:
    """The values of one device; reads to its end also when something is wrong with it."""
    values: dict[str, str] = {}
    wrong: list[str] = []
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        name = _scalar(event, events)
        value = _scalar(next(events), events)
        if name is None or value is None:
            wrong.append(f"{name or 'a name'!r} is not a single value")
        elif name in values:
            wrong.append(f"{name!r} is there twice")
        elif value:
            values[name] = value
    if wrong:
        raise _UnreadableError("; ".join(wrong))
    return values


def _scalar(event: yaml.Event, events: Iterator[yaml.Event]) -> str | None:
    """A single value as text, empty for null; None for a list, mapping or alias, which is skipped."""
    if not isinstance(event, yaml.ScalarEvent):
        _skip(event, events)
        return None
    value = str(event.value).strip()
    return "" if event.style not in _QUOTES and value in _EMPTY_YAML else value


def _skip(event: yaml.Event, events: Iterator[yaml.Event]) -> None:
    depth = 0
    while True:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth == 0:
            return
        event = next(events)
