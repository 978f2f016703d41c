"""`beffroi record`: what passes on the broker, written to a file that `beffroi replay` plays again."""

import asyncio
import re
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.status import Status

from hub.commands.clock import hub_clock
from hub.errors import BadSetting
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from ingest.sources import all_sources
from simulators.recorder import Recorder, Tally, check_filters

UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)")


def run(settings: Settings, file: Path, *, topics: Sequence[str], duration: str | None, force: bool) -> int:
    """Record until Ctrl-C, SIGTERM or the end of the duration; returns the exit code: 1 when there is a gap."""
    check_filters(topics)
    limit_s = None if duration is None else seconds(duration)
    url = mqtt_url(settings, Secrets.of(settings.home))
    clock = asyncio.run(hub_clock(url, settings.the_clock))
    heard = topics or [topic for source in all_sources(settings.sources) if not source.url for topic in source.topics]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    console = Console(stderr=True)
    with console.status("Connecting") as status:
        screen = _Screen(console, status, file, limit_s, stop)
        recorder = Recorder(url, heard, clock, stop, show=screen.show)
        if limit_s is not None:
            timer = threading.Timer(limit_s, stop.set)
            timer.daemon = True
            timer.start()
        tally = recorder.run(file, force=force)
    Console(highlight=False, soft_wrap=True).print(f"{file}: {_words(tally)}", markup=False)
    return min(tally.gaps, 1)


def seconds(text: str, option: str = "--for") -> float:
    """A duration such as 20s, 5min, 1.5h or 2d; BadSetting when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise BadSetting(f"{option} {text!r} is no duration; give one such as 20s, 5min, 1.5h or 2d")
    return float(match[1]) * UNITS_S[match[2]]


class _Screen:
    """Progress on a terminal, and what a person must know anywhere."""

    def __init__(
        self, console: Console, status: Status, file: Path, limit_s: float | None, stop: threading.Event
    ) -> None:
        self._console, self._status, self._file, self._limit_s, self._stop = console, status, file, limit_s, stop
        self._began_s = self._since_s = time.monotonic()
        self._before = self._gaps = 0
        self._rate = 0.0
        self._away: str | None = None

    def show(self, tally: Tally) -> None:
        if tally.away and tally.away != self._away:
            self._say(f"the broker is away, trying again: {tally.away}")
        if tally.gaps > self._gaps:
            self._say("the broker is back; the record has a gap")
        self._away, self._gaps = tally.away, tally.gaps
        now_s = time.monotonic()
        if (passed_s := now_s - self._since_s) >= 1:
            self._rate = (tally.messages - self._before) / passed_s
            self._since_s, self._before = now_s, tally.messages
        gone = f"{now_s - self._began_s:.0f} s" + (f" of {self._limit_s:g} s" if self._limit_s else "")
        how = "ending" if self._stop.is_set() else "Ctrl-C ends it"
        self._status.update(f"{self._file}: {gone}, {_words(tally)}, {self._rate:,.0f}/s ({how})")

    def _say(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _words(tally: Tally) -> str:
    gaps = f", {tally.gaps} gaps" if tally.gaps else ""
    return f"{tally.messages:,} messages, {decimal(tally.size_bytes)}{gaps}"
