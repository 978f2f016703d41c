"""The rollups of a kind: which figures each field has, and the tables that hold them, as DDL. Pure.

Of one device: {kind}_15m, {kind}_1h, {kind}_1d by (device_no, ts), where ts is the bucket's start; and {kind}_latest,
the last known value of each field with its time. Of all declared devices of a type in a commune:
{kind}_area_15m and {kind}_area_1h by (commune, type, ts).

A figure is named as rules name theirs: {field}__mean. Every field has __n, how many values were told; but a place has
nothing here, so that where a vehicle was is forgotten with its readings.

    of one device   measure  __min __max __mean __last
                    counter  __last __increase
                    flag     __mean (the share of readings that raise it) __last
    of a commune    measure  __min __max __mean (over readings) __sum (of the devices' means)
                    counter  __increase
                    flag     __devices (that raised it)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, LiteralString

from psycopg import sql

from devices.kind import Field, Kind, Storage

Figure = Literal["n", "min", "max", "mean", "last", "increase", "sum", "devices"]


@dataclass(frozen=True, slots=True)
class Table:
    """A sort of rollup table: what its name ends in, what it is unique by, and days in one of its chunks."""

    suffix: str
    key: tuple[str, ...]
    chunk_days: int

    def name(self, kind: Kind) -> str:
        return f"{kind.name}_{self.suffix}"


QUARTERS = Table("15m", ("device_no", "ts"), 1)
HOURS = Table("1h", ("device_no", "ts"), 7)
DAYS = Table("1d", ("device_no", "ts"), 90)
AREA_QUARTERS = Table("area_15m", ("commune", "type", "ts"), 30)
AREA_HOURS = Table("area_1h", ("commune", "type", "ts"), 90)
OF_DEVICES = (QUARTERS, HOURS, DAYS)
OF_AREAS = (AREA_QUARTERS, AREA_HOURS)
TABLES = (*OF_DEVICES, *OF_AREAS)
LATEST = "latest"

KEY_TYPE: Mapping[str, LiteralString] = {"device_no": "integer", "commune": "text", "type": "text", "ts": "timestamptz"}
TYPE: Mapping[Figure, LiteralString] = {
    "n": "integer",
    "min": "real",
    "max": "real",
    "mean": "real",
    "increase": "double precision",
    "sum": "double precision",
    "devices": "integer",
}
LAST_TYPE: Mapping[Storage, LiteralString] = {"real": "real", "double": "double precision", "flag": "boolean"}


def device_figures(field: Field) -> tuple[Figure, ...]:
    """What a field's buckets of one device hold."""
    if field.storage == "flag":
        return ("n", "mean", "last")
    if field.is_counter:
        return ("n", "last", "increase")
    return () if field.is_place else ("n", "min", "max", "mean", "last")


def area_figures(field: Field) -> tuple[Figure, ...]:
    """What a field's buckets of a commune hold."""
    if field.storage == "flag":
        return ("n", "devices")
    if field.is_counter:
        return ("n", "increase")
    return () if field.is_place else ("n", "min", "max", "mean", "sum")


def latest_fields(kind: Kind) -> tuple[Field, ...]:
    """The fields whose last known value is kept."""
    return tuple(field for field in kind.fields if not field.is_place)


def column(field: Field, figure: Figure) -> str:
    """The name of a figure's column."""
    return f"{field.name}__{figure}"


def at_column(field: Field) -> str:
    """The column of {kind}_latest that tells when the field was last told."""
    return f"{field.name}__at"


def rollup_ddl(kind: Kind) -> list[sql.Composed]:
    """The statements that make a kind's rollup tables as declared, whatever they were before."""
    statements = [statement for table in TABLES for statement in _table_ddl(kind, table)]
    latest = sql.Identifier(f"{kind.name}_{LATEST}")
    head = "device_no integer PRIMARY KEY, ts timestamptz NOT NULL, received_at timestamptz NOT NULL"
    # Every row is written again and again: room in its page keeps that cheap.
    statements.append(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}) WITH (fillfactor = 60)").format(latest, _sql(head)))
    fields = latest_fields(kind)
    columns = {f.name: LAST_TYPE[f.storage] for f in fields} | {at_column(f): KEY_TYPE["ts"] for f in fields}
    return [*statements, _add_columns(latest, columns)]


def _table_ddl(kind: Kind, table: Table) -> list[sql.Composed]:
    name = table.name(kind)
    counts = ("devices", "readings") if table in OF_AREAS else ("readings",)
    head = {**{part: KEY_TYPE[part] for part in table.key}, **dict.fromkeys(counts, KEY_TYPE["device_no"])}
    create = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(
        sql.Identifier(name),
        sql.SQL(", ").join(
            sql.SQL("{} {} NOT NULL").format(sql.Identifier(n), _sql(type_)) for n, type_ in head.items()
        ),
    )
    hyper = sql.SQL(
        "SELECT create_hypertable({}, by_range('ts', {}::interval), create_default_indexes => false,"
        " if_not_exists => true)"
    ).format(sql.Literal(name), sql.Literal(f"{table.chunk_days} days"))
    unique = sql.SQL("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})").format(
        sql.Identifier(f"{name}_key"), sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, table.key))
    )
    # What is usual reads one hour of every device. Buckets lie in the order of time: this tiny index finds their pages.
    by_time = sql.SQL(
        "CREATE INDEX IF NOT EXISTS {} ON {} USING brin (ts) WITH (pages_per_range = 64, autosummarize = on)"
    ).format(sql.Identifier(f"{name}_ts"), sql.Identifier(name))
    figures = area_figures if table in OF_AREAS else device_figures
    added = {column(f, figure): _type(f, figure) for f in kind.fields for figure in figures(f)}
    indexes = [unique, by_time] if table is HOURS else [unique]
    return [create, hyper, *indexes, *([_add_columns(sql.Identifier(name), added)] if added else [])]


def _type(field: Field, figure: Figure) -> LiteralString:
    return LAST_TYPE[field.storage] if figure == "last" else TYPE[figure]


def _add_columns(table: sql.Identifier, columns: Mapping[str, LiteralString]) -> sql.Composed:
    added = [
        sql.SQL("ADD COLUMN IF NOT EXISTS {} {}").format(sql.Identifier(name), _sql(type_))
        for name, type_ in columns.items()
    ]
    return sql.SQL("ALTER TABLE {} {}").format(table, sql.SQL(", ").join(added))


def _sql(words: LiteralString) -> sql.SQL:
    return sql.SQL(words)
