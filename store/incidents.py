"""Incidents as people see and answer them: what is open, its members, its story, and the states people move it to.

Rows are dicts. An incident's keys: incident_no, code, kind, priority, state, quiet, opened_at, detected_at,
acknowledged_at, acknowledged_by, cleared_at, closed_at, explanation, device_no, device_id, device_type,
device_label, street, commune, lat, lon, member_count. Whoever changes one says so on NOTIFY beffroi_incident.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg.rows import DictRow

from store.database import Connection
from store.sql import statements

SQL = statements("incidents")
NOTICE = "beffroi_incident"
"""Channel of NOTIFY; the payload is the incident's number."""
Move = Literal["acknowledged", "on_site", "on_hold", "fixed", "closed"]
MOVES: Mapping[Move, frozenset[str]] = {
    "acknowledged": frozenset({"new"}),
    "on_site": frozenset({"new", "acknowledged", "on_hold", "fixed"}),
    "on_hold": frozenset({"new", "acknowledged", "on_site", "fixed"}),
    "fixed": frozenset({"new", "acknowledged", "on_site", "on_hold"}),
    "closed": frozenset({"new", "acknowledged", "on_site", "on_hold", "fixed"}),
}
"""The states that people give, and those from which each can be reached."""


async def open_incidents(connection: Connection, *, limit: int = 1000) -> list[DictRow]:
    """Incidents that are not closed, the most urgent first, then the newest."""
    return await (await connection.execute(SQL["open"], {"limit": limit})).fetchall()


async def open_by_code(connection: Connection, kind: str) -> dict[str, int]:
    """How many incidents of a kind are open, by the rule's code."""
    rows = await (await connection.execute(SQL["open_by_code"], {"kind": kind})).fetchall()
    return {row["code"]: row["devices"] for row in rows}


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


async def move(
    connection: Connection,
    incident_no: int,
    to: Move,
    login: str,
    channel: str,
    now: datetime,
    reason: str | None = None,
) -> dict[str, Any] | None:
    """Somebody moves an incident to a state; returns it as it then is, None when there is none of that number.

    From a state that does not allow it nothing changes: the first one who acknowledges counts, and what is closed
    stays closed. Whoever moves an incident that nobody took has taken it.
    """
    allowed = sorted(MOVES[to])
    return await _answer(
        connection, "move", incident_no, to=to, allowed=allowed, login=login, channel=channel, now=now, reason=reason
    )


async def take_back(
    connection: Connection,
    incident_no: int,
    *,
    login: str,
    channel: str,
    now: datetime,
    within: timedelta = timedelta(minutes=1),
) -> dict[str, Any] | None:
    """The same person takes the last move back, at most `within` of hub time later; what was closed stays closed.

    Returns the incident as it then is (its state says whether it worked), None when there is none of that number.
    """
    return await _answer(
        connection, "take_back", incident_no, login=login, channel=channel, now=now, not_before=now - within
    )


async def _answer(
    connection: Connection, statement: str, incident_no: int, **parameters: object
) -> dict[str, Any] | None:
    async with connection.transaction():
        await connection.execute(SQL[statement], {"incident_no": incident_no, **parameters})
        return await incident(connection, incident_no)
