"""A rule tried over recorded history: the database's readings through the rules, and what to say of it.

The page and `beffroi rules backtest` call the same function; the page with a limit of rows and a deadline.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from dashboard.hindsight import Hindsight
from devices.registry import Registry
from hub.clock import SECOND_US, to_datetime, to_us
from rules.backtest import TICK_S, BadTrial, Run, Trial
from rules.firings import Sheet
from store import pages
from store import registry as store_registry
from store.database import Connection
from store.recorded import Recorded, recorded

__all__ = ["Backtest", "BadTrial", "Difference", "Hour", "OnDevice", "Side", "backtest"]

HOUR_US = 3600 * SECOND_US
MOST = 20
"""Devices that are named."""


class OnDevice(msgspec.Struct, frozen=True):
    """What was fired on one device."""

    device_no: int
    commune: str
    id: str
    fired: int
    on_s: float


class Side(msgspec.Struct, frozen=True):
    """What one of the two rules fired within the time."""

    thresholds: dict[str, float]
    """Those of the city as a whole; parts of it may have others."""
    fired: int
    """Firings, those that were on when the time began too."""
    standing: int
    """Of them, on already when the time began."""
    still_on: int
    """Of them, on when it ended."""
    devices: int
    by_priority: dict[int, int]
    """How many firings reached a priority at most."""
    on_s: float
    """For how long in all, in seconds."""
    median_s: float | None
    longest_s: float | None
    most: list[OnDevice]
    """The devices on which most fired."""


class Difference(msgspec.Struct, frozen=True):
    """The rule on trial against the one in force; firings that overlap on one device are the same."""

    both: int
    only_tried: int
    only_in_force: int
    most_only_tried: list[OnDevice]
    most_only_in_force: list[OnDevice]


class Hour(msgspec.Struct, frozen=True):
    """How many began in an hour."""

    at: datetime
    """Its beginning, in the city's time."""
    tried: int
    in_force: int | None


class Backtest(msgspec.Struct, frozen=True):
    """What a rule would have fired; of JSON's types but for moments."""

    kind: str
    code: str
    type: str
    since: datetime
    until: datetime
    seen_to: datetime
    """Up to when history was seen: `until`, unless a limit came first."""
    stopped_by: str | None
    """rows or deadline, when a limit came first."""
    devices: int
    """Of the rule's type."""
    readings: int
    """Seen by both rules, those of the warm-up too."""
    took_s: float
    tried: Side
    in_force: Side | None
    """None when there is nothing to compare with."""
    difference: Difference | None
    hours: list[Hour]
    unknown: dict[str, float]
    """Columns that the rule reads, and for which share of the devices each was unknown at the end."""


async def backtest(
    connection: Connection,
    trial: Trial,
    since: datetime,
    until: datetime,
    *,
    who: str,
    timezone: str,
    row_limit: int | None = None,
    deadline_s: float | None = None,
    tick_s: float = TICK_S,
    told: Callable[[int, float], None] = lambda _readings, _share: None,
) -> Backtest:
    """Try a rule from `since` to before `until`, in a transaction of its own that only reads.

    Where the rules read positions, it is logged that `who` did. `told` is called with the readings seen and the share
    of the time. With a limit, what was seen until it was reached is told. DatabaseUnavailable when the database is
    away.
    """
    loop = asyncio.get_running_loop()
    began_s, stopped_by = loop.time(), None
    registry = await store_registry.load(connection)
    run = Run.of(trial, registry, to_us(since), to_us(until), timezone=timezone, tick_s=tick_s)
    reads_from = to_datetime(run.reads_from_us)
    if {"lat", "lon"} & set(trial.fields):
        await pages.log_positions_access(connection, who, [trial.kind.name], reads_from, until)
    await connection.commit()
    span_us = run.until_us - run.reads_from_us
    hindsight = Hindsight(connection, trial, ZoneInfo(timezone))
    try:
        history = recorded(connection, trial.kind, trial.fields, run.devices, reads_from, until)
        async with asyncio.timeout(deadline_s), connection.transaction(), aclosing(history):
            async for chunk in history:
                await _see(run, chunk, hindsight)
                told(run.readings, (run.seen_us - run.reads_from_us) / span_us)
                if row_limit is not None and run.readings >= row_limit:
                    stopped_by = "rows"
                    break
                await asyncio.sleep(0)
    except TimeoutError:
        stopped_by = "deadline"
    run.end(run.seen_us if stopped_by else None)
    return _result(run, registry, timezone, stopped_by, loop.time() - began_s)


