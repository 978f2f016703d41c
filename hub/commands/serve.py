"""`beffroi serve`: the page."""

import asyncio

from dashboard.app import serve
from hub.alive import Heartbeat
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    secrets = Secrets.of(settings.home)

    async def work() -> None:
        beating = asyncio.create_task(Heartbeat(settings.home, "serve").run())
        await serve(
            settings=settings,
            database_url=database_url(settings, secrets),
            mqtt_url=mqtt_url(settings, secrets),
            clock=settings.the_clock,
        )
        beating.cancel()

    asyncio.run(work())
