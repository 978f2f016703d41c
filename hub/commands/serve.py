"""`beffroi serve`: the page."""

import asyncio

from dashboard.app import serve
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    secrets = Secrets.of(settings.home)
    asyncio.run(
        serve(
            settings=settings,
            database_url=database_url(settings, secrets),
            mqtt_url=mqtt_url(settings, secrets),
            clock=settings.the_clock,
        )
    )
