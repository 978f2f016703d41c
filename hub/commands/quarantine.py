"""`beffroi quarantine`: what could not be stored, with its reasons, and its release once the cause is mended."""

import asyncio
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from devices.readings import Decoded
from hub.commands.status import known_home, plain_words
from hub.errors import BadSetting, BeffroiError
from hub.secrets import database_url
from hub.settings import Settings
from ingest.again import messages_again
from ingest.decode import decode
from ingest.sources import all_sources, readers
from store import quarantine, release
from store.database import Connection, connect
from store.quarantine import Choice, Quarantined, ReasonCount
from store.release import Held, Release, Waiting

PAYLOAD_CHARACTERS = 200
TAKEN_UP_S = 30.0
"""A worker that runs takes a release up within a second or two."""
LOOK_S = 0.2
ASKED_BY = "command line"


def list_quarantine(settings: Settings, choice: Choice, *, limit: int, released: bool, as_json: bool) -> None:
    """Print how much there is by reason, and the newest messages; as JSON, one message per line."""
    choice = _in_time_zone(choice, settings)
    counts, found = asyncio.run(_list(settings, choice, limit, released))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if as_json:
        for message in found:
            console.print(msgspec.json.encode(asdict(message)).decode())
        return
    if not counts:
        console.print("Nothing is in quarantine.")
    words = plain_words(settings.timezone)
    if counts:
        table = Table("reason", "24 hours", "in all", "last one", box=None, header_style="bold", pad_edge=False)
        for count in counts:
            table.add_row(count.reason, str(count.last_day), str(count.in_all), words.short(count.last_at))
        console.print(table)
    for message in found:
        part = "" if message.part is None else f", element {message.part}"
        console.print()
        console.print(
            f"{message.quarantine_no}  {words.moment(message.received_at)}  {message.source}  {message.topic}{part}"
        )
        console.print(f"  {message.reason}: {message.detail}")
        if message.tried_at is not None:
            what = "released" if message.released_at else "tried again"
            console.print(f"  {what} by {message.tried_by}, {words.moment(message.tried_at)}")
        is_cut = message.is_cut or len(message.payload) > PAYLOAD_CHARACTERS
        console.print(f"  {message.payload[:PAYLOAD_CHARACTERS]}{' ...' if is_cut else ''}")


async def _list(
    settings: Settings, choice: Choice, limit: int, released: bool
) -> tuple[list[ReasonCount], list[Quarantined]]:
    async with connect(database_url(settings, known_home(settings))) as conn:
        counts = await quarantine.counts(conn, settings.the_clock.now())
        return counts, await quarantine.newest(conn, choice, limit=limit, released=released)


def replay(settings: Settings, choice: Choice, *, dry_run: bool) -> int:
    """Release what is chosen, or say what would come of it; returns how many stay in quarantine."""
    choice = _in_time_zone(choice, settings)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    return asyncio.run((_try if dry_run else _release)(settings, choice, console))


def discard(settings: Settings, choice: Choice) -> None:
    """Give up what is chosen, and say how much it was."""
    if choice == Choice():
        raise BadSetting("that would be everything: name a reason, a source, a time or a number")
    discarded = asyncio.run(_discard(settings, _in_time_zone(choice, settings)))
    Console(highlight=False, markup=False).print(f"{discarded} discarded.")


async def _discard(settings: Settings, choice: Choice) -> int:
    async with connect(database_url(settings, known_home(settings)), autocommit=True) as conn:
        return await quarantine.discard(conn, choice, by=ASKED_BY, now=settings.the_clock.now())


async def _release(settings: Settings, choice: Choice, console: Console) -> int:
    async with connect(database_url(settings, known_home(settings)), autocommit=True) as conn:
        found = await release.waiting(conn, choice)
        if not found.total:
            console.print("Nothing in quarantine fits.")
            return 0
        number = await release.ask(conn, choice, found, by=ASKED_BY, now=settings.the_clock.now())
        done = await _follow(conn, number, found.total)
        refused = await release.refused_again(conn, number)
        console.print(outcome(done))
        for reason, count in refused.items():
            console.print(f"  refused: {count} as {reason}")
        return done.tried - done.released


async def _follow(conn: Connection, number: int, total: int) -> Release:
    """Show how far the worker is until it has finished; BeffroiError when none takes the release up."""
    loop = asyncio.get_running_loop()
    moved_at, tried = loop.time(), 0
    with _progress() as progress:
        bar = progress.add_task("released", total=total)
        while True:
            now = await release.release(conn, number)
            progress.update(bar, completed=now.tried)
            if now.finished_at is not None:
                return now
            if now.tried > tried:
                moved_at, tried = loop.time(), now.tried
            if loop.time() - moved_at > TAKEN_UP_S:
                raise BeffroiError(
                    f"no worker has gone on with release {number} for {TAKEN_UP_S:.0f} s, after {tried} of {total}:"
                    " does one run, and has it caught up (beffroi status)? It will finish the release when it has"
                )
            await asyncio.sleep(LOOK_S)


def outcome(done: Release) -> str:
    """What came of a release, in a sentence."""
    parts = [
        f"{count} {what}"
        for count, what in (
            (done.readings_stored, "stored"),
            (done.readings_merged, "filling what was missing"),
            (done.readings_duplicate, "known already"),
            (done.readings_withheld, "withheld for privacy"),
        )
        if count
    ]
    said = f"; readings: {', '.join(parts)}" if parts else ""
    return f"{done.released} of {done.tried} released{said}."


@dataclass(slots=True)
class Tally:
    """What a release would do, by the reason for which the messages wait."""

    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, batch: list[Held], decoded: Decoded) -> None:
        settled = release.settle(batch, decoded.rejected)
        self.read += len(settled.released)
        self.refused.update(reject.reason for _, reject in settled.again)


async def _try(settings: Settings, choice: Choice, console: Console) -> int:
    """Read everything again as this command's own codecs do, and write nothing."""
    codecs = readers(all_sources(settings.sources)).get
    tallies: dict[str, Tally] = {}
    async with connect(database_url(settings, known_home(settings)), autocommit=True) as conn:
        found = await release.waiting(conn, choice)
        with _progress() as progress:
            bar = progress.add_task("read again", total=found.total)
            for reason in found.by_reason:
                tally = tallies[reason] = Tally()
                after_no, one_reason = 0, replace(choice, reason=reason)
                while batch := await release.held(conn, one_reason, after_no=after_no, up_to_no=found.up_to_no):
                    tally.add(batch, decode(messages_again(batch), codecs, {}))
                    after_no = batch[-1].quarantine_no
                    progress.advance(bar, len(batch))
    _print(found, tallies, console)
    return sum(tally.refused.total() for tally in tallies.values())


def _print(found: Waiting, tallies: dict[str, Tally], console: Console) -> None:
    if not found.total:
        console.print("Nothing in quarantine fits.")
        return
    table = Table("reason", "waiting", "could be read", "still refused", box=None, header_style="bold", pad_edge=False)
    for reason, tally in tallies.items():
        refused = ", ".join(f"{count} {why}" for why, count in tally.refused.most_common())
        table.add_row(reason, str(found.by_reason[reason]), str(tally.read), refused)
    console.print(table)
    console.print("Nothing was changed. What contradicts a stored reading shows only when it is released.")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)


def _in_time_zone(choice: Choice, settings: Settings) -> Choice:
    """The same choice; a time that names no zone is the city's."""

    def aware(moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=ZoneInfo(settings.timezone)) if moment and moment.tzinfo is None else moment

    return replace(choice, since=aware(choice.since), until=aware(choice.until))
