"""The open incidents as they are now: listens to the database's notices and keeps one card per incident."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from dashboard.live import Bell
from hub.clock import pauses
from hub.errors import DatabaseUnavailable
from store import pages
from store.database import GONE, Connection, connect
from store.pages import IncidentCard
from store.rulebook import Rulebook

log = structlog.get_logger(__name__)

RECENT_CHANGES = 500
GATHER_S = 0.2
"""Notices that come together are read together: a feeder's 77 lamps are one question to the database."""
PING_S = 5.0


@dataclass(slots=True)
class Watch:
    """Open incidents by number; `revision` counts changes, so that a stream can ask what is new."""

    bell: Bell = field(default_factory=Bell)
    rulebook: Rulebook = field(default_factory=Rulebook)
    is_connected: bool = False
    revision: int = 0
    _open: dict[int, IncidentCard] = field(default_factory=dict)
    _recent: deque[tuple[int, IncidentCard]] = field(default_factory=lambda: deque(maxlen=RECENT_CHANGES))

    @property
    def cards(self) -> list[IncidentCard]:
        """Open incidents, the most urgent and then the newest first."""
        return sorted(self._open.values(), key=lambda card: (card.priority, -card.opened_at.timestamp()))

    def replace(self, cards: Iterable[IncidentCard]) -> None:
        """Start anew, after notices may have been missed."""
        self._open = {card.incident_no: card for card in cards}
        self._recent.clear()
        self.revision += 1
        self.bell.ring()

    def update(self, cards: Iterable[IncidentCard]) -> None:
        """Take in cards that changed; a closed one leaves the list."""
        for card in cards:
            self.revision += 1
            if card.state == "closed":
                self._open.pop(card.incident_no, None)
            else:
                self._open[card.incident_no] = card
            self._recent.append((self.revision, card))
        self.bell.ring()

    def since(self, revision: int) -> list[IncidentCard] | None:
        """Cards changed after a revision, each once; None when that is too long ago."""
        if revision == self.revision:
            return []
        if not self._recent or revision < self._recent[0][0] - 1:
            return None
        return list({card.incident_no: card for seen, card in self._recent if seen > revision}.values())


async def listen(watch: Watch, database_url: str) -> None:
    """Follow incident notices for ever; when the database goes away, come back with growing pauses."""
    waits, is_told = pauses(), False
    while True:
        try:
            async with connect(database_url, autocommit=True) as connection:
                await pages.listen_to_incidents(connection)
                await watch.rulebook.follow(connection)
                watch.replace(await pages.open_incidents(connection))
                watch.is_connected, waits, is_told = True, pauses(), False
                log.info("listens to incidents", open=len(watch.cards))
                while True:
                    await _take_notices(watch, connection)
        except (DatabaseUnavailable, *GONE) as error:
            if not is_told:
                log.warning("the database is away, trying again", reason=str(error))
            is_told = True
        watch.is_connected = False
        watch.bell.ring()
        await asyncio.sleep(next(waits))


async def _take_notices(watch: Watch, connection: Connection) -> None:
    numbers = await _notices(connection, PING_S, stop_after=1)
    await watch.rulebook.follow(connection)  # before the incidents of a new rule are shown
    if numbers:
        numbers |= await _notices(connection, GATHER_S)
        watch.update(await pages.incident_cards(connection, sorted(numbers)))
    else:
        await pages.ping(connection)


async def _notices(connection: Connection, timeout_s: float, stop_after: int | None = None) -> set[int]:
    """Incident numbers told within the time."""
    notices = connection.notifies(timeout=timeout_s, stop_after=stop_after)
    return {int(notice.payload) async for notice in notices if notice.payload.isdecimal()}
