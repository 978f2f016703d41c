"""`beffroi intake`: from the sources into the log."""

import signal
import threading

from devices.quota import Rate
from hub.alive import Heartbeat
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from ingest import intake
from ingest.quota import Quota
from ingest.sources import all_sources, readers


def run(settings: Settings) -> None:
    """Receive until SIGTERM or Ctrl-C."""
    secrets = Secrets.of(settings.home)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    known = all_sources(settings.sources)
    sources = [(source, source.url or mqtt_url(settings, secrets)) for source in known]
    clock = settings.the_clock
    rate = Rate.of(settings.quota_messages_per_s * clock.speed, settings.quota_bytes_per_s * clock.speed)
    quotas = {name: Quota(rate, codec.carries_many) for name, (codec, _) in readers(known).items()}
    log = intake.open_log(settings.home / "log", stopping)
    if log is not None:
        with log:
            intake.run(log, sources, clock, stopping, quotas, beat=Heartbeat(settings.home, "intake").beat)
