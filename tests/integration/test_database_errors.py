"""What the database refuses for now is waited for; what is wrong with what we ask is loud."""

import psycopg
import pytest
from psycopg import errors

from hub.errors import DatabaseUnavailable
from store.database import DatabaseRefused, answering, connect, is_passing, refused

PASSING = (
    errors.DiskFull,
    errors.OutOfMemory,
    errors.TooManyConnections,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.QueryCanceled,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.IoError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)
OURS = (
    errors.UniqueViolation,
    errors.UndefinedTable,
    errors.ProgramLimitExceeded,
    errors.ObjectNotInPrerequisiteState,
    errors.DataCorrupted,
    errors.InternalError_,
    errors.InFailedSqlTransaction,
    psycopg.ProgrammingError,
)


@pytest.mark.parametrize(("kind", "passing"), [*((k, True) for k in PASSING), *((k, False) for k in OURS)])
def test_what_passes_is_told_from_what_does_not(kind: type[psycopg.Error], passing: bool):
    assert is_passing(kind("so it is")) is passing


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["SET default_transaction_read_only = on", "DELETE FROM reader"], "in a read-only transaction"),
        (["SET statement_timeout = 50", "SELECT pg_sleep(10)"], "canceling statement due to statement timeout"),
        (["SELECT pg_terminate_backend(pg_backend_pid())"], "terminating connection"),
    ],
)
async def test_what_passes_is_a_database_that_is_away(database_url: str, statements: list[str], why: str):
    with pytest.raises(DatabaseUnavailable, match=f"the database .*{why}"):
        async with connect(database_url, autocommit=True) as connection:
            for statement in statements:
                with refused("history"):
                    await connection.execute(statement.encode())


async def test_an_error_of_ours_is_loud(database_url: str):
    with pytest.raises(errors.UndefinedTable):
        async with connect(database_url) as connection:
            await connection.execute("SELECT * FROM nothing")
    with pytest.raises(DatabaseRefused, match=r"history: .*nothing"):
        async with connect(database_url) as connection:
            with refused("history"):
                await connection.execute("SELECT * FROM nothing")


async def test_a_database_that_does_not_answer_in_time_is_away(database_url: str):
    with pytest.raises(DatabaseUnavailable, match=r"has not answered for 0\.1 s"):
        async with connect(database_url) as connection, answering(0.1):
            await connection.execute("SELECT pg_sleep(30)")


async def test_who_was_stopped_amid_a_transaction_does_not_hold_its_rows_for_ever(database_url: str):
    async with connect(database_url, idle_s=1) as stopped:
        await stopped.execute(
            "INSERT INTO reader (name, log_id, next_offset, moved_at) SELECT 'a', gen_random_uuid(), 0, now()"
        )
        async with connect(database_url) as other, answering(10):
            await other.execute(
                "INSERT INTO reader (name, log_id, next_offset, moved_at) SELECT 'a', gen_random_uuid(), 0, now()"
            )
