"""What Grafana reads: the text of its panels' queries (pure), and the role and views that they run on."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import LiteralString

from psycopg import errors, sql

from devices.kind import Field, Kind, kinds
from hub.errors import BeffroiError
from store.database import Connection
from store.delegate_ddl import POSITION
from store.rollup_ddl import OF_AREAS, area_figures, column
from store.schema import HEAD
from store.sql import statements

SQL = statements("grafana")
ROLE = "beffroi_grafana"
NOT_MIGRATED = (errors.InvalidSchemaName, errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedObject)
_BLANK = re.compile(r"\{(\w+)\}")

Part = sql.Composable | str
"""What fills a blank of a query; a text is a literal of SQL."""


def fill(name: str, /, **parts: Part) -> str:
    """The text of a panel's query; KeyError when a blank is left. Grafana's own `${...}` stays as it is."""
    literals = {key: part if isinstance(part, sql.Composable) else sql.Literal(part) for key, part in parts.items()}
    return _BLANK.sub(lambda blank: literals[blank[1]].as_string(None), SQL[name])


def identifier(name: str) -> sql.Identifier:
    """A table, or a column's title, as Grafana shows it."""
    return sql.Identifier(name)


def literals(texts: Iterable[str]) -> sql.Composable:
    """A list for IN (...); one that nothing is in when it is empty."""
    values: list[sql.Composable] = [sql.Literal(text) for text in texts]
    return sql.SQL(", ").join(values or [sql.NULL])


def labels(columns: tuple[str, ...], texts: Mapping[tuple[str, ...], str]) -> sql.Composable:
    """An expression that says for people what columns say for machines: the texts by the columns' values."""
    names = [sql.Identifier(*column.split(".")) for column in columns]
    if not texts:
        return sql.SQL("{}::text").format(names[-1])
    cases = [
        sql.SQL("WHEN {} THEN {}").format(_equal(names, values), sql.Literal(text)) for values, text in texts.items()
    ]
    return sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(cases), names[-1])


def any_of(columns: tuple[str, ...], values: Iterable[tuple[str, ...]]) -> sql.Composable:
    """A condition: the columns are one of these; never true when there are none."""
    names = [sql.Identifier(*column.split(".")) for column in columns]
    return sql.SQL(" OR ").join([_equal(names, row) for row in values] or [sql.SQL("false")])


def each(name: str, parts: Iterable[Mapping[str, Part]]) -> sql.Composable:
    """The part of a query of that name, filled in once for each."""
    return sql.SQL(",\n       ").join([part_of(name, **filled) for filled in parts])


def part_of(name: str, **parts: Part) -> sql.Composable:
    """The part of a query of that name."""
    return _text(fill(name, **parts))


def figures(field: Field) -> dict[str, Part]:
    """The names of a field's columns in the figures of a commune, and its own."""
    named: dict[str, Part] = {figure: identifier(column(field, figure)) for figure in area_figures(field)}
    return {"field": identifier(field.name), **named}


def shown_fields(kind: Kind) -> tuple[Field, ...]:
    """What Grafana may see of a kind's readings: not where its devices are when they carry people."""
    return tuple(field for field in kind.fields if not (kind.is_mobile and field.name in POSITION))


async def expose(connection: Connection) -> None:
    """Make the views of the kinds' tables as they are declared now, in one transaction. Safe to repeat."""
    with explained(ROLE):
        async with connection.transaction():
            await _make_views(connection)


async def set_password(connection: Connection, password: str) -> None:
    """Let the role log in with this password, and no other."""
    with explained(ROLE):
        await connection.execute(fill("password", password=password).encode())


async def _make_views(connection: Connection) -> None:
    for kind in kinds().values():
        names = [identifier(name) for name in (*HEAD, *(field.name for field in shown_fields(kind)))]
        views = {kind.name: sql.SQL(", ").join(names)} | {table.name(kind): sql.SQL("*") for table in OF_AREAS}
        for view, columns in views.items():
            for statement in ("drop_view", "view", "grant"):
                await connection.execute(fill(statement, table=identifier(view), columns=columns).encode())


@contextmanager
def explained(role: str) -> Iterator[None]:
    """What the database refuses to change of a role, as what to do."""
    try:
        yield
    except NOT_MIGRATED as error:
        raise BeffroiError("the database is not at the present schema; run: beffroi migrate") from error
    except errors.InsufficientPrivilege as error:
        raise BeffroiError(
            f"the hub's role may not change {role}, which another role made; as administrator of the database run: "
            f"GRANT {role} TO the hub's role WITH ADMIN OPTION"
        ) from error


def _equal(names: list[sql.Identifier], values: tuple[str, ...]) -> sql.Composable:
    pairs = zip(names, values, strict=True)
    return sql.SQL("({})").format(
        sql.SQL(" AND ").join([sql.SQL("{} = {}").format(name, sql.Literal(value)) for name, value in pairs])
    )


def _text(statement: str) -> sql.SQL:
    """A statement of ours, already filled in, as a part of another."""
    literal: LiteralString = statement  # of files of ours
    return sql.SQL(literal)
