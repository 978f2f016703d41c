"""The supervisor: starts the servers and the hub's processes, keeps them running, stops them in order."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog
from rich.markup import escape

from hub.alive import Watch, alive_file
from hub.clock import Clock
from hub.clock_memory import LEASE_S, ClockMemory
from hub.errors import BadSetting, BeffroiError
from hub.runtime.process import Process, Program, rotate
from hub.runtime.progress import console, step
from hub.runtime.servers import logs, start_mosquitto, start_postgres
from hub.secrets import Secrets
from hub.settings import Settings
from store.room import disks

T = TypeVar("T")
logger = structlog.get_logger("hub")

WRONG_SETTING = 2
"""Exit code of a process that cannot run as it is set: starting it again would not help."""
SERVERS = ("mosquitto", "postgres")
"""In the order in which they stop, after everything else."""
ONCE_S = 5.0
"""After so long it is said what a program that runs once is waiting for."""
INSIST_S = 1.0
"""A second Ctrl-C this much later kills; nearer ones are the same one, passed on by a shell or make."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How a process that dies is started again."""

    quick_death_s: float = 30.0
    """A life shorter than this is a quick death."""
    quick_deaths: int = 6
    """So many quick deaths in a row, and the hub gives up."""
    first_delay_s: float = 0.5
    longest_delay_s: float = 15.0
    look_s: float = 1.0
    """How often to look for its sign of life."""
    hung_looks: int = 30
    """In vain so many times in a row, and it is killed."""

    @property
    def hung_s(self) -> float:
        """For how long a process that is killed has hung."""
        return self.look_s * self.hung_looks

    def delay_s(self, deaths: int) -> float:
        """The wait before another start, after so many quick deaths in a row: doubled each time."""
        return float(min(self.first_delay_s * 2 ** max(0, deaths - 1), self.longest_delay_s))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a hub runs beside its servers, as command lines; they start in this order."""

    once: tuple[Program, ...]
    """Run to their end before those of `kept` start."""
    kept: tuple[Program, ...]
    """Kept running; started and stopped in this order, but for those of `stop_first`."""
    first: tuple[Program, ...] = ()
    """Kept running too, and started before all others: they need nothing of what runs once."""
    stop_first: tuple[str, ...] = ()
    ready: Callable[[], Awaitable[str]] | None = None
    """Awaited once all run; returns when the hub can be used, with what to tell the person who started it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is kept running: a server or one of the hub's processes."""

    name: str
    start: Callable[[], Awaitable[Process]]
    alive: Path | None = None
    """Its sign of life, if it gives one."""


@dataclass(frozen=True, slots=True)
class End:
    """How a part ended, or failed to start."""

    lived_s: float
    reason: str
    """In a few words, for the line that says that it is started again."""
    last_words: str
    is_hopeless: bool = False


