"""The supervisor, with small programs of our own: what dies is started again, what stops stops in order."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.clock import Clock
from hub.clock_memory import ClockMemory
from hub.errors import AlreadyRunning, BadSetting, BeffroiError, PortInUse
from hub.home import check_ports, only_hub_of
from hub.runtime.process import Program
from hub.settings import Settings
from hub.supervisor import Patience, Plan, run_hub

LIMIT_S = 10.0
HASTY = Patience(quick_death_s=5, quick_deaths=3, first_delay_s=0.05, longest_delay_s=0.2, look_s=0.05, hung_looks=20)

SLEEPER = """
import os, signal, sys, time
def leave(*_):
    with open("stopped", "a") as file:
        file.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
with open(f"{sys.argv[1]}.pid", "w") as file:
    file.write(str(os.getpid()))
with open(f"{sys.argv[1]}.starts", "a") as file:
    file.write("x")
while True:
    time.sleep(60)
"""
BEATING = """
import asyncio, os, sys
from pathlib import Path
from hub.alive import Heartbeat
home, name, turns = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
(home / f"{name}.pid").write_text(str(os.getpid()))
with open(home / f"{name}.starts", "a") as file:
    file.write("x")
async def work():
    beating = Heartbeat(home, name)
    while turns > 0:
        beating.beat()
        await asyncio.sleep(0.02)
    beating.beat()
    await asyncio.sleep(0.2)
    beating.beat()
    while True:
        pass
asyncio.run(work())
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("{}.starts", "a").write("x")
time.sleep(60)
"""
FAILING = "import sys; open('{}.starts', 'a').write('x'); print('the lamp is broken'); sys.exit({})"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A hub whose servers are somebody else's, so that none is started."""
    return Settings(home=tmp_path, database_url="postgresql://db", mqtt_url="mqtt://broker")


def sleeper(home: Path, name: str) -> Program:
    return Program(name, (sys.executable, "-c", SLEEPER, name), cwd=home, grace_s=5)


def failing(home: Path, name: str, code: int = 1) -> Program:
    return Program(name, (sys.executable, "-c", FAILING.format(name, code)), cwd=home)


async def run(
    settings: Settings,
    *programs: Program,
    first: tuple[Program, ...] = (),
    once: tuple[Program, ...] = (),
    stop_first: tuple[str, ...] = (),
) -> None:
    plan = Plan(first=first, once=once, kept=programs, stop_first=stop_first)
    memory = ClockMemory(settings.home / "clock.json")
    await asyncio.wait_for(run_hub(settings, plan, clock=Clock(), memory=memory, patience=HASTY), timeout=2 * LIMIT_S)


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.02)


def starts(home: Path, name: str) -> int:
    path = home / f"{name}.starts"
    return len(path.read_text()) if path.exists() else 0


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_stops_in_order_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    names = ("intake", "worker", "simulate")
    hub = asyncio.create_task(run(settings, *(sleeper(tmp_path, name) for name in names), stop_first=("simulate",)))
    await until(lambda: all(starts(tmp_path, name) for name in names))
    ask_to_stop()
    await hub
    assert (tmp_path / "stopped").read_text().split() == ["simulate", "intake", "worker"]
    assert not programs_left(tmp_path)


async def test_what_dies_is_started_again(settings: Settings, tmp_path: Path) -> None:
    hub = asyncio.create_task(run(settings, sleeper(tmp_path, "worker"), sleeper(tmp_path, "intake")))
    await until(lambda: starts(tmp_path, "worker") == 1 and starts(tmp_path, "intake") == 1)
    os.kill(int((tmp_path / "worker.pid").read_text()), signal.SIGKILL)
    await until(lambda: starts(tmp_path, "worker") == 2)
    ask_to_stop()
    await hub
    assert starts(tmp_path, "intake") == 1


def beating(home: Path, name: str, *, then_spins: bool = False) -> Program:
    """A process that gives a sign of life, for ever or until it turns in circles."""
    return Program(name, (sys.executable, "-c", BEATING, home, name, "0" if then_spins else "1"), grace_s=0.5)


