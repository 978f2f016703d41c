"""`beffroi audit`: does everything add up? The exit code is 1 when it does not; what is missing is named."""

import asyncio
import os
import sys

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
"""Beside a hub that works: at most a quarter of a core, and that at the lowest priority."""
NICE = 10
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
        wait_s, away = min(FIRST_S, every_s), False
        while True:
            try:
                async with connect(url, autocommit=True) as conn:
                    while True:
                        away = False
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

    run_until_signal(work)


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
    rows = [
        (
            reader_name(log.reader, words),
            f"{log.first_offset} to {log.next_offset}",
            *(words.number(log.counts.get(of, 0)) for of in ("messages", "messages_decoded")),
            *(words.number(log.counts.get(f"messages_{of}", 0)) for of in ("quarantined", "duplicate")),
            *(words.number(log.counts.get(f"readings{of}", 0)) for of in ("", "_found", "_quarantined", "_withheld")),
            words.number(log.counts.get("readings_removed", 0)),
        )
        for log in result.logs
    ]
    head = "log of|offsets|messages|decoded|quarantined|duplicates|readings|found|quarantined|withheld|removed by now"
    print_table(head.split("|"), rows)
    console.print()
    print_table(
        ("reader", "sum", "claimed", "counted"),
        [
            (reader_name(one.reader, words), account_name(one.what, words), words.number(one.claimed), counted)
            for one in result.sums
            for counted in [words.number(one.counted)]
        ],
    )
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
