"""`beffroi rules backtest`: what a rule would have fired over recorded history, beside the one in force."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from dashboard.backtest import Backtest, BadTrial, OnDevice, Side, backtest
from devices.kind import Kind, Rule
from devices.policy import Policy
from hub.commands.devices import kinds_asked_for
from hub.commands.restore import as_moment
from hub.commands.status import known_home
from hub.commands.tables import print_table
from hub.errors import BadSetting
from hub.secrets import database_url
from hub.settings import Settings
from rules.backtest import Trial
from store.database import connect, refused

WHO = "beffroi rules backtest"
"""Who is written down where it reads positions."""
BARS = " ▁▂▃▄▅▆▇█"


def run(
    settings: Settings,
    code: str,
    since: datetime,
    until: datetime,
    *,
    kind: str | None,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Try a rule and print what it would have fired; BadSetting when it cannot be tried as asked."""
    first, last = as_moment(since, settings), as_moment(until, settings)
    assert first is not None and last is not None
    if first >= last:
        raise BadSetting("--from must lie before --to")
    try:
        trial = trial_of(*rule_named(code, kind, Policy()), parsed(changes), Policy())
    except BadTrial as error:
        raise BadSetting(f"--set: {error}") from error
    result = asyncio.run(_run(settings, trial, first, last))
    if as_json:
        Console(soft_wrap=True, highlight=False, markup=False).print(msgspec.json.encode(result).decode())
    else:
        _print(result, ZoneInfo(settings.timezone))


def rule_named(code: str, kind: str | None, policy: Policy) -> tuple[Kind, Rule]:
    """The rule in force of that code; BadSetting when there is none, or there are several and no kind is named."""
    found = [(one, rule) for one in kinds_asked_for(kind) for rule in policy.rules(one) if rule.code == code]
    if not found:
        raise BadSetting(f"there is no rule {code!r}; beffroi rules list shows them")
    if len(found) > 1:
        raise BadSetting(f"{code} is a rule of {' and of '.join(one.name for one, _ in found)}: name one with --kind")
    return found[0]


def trial_of(kind: Kind, rule: Rule, changes: dict[str, float], policy: Policy) -> Trial:
    """The trial of a rule in force, with changes or, to see what it does, as it is."""
    return Trial(kind, rule, rule if changes else None, changes, policy)


def parsed(changes: Sequence[str]) -> dict[str, float]:
    """`threshold=value` as numbers; BadSetting when one is not that."""
    found = {}
    for text in changes:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise BadSetting(f"--set {text!r} is not threshold=value, such as hold_s=900") from None
    return found


async def _run(settings: Settings, trial: Trial, since: datetime, until: datetime) -> Backtest:
    url = database_url(settings, known_home(settings))
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        bar = progress.add_task(f"trying {trial.rule.code}", total=1.0)

        def told(readings: int, share: float) -> None:
            progress.update(bar, description=f"{readings:,} readings", completed=share)

        async with connect(url) as connection:
            with refused("history cannot be read"):
                return await backtest(connection, trial, since, until, who=WHO, timezone=settings.timezone, told=told)


def _print(result: Backtest, zone: ZoneInfo) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    span = " to ".join(moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") for moment in (result.since, result.until))
    console.print(f"{result.code} ({result.kind}, {result.devices:,} devices of type {result.type}), {span}")
    console.print(f"{result.readings:,} readings in {result.took_s:.1f} s", style="dim")
    for name, share in result.unknown.items():
        console.print(f"{name} is unknown of {share:.0%} of the devices at the end", style="yellow")
    console.print()
    sides = {"in force": result.in_force, "tried": result.tried} if result.in_force else {"in force": result.tried}
    print_table(("", *sides), list(_facts([side for side in sides.values() if side is not None])))
    if (difference := result.difference) is not None:
        console.print()
        console.print(
            f"both {difference.both:,}, only as tried {difference.only_tried:,},"
            f" only in force {difference.only_in_force:,} (firings that overlap on one device are the same)"
        )
    console.print()
    for line in picture(result):
        console.print(line)
    lists = {"most firings": result.tried.most}
    if difference is not None:
        lists = {"only as tried": difference.most_only_tried, "only in force": difference.most_only_in_force}
    for title, most in lists.items():
        if most:
            console.print()
            _print_devices(title, most)


def _facts(sides: Sequence[Side]) -> Iterator[tuple[str, ...]]:
    """Rows of the table: what, and each side's."""
    told = [side.thresholds for side in sides]
    for name in told[0]:
        values = [thresholds[name] for thresholds in told]
        if name != "enabled" and (len(set(values)) > 1 or len(sides) == 1):
            yield name, *(f"{value:g}" for value in values)
    yield "fired", *(f"{side.fired:,}" for side in sides)
    yield "  on already at the beginning", *(f"{side.standing:,}" for side in sides)
    yield "  still on at the end", *(f"{side.still_on:,}" for side in sides)
    for priority in sorted({p for side in sides for p in side.by_priority}):
        yield f"  P{priority}", *(f"{side.by_priority.get(priority, 0):,}" for side in sides)
    yield "devices", *(f"{side.devices:,}" for side in sides)
    yield "on in all", *(lasting(side.on_s) for side in sides)
    yield "half of them at most", *(lasting(side.median_s) for side in sides)
    yield "the longest", *(lasting(side.longest_s) for side in sides)


def lasting(seconds: float | None) -> str:
    """A duration as people say it."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 172_800 else f"{seconds / 86_400:,.1f} days"


def picture(result: Backtest) -> Iterator[str]:
    """How many began in each hour: a line per day, a bar per hour of the city's clocks; the largest is full."""
    days: dict[str, list[list[int]]] = {}
    for hour in result.hours:
        day = days.setdefault(hour.at.strftime("%a %d %b"), [[0, 0] for _ in range(24)])
        day[hour.at.hour][0] += hour.in_force or 0
        day[hour.at.hour][1] += hour.tried
    largest = max((count for day in days.values() for hour in day for count in hour), default=0)
    names = ("in force", "tried") if result.in_force else ("in force",)
    head = " " * 10 + "".join(f"  {name:24}{'':8}" for name in names)
    yield head.rstrip()
    yield " " * 10 + f"  {'0     6     12    18':24}{'':8}" * len(names)
    for day_name, counts in days.items():
        columns = range(2) if result.in_force else range(1, 2)
        lines = (
            f"  {''.join(_bar(hour[place], largest) for hour in counts)}{sum(hour[place] for hour in counts):8,}"
            for place in columns
        )
        yield f"{day_name:10}{''.join(lines)}"
    yield f"began in each hour; a full bar is {largest:,}"


def _bar(count: int, largest: int) -> str:
    return BARS[0] if not count else BARS[max(1, round(count / largest * (len(BARS) - 1)))]


def _print_devices(title: str, most: Sequence[OnDevice]) -> None:
    rows = [(f"{one.commune}/{one.id}", f"{one.fired:,}", lasting(one.on_s)) for one in most]
    print_table((title, "fired", "on in all"), rows)
