"""What the operator's page asks the database: devices, histories, incidents; runs store/queries/pages.sql."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from psycopg import sql
from psycopg.rows import tuple_row

from devices.kind import Field, Kind
from hub.errors import DatabaseUnavailable
from store import rollup_ddl as ddl
from store.database import Connection
from store.sql import statements

Row = dict[str, Any]
CLOSED_DAYS = 7
HISTORY_POINTS = 1000
RECENT_READINGS = 20
LIST_LIMIT = 500
OPEN_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class IncidentCard:
    """An incident as a list shows it."""

    incident_no: int
    kind: str
    code: str
    priority: int
    state: str
    quiet: str | None
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    closed_at: datetime | None
    members: int
    """Devices whose own fault it explains now."""
    cause_no: int
    id: str
    type: str | None
    label: str | None
    street: str | None
    commune: str
    lat: float | None
    lon: float | None
    parent_type: str | None
    parent_label: str | None
    moved_at: datetime | None = None
    moved_by: str | None = None
    moved_from: str | None = None
    moved_reason: str | None = None
    """Of the last move that a person made; `moved_from` is None when there was none, or it was taken back."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which incidents a person asks for; what is empty or None does not narrow the list."""

    is_closed: bool = False
    kinds: Sequence[str] = ()
    communes: Sequence[str] = ()
    priority: int | None = None
    state: str | None = None
    text: str = ""
    """Part of a place's name, or an incident's number."""
    codes: Sequence[str] = ()
    """Rules whose title holds the text."""

    def parameters(self) -> dict[str, Any]:
        """Of a statement; sequences as lists, which are arrays in SQL."""
        lists = {"kinds": list(self.kinds), "communes": list(self.communes), "codes": list(self.codes)}
        return asdict(self) | lists


