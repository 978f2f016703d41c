"""`beffroi up`: a whole hub on this machine, from nothing to the address of its page."""

import asyncio
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from dashboard.base_map import load_base_map
from hub.clock import SECOND_US, Clock, to_datetime
from hub.clock_memory import ClockMemory, starting_clock
from hub.errors import BadSetting
from hub.home import check_ports, only_hub_of
from hub.runtime import programs
from hub.runtime.process import Program
from hub.runtime.progress import console
from hub.secrets import Secrets, private_folder
from hub.settings import Settings
from hub.supervisor import Plan, run_hub
from simulators import moments
from simulators.faults import DEMO_FAULTS
from simulators.scenario import read_scenario

PAGE_LIMIT_S = 60.0
AUDIT_EVERY = "15min"
ROOT = Path(__file__).parents[1]
DEMONSTRATION = (
    "--register",
    "--no-ask-clock",
    *(f"--recording={ROOT / 'tests/data' / name}" for name in ("hsl-hfp.dump", "wmbusmeters.jsonl")),
)
"""What a newcomer sees: the city, a real bus, real meters, and a few faults one after the other or a scenario."""


def up(
    settings: Settings,
    *,
    simulate: bool = True,
    speed: float = 1.0,
    scenario: str | None = None,
    start: str | None = None,
) -> None:
    """Run a whole hub until it is told to stop (Ctrl-C, SIGTERM); everything is stopped when it returns.

    `start` is where hub time starts; without it a scenario may say so.
    """
    start = start or (read_scenario(scenario).start if scenario else None)
    home = private_folder(settings.home.resolve())
    with only_hub_of(home, page_address(settings)) as lock:
        check_ports(settings)
        load_base_map(settings)  # what is wrong with it is told before anything starts
        memory = ClockMemory(home / "clock.json")
        remembered_us = memory.read_us()
        first_us = first_hub_time(settings, start, max(time.time_ns() // 1000, remembered_us or 0))
        for server in programs.needed(settings):
            console.print(server.told, markup=False)
        clock = choose_clock(settings, first_us or remembered_us, speed, real_us=time.time_ns() // 1000)
        plan = hub_plan(settings, clock, simulate=simulate, scenario=scenario)
        asyncio.run(run_hub(settings, plan, clock=clock, memory=memory, keep_open=(lock,)))


def first_hub_time(settings: Settings, start: str | None, now_us: int) -> int | None:
    """Where hub time is to start, as `start` tells in local time; BadSetting when that is past."""
    if start is None or start == "now":
        return None
    try:
        first_us = moments.start_us(start, now_us, ZoneInfo(settings.timezone))
    except ValueError as error:
        raise BadSetting(f"--start {error}") from error
    if first_us < now_us:
        raise BadSetting(
            f"--start {start}: this home's time is {to_datetime(now_us):%Y-%m-%d %H:%M} UTC already, and it never "
            "goes back; name a later time"
        )
    return first_us


def hub_plan(settings: Settings, clock: Clock, *, simulate: bool, scenario: str | None = None) -> Plan:
    """The hub's own processes; each is a command of `beffroi`."""
    env = {**os.environ, **environment(settings, clock)}

    def command(name: str, *arguments: str) -> Program:
        return Program(name, (sys.executable, "-m", "hub.cli", name, *arguments), env)

    faults = ("--scenario", scenario) if scenario else tuple(f"--fault={fault}" for fault in DEMO_FAULTS)
    kept = [command("worker"), command("telealert"), command("audit", "--every", AUDIT_EVERY)]
    return Plan(
        first=(command("intake"), command("serve")),  # a database that is away stops neither
        once=(command("migrate"),),
        kept=(*kept, command("simulate", *DEMONSTRATION, *faults)) if simulate else tuple(kept),
        stop_first=("simulate",),
        ready=lambda: _welcome_when_ready(settings),
    )


def page_address(settings: Settings) -> str:
    """Where the page is, seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.http_port}" if ":" in host else f"http://{host}:{settings.http_port}"


def environment(settings: Settings, clock: Clock) -> dict[str, str]:
    """The settings as the hub's processes read them from their environment; the clock is one for all."""
    told = settings.model_dump(mode="json", include=settings.model_fields_set - {"clock"}, exclude_none=True)
    told |= {"home": str(settings.home.resolve()), "runtime": str(settings.runtime_dir.resolve())}
    told |= {} if clock.is_real else {"clock": str(clock)}
    told |= {"notify_urls": ",".join(settings.notify_urls)} if settings.notify_urls else {}
    return {
        f"BEFFROI_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in told.items()
    }


def choose_clock(settings: Settings, remembered_us: int | None, speed: float, *, real_us: int) -> Clock:
    """The clock of a run that begins now; says so when it does not tell real time."""
    try:
        # Parsed also when it is ours: that is where the limits of a clock are checked.
        clock = Clock.parse(settings.clock or str(starting_clock(real_us, remembered_us, speed)))
    except ValueError as error:
        wish = f"clock {settings.clock!r}" if settings.clock else f"speed {speed:g}"
        raise BadSetting(f"{wish} cannot be used: {error}") from error
    ahead = timedelta(seconds=(clock.at_us(real_us) - real_us) // SECOND_US)
    if ahead:
        console.print(
            f"Hub time goes on from {to_datetime(clock.at_us(real_us)):%Y-%m-%d %H:%M} UTC, {ahead} ahead of "
            "real time: this home was started there or ran at a higher speed, and its time never goes back."
        )
    return clock


async def _welcome_when_ready(settings: Settings) -> str:
    address = page_address(settings)
    logs = settings.home.resolve() / "logs"
    if not await _page_answers(settings):
        return f"{address} does not answer after {PAGE_LIMIT_S:g} s; {_short(logs / 'serve.log')} says why"
    secrets = Secrets.of(settings.home.resolve())
    return (
        f"\nBeffroi watches over the city: {address}\n"
        f"  name      operator\n  password  {secrets.operator}\n"
        f"  logs      {_short(logs)}\nStop it with Ctrl-C.\n"
    )


async def _page_answers(settings: Settings) -> bool:
    """Wait for the page's login to answer 200."""
    host = page_address(settings).removeprefix("http://").rsplit(":", 1)[0]
    request = f"GET /login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    deadline_s = time.monotonic() + PAGE_LIMIT_S
    while time.monotonic() < deadline_s:
        try:
            reader, writer = await asyncio.open_connection(host.strip("[]"), settings.http_port)
            writer.write(request)
            status = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            if status.split()[1:2] == [b"200"]:
                return True
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(0.1)
    return False


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
