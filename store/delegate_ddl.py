"""What a contract's role may read of a kind's readings: one view and three functions, as DDL. Pure.

The view is a security barrier, for people who write SQL. The functions run with their owner's rights on the hypertable
itself, so that a page of readings is an index scan; each asks delegate.device what the caller may see, and returns at
most so many rows. Both hide positions and thin out household readings in the same words.
"""

from collections.abc import Iterable, Mapping

from psycopg import sql

from devices.kind import Field, Kind, Storage
from store.rollup_ddl import AREA_HOURS, AREA_QUARTERS, HOURS, QUARTERS, area_figures, column
from store.sql import statements

POSITION = frozenset({"lat", "lon", "course_deg"})
"""Fields of a mobile kind that say where a vehicle was or went."""


def contract_ddl(kind: Kind, types: Mapping[Storage, sql.SQL]) -> list[sql.Composed]:
    """The statements that make what contracts see of a kind, whatever it was before."""
    household_types = [type.name for type in kind.types if type.is_household]
    parts = {
        "kind": sql.Literal(kind.name),
        "table": sql.Identifier("public", kind.name),
        "view": sql.Identifier("delegate", kind.name),
        "readings": sql.Identifier("delegate", f"{kind.name}_readings"),
        "points": sql.Identifier("delegate", f"{kind.name}_points"),
        "latest": sql.Identifier("delegate", f"{kind.name}_latest"),
        "is_mobile": sql.Literal(kind.is_mobile),
        "household_types": sql.Literal(household_types or None),
        "is_household": sql.Literal(bool(household_types)),
        "fields": _listed(_shown(kind, field) for field in kind.fields),
        "typed": _listed(sql.SQL("{} {}").format(sql.Identifier(f.name), types[f.storage]) for f in kind.fields),
        "thinned": _listed(_thinned(kind, field) for field in kind.fields),
        "rolled": _listed(_rolled(field, types) for field in kind.fields),
        "area_quarters": sql.Identifier("public", AREA_QUARTERS.name(kind)),
        "area_hours": sql.Identifier("public", AREA_HOURS.name(kind)),
        "area_quarters_view": sql.Identifier("delegate", AREA_QUARTERS.name(kind)),
        "area_hours_view": sql.Identifier("delegate", AREA_HOURS.name(kind)),
        "area_columns": _listed(sql.Identifier("a", name) for name in _area_columns(kind)),
        "quarters": sql.Identifier("public", QUARTERS.name(kind)),
        "hours": sql.Identifier("public", HOURS.name(kind)),
    }
    templates = statements("delegate_ddl")
    return [sql.SQL(template).format(**parts) for template in templates.values()]


def _area_columns(kind: Kind) -> list[str]:
    """What a contract sees of a commune's figures: not where vehicles went together, which may be one alone."""
    shown = [field for field in kind.fields if not _is_position(kind, field)]
    figures = [column(field, figure) for field in shown for figure in area_figures(field)]
    return [*AREA_QUARTERS.key, "devices", "readings", *figures]


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _is_position(kind: Kind, field: Field) -> bool:
    return kind.is_mobile and field.name in POSITION


def _shown(kind: Kind, field: Field) -> sql.Composed:
    """A field of reading r as device s shows it."""
    name = sql.Identifier(field.name)
    shown = "CASE WHEN s.vehicle_positions THEN r.{0} END AS {0}" if _is_position(kind, field) else "r.{0}"
    return sql.SQL(shown).format(name)


def _rolled(field: Field, types: Mapping[Storage, sql.SQL]) -> sql.Composable:
    """The same of a field's rollups."""
    if field.is_place:
        return sql.SQL("NULL::{}").format(types[field.storage])
    n, mean, last = (sql.Identifier("r", column(field, figure)) for figure in ("n", "mean", "last"))
    if field.storage == "real":
        return sql.SQL("(sum({mean}::float8 * {n}) / nullif(sum({n}), 0))::real").format(mean=mean, n=n)
    return sql.SQL("last({last}, r.ts) FILTER (WHERE {n} > 0)").format(last=last, n=n)


def _thinned(kind: Kind, field: Field) -> sql.Composed:
    """One value for a bucket: the mean of what varies, the last of a counter, a position or a flag."""
    name = sql.Identifier(field.name)
    if field.storage == "real":
        value = sql.SQL("avg(r.{})::real").format(name)
    else:
        value = sql.SQL("last(r.{0}, r.ts) FILTER (WHERE r.{0} IS NOT NULL)").format(name)
    return sql.SQL("CASE WHEN s.vehicle_positions THEN {} END").format(value) if _is_position(kind, field) else value
