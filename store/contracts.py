"""Contracts of delegated providers, their API keys, and the record of what was asked with them.

A key is `bfr_`, eight characters that name it, and 256 random bits. Only a SHA-256 is kept, and that is enough: a slow,
salted hash protects what people choose and others can guess; nobody guesses 256 random bits, and every request would
pay for the slowness.
"""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import available_timezones

import psycopg.errors
import yaml

from devices.kind import kinds
from hub.errors import BadFile, BadSetting
from store.contract_logins import limit_login, tenants
from store.database import Connection
from store.jsonb import jsonb
from store.sql import statements

SQL = statements("contracts")
Scope = Literal["read", "export"]
SCOPES: tuple[Scope, ...] = ("read", "export")
TOKEN_START = "bfr"  # it lets scanners of leaked secrets know one of ours
PREFIX_LENGTH = 8
_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Contract:
    """What a provider was delegated: these kinds in these communes, from the first day to the last, both included."""

    name: str
    provider: str
    kinds: tuple[str, ...]
    communes: tuple[str, ...]
    from_day: date
    to_day: date | None
    """None: it goes on."""
    time_zone: str
    vehicle_positions: bool = False
    """May it see where vehicles were?"""
    household_readings: str = "daily"
    """`daily`: one reading per finished day of a household's meter; `all`: every reading."""
    purpose: str | None = None
    """Why it needs personal data; required when it gets any."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept, without its secret."""

    prefix: str
    contract: str
    holder: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    is_expired: bool


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks: a key that is good now, and the contract it stands for."""

    key_no: int
    prefix: str
    holder: str
    scopes: tuple[str, ...]
    expires_at: datetime
    contract_no: int
    contract: str
    role: str
    """The database role that sees what the contract may see."""


def parse_contracts(text: str, time_zone: str) -> list[Contract]:
    """The contracts of a YAML file (pure); BadFile names the first that is wrong and how."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadFile(f"it is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(said, list) or not said:
        raise BadFile("it must be a list with one entry per contract")
    contracts = [_parsed(place, entry, time_zone) for place, entry in enumerate(said, 1)]
    names = [contract.name for contract in contracts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadFile(f"two contracts have the name {twice!r}")
    return contracts


_KEYS: Mapping[str, str] = {"from": "from_day", "to": "to_day"}
_REQUIRED = ("name", "provider", "kinds", "communes", "from")
_OPTIONAL = ("to", "time_zone", "vehicle_positions", "household_readings", "purpose")


def _parsed(place: int, entry: object, time_zone: str) -> Contract:
    if not isinstance(entry, dict):
        raise BadFile(f"contract {place} must have keys: {', '.join(_REQUIRED)}")
    where = f"contract {place} ({entry.get('name', 'without a name')})"
    if missing := [key for key in _REQUIRED if not entry.get(key)]:
        raise BadFile(f"{where} does not say: {', '.join(missing)}")
    if strange := [str(key) for key in entry if key not in (*_REQUIRED, *_OPTIONAL)]:
        raise BadFile(f"{where}: {', '.join(strange)} is no key; the keys are {', '.join(_REQUIRED + _OPTIONAL)}")
    values = {"time_zone": time_zone, **{_KEYS.get(key, key): value for key, value in entry.items()}}
    for key in ("kinds", "communes"):
        values[key] = _names(values[key], f"{where}: {key}")
    contract = Contract(**{"to_day": None, **values})
    if fault := _fault(contract):
        raise BadFile(f"{where}: {fault}")
    return contract


def _names(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise BadFile(f"{where} must be a list of names")
    return tuple(sorted(set(value)))


def _fault(c: Contract) -> str | None:
    """What is wrong with a contract, if anything."""
    strange_kinds = [kind for kind in c.kinds if kind not in kinds()]
    checks = (
        (
            all(
                isinstance(t, str) and t.isprintable() and len(t) <= 200 for t in (c.name, c.provider, c.purpose or "")
            ),
            "name, provider and purpose are texts of at most 200 characters",
        ),
        (not strange_kinds, f"there is no kind {', '.join(strange_kinds)}; kinds are {', '.join(sorted(kinds()))}"),
        (_is_day(c.from_day) and (c.to_day is None or _is_day(c.to_day)), "from and to are days such as 2026-01-31"),
        (
            c.to_day is None or not _is_day(c.from_day) or not _is_day(c.to_day) or c.from_day <= c.to_day,
            "it ends before it begins",
        ),
        (c.time_zone in available_timezones(), "time_zone is one such as Europe/Paris"),
        (isinstance(c.vehicle_positions, bool), "vehicle_positions is true or false"),
        (c.household_readings in ("daily", "all"), "household_readings is daily or all"),
        (
            bool(c.purpose) or not (c.vehicle_positions is True or c.household_readings == "all"),
            "it gives personal data, so it must say for what purpose",
        ),
    )
    return next((fault for is_right, fault in checks if not is_right), None)


def _is_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


async def import_contracts(conn: Connection, contracts: Iterable[Contract]) -> tuple[int, int, int]:
    """Make the contracts say what the file says, each with its role; (added, changed, unchanged). Others stay.

    BadSetting when the hub's own role may not make roles.
    """
    outcomes: list[bool | None] = []
    names: set[str] = set()
    async with conn.transaction():
        for contract in contracts:
            names.add(contract.name)
            values = {**asdict(contract), "kinds": list(contract.kinds), "communes": list(contract.communes)}
            row = await (await conn.execute(SQL["put_contract"], values)).fetchone()
            outcomes.append(row["is_new"] if row else None)
            await conn.execute(SQL["name_role"], {"name": contract.name})
            try:
                await conn.execute(SQL["admit"], {"name": contract.name})
            except psycopg.errors.InsufficientPrivilege as error:
                raise BadSetting(
                    "the hub's database role may not make roles, and each contract needs one; "
                    "give it the right with: ALTER ROLE ... CREATEROLE"
                ) from error
        for tenant in await tenants(conn):
            if tenant.name in names:
                await limit_login(conn, tenant)
    return outcomes.count(True), outcomes.count(False), outcomes.count(None)


async def contracts(conn: Connection) -> list[dict[str, Any]]:
    """Every contract with its number and role, by name."""
    return await (await conn.execute(SQL["contracts"])).fetchall()


async def add_key(conn: Connection, contract: str, holder: str, scopes: Sequence[Scope], days: int) -> str:
    """A new key of a contract, to be told to its holder and kept nowhere. BadSetting when there is no such contract."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_LENGTH))
    token = f"{TOKEN_START}_{prefix}_{secrets.token_urlsafe(32)}"
    values = {"prefix": prefix, "secret_hash": _digest(token), "contract": contract, "holder": holder}
    query = await conn.execute(SQL["add_key"], {**values, "scopes": sorted(set(scopes)), "days": days})
    if await query.fetchone() is None:
        raise BadSetting(f"there is no contract {contract!r}; beffroi contracts list names them")
    return token


async def keys(conn: Connection) -> list[Key]:
    """Every key, the newest first."""
    rows = await (await conn.execute(SQL["keys"])).fetchall()
    return [Key(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]


async def revoke_key(conn: Connection, prefix: str) -> None:
    """The key opens nothing from now on. BadSetting when there is no such key."""
    if await (await conn.execute(SQL["revoke"], {"prefix": prefix})).fetchone() is None:
        raise BadSetting(f"there is no key {prefix!r}; beffroi keys list names them")


async def bearer_of(conn: Connection, token: str) -> Bearer | str:
    """Who holds this token, or why it is refused; marks the key as used."""
    start, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    unknown = "this key is not known"
    if start != TOKEN_START or len(prefix) != PREFIX_LENGTH or not secret or not token.isascii() or "\0" in token:
        return unknown
    row = await (await conn.execute(SQL["key"], {"prefix": prefix})).fetchone()
    if row is None or not hmac.compare_digest(row["secret_hash"], _digest(token)):
        return unknown
    if row["revoked_at"]:
        return "this key was revoked"
    if row["is_expired"]:
        return "this key has expired"
    await conn.execute(SQL["used"], {"key_no": row["key_no"]})
    kept = {name: row[name] for name in Bearer.__slots__}
    return Bearer(**{**kept, "scopes": tuple(row["scopes"])})


async def log_asked(conn: Connection, bearer: Bearer, what: str, asked: Mapping[str, object]) -> int:
    """Record a question before it is answered; returns its number."""
    values = {"contract_no": bearer.contract_no, "key_no": bearer.key_no, "what": what}
    row = await (await conn.execute(SQL["asked"], {**values, "asked": jsonb(asked).decode()})).fetchone()
    assert row is not None
    return int(row["access_no"])


async def log_answered(conn: Connection, access_no: int, rows: int | None, refused: str | None = None) -> None:
    """Record how many rows a question was answered with, or why it was refused."""
    await conn.execute(SQL["answered"], {"access_no": access_no, "rows": rows, "refused": refused})


async def accesses(conn: Connection, contract: str | None, limit: int) -> list[dict[str, Any]]:
    """What was asked, the last first: of one contract, or of all."""
    return await (await conn.execute(SQL["accesses"], {"contract": contract, "limit": limit})).fetchall()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
