"""`beffroi rules ...`: rules of a city's own and other thresholds than the declared ones; each change has a number."""

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from rich.console import Console
from rich.table import Table

from devices.own_rule import Decisions, OwnRule
from devices.policy import Override, Scope
from hub.commands.status import known_home
from hub.errors import BadFile, BadSetting, BeffroiError
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store import policy
from store.database import Connection, connect
from store.policy import Change, Version

T = TypeVar("T")
console = Console(highlight=False, markup=False, soft_wrap=True)


def decided(settings: Settings) -> tuple[Decisions, dict[int, str]]:
    """What is decided, and the names of the devices that it names by number.

    Without the database nothing, and why on standard error.
    """

    async def ask(connection: Connection) -> tuple[Decisions, dict[int, str]]:
        decisions = await policy.decisions(connection)
        places = [(one.scope, one.place) for one in decisions.rules]
        places += [(one.scope, one.place) for one in decisions.overrides]
        return decisions, await policy.place_names(connection, _numbers(places))

    try:
        return _in_database(settings, ask)
    except BeffroiError as error:
        stderr = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        stderr.print(f"Without the city's own rules: {error}")
        return Decisions(), {}


def add(settings: Settings, file: Path) -> None:
    """Add the rules of a file, or replace those of the same code; all or none."""
    rules = read_rules(file)

    async def save(connection: Connection) -> int:
        number = await policy.version(connection)
        for rule in rules:
            try:
                number = await policy.save_rule(connection, rule, _who(), settings.the_clock.now())
            except BadSetting as error:
                raise BadFile(f"{file}: rule {rule.code!r}: {error}") from error
        return number

    _say(_in_database(settings, save))


def remove(settings: Settings, kind: str, code: str) -> None:
    """Remove a rule of the city's own."""
    _change(settings, lambda conn: policy.remove_rule(conn, kind, code, _who(), settings.the_clock.now()))


def set_threshold(settings: Settings, override: Override) -> None:
    """Set a rule's threshold for a part of the city."""
    _change(settings, lambda conn: policy.set_override(conn, override, _who(), settings.the_clock.now()))


def unset_threshold(settings: Settings, kind: str, code: str, threshold: str, scope: Scope, place: str) -> None:
    """Let a rule's threshold be again what it is around that part of the city."""
    now = settings.the_clock.now()
    _change(
        settings,
        lambda conn: policy.clear_override(conn, kind, code, threshold, _who(), now, scope=scope, place=place),
    )


def undo(settings: Settings, number: int) -> None:
    """Put back what a version changed."""
    _change(settings, lambda conn: policy.undo(conn, number, _who(), settings.the_clock.now()))


def history(settings: Settings, limit: int, *, as_json: bool) -> None:
    """Print the last changes, the newest first."""

    async def ask(connection: Connection) -> tuple[list[Version], dict[int, str]]:
        versions = await policy.history(connection, limit=limit)
        places = [(change.scope, change.place) for version in versions for change in version.changes]
        return versions, await policy.place_names(connection, _numbers(places))

    versions, names = _in_database(settings, ask)
    if as_json:
        for version in versions:
            console.print(msgspec.json.encode(version).decode())
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("version", "when", "who", "what"):
        table.add_column(name, no_wrap=name != "what", overflow="fold")
    for version in versions:
        told = [told_change(change, names) for change in version.changes]
        undone = [f"undoes version {version.undoes}"] if version.undoes else []
        when = version.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(str(version.version), when, version.who, "; ".join([*undone, *told]))
    console.print(table)


def told_change(change: Change, names: Mapping[int, str]) -> str:
    """One change in words of an operator."""
    rule = f"{change.kind} {change.code}"
    if not change.threshold:
        if change.before is None or change.after is None:
            return f"{rule} {'added' if change.before is None else 'removed'}"
        fields = [name for name in OwnRule.__struct_fields__ if _part(change.before, name) != _part(change.after, name)]
        return f"{rule} changed: {', '.join(fields)}"
    was, becomes = (
        "as around it" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        for value in (change.before, change.after)
    )
    return f"{rule} {change.threshold} {shown_place(change.scope, change.place, names)}: {was} → {becomes}"


def shown_place(scope: Scope, place: str, names: Mapping[int, str]) -> str:
    """A part of the city in words: of the city, in commune dijon, of device dijon/A-DIJ-017."""
    if scope == "city":
        return "in the city"
    named = names.get(int(place), place) if scope in ("group", "device") else place
    return f"for {scope} {named}"


def read_rules(file: Path) -> list[OwnRule]:
    """The rules of a YAML file, one or a list; BadFile says what is wrong where."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadFile(f"{file} cannot be read: {error}") from error
    try:
        return msgspec.convert(found if isinstance(found, list) else [found], list[OwnRule])
    except msgspec.ValidationError as error:
        raise BadFile(f"{file}: {error}; docs/writing-a-rule.md says what a rule of your own is made of") from error


def scope_of(**places: str | None) -> tuple[Scope, str]:
    """The one part of the city that was named by options, the whole city without; BadSetting for two."""
    given: list[Any] = [(scope, place) for scope, place in places.items() if place is not None]
    if len(given) > 1:
        raise BadSetting(f"--{given[0][0]} does not go with --{given[1][0]}: name one part of the city")
    return given[0] if given else ("city", "")


def _part(rule: object, name: str) -> object:
    return getattr(rule, name, None)


def _numbers(places: list[tuple[Scope, str]]) -> list[int]:
    return [int(place) for scope, place in places if scope in ("group", "device")]


def _change(settings: Settings, change: Callable[[Connection], Awaitable[int]]) -> None:
    _say(_in_database(settings, change))


def _say(number: int) -> None:
    console.print(f"Version {number}; the hub follows it within 5 seconds. beffroi rules undo {number} takes it back.")


def _who() -> str:
    """Who sits at the machine."""
    try:
        return f"{pwd.getpwuid(os.getuid()).pw_name} (command line)"
    except KeyError:
        return f"user {os.getuid()} (command line)"


def _in_database(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do it in one transaction."""

    async def run() -> T:
        secrets = Secrets.of(settings.home) if settings.database_url else known_home(settings)
        async with connect(database_url(settings, secrets)) as connection:
            done = await work(connection)
            await connection.commit()
            return done

    return asyncio.run(run())
