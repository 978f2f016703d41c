"""The tables of the declared kinds, as DDL. Pure.

A field that is added to a kind adds its column; nothing is ever dropped.
"""

from psycopg import sql

from devices.kind import Kind, Storage
from store.delegate_ddl import contract_ddl
from store.rollup_ddl import rollup_ddl

SQL_TYPE: dict[Storage, sql.SQL] = {
    "real": sql.SQL("real"),
    "double": sql.SQL("double precision"),
    "flag": sql.SQL("boolean"),
}
HEAD = ("device_no", "ts", "received_at", "time_flagged")
TAIL = "rest"


def table_ddl(kind: Kind) -> list[sql.Composed]:
    """The statements that make a kind's tables as declared, whatever they were before."""
    table = sql.Identifier(kind.name)
    create = sql.SQL(
        "CREATE TABLE IF NOT EXISTS {} (device_no integer NOT NULL, ts timestamptz NOT NULL,"
        " received_at timestamptz NOT NULL, time_flagged boolean NOT NULL DEFAULT false, rest jsonb)"
    ).format(table)
    hyper = sql.SQL(
        "SELECT create_hypertable({}, by_range('ts', INTERVAL '1 day'), create_default_indexes => false,"
        " if_not_exists => true)"
    ).format(sql.Literal(kind.name))
    unique = sql.SQL("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} (device_no, ts)").format(
        sql.Identifier(f"{kind.name}_key"), table
    )
    columns = [
        sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}").format(
            table, sql.Identifier(field.name), SQL_TYPE[field.storage]
        )
        for field in kind.fields
    ]
    return [create, hyper, *columns, unique, *rollup_ddl(kind), *contract_ddl(kind, SQL_TYPE)]


def columns(kind: Kind) -> list[sql.Identifier]:
    """The columns that a write names, in order."""
    return [sql.Identifier(name) for name in (*HEAD, *kind.field_names, TAIL)]
