"""`beffroi serve`: the page."""

import uvicorn

from dashboard.app import create_app
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    secrets = Secrets.of(settings.home)
    application = create_app(
        settings=settings,
        database_url=database_url(settings, secrets),
        mqtt_url=mqtt_url(settings, secrets),
        clock=settings.the_clock,
    )
    uvicorn.run(
        application,
        host=settings.host,
        port=settings.http_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
