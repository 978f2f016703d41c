"""The tele-alert process: follows the transitions, keeps the incidents, sends the notifications."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.absence import StandIn
from alerts.batch import READER, Desk, apply_batch
from alerts.channels import Channel, channels
from alerts.database import Database, pause
from alerts.delivery import Outlet, deliver_next
from alerts.journal import Journal
from alerts.snapshot import LOOK_S, Files, Keeper
from alerts.text import Writer
from alerts.transitions import BATCH, IDLE_S, Transitions
from alerts.watch import Watch
from devices.kind import Kind
from hub.clock import Clock
from hub.errors import BadSetting
from hub.settings import Settings
from store import outbox, readers
from store.database import Connection, answering
from store.rulebook import Rulebook


async def run(
    *,
    transitions: Transitions,
    database_url: str,
    settings: Settings,
    clock: Clock,
    stop: asyncio.Event,
    watch: Watch | None = None,
) -> None:
    """Work until `stop` is set, and watch the hub itself if `watch` is given.

    BadSetting for a wrong address or time zone, LogError when another tele-alert works on the same database,
    AlreadyRunning when one works on the same home.
    """
    addresses = channels(settings, clock)
    database, files = Database(database_url, stop), Files(settings.home / "telealert")
    rulebook = Rulebook(files.folder / "policy.json")
    desk = make_desk(settings, addresses, rulebook)
    journal = Journal(files.folder / "calls.journal")
    outlets = [Outlet(address, journal, clock) for address in addresses]
    keeper = Keeper(files, journal, clock.now_us)
    stand_in = StandIn(files, transitions, desk, outlets, database, clock, stop)
    follow = partial(
        _follow,
        transitions=transitions,
        place=readers.Place(READER, transitions.log_id),
        desk=desk,
        rulebook=rulebook,
        database=database,
        clock=clock,
        stop=stop,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(database.watch(), name="watch the database")
            tasks.create_task(database.hold(follow, must_take=True), name="follow")
            tasks.create_task(
                database.hold(partial(_keep, keeper=keeper, rulebook=rulebook, stop=stop)), name="keep the snapshot"
            )
            tasks.create_task(stand_in.run(), name="stand in")
            if watch is not None:
                tasks.create_task(watch.run(database, outlets, desk.writer, stop), name="watch the hub")
            for outlet in outlets:
                deliver = partial(_deliver, outlet=outlet, clock=clock, stop=stop)
                tasks.create_task(database.hold(deliver), name=f"deliver {outlet.name}")
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from group
    finally:
        journal.close()


def make_desk(settings: Settings, outlets: Sequence[Channel], kinds: Mapping[str, Kind]) -> Desk:
    """What the settings say of who is called and how; BadSetting for an unknown time zone."""
    try:
        zone = ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadSetting(
            f"BEFFROI_TIMEZONE: {settings.timezone} is no time zone of this machine; one is Europe/Paris"
        ) from error
    page_url = settings.page_url or f"http://{settings.host}:{settings.http_port}"
    writer = Writer(settings.language, zone, page_url, settings.notify_priority)
    return Desk(kinds, settings.notify_priority, [outlet.name for outlet in outlets], writer)


async def _follow(
    connection: Connection,
    *,
    transitions: Transitions,
    place: readers.Place,
    desk: Desk,
    rulebook: Rulebook,
    database: Database,
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Apply transitions in order, from the offset that the database knows."""
    async with answering():
        offset = await place.claim(connection, lambda: range(transitions.first_offset, transitions.next_offset))
    told_before = await readers.told_before(connection, READER)
    no_more = "the settings no longer have this channel"
    await outbox.give_up_orphans(connection, desk.channels, no_more, clock.now())
    while not stop.is_set():
        messages = transitions.read(offset, BATCH)
        if not messages:
            database.took()
            await pause(stop, IDLE_S)
            continue
        async with answering():
            await rulebook.follow(connection)
            with place.moving(offset + len(messages)):
                await apply_batch(
                    connection,
                    desk,
                    clock.now(),
                    log_id=transitions.log_id,
                    offset=offset,
                    messages=messages,
                    told_before=told_before,
                )
        database.took()
        offset = place.offset


async def _keep(connection: Connection, *, keeper: Keeper, rulebook: Rulebook, stop: asyncio.Event) -> None:
    """Keep the routing snapshot, and the words of the city's own rules, up to date."""
    while not stop.is_set():
        await rulebook.follow(connection)
        await keeper.look(connection)
        await pause(stop, LOOK_S)


async def _deliver(connection: Connection, *, outlet: Outlet, clock: Clock, stop: asyncio.Event) -> None:
    """Send what is due on one channel, so that a slow one does not hold up the others."""
    while not stop.is_set():
        if not await deliver_next(connection, outlet, clock):
            await pause(stop, IDLE_S)