@dataclass(slots=True)
class Supervisor:
    """The running parts of one hub."""

    patience: Patience = field(default_factory=Patience)
    home: Path = Path()
    """Whose disks excuse a part that dies: while one is full or read-only nothing is given up."""
    running: dict[str, Process] = field(default_factory=dict)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, part: Part) -> None:
        """Start a part for the first time, and keep it running from then on."""
        self.running[part.name] = await part.start()
        self._keepers.append(asyncio.create_task(self._keep(part), name=f"keep {part.name}"))

    async def watch(self) -> None:
        """Return never; raises BeffroiError when a part is given up."""
        if not self._keepers:
            await asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_EXCEPTION)
        for keeper in done:
            keeper.result()

    async def stop(self, first: Sequence[str] = (), last: Sequence[str] = ()) -> None:
        """Stop every part, one after the other: those named first, the others as they were started."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        others = [name for name in self.running if name not in (*first, *last)]
        for name in (*first, *others, *last):
            if process := self.running.get(name):
                await process.stop()

    def kill(self) -> None:
        """Do not wait any longer for parts that are stopping."""
        for process in self.running.values():
            if process.exit_code is None:
                os.kill(process.pid, signal.SIGKILL)

    async def _keep(self, part: Part) -> None:
        deaths = 0
        end = await self._end_of(part)
        while True:
            deaths = deaths + 1 if end.lived_s < self.patience.quick_death_s else 1
            if not all(disk.is_usable for disk in disks(self.home, probe=True)):
                deaths = min(deaths, self.patience.quick_deaths - 1)
            if end.is_hopeless or deaths >= self.patience.quick_deaths:
                kind = BadSetting if end.is_hopeless else BeffroiError
                raise kind(f"{part.name} cannot run, so the hub stops: {end.last_words}")
            delay_s = self.patience.delay_s(deaths)
            with suppress(OSError):  # said to a file on a full disk
                logger.warning(f"{part.name} {end.reason}; starting it again", after_s=delay_s)
            await asyncio.sleep(delay_s)
            try:
                self.running[part.name] = await part.start()
                end = await self._end_of(part)
            except (BeffroiError, OSError) as error:
                end = End(0.0, "did not start", str(error))

    async def _end_of(self, part: Part) -> End:
        """Wait until a part ends, or hangs and is killed."""
        process = self.running[part.name]
        hanging = asyncio.create_task(self._kill_when_it_hangs(process, part.alive))
        try:
            code = await process.wait()
        finally:
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
        was_hung = not hanging.cancelled()
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return End(
            lived_s=time.monotonic() - process.started_at_s,
            reason=f"has hung for {self.patience.hung_s:g} s and was killed" if was_hung else reason,
            last_words=f"{process.last_words()} (all of it in {process.log})",
            is_hopeless=code == WRONG_SETTING,
        )

    async def _kill_when_it_hangs(self, process: Process, alive: Path | None) -> None:
        """Return once it was killed; a process that gives no sign of life is left alone."""
        if alive is None:
            await asyncio.get_running_loop().create_future()
            return
        watch = Watch(alive)
        while watch.look() < self.patience.hung_looks:  # noqa: ASYNC110  # it is another process that is looked at
            await asyncio.sleep(self.patience.look_s)
        os.kill(process.pid, signal.SIGKILL)


async def run_hub(
    settings: Settings,
    plan: Plan,
    *,
    clock: Clock,
    memory: ClockMemory,
    keep_open: tuple[int, ...] = (),
    patience: Patience | None = None,
) -> None:
    """Run the plan and the servers that the settings do not name, until a signal or until a part is given up.

    Everything is stopped when it returns or raises. The processes inherit the descriptors of `keep_open`.
    """
    supervisor = Supervisor(patience or Patience(), settings.home)
    work = asyncio.create_task(_work(supervisor, settings, plan, clock=clock, memory=memory, keep_open=keep_open))
    asked_at_s: list[float] = []

    def on_signal() -> None:
        now_s = time.monotonic()
        if not asked_at_s:
            asked_at_s.append(now_s)
            work.cancel()
        elif now_s > asked_at_s[0] + INSIST_S:
            supervisor.kill()

    loop = asyncio.get_running_loop()
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signals.append(signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        await work
    except asyncio.CancelledError:
        if not asked_at_s:
            raise
    finally:
        with step("Stopping"):
            await supervisor.stop(first=plan.stop_first, last=SERVERS)
        if any(program.name in supervisor.running for program in (*plan.first, *plan.kept)):  # else no time has passed
            with suppress(OSError):  # the lease stands: time then jumps forward a little
                memory.close(clock, time.time_ns() // 1000)
        for number in signals:
            loop.remove_signal_handler(number)


async def _work(
    supervisor: Supervisor,
    settings: Settings,
    plan: Plan,
    *,
    clock: Clock,
    memory: ClockMemory,
    keep_open: tuple[int, ...],
) -> None:
    folder = logs(settings.home)
    for part in _servers(settings, keep_open):
        with step(f"Starting {part.name}"):
            await supervisor.start(part)
    memory.renew(clock, time.time_ns() // 1000)
    housekeeping = asyncio.create_task(_housekeeping(supervisor, clock, memory))
    try:
        for program in plan.first:
            with step(f"Starting {program.name}"):
                await supervisor.start(_part(program, settings.home, keep_open))
        for program in plan.once:
            with step(f"Running {program.name}"):
                await _while_all_run(supervisor, _run_once(program, folder, keep_open))
        with step("Starting the hub"):
            for program in plan.kept:
                await supervisor.start(_part(program, settings.home, keep_open))
            welcome = await _while_all_run(supervisor, plan.ready()) if plan.ready else ""
        console.print(welcome, markup=False)
        await _while_all_run(supervisor, housekeeping)
    finally:
        housekeeping.cancel()


async def _while_all_run(supervisor: Supervisor, work: Awaitable[T]) -> T:
    """Await the work, but raise at once when a part is given up."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(supervisor.watch())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            watch.result()
        return await task
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _housekeeping(supervisor: Supervisor, clock: Clock, memory: ClockMemory) -> None:
    while True:
        with suppress(OSError):  # at its next turn; the lease is twice as long
            memory.renew(clock, time.time_ns() // 1000)
        for process in supervisor.running.values():
            rotate(process.log)
        await asyncio.sleep(LEASE_S)


async def _run_once(program: Program, folder: Path, keep_open: tuple[int, ...]) -> None:
    process = await Process.start(program, folder / f"{program.name}.log", keep_open=keep_open)
    ends = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({ends}, timeout=ONCE_S)
        if not ends.done():
            console.print(f"[yellow]{program.name} is not done yet: {escape(process.last_words())}[/]")
        await ends
    finally:
        ends.cancel()
        await process.stop()
    if process.exit_code:
        raise BeffroiError(f"{program.name} failed: {process.last_words()} (all of it in {process.log})")


def _servers(settings: Settings, keep_open: tuple[int, ...]) -> list[Part]:
    secrets = Secrets.of(settings.home.resolve())
    parts = []
    if settings.database_url is None:
        parts.append(Part("postgres", lambda: start_postgres(settings, secrets, keep_open=keep_open)))
    if settings.mqtt_url is None:
        parts.append(Part("mosquitto", lambda: start_mosquitto(settings, secrets, keep_open=keep_open)))
    return parts


def _part(program: Program, home: Path, keep_open: tuple[int, ...]) -> Part:
    log = logs(home) / f"{program.name}.log"
    return Part(
        program.name, lambda: Process.start(program, log, keep_open=keep_open), alive_file(home.resolve(), program.name)
    )
