"""`beffroi status`: how the hub is doing; the exit code is 1 when something is wrong."""

import asyncio
from dataclasses import asdict
from zoneinfo import ZoneInfo

import msgspec
from babel.support import NullTranslations
from rich.console import Console
from rich.table import Table

from dashboard.health_words import (
    accounts_text,
    ago,
    audit_text,
    beyond_text,
    clock_text,
    log_name,
    queue_text,
    rate_text,
    reader_name,
    seconds,
    sentence,
    size,
)
from dashboard.words import Words
from hub.commands.broker_queue import broker_queue
from hub.commands.clock import hub_clock
from hub.errors import BeffroiError, BrokerUnavailable
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings
from store.database import connect
from store.health import Fault, Health, Pulse, Stored, faults


def run(settings: Settings, *, as_json: bool) -> int:
    """Print the hub's health; returns how much is wrong."""
    health = asyncio.run(_take(settings))
    found = faults(health)
    words = plain_words(settings.timezone)
    said = [sentence(fault, words) for fault in found]
    if as_json:
        Console(soft_wrap=True, highlight=False, markup=False).print(_json(health, found, said))
    else:
        _print(health, said, words)
    return len(found)


def plain_words(timezone: str) -> Words:
    """The texts of the page as they are in the code: English."""
    return Words("en", ZoneInfo(timezone), NullTranslations(), {}, {})


def known_home(settings: Settings) -> Secrets:
    """The secrets of a home that has some: looking makes none. BeffroiError when no hub ran there."""
    if not (settings.home / "secrets.json").exists():
        raise BeffroiError(
            f"no hub has run on {settings.home} yet; start one, or set BEFFROI_HOME to the home of yours"
        )
    return Secrets.of(settings.home)


async def _take(settings: Settings) -> Health:
    secrets = known_home(settings)
    url, clock, has_broker, queue = database_url(settings, secrets), settings.the_clock, True, None
    try:
        # The hub lives in its own time and publishes it; a command in a terminal is not told.
        clock = await hub_clock(mqtt_url(settings, secrets), clock)
        queue = await broker_queue(mqtt_url(settings, secrets))
    except BrokerUnavailable:
        has_broker = False
    return await Pulse(settings.home, clock).take(lambda: connect(url), has_broker=has_broker, queue=queue)


def _json(health: Health, found: list[Fault], said: list[str]) -> str:
    wrong = [asdict(fault) | {"sentence": text} for fault, text in zip(found, said, strict=True)]
    told = {"is_well": not found, "faults": wrong, **asdict(health)}
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _print(health: Health, said: list[str], words: Words) -> None:
    console = Console(highlight=False, markup=False)
    for text in said:
        console.print(text, style="bold red", soft_wrap=True)
    if not said:
        console.print("All is well.", style="green")
    console.print()
    console.print(_logs(health, words))
    console.print()
    if health.stored:
        console.print(_readers(health, words))
        console.print()
        if health.stored.beyond:
            console.print(_beyond(health.stored, words))
            console.print()
        console.print(_reasons(health, words) if health.stored.quarantine else "Nothing is in quarantine.")
        console.print()
    console.print(_numbers(health, words))
    for error in health.files.last_errors:
        console.print(f"last error of {error.process}: {error.line}", soft_wrap=True)


def _table(*head: str) -> Table:
    first, *others = head
    table = Table(first, box=None, header_style="bold", pad_edge=False)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _logs(health: Health, words: Words) -> Table:
    table = _table("log", "now", "in all", "last one", "kept")
    for folder, log in health.files.logs.items():
        rate = rate_text(health.arrivals_per_s[folder], words)
        table.add_row(
            log_name(folder, words), rate, words.number(log.head), ago(log.still_s, words), size(log.size_bytes, words)
        )
    return table


def _readers(health: Health, words: Words) -> Table:
    table = _table("reader", "waiting", "now", "in all", "moved", "accounts")
    for reader in health.stored.readers if health.stored else ():
        table.add_row(
            reader_name(reader.name, words),
            "" if reader.lag is None else words.number(reader.lag),
            rate_text(reader.messages_per_s, words),
            words.number(reader.next_offset),
            ago(reader.still_s, words),
            accounts_text(reader, words),
        )
    return table


def _beyond(stored: Stored, words: Words) -> Table:
    table = Table("beyond a limit", "who", "messages, since", box=None, header_style="bold", pad_edge=False)
    for one in stored.beyond:
        table.add_row(*beyond_text(one, words))
    return table


def _reasons(health: Health, words: Words) -> Table:
    table = _table("quarantine", "24 hours", "in all", "last one")
    for count in health.stored.quarantine if health.stored else ():
        numbers = (words.number(count.last_day), words.number(count.in_all))
        table.add_row(count.reason, *numbers, words.short(count.last_at))
    return table


def _numbers(health: Health, words: Words) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    if stored := health.stored:
        open_ = ", ".join(f"P{priority} {words.number(count)}" for priority, count in stored.open_incidents.items())
        table.add_row("open incidents", open_)
        table.add_row("devices to commission", words.number(stored.to_commission))
        table.add_row("rollups behind", seconds(stored.rollups_behind_s, words))
        table.add_row("last audit", audit_text(stored.audit, words))
        table.add_row("database", size(stored.size_bytes, words))
        table.add_row("ahead of the database's clock", seconds(stored.clock_ahead_s, words))
    if health.queue:
        table.add_row("waiting in the broker", queue_text(health.queue, words))
    table.add_row("free on the disk", size(health.files.fullest.free_bytes, words))
    table.add_row("rules' checkpoint", ago(health.files.checkpoint_s, words) or "none")
    table.add_row("clock", clock_text(health, words))
    return table
