"""What tele-alert reads and writes for one batch of transitions: a handful of statements, however large the batch."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import DictRow

from store.database import Connection
from store.sql import statements

SQL = statements("incident_batch")


class IncidentRow(NamedTuple):
    """An incident to insert, or to bring up to date."""

    incident_no: int
    cause_no: int
    code: str
    kind: str
    priority: int
    quiet: str | None
    opened_at: datetime
    detected_at: datetime
    cleared_at: datetime | None
    closed_at: datetime | None
    explanation: str
    """JSON"""


class MemberRow(NamedTuple):
    """A device's fault that an incident explains, to insert or to bring up to date."""

    incident_no: int
    device_no: int
    code: str
    since: datetime
    until: datetime | None
    cleared: bool
    quiet: str | None
    explanation: str
    """JSON"""


class ChangeRow(NamedTuple):
    """A line of an incident's story."""

    incident_no: int
    at: datetime
    change: str
    reason: str | None


class Moment(NamedTuple):
    """A firing or a clearing of a device's rule, as a key."""

    device_no: int
    code: str
    action: str
    ts: datetime


async def places(connection: Connection, devices: Sequence[int], explaining: Sequence[int]) -> list[DictRow]:
    """The devices concerned by a batch, with all above them.

    `explaining` are those of the batch that fire a code which explains faults below them.
    """
    parameters = {"devices": list(devices), "explaining": list(explaining)}
    return await (await connection.execute(SQL["places"], parameters)).fetchall()


async def faults(connection: Connection, devices: Sequence[int]) -> list[DictRow]:
    """Every fault that is on at these devices, each with the incident that stands for it."""
    return await (await connection.execute(SQL["faults"], {"devices": list(devices)})).fetchall()


async def ended(connection: Connection, moments: Sequence[Moment]) -> set[Moment]:
    """Those moments that began or ended a fault that is known to be over."""
    rows = await (await connection.execute(SQL["ended"], columns(Moment, moments))).fetchall()
    return {Moment(**row) for row in rows}


async def served(connection: Connection, devices: Sequence[int]) -> list[DictRow]:
    """How many commissioned devices hang below each: rows of device_no, type, devices."""
    return await (await connection.execute(SQL["served"], {"devices": list(devices)})).fetchall()


async def numbers(connection: Connection, count: int) -> list[int]:
    """Numbers for new incidents, rising."""
    rows = await (await connection.execute(SQL["numbers"], {"count": count})).fetchall()
    return [row["incident_no"] for row in rows]


async def write(
    connection: Connection,
    *,
    old_incidents: Sequence[IncidentRow],
    new_incidents: Sequence[IncidentRow],
    members: Sequence[MemberRow],
    changes: Sequence[ChangeRow],
) -> None:
    """Write a batch in the caller's transaction and say which incidents changed.

    What ends comes first: it makes room for the one active row of an identity.
    """
    ending = [row for row in members if row.until is not None]
    lasting = [row for row in members if row.until is None]
    for statement, kind, rows in (
        ("update_incidents", IncidentRow, old_incidents),
        ("insert_incidents", IncidentRow, new_incidents),
        ("put_members", MemberRow, ending),
        ("put_members", MemberRow, lasting),
        ("insert_changes", ChangeRow, changes),
    ):
        if rows:
            await connection.execute(SQL[statement], columns(kind, rows))
    told = sorted({row.incident_no for row in (*old_incidents, *new_incidents)})
    if told:
        await connection.execute(SQL["tell"], {"incident_no": told})


async def quarantine(
    connection: Connection, log_id: UUID, now: datetime, *, log_offset: int, payload: bytes, detail: str
) -> None:
    """Keep a transition that cannot be read."""
    parameters = {"log_id": log_id, "log_offset": log_offset, "payload": payload, "detail": detail, "now": now}
    await connection.execute(SQL["insert_unreadable"], parameters)


def columns(row_type: type[Any], rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows of a NamedTuple as one list per field, for unnest."""
    names: tuple[str, ...] = row_type._fields
    by_column = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: list(values) for name, values in zip(names, by_column, strict=True)}
