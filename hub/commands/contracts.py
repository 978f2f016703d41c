"""`beffroi contracts` and `beffroi keys`: what is delegated to whom, and with what key it is asked for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from rich.console import Console

from hub.commands.tables import print_table
from hub.errors import BadFile, BadSetting
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store import contracts
from store.contracts import SCOPES, Key, Scope
from store.database import Connection, connect


def import_file(settings: Settings, file: Path) -> None:
    """Import every contract of the file, or none. BadFile says what is wrong."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        parsed = contracts.parse_contracts(text, settings.timezone)
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{file} cannot be read: {error}") from error
    except BadFile as error:
        raise BadFile(f"{file}: {error}") from error

    async def work() -> tuple[int, int, int]:
        async with _hub(settings) as conn:
            return await contracts.import_contracts(conn, parsed)

    added, changed, unchanged = asyncio.run(work())
    Console().print(f"{added} added, {changed} changed, {unchanged} unchanged", highlight=False)


def list_contracts(settings: Settings) -> None:
    async def work() -> list[dict[str, Any]]:
        async with _hub(settings) as conn:
            return await contracts.contracts(conn)

    print_table(
        ("contract", "provider", "kinds", "communes", "from", "to", "positions", "households", "role"),
        [
            (
                row["name"],
                row["provider"],
                ", ".join(row["kinds"]),
                ", ".join(row["communes"]),
                str(row["from_day"]),
                str(row["to_day"] or ""),
                "yes" if row["vehicle_positions"] else "no",
                row["household_readings"],
                row["role"],
            )
            for row in asyncio.run(work())
        ],
    )


def list_accesses(settings: Settings, contract: str | None, limit: int) -> None:
    async def work() -> list[dict[str, Any]]:
        async with _hub(settings) as conn:
            return await contracts.accesses(conn, contract, limit)

    print_table(
        ("at", "contract", "key", "holder", "asked", "answer"),
        [
            (
                _time(row["at"], settings),
                row["contract"],
                row["prefix"],
                row["holder"],
                " ".join([row["what"], *(f"{name}={value}" for name, value in row["asked"].items())]),
                row["refused"] or ("broke off" if row["rows"] is None else f"{row['rows']} rows"),
            )
            for row in asyncio.run(work())
        ],
    )


def add_key(settings: Settings, contract: str, holder: str, scopes: Sequence[str], days: int) -> str:
    """A new key; BadSetting for a contract or a scope that does not exist."""
    if strange := [scope for scope in scopes if scope not in SCOPES]:
        raise BadSetting(f"there is no scope {', '.join(strange)}; scopes are {', '.join(SCOPES)}")

    async def work() -> str:
        async with _hub(settings) as conn:
            return await contracts.add_key(conn, contract, holder, cast(Sequence[Scope], scopes) or SCOPES, days)

    return asyncio.run(work())


def list_keys(settings: Settings) -> None:
    async def work() -> list[Key]:
        async with _hub(settings) as conn:
            return await contracts.keys(conn)

    print_table(
        ("key", "contract", "holder", "scopes", "expires", "last used", "state"),
        [
            (
                key.prefix,
                key.contract,
                key.holder,
                ", ".join(key.scopes),
                _time(key.expires_at, settings),
                _time(key.last_used_at, settings) if key.last_used_at else "never",
                "revoked" if key.revoked_at else "expired" if key.is_expired else "good",
            )
            for key in asyncio.run(work())
        ],
    )


def revoke_key(settings: Settings, prefix: str) -> None:
    async def work() -> None:
        async with _hub(settings) as conn:
            await contracts.revoke_key(conn, prefix)

    asyncio.run(work())


@asynccontextmanager
async def _hub(settings: Settings) -> AsyncIterator[Connection]:
    """The hub's database, in a transaction that is kept when the block ends well."""
    async with connect(database_url(settings, Secrets.of(settings.home))) as conn:
        yield conn
        await conn.commit()


def _time(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(ZoneInfo(settings.timezone)):%Y-%m-%d %H:%M}"
