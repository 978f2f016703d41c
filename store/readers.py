"""How far each reader of a log has come: claimed at start, moved by compare-and-set."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import sql

from hub.errors import LogError, LogReplaced
from store.database import Connection
from store.sql import statements

SQL = statements("readers")


async def claim(connection: Connection, name: str, log_id: UUID) -> int:
    """The offset at which a reader goes on, 0 for one that never read; in a transaction of its own.

    LogReplaced when it knows another log: messages of that one may be unread.
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
    return int(row["next_offset"])


@dataclass(slots=True)
class Place:
    """Where a reader of this process is, over all its connections to the database."""

    name: str
    log_id: UUID
    offset: int = 0
    is_claimed: bool = False
    reaches: int | None = None
    """The end of the stretch that is being written: when that is broken off, the reader is here or at `offset`."""

    async def claim(self, connection: Connection, head: Callable[[], int]) -> int:
        """The offset at which to go on in a log whose end `head` tells.

        LogReplaced when the reader knows another log, or more of this one than there is; LogError when another
        process moved it since it was claimed here for the first time.
        """
        found = await claim(connection, self.name, self.log_id)
        if found > (end := head()):
            raise LogReplaced(
                f"{self.name} has read the log up to {found}, but it ends at {end}: it is an older copy. Put the newer"
                f" one back, or accept the loss with: beffroi log adopt {self.name}"
            )
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


async def offsets(connection: Connection) -> dict[str, int]:
    """The first offset that each reader has not read."""
    rows = await (await connection.execute(SQL["offsets"])).fetchall()
    return {row["name"]: row["next_offset"] for row in rows}


async def adopt(connection: Connection, name: str, log_id: UUID, next_offset: int) -> None:
    """Make a reader go on in another log, accepting that the rest of the old one is lost."""
    await connection.execute(SQL["adopt"], {"name": name, "log_id": log_id, "next_offset": next_offset})
