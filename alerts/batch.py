"""One batch of transitions in one transaction: what is on is loaded, decided upon, and written with the offset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace
from psycopg.rows import DictRow

from alerts.ledger import Ledger
from alerts.scene import Fault, Incident, Place, Scene, Standing
from alerts.text import Writer
from alerts.transitions import Message
from devices.kind import Kind
from devices.transition import Transition
from hub.clock import to_datetime, to_us
from store import incident_batch, outbox, readers
from store.database import Connection

logger = structlog.get_logger("telealert")
READER = "telealert"
LATEST_US = 253_402_300_799_000_000  # end of the year 9999
LONGEST_NAME = 200
LINES_PER_BATCH = 20
"""Calls that the log tells one by one; in a storm the rest are counted."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What tele-alert decides by: the declared kinds, who is called, and in what words."""

    kinds: Mapping[str, Kind]
    notify_priority: int
    channels: Sequence[str]
    writer: Writer


def read_transition(payload: bytes) -> Transition | str:
    """A transition, or why the payload is none."""
    try:
        transition = Transition.decode(payload)
    except msgspec.MsgspecError as error:
        return f"not a transition: {error}"
    names = (transition.kind, transition.code, *transition.explanation.columns, *transition.explanation.thresholds)
    if any(len(name) > LONGEST_NAME or "\x00" in name for name in names):
        return f"a name in it has more than {LONGEST_NAME} characters, or a NUL, which no text of the database may hold"
    if not 0 < transition.device_no < 2**31:
        return f"there is no device number {transition.device_no}"
    if transition.priority not in (1, 2, 3):
        return f"a priority is 1, 2 or 3, not {transition.priority}"
    if not (0 <= transition.ts_us <= LATEST_US and 0 <= transition.at_us <= LATEST_US):
        return "its time is before 1970 or after 9999"
    return transition


async def apply_batch(
    connection: Connection,
    desk: Desk,
    now: datetime,
    *,
    log_id: UUID,
    offset: int,
    messages: Sequence[Message],
    told_before: int = 0,
) -> Ledger:
    """Apply the messages from `offset` on, all or nothing; LogError when another process did.

    What lies below `told_before` was dealt with before the database was restored: it calls nobody again. The offset
    moves first: a second tele-alert waits here, and then stops before it decides anything.
    """
    read = [read_transition(message.payload) for message in messages]
    unreadable = [(offset + i, messages[i].payload, why) for i, why in enumerate(read) if isinstance(why, str)]
    transitions = [
        transition if place >= told_before else replace(transition, quiet=transition.quiet or "replayed")
        for place, transition in enumerate(read, offset)
        if isinstance(transition, Transition)
    ]
    counts = {
        "messages": len(messages),
        "messages_decoded": len(transitions),
        "messages_quarantined": len(unreadable),
    }
    async with connection.transaction():
        await readers.advance(connection, READER, log_id, offset, offset + len(messages), counts, now)
        for log_offset, payload, why in unreadable:
            await incident_batch.quarantine(connection, log_id, now, log_offset=log_offset, payload=payload, detail=why)
        ledger = Ledger(await load(connection, transitions, desk.kinds), desk.notify_priority)
        ledger.apply(transitions)
        await _write(connection, ledger, desk, now)
    _report(ledger, desk, len(unreadable))
    return ledger


async def load(connection: Connection, transitions: Sequence[Transition], kinds: Mapping[str, Kind]) -> Scene:
    """The faults that are on around a batch's devices, in three queries."""
    causes = {code for kind in kinds.values() for rule in kind.rules for code in rule.explained_by}
    devices = sorted({t.device_no for t in transitions})
    explaining = sorted({t.device_no for t in transitions if t.action == "fire" and t.code in causes})
    moments = [incident_batch.Moment(t.device_no, t.code, t.action, to_datetime(t.ts_us)) for t in transitions]
    places = {row["device_no"]: Place(**row) for row in await incident_batch.places(connection, devices, explaining)}
    ended = await incident_batch.ended(connection, moments)
    standing = [standing_row(row) for row in await incident_batch.faults(connection, list(places))]
    return Scene.of(places, kinds, {(m.device_no, m.code, m.action, to_us(m.ts)) for m in ended}, standing)


