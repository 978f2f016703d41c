"""The statements that roll a kind's readings up, made of its declaration and store/queries/rollup.sql. Pure."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import LiteralString

from psycopg import sql

from devices.kind import Field, Kind
from store import rollup_ddl as ddl
from store.rollup_ddl import Figure, Table, at_column, column
from store.sql import statements

SQL = statements("rollup")
OF_READINGS: Mapping[Figure, LiteralString] = {
    "n": "count({f})::integer",
    "min": "min({f})",
    "max": "max({f})",
    "mean": "avg({f})",
    "last": "last({f}, ts) FILTER (WHERE {f} IS NOT NULL)",
    "increase": "sum(CASE WHEN {before} IS NULL THEN NULL WHEN {f} >= {before} THEN {f} - {before} ELSE {f} END)",
}
"""From readings; a counter that falls has begun again at nothing. A flag is averaged as 0 and 1."""
OF_BUCKETS: Mapping[Figure, LiteralString] = {
    "n": "sum(b.{n})",
    "min": "min(b.{min})",
    "max": "max(b.{max})",
    "mean": "sum(b.{mean}::double precision * b.{n}) / nullif(sum(b.{n}), 0)",
    "last": "last(b.{last}, b.ts) FILTER (WHERE b.{n} > 0)",
    "increase": "sum(b.{increase})",
    "sum": "sum(b.{mean}::double precision)",
    "devices": "count(*) FILTER (WHERE b.{mean} > 0)",
}
"""From buckets `b` of one device."""


@cache
def quarters(kind: Kind) -> sql.Composed:
    """Readings of touched quarters to quarters and to the latest values: devices, quarters, since, until, before."""
    fields = ddl.latest_fields(kind)
    counters = [field for field in fields if field.is_counter]
    figures = [(field, figure) for field in fields for figure in ddl.device_figures(field)]
    ats = [at_column(field) for field in fields]
    at = "max(ts) FILTER (WHERE {} IS NOT NULL)"
    return _statement("quarters").format(
        **_names(kind),
        fields=_listed(sql.SQL("r.{}").format(sql.Identifier(field.name)) for field in fields),
        lags=_parts("lag", kind, counters),
        befores=_parts("before", kind, counters),
        figures=_listed(_named(_of_reading(field, figure), column(field, figure)) for field, figure in figures),
        ats=_listed(_named(_sql(at).format(sql.Identifier(f.name)), at_column(f)) for f in fields),
        columns=_columns(figures),
        updates=_updates(figures),
        names=_listed(sql.Identifier(field.name) for field in fields),
        at_names=_listed(map(sql.Identifier, ats)),
        lasts=_listed(_last_of(field) for field in fields),
        last_ats=_listed(sql.SQL("max({})").format(sql.Identifier(name)) for name in ats),
        newer=_listed(_newer(field) for field in fields),
    )


@cache
def successors(kind: Kind, field: Field) -> sql.Composed:
    """Where the next reading of a counter lies, for touched quarters that are not its last: devices, quarters."""
    return _statement("successors").format(
        **_names(kind), field=sql.Identifier(field.name), at=sql.Identifier(at_column(field))
    )


@cache
def widen(kind: Kind, narrow: Table, wide: Table) -> sql.Composed:
    """Buckets of one device to wider ones: devices, starts, ends (in quarters), since, until."""
    return _from_buckets("widen", kind, ddl.device_figures, narrow, wide=sql.Identifier(wide.name(kind)))


@cache
def areas(kind: Kind, table: Table) -> sql.Composed:
    """Buckets of the devices of communes to one per commune and type: kind, communes, starts, since, until."""
    buckets = {ddl.AREA_QUARTERS: ddl.QUARTERS, ddl.AREA_HOURS: ddl.HOURS}[table]
    return _from_buckets("areas", kind, ddl.area_figures, buckets, area=sql.Identifier(table.name(kind)))


@cache
def remember_all(kind: Kind) -> sql.Composed:
    """Every reading that is stored has still to be rolled up."""
    return _statement("remember_all").format(kind=sql.Literal(kind.name), table=sql.Identifier(kind.name))


def _from_buckets(
    name: str, kind: Kind, held: Callable[[Field], Iterable[Figure]], buckets: Table, **target: sql.Identifier
) -> sql.Composed:
    figures = [(field, figure) for field in kind.fields for figure in held(field)]
    return _statement(name).format(
        **target,
        buckets=sql.Identifier(buckets.name(kind)),
        figures=_listed(_of_bucket(field, figure) for field, figure in figures),
        columns=_columns(figures),
        updates=_updates(figures),
    )


def _names(kind: Kind) -> dict[str, sql.Identifier]:
    return {
        "table": sql.Identifier(kind.name),
        "quarters": sql.Identifier(ddl.QUARTERS.name(kind)),
        "latest": sql.Identifier(f"{kind.name}_{ddl.LATEST}"),
    }


def _of_reading(field: Field, figure: Figure) -> sql.Composed:
    text = "avg({f}::integer)" if field.storage == "flag" and figure == "mean" else OF_READINGS[figure]
    return _sql(text).format(f=sql.Identifier(field.name), before=sql.Identifier(_before(field)))


def _of_bucket(field: Field, figure: Figure) -> sql.Composed:
    names: dict[str, sql.Identifier] = {f: sql.Identifier(column(field, f)) for f in ddl.device_figures(field)}
    return _sql(OF_BUCKETS[figure]).format(**names)


def _parts(name: str, kind: Kind, counters: Iterable[Field]) -> sql.Composed:
    """The text of that name for each counter."""
    return sql.Composed(
        [
            _statement(name).format(
                table=sql.Identifier(kind.name),
                field=sql.Identifier(field.name),
                lag=sql.Identifier(f"{field.name}__lag"),
                before=sql.Identifier(_before(field)),
            )
            for field in counters
        ]
    )


def _before(field: Field) -> str:
    return f"{field.name}__before"


def _last_of(field: Field) -> sql.Composed:
    names = {"last": sql.Identifier(column(field, "last")), "at": sql.Identifier(at_column(field))}
    return sql.SQL("last({last}, {at}) FILTER (WHERE {at} IS NOT NULL)").format(**names)


def _newer(field: Field) -> sql.Composed:
    """A late value takes the place of the one before it only where that is older."""
    return sql.SQL(
        "{f} = CASE WHEN excluded.{at} >= coalesce(l.{at}, '-infinity') THEN excluded.{f} ELSE l.{f} END,"
        " {at} = greatest(excluded.{at}, l.{at})"
    ).format(f=sql.Identifier(field.name), at=sql.Identifier(at_column(field)))


def _columns(figures: Iterable[tuple[Field, Figure]]) -> sql.Composed:
    return _listed(sql.Identifier(column(field, figure)) for field, figure in figures)


def _updates(figures: Iterable[tuple[Field, Figure]]) -> sql.Composed:
    return _listed(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column(field, figure))) for field, figure in figures
    )


def _named(value: sql.Composed, name: str) -> sql.Composed:
    return sql.SQL("{} AS {}").format(value, sql.Identifier(name))


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    """Parts that follow others, each after a comma."""
    return sql.Composed([sql.SQL(", {}").format(part) for part in parts])


def _statement(name: str) -> sql.SQL:
    return sql.SQL(SQL[name])


def _sql(words: LiteralString) -> sql.SQL:
    return sql.SQL(words)
