"""A program that runs under the hub: started without root's rights, logged to its own file, stopped in time.

It dies with the process that started it, however that one ends (the kernel's parent-death signal).
"""

import asyncio
import os
import pwd
import resource
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

LOG_LIMIT_BYTES = 20 * 1024 * 1024
"""A log larger than this becomes NAME.log.1, in place of the one before it."""
SERVER_ACCOUNT = "nobody"
"""Who runs PostgreSQL (which refuses root) and the broker when the hub runs as root."""
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to end it."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] | None = None
    """Its whole environment; the hub's own when absent."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    """How long it may take to stop before it is killed."""
    is_server: bool = False
    """Run as an ordinary account when the hub runs as root."""
    cwd: Path | None = None
    open_files: int | None = None
    """How many files and connections it may have open, as far as the machine allows; as many as the hub when absent."""


@dataclass(slots=True)
class Process:
    """A program that was started, until it is stopped."""

    program: Program
    log: Path
    _process: asyncio.subprocess.Process
    started_at_s: float = field(default_factory=time.monotonic)

    @classmethod
    async def start(cls, program: Program, log: Path, *, keep_open: Sequence[int] = ()) -> Self:
        """Start it with its output appended to `log`; it inherits the descriptors of `keep_open`.

        Call it from the main thread: the parent-death signal follows the thread that started it.
        """
        with _output(log) as output:
            process = await asyncio.create_subprocess_exec(
                *command(program),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if program.env is None else dict(program.env),
                cwd=program.cwd,
                pass_fds=keep_open,
                start_new_session=True,  # a Ctrl-C reaches the hub alone, which stops them in order
            )
        return cls(program, log, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the number of the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to stop, wait for its grace period, then kill it; no error when it is gone already."""
        if self.exit_code is not None:
            return
        self._process.send_signal(self.program.stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), self.program.grace_s)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The last line of words in its log, for messages to a person."""
        lines = [line.strip(" \t│╭╮╰╯─") for line in read_tail(self.log).splitlines()]
        return next((line[-300:] for line in reversed(lines) if line), "it said nothing")


def command(program: Program) -> list[str]:
    """The command line with what makes it die with its parent and, for a server under root, drops root."""
    dies = f"--pdeathsig={program.stop_signal.name.removeprefix('SIG')}"
    drops = drop_root() if program.is_server else []
    return [*_open_files(program), "setpriv", dies, *drops, "--", *map(str, program.argv)]


def _open_files(program: Program) -> list[str]:
    """Its own limit for a program that names one: the usual 1,024 are for programs that wait with select(2)."""
    if program.open_files is None:
        return []
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = program.open_files if most == resource.RLIM_INFINITY else min(program.open_files, most)
    return ["prlimit", f"--nofile={limit}:", "--"]


def drop_root() -> list[str]:
    """Options of setpriv that make a server an ordinary account; none when we are ordinary already.

    The checkout may lie in a folder that only root can open (/root). So that the server can still reach
    its programs and files it keeps one right of root: to pass and read (where root has it), else to pass,
    read and write.
    """
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(SERVER_ACCOUNT)
    rights = _effective_rights()
    names = {CAP_DAC_READ_SEARCH: "+dac_read_search", CAP_DAC_OVERRIDE: "+dac_override"}
    kept = next((name for bit, name in names.items() if rights >> bit & 1), None)
    # PostgreSQL asks access(2) for its programs, which forgets the right unless it is told not to.
    keep = ["--securebits=+no_setuid_fixup", f"--inh-caps=-all,{kept}", f"--ambient-caps=-all,{kept}"] if kept else []
    return [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", *keep]


def server_uid() -> int:
    """The number of the account that runs the servers."""
    return pwd.getpwnam(SERVER_ACCOUNT).pw_uid if os.geteuid() == 0 else os.geteuid()


def give_to_servers(path: Path) -> Path:
    """Make a file or folder belong to the account that runs the servers."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(SERVER_ACCOUNT)
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


def _output(log: Path) -> BinaryIO:
    """Where a program's words go: its log, or nowhere while the disk refuses."""
    rotate(log)
    try:
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def rotate(log: Path) -> None:
    """Keep one older log; safe while its program writes, because logs are only ever appended to.

    On a disk that has no room for the older one it is let go; on one that refuses everything nothing is done.
    """
    with suppress(OSError):
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            older = log.with_name(f"{log.name}.1")
            try:
                shutil.copyfile(log, older)
            except OSError:
                older.unlink(missing_ok=True)
            os.truncate(log, 0)


def read_tail(log: Path, size_bytes: int = 4096) -> str:
    """The end of a log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size_bytes))
        return file.read().decode(errors="replace")


def _effective_rights() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