def standing_row(row: DictRow) -> Standing:
    """A fault that is on, as the database tells it."""
    times = ("since", "opened_at", "detected_at")
    since, opened, detected = (to_us(row[name]) for name in times)
    values = {name: value for name, value in row.items() if name not in times}
    return Standing(**values, since_us=since, opened_us=opened, detected_us=detected)


async def _write(connection: Connection, ledger: Ledger, desk: Desk, now: datetime) -> None:
    new = [incident for incident in ledger.incidents if incident.number is None]
    old = [incident for incident in ledger.incidents if incident.number is not None]
    for incident, number in zip(new, await incident_batch.numbers(connection, len(new)) if new else [], strict=True):
        incident.number = number
    await incident_batch.write(
        connection,
        old_incidents=[_incident_row(incident) for incident in old],
        new_incidents=[_incident_row(incident) for incident in new],
        members=[_member_row(member) for member in ledger.members.values()],
        changes=[
            incident_batch.ChangeRow(
                _number(change.incident), now, change.change, desk.writer.reason(change, count, ledger.scene)
            )
            for change, count in ledger.changes.items()
        ],
    )
    folded = [_number(incident) for incident in old if incident in ledger.folded]
    if folded:
        await outbox.withdraw(connection, folded)
    notifications = await _notifications(connection, ledger, desk, now)
    if notifications:
        await outbox.post(connection, notifications)


async def _notifications(
    connection: Connection, ledger: Ledger, desk: Desk, now: datetime
) -> list[outbox.NotificationRow]:
    """What is to go out; a call about an incident that was folded in the same batch is not made."""
    calls = [(incident, purpose) for incident, purpose in ledger.calls if incident not in ledger.folded]
    served: dict[int, dict[str, int]] = {}
    for row in await incident_batch.served(connection, [i.cause_no for i, _ in calls]) if calls else ():
        served.setdefault(row["device_no"], {})[row["type"]] = row["devices"]
    rows = []
    for incident, purpose in calls:
        us = incident.opened_us if purpose == "opened" or incident.cleared_us is None else incident.cleared_us
        title = desk.writer.title(incident, purpose, ledger.scene)
        body = desk.writer.body(
            incident, purpose, ledger.scene, served=served.get(incident.cause_no, {}), now=now, at=to_datetime(us)
        )
        rows += [
            outbox.NotificationRow(_number(incident), purpose, channel, title, body, now) for channel in desk.channels
        ]
    return rows


def _number(incident: Incident) -> int:
    assert incident.number is not None, "incidents are numbered before they are written"
    return incident.number


def _incident_row(incident: Incident) -> incident_batch.IncidentRow:
    return incident_batch.IncidentRow(
        incident_no=_number(incident),
        cause_no=incident.cause_no,
        code=incident.code,
        kind=incident.kind,
        priority=incident.priority,
        quiet=incident.quiet,
        opened_at=to_datetime(incident.opened_us),
        detected_at=to_datetime(incident.detected_us),
        cleared_at=_datetime(incident.cleared_us),
        closed_at=_datetime(incident.closed_us),
        explanation=incident.explanation,
    )


def _member_row(member: Fault) -> incident_batch.MemberRow:
    return incident_batch.MemberRow(
        incident_no=_number(member.incident),
        device_no=member.device_no,
        code=member.code,
        since=to_datetime(member.since_us),
        until=_datetime(member.until_us),
        cleared=member.cleared,
        quiet=member.quiet,
        explanation=member.explanation,
    )


def _datetime(us: int | None) -> datetime | None:
    return None if us is None else to_datetime(us)


def _report(ledger: Ledger, desk: Desk, unreadable: int) -> None:
    """Say what was decided, in words of an operator."""
    for incident, purpose in list(ledger.calls)[:LINES_PER_BATCH]:
        place = ledger.scene.places[incident.cause_no]
        logger.info(
            "call" if purpose == "opened" else "call: it is over",
            incident=incident.number,
            priority=incident.priority,
            fault=ledger.scene.title(incident.kind, incident.code, desk.writer.language),
            device=f"{place.commune}/{place.kind}/{place.id}",
        )
    told = {f"{what} ({reason})": count for (what, reason), count in ledger.decisions.items() if what != "repeated"}
    if told:
        logger.info("decided", calls=len(ledger.calls), **told)
    if unreadable:
        logger.error("transitions that cannot be read are in the quarantine", count=unreadable)
