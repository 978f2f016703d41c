"""Calls for P1 while the database is away: the same decisions, on the routing snapshot, straight to the channels.

What it decides is forgotten when the database is back, where the same transitions are decided upon as always. What it
sent is in the journal, and is entered, not sent again: by delivery.py what the database sends too, else by snapshot.py.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from alerts.batch import Desk, read_transition
from alerts.channels import NotSent
from alerts.database import Database, pause
from alerts.delivery import RETRY_AFTER_S, Outlet
from alerts.journal import Call
from alerts.ledger import Ledger, Purpose
from alerts.scene import Incident, Scene, children, served
from alerts.snapshot import URGENT, Files, Snapshot
from alerts.transitions import BATCH, IDLE_S, Transitions
from devices.transition import Transition
from hub.clock import Clock, to_datetime

logger = structlog.get_logger("telealert")
PATIENCE_S = 1.0
"""A connection that is lost and had again is no absence."""


@dataclass(slots=True)
class Letter:
    """A call that is to go out on one channel."""

    call: Call
    title: str
    body: str
    offset: int
    tries: int = 0
    due_s: float = 0.0
    """Of the machine's steady clock."""


@dataclass(slots=True)
class Absence:
    """One absence: the scene as it changes, and the letters that wait, by channel."""

    desk: Desk
    scene: Scene
    offset: int
    letters: dict[str, list[Letter]]
    _hanging: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, desk: Desk, snapshot: Snapshot) -> "Absence":
        """An absence that begins with this snapshot, and with the calls that wait in it."""
        faults, letters = snapshot.faults, {name: list[Letter]() for name in desk.channels}
        for one in faults.pending:
            if one.channel in letters:
                letters[one.channel].append(Letter(one.call, one.title, one.body, faults.next_offset))
        return cls(desk, snapshot.scene(desk.kinds), faults.next_offset, letters, children(snapshot.places))

    def apply(self, transitions: Sequence[Transition], next_offset: int, clock: Clock) -> None:
        """Decide on the transitions up to an offset, and write the letters."""
        ledger = Ledger(self.scene, self.desk.notify_priority)
        ledger.apply(transitions)
        self.offset = next_offset
        taken_back = {Call.of(incident, "opened") for incident in ledger.folded}
        for name, letters in self.letters.items():
            self.letters[name] = [letter for letter in letters if letter.call not in taken_back]
        for incident, purpose in ledger.calls:
            if incident.priority <= URGENT and incident not in ledger.folded:
                self._write(incident, purpose, clock)

    def _write(self, incident: Incident, purpose: Purpose, clock: Clock) -> None:
        writer, scene, no = self.desk.writer, self.scene, incident.cause_no
        if no not in scene.places:
            return
        us = incident.opened_us if purpose == "opened" or incident.cleared_us is None else incident.cleared_us
        title = writer.title(incident, purpose, scene)
        below = served(no, scene.places, self._hanging)
        body = writer.body(incident, purpose, scene, served=below, now=clock.now(), at=to_datetime(us))
        for letters in self.letters.values():
            letters.append(Letter(Call.of(incident, purpose), title, body, self.offset))

    async def send_next(self, outlet: Outlet) -> bool:
        """Send the next letter of a channel that is due, if any; one that is refused is tried again and again."""
        now_s = time.monotonic()
        letter = next((letter for letter in self.letters[outlet.name] if letter.due_s <= now_s), None)
        if letter is None:
            return False
        reason = self.desk.writer.called_alone(letter.title)
        try:
            await outlet.send_once(letter.call, letter.title, letter.body, reason=reason, offset=letter.offset)
        except NotSent as error:
            letter.due_s = time.monotonic() + RETRY_AFTER_S[min(letter.tries, len(RETRY_AFTER_S) - 1)]
            letter.tries += 1
            logger.warning("not sent, tried again", device=letter.call.cause_no, channel=outlet.name, error=str(error))
        else:
            # By identity: the list may be another one by now.
            self.letters[outlet.name] = [one for one in self.letters[outlet.name] if one is not letter]
        return True


@dataclass(slots=True)
class StandIn:
    """Waits for absences, and calls in them."""

    files: Files
    transitions: Transitions
    desk: Desk
    outlets: Sequence[Outlet]
    database: Database
    clock: Clock
    stop: asyncio.Event

    async def run(self) -> None:
        """Work until the stop."""
        while not self.stop.is_set():
            await pause(self.stop, IDLE_S)
            if self.is_wanted and not await self._stand_in():
                while self.is_wanted:
                    await pause(self.stop, IDLE_S)

    @property
    def is_wanted(self) -> bool:
        return self.database.away_s > PATIENCE_S and not self.stop.is_set()

    async def _stand_in(self) -> bool:
        """Call until the database is back; False when there is nothing to call by."""
        async with self.files.lock:
            snapshot = await asyncio.to_thread(self.files.load)
            if snapshot is None or snapshot.faults.log_id != str(self.transitions.log_id):
                logger.error("there is no routing snapshot of this hub: nobody is called until the database is back")
                return False
            absence = Absence.of(self.desk, snapshot)
            absence.offset = max(absence.offset, self.transitions.first_offset)
            logger.info("P1 goes out from the routing snapshot", devices=len(snapshot.places),
                        age_s=round((self.clock.now_us() - snapshot.faults.taken_us) / 1e6, 1))  # fmt: skip
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(absence))
                for outlet in self.outlets:
                    tasks.create_task(self._send(absence, outlet))
        return True

    async def _read(self, absence: Absence) -> None:
        while self.is_wanted:
            messages = self.transitions.read(absence.offset, BATCH)
            if messages:
                read = [read_transition(message.payload) for message in messages]
                known = [one for one in read if isinstance(one, Transition)]
                absence.apply(known, absence.offset + len(messages), self.clock)
            await pause(self.stop, 0 if messages else IDLE_S)

    async def _send(self, absence: Absence, outlet: Outlet) -> None:
        while self.is_wanted:
            if not await absence.send_next(outlet):
                await pause(self.stop, IDLE_S)
