"""`beffroi telealert`: from transitions to incidents and notifications."""

import asyncio

from alerts.alarms import Alarms
from alerts.broker import Broker
from alerts.main import run as run_telealert
from alerts.watch import Watch
from dashboard.health_words import sentence
from dashboard.words import load_words
from hub.alive import Heartbeat
from hub.commands.stopping import run_until_signal
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import BrokerAddress, Settings
from ingest.worker import open_log


def run(settings: Settings) -> None:
    """Follow the transitions until SIGTERM or Ctrl-C."""

    async def work(stopping: asyncio.Event) -> None:
        secrets = Secrets.of(settings.home)
        clock, broker = settings.the_clock, Broker(BrokerAddress.parse(mqtt_url(settings, secrets)))
        words = load_words(settings.timezone, {})[settings.language]
        await run_telealert(
            transitions=await open_log(settings.home / "transitions"),
            database_url=database_url(settings, secrets),
            settings=settings,
            clock=clock,
            stop=stopping,
            watch=Watch(settings.home, clock, broker, Alarms(lambda fault: sentence(fault, words))),
        )

    run_until_signal(work, Heartbeat(settings.home, "telealert"))
