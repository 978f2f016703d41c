"""`beffroi quarantine list`: what could not be stored, with its reasons."""

import asyncio
from dataclasses import asdict

import msgspec
from rich.console import Console
from rich.table import Table

from hub.commands.status import known_home, plain_words
from hub.secrets import database_url
from hub.settings import Settings
from store import quarantine
from store.database import connect
from store.quarantine import Quarantined, ReasonCount

PAYLOAD_CHARACTERS = 200


def list_quarantine(settings: Settings, *, reason: str | None, limit: int, as_json: bool) -> None:
    """Print how much there is by reason, and the newest messages; as JSON, one message per line."""
    counts, found = asyncio.run(_ask(settings, reason, limit))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if as_json:
        for message in found:
            console.print(msgspec.json.encode(asdict(message)).decode())
        return
    if not counts:
        console.print("Nothing is in quarantine.")
        return
    words = plain_words(settings.timezone)
    table = Table("reason", "24 hours", "in all", "last one", box=None, header_style="bold", pad_edge=False)
    for count in counts:
        table.add_row(count.reason, str(count.last_day), str(count.in_all), words.short(count.last_at))
    console.print(table)
    for message in found:
        part = "" if message.part is None else f", element {message.part}"
        console.print()
        console.print(f"{words.moment(message.received_at)}  {message.source}  {message.topic}{part}")
        console.print(f"  {message.reason}: {message.detail}")
        is_cut = message.is_cut or len(message.payload) > PAYLOAD_CHARACTERS
        console.print(f"  {message.payload[:PAYLOAD_CHARACTERS]}{' ...' if is_cut else ''}")


async def _ask(settings: Settings, reason: str | None, limit: int) -> tuple[list[ReasonCount], list[Quarantined]]:
    async with connect(database_url(settings, known_home(settings))) as conn:
        counts = await quarantine.counts(conn, settings.the_clock.now())
        return counts, await quarantine.newest(conn, limit=limit, reason=reason)
