"""How far each reader of a log has come: claimed at start, moved by compare-and-set."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import sql

from hub.errors import LogError, LogGap, LogReplaced
from store.database import Connection
from store.sql import statements

SQL = statements("readers")


async def claim(connection: Connection, name: str, log_id: UUID, kept: Callable[[], range] | None = None) -> int:
    """The offset at which a reader goes on, 0 for one that never read; in a transaction of its own.

    LogReplaced when it knows another log: messages of that one may be unread. LogGap when the log, which keeps the
    offsets that `kept` tells, does not reach to where the reader is: one was restored without the other.
    """
    async with connection.transaction():
        await connection.execute(SQL["make"], {"name": name, "log_id": log_id})
        row = await (await connection.execute(SQL["claim"], {"name": name})).fetchone()
    assert row is not None
    if row["log_id"] != log_id:
        raise LogReplaced(
            f"{name} has read log {row['log_id']} up to {row['next_offset']}, but the log is now {log_id}: put the"
            f" old folder back, or accept the loss with: beffroi log adopt {name}"
        )
    offset = int(row["next_offset"])
    there = kept() if kept else range(offset, offset)
    if not there.start <= offset <= there.stop:
        raise LogGap(gap_told(name, offset, there))
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


@dataclass(slots=True)
class Place:
    """Where a reader of this process is, over all its connections to the database."""

    name: str
    log_id: UUID
    offset: int = 0
    is_claimed: bool = False
    reaches: int | None = None
    """The end of the stretch that is being written: when that is broken off, the reader is here or at `offset`."""

    async def claim(self, connection: Connection, kept: Callable[[], range]) -> int:
        """The offset at which to go on in a log, which keeps the offsets that `kept` then tells.

        LogReplaced when the reader knows another log, LogGap when this one does not reach to where it is; LogError when
        another process moved it since it was claimed here for the first time.
        """
        found = await claim(connection, self.name, self.log_id, kept)
        if self.is_claimed and found not in (self.offset, self.reaches):
            raise _taken(self.name, self.offset)
        self.offset, self.is_claimed, self.reaches = found, True, None
        return found

    @contextmanager
    def moving(self, to_offset: int) -> Iterator[None]:
        """The block writes up to an offset, and moves the reader there in the database."""
        self.reaches = to_offset
        yield
        self.offset, self.reaches = to_offset, None


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
        raise _taken(name, from_offset)


def _taken(name: str, offset: int) -> LogError:
    return LogError(f"{name} is no longer at {offset}: another process reads in its name; this one stops")


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
