"""Contracts that log in to the database themselves, through Grafana: each as its own role, until it ends.

A role without a password cannot log in, and after the contract's last day its password is good no more, whether
somebody closes the log-in or not. What it may see is what it sees through the API (store/delegate.py).
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from store.database import Connection
from store.grafana import explained
from store.sql import statements

SQL = statements("contract_logins")
FOREVER = "infinity"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A contract as Grafana needs it."""

    name: str
    kinds: tuple[str, ...]
    time_zone: str
    role: str
    ends_at: datetime | None
    """None: it goes on."""
    is_ended: bool
    can_log_in: bool


async def tenants(conn: Connection) -> list[Tenant]:
    """Every contract, by name, those that ended too."""
    rows = await (await conn.execute(SQL["tenants"])).fetchall()
    return [Tenant(**{**row, "kinds": tuple(row["kinds"])}) for row in rows]


async def open_login(conn: Connection, tenant: Tenant, password: str) -> None:
    """Let the contract's role log in with this password and no other, to read what the contract may see."""
    # Hashed here, so that no log of the server ever holds the password.
    verifier = conn.pgconn.encrypt_password(password.encode(), tenant.role.encode(), b"scram-sha-256").decode()
    with explained(tenant.role):
        async with conn.transaction():
            for name in ("open", "search_path", "read_only", "timeout", "joins", "enter", "read", "read_quiet"):
                await _run(conn, name, tenant, verifier=sql.Literal(verifier))


async def limit_login(conn: Connection, tenant: Tenant) -> None:
    """Let the role's password, if it has one, end with the contract."""
    with explained(tenant.role):
        await _run(conn, "limit", tenant)


async def close_login(conn: Connection, tenant: Tenant) -> None:
    """Let the role log in no more, and end what sessions of it there are. Commits."""
    with explained(tenant.role):
        await _run(conn, "close", tenant)
    await conn.commit()  # before sessions end, so that none comes back
    async with conn.transaction():
        await _run(conn, "become", tenant)
        await conn.execute(SQL["end_sessions"])


async def _run(conn: Connection, name: str, tenant: Tenant, **parts: sql.Composable) -> None:
    until = sql.Literal(tenant.ends_at.isoformat() if tenant.ends_at else FOREVER)
    await conn.execute(sql.SQL(SQL[name]).format(role=sql.Identifier(tenant.role), until=until, **parts))
