"""What the city watches, kind by kind: indicators with their trends, devices by state, open incidents."""

import math
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from dashboard.city import state_labels
from dashboard.desk import AtDesk, Desk, InWords
from dashboard.incident_words import shown_card, state_words
from dashboard.incidents_page import address
from dashboard.overview_words import figure_text, goal_text, period_text, range_text
from dashboard.sparkline import Sparkline, sparkline
from dashboard.words import Words
from devices.kind import Indicator, Kind, State, kinds
from store import indicators, pages
from store.database import Connection
from store.indicators import QUARTER, Trend

router = APIRouter()
DAY, WEEK, HOUR = timedelta(days=1), timedelta(days=7), timedelta(hours=1)
PRESENT = 2 * QUARTER
"""A sample that is older is of the past: the worker does not run, or is far behind."""
SHOWN_INCIDENTS = 10
Commune = Annotated[str, Query(max_length=64)]


@router.get("/overview")
async def overview(request: Request, at: AtDesk, words: InWords, commune: Commune = "") -> Response:
    """Every kind at a glance, with the last 24 hours."""
    now = at.clock.now()
    async with at.database() as conn:
        communes = await _communes(conn, commune)
        trends = await indicators.trends(conn, kinds().values(), now - DAY, now, commune=commune or None)
        open_counts = await pages.open_counts(conn, _asked(commune))
        states = {name: await _states(conn, at, kind, commune) for name, kind in kinds().items()}
    return at.render(
        request,
        "overview.html",
        kinds=[
            {
                "kind": kind,
                "indicators": [
                    _shown(indicator, {DAY: trends.get((kind.name, indicator.name))}, now, words)
                    for indicator in kind.indicators
                ],
                "states": states[kind.name],
                "open": open_counts.get(kind.name, {}),
            }
            for kind in _in_order(words)
        ],
        **_common(commune, communes, trends, now, words),
    )


@router.get("/overview/{kind}")
async def kind_overview(request: Request, kind: str, at: AtDesk, words: InWords, commune: Commune = "") -> Response:
    """One kind: the last day and week of each indicator, its communes, its most urgent incidents."""
    known = kinds().get(kind)
    if known is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no kind {kind}; there are {', '.join(kinds())}")
    now = at.clock.now()
    async with at.database() as conn:
        communes = await _communes(conn, commune)
        day = await indicators.trends(conn, [known], now - DAY, now, commune=commune or None)
        week = await indicators.trends(conn, [known], now - WEEK, now, width=HOUR, commune=commune or None)
        by_commune = await indicators.by_commune(conn, known, now - PRESENT, now)
        open_counts = await pages.open_counts(conn, _asked(commune))
        cards, _ = await pages.asked_incidents(conn, _asked(commune, kind), limit=SHOWN_INCIDENTS)
        states = await _states(conn, at, known, commune)
    return at.render(
        request,
        "kind.html",
        kind=known,
        kinds=_in_order(words),
        indicators=[
            _shown(i, {DAY: day.get((kind, i.name)), WEEK: week.get((kind, i.name))}, now, words)
            for i in known.indicators
        ],
        by_commune=[
            (slug, [figure_text(i, by_commune[slug].get(i.name, math.nan), words) for i in known.indicators])
            for slug in sorted(by_commune, key=words.commune)
        ],
        states=states,
        open=open_counts.get(kind, {}),
        cards=[(shown_card(card, words), card) for card in cards],
        state_words=state_words(words),
        **_common(commune, communes, day, now, words),
    )


def _in_order(words: Words) -> list[Kind]:
    return sorted(kinds().values(), key=lambda kind: words.of(kind.label))


def _asked(commune: str, kind: str = "") -> pages.Asked:
    return pages.Asked(kinds=[kind] if kind else (), communes=[commune] if commune else ())


async def _communes(conn: Connection, chosen: str) -> list[str]:
    """Communes to choose from; 404 when the chosen one is none."""
    communes = await pages.communes(conn)
    if chosen and chosen not in communes:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no commune {chosen}")
    return communes


async def _states(conn: Connection, at: Desk, kind: Kind, commune: str) -> list[tuple[int, int]]:
    """Devices by state as the live picture has them, the worst state first; states without devices are left out."""
    numbers = await pages.devices_in(conn, kind.name, commune) if commune else None
    counts = at.live.pictures[kind.name].counts(None if numbers is None else np.array(numbers, np.int32))
    return [(int(state), int(counts[state])) for state in reversed(State) if counts[state]]


def _common(commune: str, communes: list[str], trends: Any, now: datetime, words: Words) -> dict[str, Any]:
    """What both pages show around their figures."""
    newest = max((trend.at[-1] for trend in trends.values()), default=None)
    return {
        "commune": commune,
        "communes": sorted(((slug, words.commune(slug)) for slug in communes), key=lambda pair: pair[1]),
        "state_labels": state_labels(words),
        "to_incidents": lambda kind, priority: (
            f"/incidents?{address({'kind': kind, 'priority': priority, 'commune': commune})}"
        ),
        "newest": newest,
        "is_past": newest is None or now - newest > PRESENT,
        "now": now,
    }


def _shown(indicator: Indicator, trends: dict[timedelta, Trend | None], now: datetime, words: Words) -> dict[str, Any]:
    """An indicator with its present figure and its lines by period."""
    present = _present(trends[DAY], now)
    lines = [(period_text(period, words), _line(trend, period, now)) for period, trend in trends.items()]
    return {
        "indicator": indicator,
        "title": words.of(indicator.title),
        "text": figure_text(indicator, present, words),
        "goal": goal_text(indicator, words),
        "misses": indicator.goal is not None and not indicator.goal.is_met(present),
        "lines": lines,
        "say": lambda value: figure_text(indicator, value, words),
        "range": lambda line: range_text(indicator, line.low, line.high, words),
    }


def _present(trend: Trend | None, now: datetime) -> float:
    return trend.values[-1] if trend and now - trend.at[-1] <= PRESENT else math.nan


def _line(trend: Trend | None, period: timedelta, now: datetime) -> Sparkline | None:
    width = QUARTER if period == DAY else HOUR
    return sparkline(trend.at, trend.values, since=now - period, until=now, width=width) if trend else None
