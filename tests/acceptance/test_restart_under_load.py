"""The whole hub is stopped and killed under load and started again; what the broker acknowledged is stored once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ingest.log import LogReader
from tests.database import accounts_balance, everything_is_read
from tests.load import Load, Meters
from tests.processes import eventually
from tests.whole_hub import WholeHub

RATE = 1_000
UNDER_LOAD_S = 4
WINDOW_S = 3.0
"""What the broker acknowledged so shortly before it was killed may be lost with it; see docs/reliability.md."""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[WholeHub]:
    whole = WholeHub.of(tmp_path)
    await whole.start()
    yield whole
    if whole.process is not None:
        await whole.interrupt()


@pytest.mark.soak
async def test_a_hub_that_is_stopped_or_killed_whole_goes_on_where_it_was(
    hub: WholeHub, measured: Callable[[str], None]
):
    meters = Meters()
    load = Load(hub.simulator_url, meters.message, RATE)
    publishing = asyncio.create_task(load.run(3600))
    starts_s = []
    for end in (hub.interrupt, hub.kill_supervisor):
        await asyncio.sleep(UNDER_LOAD_S)
        await end()
        starts_s.append(await hub.start())
    await asyncio.sleep(UNDER_LOAD_S)
    killed_at_s = await hub.kill_everything()
    starts_s.append(await hub.start())
    await asyncio.sleep(UNDER_LOAD_S)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    await load.run(0)  # what is under way is sent again and acknowledged
    log = LogReader(hub.home / "log")
    await asyncio.sleep(2)
    await eventually(lambda: everything_is_read(hub.database_url, log.log_id, log.next_offset), bool, 60)

    stored = await meters.stored(hub.database_url)
    told = zip(load.acknowledged, load.outbox.acknowledged_at_s, strict=True)
    lost_s = [killed_at_s - at_s for message, at_s in told if not meters.is_in(message, stored)]
    twice = stored - meters.wanted(load.acknowledged)
    untimed = [message for message in load.outbox.sent_again if b"ts" not in message.payload]
    measured(
        f"stopped, its supervisor killed, all of it killed at {RATE} messages/s: ready again after"
        f" {', '.join(f'{s:.0f} s' for s in starts_s)}; {len(lost_s)} of {len(load.acknowledged)} acknowledged messages"
        f" lost, the oldest {max(lost_s, default=0):.2f} s before everything was killed; {twice.total()} without a time"
        " were sent twice by their device"
    )
    assert all(lost < WINDOW_S for lost in lost_s)
    assert not twice - meters.wanted(untimed)
    await accounts_balance(hub.database_url)
