"""What a city decides about rules: rules of its own and other thresholds; every change has a number and can be undone.

A change is one transaction and one version. It says what each thing was before and is after, so that an undo is a
change like any other: it puts back what was before, unless something later has made that thing different again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from psycopg.rows import DictRow

from devices.own_rule import Decisions, OwnRule, compiled, override_fault, place_fault
from devices.policy import Override, Policy, Scope
from hub.errors import BadSetting
from store.database import Connection
from store.jsonb import jsonb
from store.sql import statements

SQL = statements("policy")
What = Literal["save_rule", "remove_rule", "set_override", "clear_override", "undo"]


class Change(msgspec.Struct, frozen=True):
    """What became of one thing: an own rule when `threshold` is empty, else a threshold of a rule for a place."""

    kind: str
    code: str
    threshold: str = ""
    scope: Scope = "city"
    place: str = ""
    before: OwnRule | float | None = None
    """None: it was not there."""
    after: OwnRule | float | None = None

    @property
    def thing(self) -> tuple[str, ...]:
        """What it is a change of."""
        return (self.kind, self.code, self.threshold, *((self.scope, self.place) if self.threshold else ()))


class Version(msgspec.Struct, frozen=True):
    """One change of the policy."""

    version: int
    at: datetime
    who: str
    what: What
    undoes: int | None
    changes: tuple[Change, ...]


async def version(connection: Connection) -> int:
    """The number of the last change, 0 before the first."""
    row = await (await connection.execute(SQL["version"])).fetchone()
    assert row is not None
    return int(row["version"])


async def decisions(connection: Connection) -> Decisions:
    """All that is decided.

    Read after its version: what changes meanwhile is read again, never missed.
    """
    known_version = await version(connection)
    rules = await (await connection.execute(SQL["rules"])).fetchall()
    decode = msgspec.json.Decoder(OwnRule).decode
    return Decisions(
        known_version,
        tuple(decode(row["rule"]) for row in rules if not row["is_removed"]),
        tuple(Override(**row) for row in await (await connection.execute(SQL["overrides"])).fetchall()),
        tuple(decode(row["rule"]) for row in rules if row["is_removed"]),
    )


async def load(connection: Connection) -> Policy:
    """What the engine works with."""
    return (await decisions(connection)).policy


async def history(connection: Connection, *, before: int | None = None, limit: int = 50) -> list[Version]:
    """The last changes, the newest first; those before a version when it is given."""
    rows = await (await connection.execute(SQL["history"], {"before": before, "limit": limit})).fetchall()
    return [_version(row) for row in rows]


async def save_rule(connection: Connection, rule: OwnRule, who: str, now: datetime) -> int:
    """Add an own rule, or replace the one of its code; the new version, or the present one when nothing is new.

    BadExpression or BadSetting says why the rule cannot be. The place of a group or a single device may be given as
    commune/id. In one transaction, the caller's if it has one; so are all changes.
    """
    async with connection.transaction():
        known = await _locked(connection)
        rule = msgspec.structs.replace(rule, place=await _place(connection, rule.kind, rule.scope, rule.place))
        compiled(rule)
        before = _own_rule(known, rule.kind, rule.code)
        once = before or next((one for one in known.removed if one.key == rule.key), rule)
        if once.type != rule.type:  # state on disk and incidents know it by its code
            raise BadSetting(f"rule {rule.code!r} is of a {once.type}: take another code for a {rule.type}")
        return await _commit(connection, known, "save_rule", [_of_rule(rule, before, rule)], who, now)


async def remove_rule(connection: Connection, kind: str, code: str, who: str, now: datetime) -> int:
    """Remove an own rule and its thresholds; the new version. What it has on is told to be over by the worker."""
    async with connection.transaction():
        known = await _locked(connection)
        if (rule := _own_rule(known, kind, code)) is None:
            raise BadSetting(f"there is no rule of the city's own {code!r} for {kind}; beffroi rules list shows them")
        mine = [one for one in known.overrides if (one.kind, one.code) == rule.key]
        changes = [_of_override(one, one.value, None) for one in mine]
        return await _commit(connection, known, "remove_rule", [*changes, _of_rule(rule, rule, None)], who, now)


async def set_override(connection: Connection, override: Override, who: str, now: datetime) -> int:
    """Set a threshold for a part of the city; the new version, or the present one when nothing is new.

    BadSetting says why it cannot be. The place of a group or a single device may be given as commune/id.
    """
    async with connection.transaction():
        known = await _locked(connection)
        place = await _place(connection, override.kind, override.scope, override.place)
        new = msgspec.structs.replace(_of_override(override, None, None), place=place, after=float(override.value))
        before = _value(known, new)
        change = msgspec.structs.replace(new, before=before)
        return await _commit(connection, known, "set_override", [change], who, now)


async def clear_override(
    connection: Connection,
    kind: str,
    code: str,
    threshold: str,
    who: str,
    now: datetime,
    *,
    scope: Scope = "city",
    place: str = "",
) -> int:
    """Let a threshold be for a part of the city what it is around it; the new version."""
    async with connection.transaction():
        known = await _locked(connection)
        found = await _place(connection, kind, scope, place, must_be=False)
        thing = Change(kind, code, threshold, scope, found)
        if (before := _value(known, thing)) is None:
            raise BadSetting(f"{threshold} of {code} is not set for {place or 'the whole city'}; nothing to take back")
        change = msgspec.structs.replace(thing, before=before)
        return await _commit(connection, known, "clear_override", [change], who, now)


async def undo(connection: Connection, number: int, who: str, now: datetime) -> int:
    """Put back what a version changed, as a new version; BadSetting when it cannot be, with the reason."""
    async with connection.transaction():
        known = await _locked(connection)
        row = await (await connection.execute(SQL["one"], {"version": number})).fetchone()
        if row is None:
            raise BadSetting(f"there is no version {number}; beffroi rules history shows them")
        changes = [
            msgspec.structs.replace(change, before=change.after, after=change.before)
            for change in reversed(_version(row).changes)
        ]
        if touched := {change.thing for change in changes if _now(known, change) != change.before}:
            later = await (await connection.execute(SQL["later"], {"version": number})).fetchall()
            by = next((v for v in map(_version, later) if touched & {change.thing for change in v.changes}), None)
            why = f"version {by.version} of {by.who} has changed the same since" if by else "it is not so any more"
            raise BadSetting(f"version {number} cannot be undone: {why}")
        return await _commit(connection, known, "undo", changes, who, now, undoes=number)


async def place_names(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """The devices of these numbers, as commune/id: what people call the place of a group or a single device."""
    rows = await (await connection.execute(SQL["names"], {"numbers": list(numbers)})).fetchall()
    return {row["device_no"]: row["name"] for row in rows}


async def _locked(connection: Connection) -> Decisions:
    """What is decided; nobody else changes it until the transaction ends."""
    await connection.execute(SQL["lock"])
    return await decisions(connection)


async def _commit(
    connection: Connection,
    known: Decisions,
    what: What,
    changes: Sequence[Change],
    who: str,
    now: datetime,
    *,
    undoes: int | None = None,
) -> int:
    """Write changes as the next version, if they make a policy that can be."""
    changes = [change for change in changes if change.before != change.after]
    if not changes:
        return known.version
    for change in changes:
        await _write(connection, change)
    _check(await decisions(connection), changes)
    number = known.version + 1
    told = {"version": number, "at": now, "who": who, "what": what, "undoes": undoes}
    await connection.execute(SQL["add_version"], {**told, "changes": jsonb(msgspec.to_builtins(changes)).decode()})
    return number


async def _write(connection: Connection, change: Change) -> None:
    values = {name: getattr(change, name) for name in ("kind", "code", "threshold", "scope", "place")}
    match change.after:
        case OwnRule() as rule:
            await connection.execute(SQL["put_rule"], {**values, "rule": jsonb(msgspec.to_builtins(rule)).decode()})
        case None if not change.threshold:
            await connection.execute(SQL["remove_rule"], values)
        case None:
            await connection.execute(SQL["remove_override"], values)
        case value:
            await connection.execute(SQL["put_override"], {**values, "value": value})


def _check(then: Decisions, changes: Sequence[Change]) -> None:
    """BadSetting when what is changed does not fit together afterwards."""
    touched = {(change.kind, change.code) for change in changes}
    for one in then.rules:
        if one.key in touched:
            compiled(one)
    for override in then.overrides:
        if (override.kind, override.code) not in touched:
            continue
        if (rule := then.rule(override.kind, override.code)) is None:
            raise BadSetting(
                f"{override.kind} has no rule {override.code!r} that could have the threshold {override.threshold};"
                " beffroi rules list shows the rules"
            )
        if why := override_fault(override, rule):
            raise BadSetting(why)


async def _place(connection: Connection, kind: str, scope: Scope, place: str, *, must_be: bool = True) -> str:
    """A place as it is kept; BadSetting when there is none of that name, or when it may be gone, the name itself."""
    values: dict[str, object] = {"kind": kind}
    if scope in ("group", "device") and place:
        commune, slash, device_id = place.partition("/")
        values |= {"commune": commune, "id": device_id, "device_no": int(place) if _is_number(place) else 0}
        statement = SQL["device_by_name"] if slash else SQL["device_by_number"]
        row = await (await connection.execute(statement, values)).fetchone()
        if row is not None:
            return str(row["device_no"])
        if must_be:
            raise BadSetting(f"{kind} has no device {place!r}; a device is named commune/id, as in dijon/A-DIJ-017")
    elif scope in ("commune", "model") and place and must_be:
        rows = await (await connection.execute(SQL[f"{scope}s"], values)).fetchall()
        if place not in (names := [row["name"] for row in rows]):
            raise BadSetting(f"{kind} has no device of {scope} {place!r}; there are {', '.join(names[:30]) or 'none'}")
    if must_be and (why := place_fault(scope, place)):
        raise BadSetting(why)
    return place


def _is_number(place: str) -> bool:
    return place.isascii() and place.isdigit() and int(place) < 2**31


def _own_rule(known: Decisions, kind: str, code: str) -> OwnRule | None:
    return next((rule for rule in known.rules if rule.key == (kind, code)), None)


def _value(known: Decisions, change: Change) -> float | None:
    """The value that is set, None when none is."""
    found = (one.value for one in known.overrides if _of_override(one, None, None).thing == change.thing)
    return next(found, None)


def _now(known: Decisions, change: Change) -> OwnRule | float | None:
    """What the thing of a change is now."""
    return _value(known, change) if change.threshold else _own_rule(known, change.kind, change.code)


def _of_rule(rule: OwnRule, before: OwnRule | None, after: OwnRule | None) -> Change:
    return Change(rule.kind, rule.code, before=before, after=after)


def _of_override(one: Override, before: float | None, after: float | None) -> Change:
    return Change(one.kind, one.code, one.threshold, one.scope, one.place, before, after)


def _version(row: DictRow) -> Version:
    changes = msgspec.json.decode(row["changes"], type=tuple[Change, ...])
    return Version(**{**row, "changes": changes})
