"""The hub's processes are killed or stopped under load; what the broker acknowledged is in the database exactly once,

and rules and incidents are as if nothing had happened.
"""

import asyncio
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hub.runtime.servers import Embedded
from ingest.log import LogReader
from simulators.packets import Publish
from tests.database import accounts_balance, fetch
from tests.lamps import CROWD, STEPS, crowd, device_file, incidents, night, rule_state
from tests.load import UNTIMED_EVERY, Load, Meters
from tests.processes import Processes, Publisher, eventually

RATE = 4_000
SECONDS = 10
KILLS = 6
MANY_KILLS, LONG_S = 20, 60
STOPPED_S = 60


@pytest.fixture
def hub(tmp_path: Path, own_database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(tmp_path, own_database_url, broker.mqtt_url) as processes:
        yield processes


async def test_kill_9_loses_nothing_and_doubles_nothing(hub: Processes, own_database_url: str, broker: Embedded):
    hub.start("intake", "worker")
    await hub.hears()
    meters = Meters()
    load = Load(broker.simulator_url, meters.message, RATE)
    publishing = asyncio.create_task(load.run(SECONDS))
    await kill(hub, KILLS, SECONDS, (["intake"], ["worker"], ["intake", "worker"]), random.Random(meters.run))
    await publishing
    assert len(load.acknowledged) == RATE * SECONDS
    await meters.exactly_once(own_database_url, load.acknowledged)
    (row,) = await fetch(own_database_url, "SELECT count(*) FILTER (WHERE time_flagged) AS flagged FROM water_meter")
    assert row["flagged"] == RATE * SECONDS // UNTIMED_EVERY
    await accounts_balance(own_database_url, hub.home)
    await hub.lives()


async def kill(
    hub: Processes, kills: int, seconds: float, victims: Sequence[list[str]], chance: random.Random
) -> Counter[str]:
    """Kill some of the processes at random times, all within so many seconds; how often each was killed."""
    killed: Counter[str] = Counter()
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.1, 1.9) * 0.95 * seconds / kills)
        for victim in chance.choice(victims):
            hub.kill(victim)
            hub.start(victim)
            killed[victim] += 1
    return killed


@pytest.mark.soak
async def test_twenty_kills_leave_rows_rules_and_incidents_as_none_would(
    hub: Processes, own_database_url: str, broker: Embedded, capsys: pytest.CaptureFixture[str]
):
    file = device_file(hub.home / "lamps.csv", [*crowd("calm-"), *crowd("killed-")])
    assert (await hub.command("devices", "import", str(file))).returncode == 0
    hub.start("intake", "worker", "telealert")
    await hub.hears()
    await live_through(broker, night("calm-"), pause_s=0.5)
    await everything_is_decided(hub, own_database_url)
    meters = Meters()
    load = Load(broker.simulator_url, meters.message, RATE)
    publishing = asyncio.create_task(load.run(LONG_S))
    lamps = asyncio.create_task(live_through(broker, night("killed-"), pause_s=0.9 * LONG_S / len(night("killed-"))))
    victims = (["intake"], ["worker"], ["intake", "worker"], ["telealert"], ["worker", "telealert"])
    killed = await kill(hub, MANY_KILLS, LONG_S, victims, random.Random(meters.run))
    await lamps
    await publishing
    await meters.exactly_once(own_database_url, load.acknowledged)
    await everything_is_decided(hub, own_database_url)
    calm, disturbed = [await incidents(own_database_url, prefix) for prefix in ("calm-", "killed-")]
    assert len(calm) > CROWD / 2 and disturbed == calm
    await accounts_balance(own_database_url, hub.home)
    await hub.lives()
    hub.stop()
    states = [await rule_state(own_database_url, hub.home, prefix) for prefix in ("calm-", "killed-")]
    assert states[0] == states[1]
    with capsys.disabled():
        told = ", ".join(f"{name} {times}" for name, times in sorted(killed.items()))
        sys.stdout.write(
            f"\n{len(load.acknowledged)} messages at {RATE}/s and {len(calm)} incidents through {MANY_KILLS} kills"
            f" ({told}): none lost, none twice\n"
        )


