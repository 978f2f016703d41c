"""`beffroi telealert`: from transitions to incidents and notifications."""

import asyncio

from alerts.main import run as run_telealert
from hub.alive import Heartbeat
from hub.commands.stopping import run_until_signal
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from ingest.worker import open_log


def run(settings: Settings) -> None:
    """Follow the transitions until SIGTERM or Ctrl-C."""

    async def work(stopping: asyncio.Event) -> None:
        await run_telealert(
            transitions=await open_log(settings.home / "transitions"),
            database_url=database_url(settings, Secrets.of(settings.home)),
            settings=settings,
            clock=settings.the_clock,
            stop=stopping,
        )

    run_until_signal(work, Heartbeat(settings.home, "telealert"))