async def _see(run: Run, chunk: Recorded, hindsight: Hindsight) -> None:
    if not hindsight.is_asked:
        run.see(*chunk)
        return
    hour = chunk.ts_us // HOUR_US
    for part in np.split(np.arange(len(hour)), np.flatnonzero(np.diff(hour)) + 1):
        await hindsight.tell(run.board, to_datetime(int(hour[part[0]]) * HOUR_US))
        run.see(chunk.device_no[part], chunk.ts_us[part], chunk.values[:, part])


def _result(run: Run, registry: Registry, timezone: str, stopped_by: str | None, took_s: float) -> Backtest:
    trial = run.trial
    tried, in_force = run.sheets()
    names = {
        int(number): (commune, device_id)
        for number, commune, device_id in zip(registry.device_no, registry.commune, registry.id, strict=True)
    }
    return Backtest(
        kind=trial.kind.name,
        code=trial.rule.code,
        type=trial.rule.type,
        since=to_datetime(run.since_us),
        until=to_datetime(run.until_us),
        seen_to=to_datetime(max(run.seen_us, run.since_us)),
        stopped_by=stopped_by,
        devices=len(run.board.rows_of_type(trial.rule.type)),
        readings=run.readings,
        took_s=round(took_s, 3),
        tried=_side(tried, {**trial.thresholds(trial.rule), "enabled": 1.0, **trial.changes}, names),
        in_force=None if in_force is None else _side(in_force, trial.thresholds(trial.in_force or trial.rule), names),
        difference=_difference(tried, in_force, names) if in_force is not None else None,
        hours=_hours(tried, in_force, run, ZoneInfo(timezone)),
        unknown=run.unknown(),
    )


Names = Mapping[int, tuple[str, str]]


def _side(sheet: Sheet, thresholds: Mapping[str, float], names: Names) -> Side:
    lasted_s = sheet.lasted_s
    return Side(
        thresholds=dict(thresholds),
        fired=len(sheet),
        standing=int(sheet.standing.sum()),
        still_on=int(sheet.still_on.sum()),
        devices=len(np.unique(sheet.device_no)),
        by_priority={int(p): int((sheet.priority == p).sum()) for p in np.unique(sheet.priority)},
        on_s=float(lasted_s.sum()),
        median_s=float(np.median(lasted_s)) if len(sheet) else None,
        longest_s=float(lasted_s.max()) if len(sheet) else None,
        most=_named(sheet.most(MOST), names),
    )


def _difference(tried: Sheet, in_force: Sheet, names: Names) -> Difference:
    new, old = ~tried.met(in_force), ~in_force.met(tried)
    return Difference(
        both=int((~new).sum()),
        only_tried=int(new.sum()),
        only_in_force=int(old.sum()),
        most_only_tried=_named(tried.most(MOST, new), names),
        most_only_in_force=_named(in_force.most(MOST, old), names),
    )


def _named(most: list[tuple[int, int, float]], names: Names) -> list[OnDevice]:
    return [OnDevice(number, *names[number], fired, on_s) for number, fired, on_s in most]


def _hours(tried: Sheet, in_force: Sheet | None, run: Run, zone: ZoneInfo) -> list[Hour]:
    at = np.arange(run.since_us // HOUR_US * HOUR_US, max(run.seen_us, run.since_us + 1), HOUR_US)
    counts = tried.by_hour(at).tolist()
    others = [None] * len(at) if in_force is None else in_force.by_hour(at).tolist()
    return [
        Hour(to_datetime(start).astimezone(zone), count, other)
        for start, count, other in zip(at.tolist(), counts, others, strict=True)
    ]