async def live_through(broker: Embedded, messages: Sequence[Publish], *, pause_s: float) -> None:
    """Tell a night, step by step."""
    publisher = Publisher(broker.simulator_url)
    for message in messages:
        publisher.publish(message.topic, message.payload)
        await asyncio.sleep(pause_s)
    await asyncio.to_thread(publisher.close)


async def everything_is_decided(hub: Processes, own_database_url: str) -> None:
    """Wait until store and tele-alert have read all that there is, and the rules have told all of it."""
    log, transitions = LogReader(hub.home / "log"), LogReader(hub.home / "transitions")

    async def left() -> list[int]:
        rows = await fetch(own_database_url, "SELECT name, next_offset FROM reader ORDER BY name")
        heads = {"store": log.next_offset, "telealert": transitions.next_offset}
        return [heads[str(row["name"])] - int(str(row["next_offset"])) for row in rows]

    quiet = 0
    while quiet < 10:  # the rules tell within a tenth of a second of what the log holds
        quiet = quiet + 1 if await left() == [0, 0] else 0
        await asyncio.sleep(0.1)
    log.close()
    transitions.close()


@pytest.mark.soak
async def test_a_worker_that_was_stopped_for_a_minute_and_replaced_writes_nothing_when_it_goes_on(
    hub: Processes, tmp_path_factory: pytest.TempPathFactory, own_database_url: str, broker: Embedded
):
    await replaced(hub, tmp_path_factory.mktemp("standby"), own_database_url, broker, stopped_s=STOPPED_S)


async def replaced(
    hub: Processes, standby_home: Path, own_database_url: str, broker: Embedded, *, stopped_s: float
) -> None:
    """Worker and tele-alert are stopped under load; others go on with copies of their files; then the first resume."""
    file = device_file(hub.home / "lamps.csv", crowd("replaced-"))
    assert (await hub.command("devices", "import", str(file))).returncode == 0
    hub.start("intake", "worker", "telealert")
    await hub.hears()
    meters = Meters()
    load = Load(broker.simulator_url, meters.message, RATE)
    publishing = asyncio.create_task(load.run(10 * stopped_s + 60))
    lamps = asyncio.create_task(live_through(broker, night("replaced-"), pause_s=max(1.0, stopped_s / STEPS)))
    await eventually(lambda: meters.stored(own_database_url), bool)
    stopped = {name: hub.running.pop(name) for name in ("worker", "telealert")}
    try:
        for process in stopped.values():
            process.send_signal(signal.SIGSTOP)
        places = await offsets(own_database_url)
        with stand_in(hub, standby_home) as standby:
            await eventually(  # at worst once the server has ended the session of a store that was stopped amid a write
                lambda: offsets(own_database_url),
                lambda now: all(now[name] > places[name] for name in places),
                timeout_s=90,
            )
            await asyncio.sleep(stopped_s)
            for process in stopped.values():
                process.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(stopped["worker"].wait, 60) == 1
            last = (hub.home / "worker.log").read_text().splitlines()[-1]
            assert last.startswith("beffroi: store is no longer at ") and last.endswith("this one stops")
            await lamps
            load.end()
            await publishing
            await meters.exactly_once(own_database_url, load.acknowledged)
            await everything_is_decided(standby, own_database_url)
    finally:
        for process in stopped.values():
            process.kill()
            process.wait()
    await accounts_balance(own_database_url, standby_home)  # the transitions that were read are there
    found = await incidents(own_database_url, "replaced-")
    assert len(found) == len({(lamp, code, opened) for lamp, code, _, _, opened, _ in found}) > CROWD / 2


async def offsets(database_url: str) -> dict[str, int]:
    """How far the readers are."""
    rows = await fetch(database_url, "SELECT name, next_offset FROM reader")
    return {str(row["name"]): int(str(row["next_offset"])) for row in rows}


def stand_in(hub: Processes, home: Path) -> Processes:
    """Worker and tele-alert on another home: copies of the rules' files, and the same log."""
    for name in ("rules.npz", "secrets.json", "transitions.mark"):
        shutil.copy(hub.home / name, home / name)
    shutil.copytree(hub.home / "transitions", home / "transitions")
    (home / "log").symlink_to(hub.home / "log")
    standby = Processes(home, hub.database_url, hub.mqtt_url)
    standby.start("worker", "telealert")
    return standby
