"""A rule tried over the last days from its page: asked in a form, run beside the page, told in words and bars."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from dashboard.backtest import Backtest, BadTrial, Side, backtest
from dashboard.desk import Desk
from dashboard.rule_words import lasting
from dashboard.words import Words
from devices.kind import Kind, Rule
from devices.policy import Policy
from hub.errors import BadSetting
from rules.backtest import Trial
from store.database import connect

DAYS = (1, 3, 7, 10, 30)
MOST_READINGS, MOST_S = 3_000_000, 40.0
"""What a page waits for; `beffroi rules backtest` has no limits."""
BAR_HEIGHT = 60
TRIALS = asyncio.Semaphore(1)
"""One at a time: the page is for those who watch the city."""


class Asked(BaseModel):
    """How many days back, and another value of one threshold if wanted."""

    days: int = Field(default=7, ge=1, le=DAYS[-1])
    threshold: str = Field(default="", max_length=64)
    value: float | None = None

    @property
    def changes(self) -> dict[str, float]:
        return {self.threshold: self.value} if self.threshold and self.value is not None else {}


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour of the picture; heights of BAR_HEIGHT at most."""

    place: int
    tried: float
    in_force: float
    says: str


@dataclass(frozen=True, slots=True)
class Told:
    """A trial as the page shows it."""

    result: Backtest
    facts: list[tuple[str, str, str]]
    """What, of the tried, of the one in force ("" when there is none)."""
    bars: list[Bar]
    height: int = BAR_HEIGHT


async def tried(
    at: Desk,
    kind: Kind,
    rule: Rule,
    in_force: Rule | None,
    asked: Asked,
    policy: Policy,
    *,
    who: str,
    words: Words,
) -> Told:
    """Try a rule over the last days; BadSetting when it cannot be tried as asked, or another trial is on."""
    if TRIALS.locked():
        raise BadSetting(words("another trial is under way; try again in a moment"))
    try:
        trial = Trial(kind, rule, in_force, asked.changes, policy)
    except BadTrial as error:
        raise BadSetting(str(error)) from error
    async with TRIALS:
        # In a thread with a loop of its own: whoever watches the city meanwhile is not to wait for it.
        now, url = at.clock.now(), str(at.pool.conninfo)
        run = _run(url, trial, now - timedelta(days=asked.days), now, who, words.timezone.key)
        result = await asyncio.to_thread(asyncio.run, run)
    return Told(result, _facts(result, words), _bars(result, words))


async def _run(database_url: str, trial: Trial, since: datetime, until: datetime, who: str, timezone: str) -> Backtest:
    async with connect(database_url) as connection:
        return await backtest(
            connection, trial, since, until, who=who, timezone=timezone, row_limit=MOST_READINGS, deadline_s=MOST_S
        )


def _facts(result: Backtest, words: Words) -> list[tuple[str, str, str]]:
    in_force = dict(_side(result.in_force, words)) if result.in_force else {}
    return [(name, told, in_force.get(name, "")) for name, told in _side(result.tried, words)]


def _side(side: Side, words: Words) -> list[tuple[str, str]]:
    return [
        (words("fired"), words.number(side.fired)),
        (words("on already at the beginning"), words.number(side.standing)),
        (words("still on at the end"), words.number(side.still_on)),
        (words("devices"), words.number(side.devices)),
        (words("half of them for at most"), lasting(side.median_s or 0, words) if side.fired else ""),
        (words("the longest"), lasting(side.longest_s or 0, words) if side.fired else ""),
    ]


def _bars(result: Backtest, words: Words) -> list[Bar]:
    most = max((max(hour.tried, hour.in_force or 0) for hour in result.hours), default=0) or 1
    return [
        Bar(
            place,
            round(BAR_HEIGHT * hour.tried / most, 1),
            round(BAR_HEIGHT * (hour.in_force or 0) / most, 1),
            f"{words.short(hour.at)}{words.colon}{hour.tried}",
        )
        for place, hour in enumerate(result.hours)
    ]
