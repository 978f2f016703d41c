"""`beffroi intake`: from the sources into the log."""

import signal
import threading

from hub.alive import Heartbeat
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from ingest import intake
from ingest.sources import all_sources


def run(settings: Settings) -> None:
    """Receive until SIGTERM or Ctrl-C."""
    secrets = Secrets.of(settings.home)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    sources = [(source, source.url or mqtt_url(settings, secrets)) for source in all_sources(settings.sources)]
    log = intake.open_log(settings.home / "log", stopping)
    if log is not None:
        with log:
            intake.run(log, sources, settings.the_clock, stopping, beat=Heartbeat(settings.home, "intake").beat)
