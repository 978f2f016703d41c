"""`beffroi replay`: a recording, played to the hub as if it happened now."""

import asyncio
from pathlib import Path

from hub.commands.simulate import hub_clock
from hub.commands.stopping import run_until_signal
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from simulators import replay


def run(settings: Settings, file: Path, *, speed: float, keep_time: bool, page: bool) -> int:
    """Play a file once; returns how many of its lines were bad."""
    bad: list[replay.BadLine] = []

    async def work(stopping: asyncio.Event) -> None:
        url = mqtt_url(settings, Secrets.of(settings.home), "simulator")
        clock = await hub_clock(url, settings.the_clock)
        played = await replay.run(url, file, speed=speed, keep_time=keep_time, page=page, clock=clock, stop=stopping)
        bad.extend(played.bad)

    run_until_signal(work)
    return len(bad)
