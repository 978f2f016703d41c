"""How far each reader of a log has come: claimed at start, moved by compare-and-set."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from psycopg import sql

from hub.errors import LogError, LogGap, LogReplaced
from store.database import Connection
from store.sql import statements

SQL = statements("readers")


async def claim(connection: Connection, name: str, log_id: UUID, kept: range | None = None) -> int:
    """The offset at which a reader goes on; 0 for a reader that never read.

    LogReplaced when it knows another log: messages of that one may be unread. LogGap when the log, which keeps the
    offsets `kept`, does not reach to where the reader is: a database or a log was restored without the other.
    """
    row = await (await connection.execute(SQL["claim"], {"name": name, "log_id": log_id})).fetchone()
    assert row is not None
    if row["log_id"] != log_id:
        raise LogReplaced(
            f"{name} has read log {row['log_id']} up to {row['next_offset']}, but the log is now {log_id}: put the"
            f" old folder back, or accept the loss with: beffroi log adopt {name}"
        )
    offset = int(row["next_offset"])
    if kept is not None and not kept.start <= offset <= kept.stop:
        raise LogGap(gap_told(name, offset, kept))
    return offset


def gap_told(name: str, offset: int, kept: range) -> str:
    """Why a reader cannot go on at an offset."""
    if offset < kept.start:
        return (
            f"{name} has read up to {offset}, and the oldest message that is still kept is {kept.start}: the database"
            f" does not have the {kept.start - offset} messages between. Restore a newer backup, or go on without them:"
            f" beffroi log adopt {name}"
        )
    return (
        f"{name} has read up to {offset}, but the log ends at {kept.stop}: an older copy of it is in its place, and the"
        f" next {offset - kept.stop} messages would be taken for read. Put the right one back, or go on at its end:"
        f" beffroi log adopt {name}"
    )


async def advance(
    connection: Connection,
    name: str,
    log_id: UUID,
    from_offset: int,
    to_offset: int,
    counts: Mapping[str, int],
    now: datetime,
) -> None:
    """Move a reader in the caller's transaction and add up what became of the messages (columns of `reader`).

    LogError when it is not where the caller left it: another process reads in its name.
    """
    added = [
        sql.SQL("{0} = {0} + {1}").format(sql.Identifier(column), sql.Literal(count))
        for column, count in counts.items()
    ]
    statement = sql.SQL(
        "UPDATE reader SET {} WHERE name = %(name)s AND log_id = %(log_id)s AND next_offset = %(from_offset)s"
    ).format(sql.SQL(", ").join([sql.SQL("next_offset = %(to_offset)s, moved_at = %(now)s"), *added]))
    moved = await connection.execute(
        statement,
        {"name": name, "log_id": log_id, "from_offset": from_offset, "to_offset": to_offset, "now": now},
    )
    if moved.rowcount != 1:
        raise LogError(f"{name} is no longer at {from_offset}: another process reads in its name; this one stops")


async def offsets(connection: Connection) -> dict[str, tuple[UUID, int]]:
    """Each reader's log, and the first offset of it that it has not read."""
    rows = await (await connection.execute(SQL["offsets"])).fetchall()
    return {row["name"]: (row["log_id"], row["next_offset"]) for row in rows}


async def adopt(connection: Connection, name: str, log_id: UUID, next_offset: int) -> None:
    """Make a reader go on elsewhere, accepting that what it had not read before is lost; its accounts say how much."""
    await connection.execute(SQL["adopt"], {"name": name, "log_id": log_id, "next_offset": next_offset})


async def told_before(connection: Connection, name: str) -> int:
    """The offset below which a reader's messages were dealt with before a restore."""
    row = await (await connection.execute(SQL["told_before"], {"name": name})).fetchone()
    return int(row["told_before"]) if row else 0
