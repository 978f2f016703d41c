"""`beffroi audit`: does everything add up? The exit code is 1 when it does not; what is missing is named."""

import asyncio
import os
import sys
from typing import NoReturn

import msgspec
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alerts.batch import read_transition
from dashboard.health_words import account_name, missing_text, reader_name
from devices.transition import Transition
from hub.commands.record import seconds
from hub.commands.status import known_home, plain_words
from hub.commands.stopping import run_until_signal
from hub.commands.tables import print_table
from hub.errors import DatabaseUnavailable
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from ingest.audit import ALONE, Pace, audit
from ingest.sources import all_sources, readers
from store.audit import Audit, keep
from store.database import Connection, DatabaseRefused, connect, refused

logger = structlog.get_logger("audit")

GENTLE = Pace(rest=3.0)
"""Beside a hub that works: a quarter of the time, at a low priority."""
NICE = 10
RECOUNTED = {
    "messages": "messages",
    "messages_decoded": "  decoded",
    "messages_quarantined": "  refused whole",
    "messages_duplicate": "  delivered again",
    "messages_over_quota": "  over their quota, only counted",
    "readings": "readings",
    "readings_found": "  in their tables",
    "readings_quarantined": "  refused, or contrary to what is stored",
    "readings_withheld": "  withheld for privacy",
    "readings_over_quota": "  of too many strangers, only counted",
    "readings_removed": "  removed since, their time being over",
}
FIRST_S, RETRY_S = 60.0, 5.0


async def audit_home(conn: Connection, settings: Settings, pace: Pace = ALONE) -> Audit:
    """Audit the hub of a home, and remember the result; the connection is in autocommit."""
    codecs = readers(all_sources(settings.sources)).get
    with refused("the audit"):
        result = await audit(conn, settings.home, codecs, _is_transition, pace)
        await keep(conn, result)
    return result


def _is_transition(payload: bytes) -> bool:
    return isinstance(read_transition(payload), Transition)


def run(settings: Settings, *, as_json: bool) -> int:
    """Audit once and print the result; returns how much is missing."""
    result = asyncio.run(_once(settings))
    if as_json:
        told = {"adds_up": not result.amount, **msgspec.to_builtins(result)}
        console = Console(soft_wrap=True, highlight=False, markup=False)
        console.print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        _print(result, settings)
    return result.amount


async def _once(settings: Settings) -> Audit:
    url = database_url(settings, known_home(settings))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        bar = progress.add_task("recounting")

        def told(reader: str, done: int, total: int) -> None:
            progress.update(bar, description=f"messages of {reader}", completed=done, total=total)

        async with connect(url, autocommit=True) as conn:
            return await audit_home(conn, settings, Pace(told=told))


def run_every(settings: Settings, every: str) -> None:
    """Audit again and again, gently, until SIGTERM or Ctrl-C."""
    every_s = seconds(every, "--every")
    url = database_url(settings, Secrets.of(settings.home))

    async def work(stopping: asyncio.Event) -> None:
        os.nice(NICE)
        going_on = asyncio.create_task(_go_on(settings, url, every_s))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({going_on, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not going_on.done():
            going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=stopping.is_set())

    run_until_signal(work)


async def _go_on(settings: Settings, url: str, every_s: float) -> NoReturn:
    """Audit, wait, and so on; one connection, which also tells from outside that the process lives."""
    wait_s, away = min(FIRST_S, every_s), False
    while True:
        try:
            async with connect(url, autocommit=True) as conn:
                away = False
                while True:
                    await asyncio.sleep(wait_s)
                    _log(await audit_home(conn, settings, GENTLE))
                    wait_s = every_s
        except DatabaseUnavailable as error:
            if not away:
                logger.warning("the audit waits for the database", why=str(error))
            away, wait_s = True, min(FIRST_S, every_s)
            await asyncio.sleep(RETRY_S)
        except DatabaseRefused as error:
            logger.error("the audit broke off", why=str(error))
            wait_s = every_s


def _log(result: Audit) -> None:
    if not result.missing:
        recounted = {log.reader: log.next_offset - log.first_offset for log in result.logs}
        logger.info("everything adds up", took_s=round(result.took_s, 1), **recounted)
    for missing in result.missing:
        logger.error("it does not add up", reader=missing.reader, missing=missing.what, amount=missing.amount)
        for sentence in missing.named:
            logger.error(sentence, reader=missing.reader)


def _print(result: Audit, settings: Settings) -> None:
    words = plain_words(settings.timezone)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    names = [reader_name(log.reader, words) for log in result.logs]
    offsets = [f"{log.first_offset} to {log.next_offset}" for log in result.logs]
    counted = [
        (name, *(words.number(log.counts.get(count, 0)) for log in result.logs)) for count, name in RECOUNTED.items()
    ]
    print_table(("found in the log", *names), [("offsets", *offsets), *counted])
    console.print()
    sums = [
        (reader_name(one.reader, words), account_name(one.what, words), *map(words.number, (one.claimed, one.counted)))
        for one in result.sums
    ]
    print_table(("reader", "what is added up", "claimed", "counted"), sums)
    console.print()
    for log in result.logs:
        if log.first_offset:
            console.print(
                f"{reader_name(log.reader, words)}: offsets before {log.first_offset} are trimmed from the log;"
                " for them the sums speak."
            )
    for missing in result.missing:
        console.print(missing_text(missing, words), style="bold red")
        for sentence in missing.named:
            console.print(f"  {sentence}")
        if missing.amount > len(missing.named) and missing.what not in ("sum", "log"):
            console.print(f"  ... and {words.number(missing.amount - len(missing.named))} more")
    if not result.missing:
        console.print("Everything adds up.", style="green")
