"""Incidents as people see and answer them: what is open, its members, its story, acknowledge.

Rows are dicts. An incident's keys: incident_no, code, kind, priority, state, quiet, opened_at, detected_at,
acknowledged_at, acknowledged_by, cleared_at, closed_at, explanation, device_no, device_id, device_type,
device_label, street, commune, lat, lon, member_count. Whoever changes one says so on NOTIFY beffroi_incident.
"""

from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import DictRow

from store.database import Connection
from store.sql import statements

SQL = statements("incidents")
NOTICE = "beffroi_incident"
"""Channel of NOTIFY; the payload is the incident's number."""


async def open_incidents(connection: Connection, *, limit: int = 1000) -> list[DictRow]:
    """Incidents that are not closed, the most urgent first, then the newest."""
    return await (await connection.execute(SQL["open"], {"limit": limit})).fetchall()


async def incident(connection: Connection, incident_no: int) -> DictRow | None:
    """One incident, open or closed; None when there is none of that number."""
    return await (await connection.execute(SQL["one"], {"incident_no": incident_no})).fetchone()


async def members(connection: Connection, incident_no: int) -> list[DictRow]:
    """Devices whose own fault the incident explains, those still at fault (`until` is None) first.

    Keys: device_no, code, since, until, cleared, device_id, device_type, device_label, street, commune, lat, lon.
    """
    return await (await connection.execute(SQL["members"], {"incident_no": incident_no})).fetchall()


async def changes(connection: Connection, incident_no: int) -> list[DictRow]:
    """What happened to an incident, oldest first: change_no, at, change, who, channel, reason."""
    return await (await connection.execute(SQL["changes"], {"incident_no": incident_no})).fetchall()


async def acknowledge(
    connection: Connection, incident_no: int, login: str, channel: str, now: datetime
) -> dict[str, Any] | None:
    """Somebody takes an incident; returns it as it then is, None when there is none of that number.

    The first one counts: acknowledging again, or an incident that closed meanwhile, changes nothing.
    """
    return await _answer(connection, "acknowledge", incident_no, login=login, channel=channel, now=now)


async def unacknowledge(
    connection: Connection,
    incident_no: int,
    login: str,
    channel: str,
    now: datetime,
    *,
    within: timedelta = timedelta(minutes=1),
) -> dict[str, Any] | None:
    """The same person takes an acknowledgement back, at most `within` of hub time later.

    Returns the incident as it then is (its state says whether it worked), None when there is none of that number.
    """
    return await _answer(
        connection, "unacknowledge", incident_no, login=login, channel=channel, now=now, not_before=now - within
    )


async def _answer(
    connection: Connection, statement: str, incident_no: int, **parameters: object
) -> dict[str, Any] | None:
    async with connection.transaction():
        await connection.execute(SQL[statement], {"incident_no": incident_no, **parameters})
        return await incident(connection, incident_no)