Values = list[float | bool | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A field over time: None where nothing was said. A measure of buckets has its extremes too."""

    values: Values
    low: Values | None = None
    high: Values | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What one device said over a time: readings, thinned to at most HISTORY_POINTS moments, or buckets."""

    at: list[datetime]
    lines: dict[str, Line]


async def ping(conn: Connection) -> None:
    """Ask for nothing, to learn whether the database answers."""
    await conn.execute(_statement("ping"))


async def registry_version(conn: Connection) -> int:
    """Rises with every change of the registry."""
    return int((await _one(conn, "registry_version") or {"version": 0})["version"])


async def communes(conn: Connection) -> list[str]:
    """Every commune that has a device."""
    return [row["commune"] for row in await _all(conn, "communes")]


async def points(conn: Connection, kind: str) -> list[tuple[int, str | None, float | None, float | None, bool]]:
    """(device_no, type, lat, lon, is to commission) of every device of a kind, by number."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_statement("points"), {"kind": kind})
        return cast(list[tuple[int, str | None, float | None, float | None, bool]], await cursor.fetchall())


async def device(conn: Connection, device_no: int) -> Row | None:
    """A device with its parent and gateway."""
    return await _one(conn, "device", device_no=device_no)


async def children(conn: Connection, device_no: int) -> list[Row]:
    """The devices that hang from it: device_no, id, type, label (the first LIST_LIMIT)."""
    return await _all(conn, "children", device_no=device_no, limit=LIST_LIMIT)


async def neighbours(conn: Connection, device_no: int) -> list[Row]:
    """The devices that the city declares next to it, as `children` tells them."""
    return await _all(conn, "neighbours", device_no=device_no, limit=LIST_LIMIT)


async def child_count(conn: Connection, device_no: int) -> int:
    """How many devices hang from it, or are reached through it as their gateway."""
    return int((await _one(conn, "child_count", device_no=device_no) or {"count": 0})["count"])


async def events(conn: Connection, device_no: int, since: datetime) -> list[Row]:
    """ts, code, detail, time_flagged of its events, newest first (at most LIST_LIMIT)."""
    return await _all(conn, "events", device_no=device_no, since=since, limit=LIST_LIMIT)


async def device_incidents(conn: Connection, device_no: int, since: datetime) -> list[IncidentCard]:
    """Incidents of which it is the cause or a member: the open ones, and those opened since."""
    return await _cards(conn, _statement("which_device"), device_no=device_no, since=since)


async def last_values(
    conn: Connection, kind: Kind, device_no: int
) -> tuple[Row | None, dict[str, tuple[Any, datetime]]]:
    """The last reading's times, and per field (but its place) the last value that is known, with its time.

    The table of latest values is a second or two behind, so the last readings are looked at as well.
    """
    fields = ddl.latest_fields(kind)
    recent = _of_kind("last_readings", kind, columns=_names(field.name for field in fields))
    latest = _statement("last_values").format(
        table=sql.Identifier(f"{kind.name}_{ddl.LATEST}"),
        columns=_names(name for f in fields for name in (f.name, ddl.at_column(f))),
    )
    known = await (await conn.execute(latest, {"device_no": device_no})).fetchone() or {}
    values = {f.name: (known[f.name], known[ddl.at_column(f)]) for f in fields if known.get(f.name) is not None}
    rows = await (await conn.execute(recent, {"device_no": device_no, "limit": RECENT_READINGS})).fetchall()
    for row in reversed(rows):
        for field in fields:
            if row[field.name] is not None and (field.name not in values or row["ts"] >= values[field.name][1]):
                values[field.name] = row[field.name], row["ts"]
    return (rows[0] if rows else None), values


async def history(conn: Connection, kind: Kind, device_no: int, since: datetime, until: datetime) -> History:
    """Readings of every field between two moments, thinned by time_bucket: means of measures, last of the rest."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(_thinned(field), sql.Identifier(field.name)) for field in kind.fields
    )
    width = max((until - since) / HISTORY_POINTS, timedelta(seconds=1))
    width = timedelta(seconds=-(-width // timedelta(seconds=1)))
    values = {"device_no": device_no, "since": since, "until": until, "width": width}
    rows = await (await conn.execute(_of_kind("history", kind, columns=columns), values)).fetchall()
    return History([row["at"] for row in rows], {f.name: Line([row[f.name] for row in rows]) for f in kind.fields})


async def rolled_history(
    conn: Connection, kind: Kind, device_no: int, since: datetime, until: datetime, table: ddl.Table
) -> History:
    """Buckets of every field but its place: means of measures with their extremes, rises of counters, flags."""
    drawn = {f.name: [ddl.column(f, figure) for figure in _drawn(f)] for f in ddl.latest_fields(kind)}
    statement = _statement("rolled_history").format(
        table=sql.Identifier(table.name(kind)), columns=_names(name for names in drawn.values() for name in names)
    )
    asked = {"device_no": device_no, "since": since, "until": until}
    rows = await (await conn.execute(statement, asked)).fetchall()
    lines = {field: Line(*([row[name] for row in rows] for name in names)) for field, names in drawn.items()}
    return History([row["at"] for row in rows], lines)


def _drawn(field: Field) -> tuple[ddl.Figure, ...]:
    """The figures of a field that a graph of buckets shows, its value first."""
    if field.storage == "flag":
        return ("mean",)
    return ("increase",) if field.is_counter else ("mean", "min", "max")


async def log_position_access(conn: Connection, login: str, device_no: int, since: datetime, until: datetime) -> None:
    """Record that somebody looked at where a vehicle was."""
    values = {"login": login, "device_no": device_no, "since": since, "until": until}
    await conn.execute(_statement("log_position_access"), values)


async def log_positions_access(
    conn: Connection, login: str, kinds: Iterable[str], since: datetime, until: datetime
) -> None:
    """Record that somebody could see where every vehicle of these kinds was (the live map)."""
    values = {"login": login, "kinds": list(kinds), "since": since, "until": until}
    await conn.execute(_statement("log_positions_access"), values)


async def listen_to_incidents(conn: Connection) -> None:
    """From now on the connection hears of incidents that change; DatabaseUnavailable before the first migration."""
    row = await (await conn.execute(_statement("has_tables"))).fetchone()
    if row is None or not row["has_tables"]:
        raise DatabaseUnavailable("the database has no tables yet; beffroi migrate makes them")
    await conn.execute(_statement("listen_to_incidents"))


async def open_incidents(conn: Connection) -> list[IncidentCard]:
    """Every open incident, the most urgent and then the newest first."""
    return await _cards(conn, _statement("which_open"), limit=OPEN_LIMIT)


async def incident_cards(conn: Connection, incident_nos: list[int]) -> list[IncidentCard]:
    """The incidents of these numbers, open or closed."""
    return await _cards(conn, _statement("which_numbers"), limit=len(incident_nos), incident_nos=incident_nos)


async def asked_incidents(
    conn: Connection, asked: Asked, *, limit: int, offset: int = 0, oldest_first: bool = False
) -> tuple[list[IncidentCard], int]:
    """A page of the incidents asked for, and how many there are in all.

    Open ones come by priority and then the newest (or oldest) first, closed ones the last closed first.
    """
    values, which = asked.parameters(), _which(asked)
    order = "closed_first" if asked.is_closed else "oldest_first" if oldest_first else "newest_first"
    cards = await _cards(conn, which, order=order, limit=limit, offset=offset, **values)
    row = await (await conn.execute(_statement("count_incidents").format(which=which), values)).fetchone()
    return cards, int((row or {"count": 0})["count"])


async def open_counts(conn: Connection, asked: Asked) -> dict[str, dict[int, int]]:
    """How many of the open incidents asked for there are, by kind and priority."""
    statement = _statement("open_counts").format(which=_which(asked))
    found: dict[str, dict[int, int]] = {}
    for row in await (await conn.execute(statement, asked.parameters())).fetchall():
        found.setdefault(row["kind"], {})[row["priority"]] = row["count"]
    return found


async def devices_in(conn: Connection, kind: str, commune: str) -> list[int]:
    """Numbers of a kind's devices in a commune."""
    return [row["device_no"] for row in await _all(conn, "devices_in", kind=kind, commune=commune)]


async def to_commission(conn: Connection, kind: Kind) -> list[Row]:
    """Devices of a kind that speak and that nobody declared, with their last reading; the newest first."""
    statement = _of_kind("to_commission", kind, columns=sql.SQL("*"))
    query = await conn.execute(statement, {"kind": kind.name, "limit": LIST_LIMIT})
    return await query.fetchall()


async def count_to_commission(conn: Connection) -> int:
    """How many devices wait to be commissioned."""
    return int((await _one(conn, "count_to_commission") or {"count": 0})["count"])


def _statement(name: str) -> sql.SQL:
    return sql.SQL(statements("pages")[name])


def _which(asked: Asked) -> sql.Composed:
    return sql.SQL(" AND ").join(map(_statement, ("which_closed" if asked.is_closed else "which_open", "which_asked")))


def _of_kind(name: str, kind: Kind, *, columns: sql.Composable) -> sql.Composed:
    return _statement(name).format(table=sql.Identifier(kind.name), columns=columns)


def _names(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _thinned(field: Field) -> sql.Composed:
    """One value for a bucket: the mean of what varies, the last of a counter, a position or a flag."""
    column = sql.Identifier(field.name)
    if field.storage == "real":
        return sql.SQL("avg({})").format(column)
    return sql.SQL("last({0}, ts) FILTER (WHERE {0} IS NOT NULL)").format(column)


async def _all(conn: Connection, name: str, **values: object) -> list[Row]:
    return await (await conn.execute(_statement(name), values)).fetchall()


async def _one(conn: Connection, name: str, **values: object) -> Row | None:
    return await (await conn.execute(_statement(name), values)).fetchone()


async def _cards(
    conn: Connection,
    which: sql.Composable,
    *,
    order: str = "newest_first",
    limit: int = LIST_LIMIT,
    offset: int = 0,
    **values: object,
) -> list[IncidentCard]:
    statement = _statement("incident_cards").format(which=which, order=_statement(order))
    rows = await (await conn.execute(statement, {"limit": limit, "offset": offset, **values})).fetchall()
    return [IncidentCard(**row) for row in rows]
