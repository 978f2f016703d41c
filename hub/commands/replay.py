"""`beffroi replay`: a recording, played to the hub as if it happened now."""

import asyncio
from pathlib import Path

from rich.console import Console

from devices.quota import Rate
from hub.commands.clock import hub_clock
from hub.commands.stopping import run_until_signal
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from simulators import replay


def run(settings: Settings, file: Path, *, speed: float, keep_time: bool, page: bool) -> int:
    """Play a file once; returns the exit code: 1 when not all of it was played."""
    replay.checked(file, speed)  # before the broker is asked for anything
    played: list[replay.Replayed] = []

    async def work(stopping: asyncio.Event) -> None:
        url = mqtt_url(settings, Secrets.of(settings.home), "simulator")
        clock = await hub_clock(url, settings.the_clock)
        rate = Rate.of(settings.quota_messages_per_s, settings.quota_bytes_per_s)
        done = await replay.run(
            url, file, speed=speed, keep_time=keep_time, page=page, rate=rate, clock=clock, stop=stopping
        )
        played.append(done)

    run_until_signal(work)
    if not played:
        return 1
    (done,) = played
    Console(highlight=False).print(f"{done.published} messages played, {done.bad} bad lines, {done.refused} refused")
    return 0 if done.is_good else 1
