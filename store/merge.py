"""The statements that merge staged rows into a kind's table, made from its declaration. Pure."""

from functools import cache

from psycopg import sql

from devices.kind import Kind
from store.schema import columns


def stage_ddl(kind: Kind) -> sql.Composed:
    """A session's own staging table: the kind's columns, the row's place in the batch and its round."""
    return sql.SQL('CREATE TEMP TABLE IF NOT EXISTS {} ("row" integer, round integer, LIKE {})').format(
        sql.Identifier(f"stage_{kind.name}"), sql.Identifier(kind.name)
    )


@cache
def conflicts_statement(kind: Kind) -> sql.Composed:
    """Staged rows of a round that contradict a stored row of the same key."""
    return sql.SQL(
        'SELECT s."row" FROM {stage} s JOIN {table} t USING (device_no, ts) WHERE s.round = %(round)s AND ({differs})'
    ).format(**_names(kind), differs=_differs(kind, "s"))


@cache
def merge_statement(kind: Kind) -> sql.Composed:
    """Insert a round's rows, or fill what their stored row lacks; returns a row for each one written."""
    names = sql.SQL(", ").join(columns(kind))
    fields = [sql.Identifier(name) for name in kind.field_names]
    fill = [sql.SQL("{0} = coalesce(t.{0}, excluded.{0})").format(field) for field in fields]
    fill.append(sql.SQL("rest = coalesce(excluded.rest || t.rest, t.rest, excluded.rest)").format())
    lacking = [sql.SQL("(t.{0} IS NULL AND excluded.{0} IS NOT NULL)").format(field) for field in fields]
    return sql.SQL(
        "INSERT INTO {table} AS t ({names}) SELECT {names} FROM {stage} WHERE round = %(round)s"
        " ON CONFLICT (device_no, ts) DO UPDATE SET {fill}"
        " WHERE ({lacking}) AND ({differs}) IS NOT TRUE"
        " RETURNING (xmax = 0)::int AS inserted"
    ).format(
        **_names(kind),
        names=names,
        fill=sql.SQL(", ").join(fill),
        lacking=sql.SQL(" OR ").join(lacking),
        differs=_differs(kind, "excluded"),
    )


def _names(kind: Kind) -> dict[str, sql.Identifier]:
    return {"stage": sql.Identifier(f"stage_{kind.name}"), "table": sql.Identifier(kind.name)}


def _differs(kind: Kind, other: str) -> sql.Composed:
    """True where both have a value and they differ."""
    return sql.SQL(" OR ").join(
        sql.SQL("t.{0} <> {1}.{0}").format(sql.Identifier(name), sql.Identifier(other)) for name in kind.field_names
    )
