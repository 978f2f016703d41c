"""`beffroi devices forget`: devices that nobody declared and nobody knows are forgotten, by their names."""

import asyncio

from rich.console import Console

from hub.commands.status import known_home
from hub.errors import BeffroiError
from hub.secrets import database_url
from hub.settings import Settings
from store import forget
from store.database import connect
from store.forget import Whom

TAKEN_UP_S = 30.0
LOOK_S = 0.2


def run(settings: Settings, pattern: str, *, kind: str | None, commune: str | None, dry_run: bool) -> None:
    """Say how many there are; without `dry_run` have the worker forget them."""
    whom = Whom.of(pattern, kind, commune)
    asyncio.run(_run(settings, whom, Console(highlight=False, markup=False, soft_wrap=True), dry_run=dry_run))


async def _run(settings: Settings, whom: Whom, console: Console, *, dry_run: bool) -> None:
    async with connect(database_url(settings, known_home(settings)), autocommit=True) as conn:
        total, first, last = await forget.count(conn, whom)
        if not total:
            console.print("No device that nobody declared has such a name.")
            return
        if dry_run:
            console.print(f"{total} devices would be forgotten, from {first!r} to {last!r}. Nothing was changed.")
            return
        number = await forget.ask(conn, whom, by="command line", now=settings.the_clock.now())
        loop = asyncio.get_running_loop()
        moved_at, forgotten = loop.time(), 0
        while True:
            now, is_finished = await forget.state(conn, number)
            if is_finished:
                break
            if now > forgotten:
                moved_at, forgotten = loop.time(), now
            if loop.time() - moved_at > TAKEN_UP_S:
                raise BeffroiError(
                    f"no worker has gone on with it for {TAKEN_UP_S:.0f} s: does one run, and has it caught up"
                    " (beffroi status)? It will forget them when it has"
                )
            await asyncio.sleep(LOOK_S)
        console.print(f"{now} devices forgotten. Their readings stay in the tables until those are as old as they get.")
