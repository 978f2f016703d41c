"""What a restore asks of the database, and tells it: where it and the logs now stand to each other."""

from datetime import datetime

from devices.transition import Explanation, Quiet, Transition
from hub.clock import to_us
from store.database import Connection
from store.readers import gap_told
from store.sql import statements

SQL = statements("restore")


async def recovered_to(connection: Connection) -> datetime | None:
    """When the last transaction was committed that a server which has just recovered has; None when it has not."""
    row = await (await connection.execute(SQL["recovered_to"])).fetchone()
    return row["at"] if row else None


async def was_told(connection: Connection, name: str, before: int) -> None:
    """Note, at a restore, that what lies before an offset was dealt with in the time that is undone."""
    await connection.execute(SQL["was_told"], {"name": name, "before": before})


async def faults_told(connection: Connection, read_to: int) -> list[Transition]:
    """Every fault that the database knows to be on, as the rules would have told it, up to an offset of the log.

    For a transitions log whose own are lost: a restored rule that does not know that it fired would never clear.
    """
    rows = await (await connection.execute(SQL["faults"])).fetchall()
    return [
        Transition(
            kind=row["kind"],
            code=row["code"],
            device_no=row["device_no"],
            action="fire",
            ts_us=to_us(row["since"]),
            at_us=to_us(row["since"]),
            priority=row["priority"],
            quiet=_quiet(row["quiet"]),
            explanation=Explanation({}, {}, 0.0),
            read_to=read_to,
        )
        for row in rows
    ]


def _quiet(why: str | None) -> Quiet:
    """Whether the rules themselves told it quietly: to wait for the morning is a decision on a live fault."""
    return "replayed" if why == "replayed" else "late" if why == "late" else ""


def place_told(name: str, offset: int, kept: range | None) -> str:
    """Where a reader goes on after a restore; None when its log is not there."""
    if kept is None:
        return f"{name} has read up to {offset} of a log that is not there any more: beffroi log adopt {name}"
    if not kept.start <= offset <= kept.stop:
        return gap_told(name, offset, kept)
    after = kept.stop - offset
    return f"{name} goes on at {offset}" + (f", and {after} more wait in its log." if after else ".")
