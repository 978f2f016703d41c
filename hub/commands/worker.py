"""`beffroi worker`: the rules and the store."""

import asyncio
import gc
from zoneinfo import ZoneInfo

from hub.alive import Heartbeat
from hub.commands.stopping import run_until_signal
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import BrokerAddress, Settings
from ingest.city import load_city
from ingest.history import History
from ingest.live import Live
from ingest.sources import all_sources, readers
from ingest.voice import Voice, open_transitions
from ingest.worker import Worker, open_log


def run(settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C."""
    # A stretch of the log is tens of thousands of small objects without cycles: looking for some costs half the work.
    gc.set_threshold(200_000, 20, 50)

    async def work(stopping: asyncio.Event) -> None:
        secrets = Secrets.of(settings.home)
        url, clock = database_url(settings, secrets), settings.the_clock
        with await open_transitions(settings.home / "transitions") as transitions:
            database_home = settings.home if settings.database_url is None else None
            live = Live(BrokerAddress.parse(mqtt_url(settings, secrets)), clock)
            worker = Worker(
                home=settings.home,
                log=await open_log(settings.home / "log"),
                voice=Voice(transitions, clock, live),
                codecs=readers(all_sources(settings.sources)),
                database_url=url,
                clock=clock,
                city=await load_city(url, settings.home, settings.timezone),
                history=History(url, clock, ZoneInfo(settings.timezone), settings.keep, database_home),
                strangers=settings.strangers,
            )
            await worker.run(stopping)

    run_until_signal(work, Heartbeat(settings.home, "worker"))