async def test_what_hangs_is_killed_and_started_again(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = asyncio.create_task(run(settings, beating(tmp_path, "worker"), sleeper(tmp_path, "intake")))
    await until(lambda: starts(tmp_path, "worker") == 1 and starts(tmp_path, "intake") == 1)
    await asyncio.sleep(HASTY.hung_s)
    first = int((tmp_path / "worker.pid").read_text())
    os.kill(first, signal.SIGSTOP)
    await until(lambda: starts(tmp_path, "worker") == 2)
    with pytest.raises(ProcessLookupError):  # never two of one
        os.kill(first, 0)
    ask_to_stop()
    await hub
    assert starts(tmp_path, "intake") == 1  # gives no sign of life and is not judged
    assert "worker has hung for 1 s and was killed; starting it again" in capsys.readouterr().out


async def test_what_turns_in_circles_is_killed_too(settings: Settings, tmp_path: Path) -> None:
    hub = asyncio.create_task(run(settings, beating(tmp_path, "worker", then_spins=True)))
    await until(lambda: starts(tmp_path, "worker") >= 2)
    ask_to_stop()
    await hub


async def test_nobody_is_blamed_for_the_time_in_which_the_supervisor_did_not_look(
    settings: Settings, tmp_path: Path
) -> None:
    hub = asyncio.create_task(run(settings, beating(tmp_path, "worker")))
    await until(lambda: starts(tmp_path, "worker") == 1)
    worker = int((tmp_path / "worker.pid").read_text())
    await asyncio.sleep(0.2)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(2 * HASTY.hung_s)  # noqa: ASYNC251  # this process sleeps as a whole: so do laptops
    os.kill(worker, signal.SIGCONT)
    await asyncio.sleep(2 * HASTY.hung_s)
    ask_to_stop()
    await hub
    assert starts(tmp_path, "worker") == 1


async def test_gives_up_what_dies_again_and_again(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BeffroiError, match=r"worker cannot run, so the hub stops: the lamp is broken \(all of it in"):
        await run(settings, failing(tmp_path, "worker"), sleeper(tmp_path, "intake"))
    assert starts(tmp_path, "worker") == HASTY.quick_deaths


async def test_a_wrong_setting_is_not_tried_twice(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BeffroiError, match="the lamp is broken"):
        await run(settings, failing(tmp_path, "worker", code=2))
    assert starts(tmp_path, "worker") == 1


async def test_nothing_starts_when_the_migration_fails(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BeffroiError, match="migrate failed: the lamp is broken"):
        await run(settings, sleeper(tmp_path, "intake"), once=(failing(tmp_path, "migrate"),))
    assert starts(tmp_path, "intake") == 0


async def test_what_needs_no_migration_runs_while_it_waits(settings: Settings, tmp_path: Path) -> None:
    waits = "import pathlib, time\nwhile not pathlib.Path('database').exists(): time.sleep(0.02)"
    migrate = Program("migrate", (sys.executable, "-c", waits), cwd=tmp_path)
    hub = asyncio.create_task(
        run(settings, sleeper(tmp_path, "worker"), first=(sleeper(tmp_path, "intake"),), once=(migrate,))
    )
    await until(lambda: starts(tmp_path, "intake") == 1)
    assert starts(tmp_path, "worker") == 0
    (tmp_path / "database").touch()
    await until(lambda: starts(tmp_path, "worker") == 1)
    ask_to_stop()
    await hub
    assert (tmp_path / "stopped").read_text().split() == ["intake", "worker"]


async def test_what_does_not_stop_in_time_is_killed(settings: Settings, tmp_path: Path) -> None:
    stubborn = Program("worker", (sys.executable, "-c", STUBBORN.format("worker")), cwd=tmp_path, grace_s=0.3)
    hub = asyncio.create_task(run(settings, stubborn))
    await until(lambda: starts(tmp_path, "worker") == 1)
    ask_to_stop()
    await hub
    assert not programs_left(tmp_path)


def test_delays_double_up_to_a_limit() -> None:
    patience = Patience(first_delay_s=0.5, longest_delay_s=3)
    assert [patience.delay_s(deaths) for deaths in (1, 2, 3, 4, 5)] == [0.5, 1, 2, 3, 3]


KILLED_HUB = """
import asyncio, json, sys
from pathlib import Path
from hub.clock import Clock
from hub.clock_memory import ClockMemory
from hub.home import only_hub_of
from hub.runtime.process import Program
from hub.settings import Settings
from hub.supervisor import Plan, run_hub
home = Path(sys.argv[1])
settings = Settings(home=home, database_url="postgresql://db", mqtt_url="mqtt://broker")
plan = Plan((), (Program("worker", (sys.executable, "-c", sys.argv[2], "worker"), cwd=home),))
with only_hub_of(home, "http://here") as lock:
    memory = ClockMemory(home / "clock.json")
    asyncio.run(run_hub(settings, plan, clock=Clock(), memory=memory, keep_open=(lock,)))
"""


@pytest.fixture
def other_hub(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    hub = subprocess.Popen(
        [sys.executable, "-c", KILLED_HUB, tmp_path, SLEEPER], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield hub
    finally:
        hub.kill()
        hub.communicate()


async def test_a_second_hub_is_told_of_the_first(other_hub: subprocess.Popen[bytes], tmp_path: Path) -> None:
    await until(lambda: starts(tmp_path, "worker") == 1)
    with (
        pytest.raises(AlreadyRunning, match=rf"process {other_hub.pid}, http://here"),
        only_hub_of(tmp_path, "http://there"),
    ):
        pass


async def test_processes_die_with_a_killed_hub_and_the_home_is_free(
    other_hub: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    await until(lambda: starts(tmp_path, "worker") == 1)
    other_hub.kill()
    other_hub.wait()
    with only_hub_of(tmp_path, "http://there"):
        assert not programs_left(tmp_path)
        assert (tmp_path / "stopped").read_text().split() == ["worker"]
        assert json.loads((tmp_path / "up.lock").read_text())["pid"] == os.getpid()


def test_a_port_in_use_is_named_with_its_setting(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for name in ("http_port", "mqtt_port", "postgres_port"):
            ports = {"http_port": _free(), "mqtt_port": _free(), "postgres_port": _free(), name: port}
            taken = Settings().model_copy(update=ports)
            with pytest.raises(PortInUse, match=rf"port {port} is in use.*BEFFROI_{name.upper()}"):
                check_ports(taken)
        check_ports(settings.model_copy(update={"mqtt_port": port, "postgres_port": port, "http_port": _free()}))


def test_one_port_for_two_settings_is_refused() -> None:
    port = _free()
    with pytest.raises(PortInUse, match="BEFFROI_MQTT_PORT"):
        check_ports(Settings(http_port=port, mqtt_port=port))


def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(BadSetting, match=r"192\.0\.2\.1.*BEFFROI_HTTP_PORT"):
        check_ports(Settings(host="192.0.2.1", http_port=_free()))


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def programs_left(home: Path) -> list[int]:
    """The processes that still run in this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").readlink() == home:
                found.append(int(folder.name))
        except OSError:  # gone, or not ours to see
            continue
    return found
