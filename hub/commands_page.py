"""The page docs/commands.md: every command as its own `--help` tells it. Pure, but for writing the page.

Write it again after a change to hub/cli.py: `python -m hub.commands_page`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from hub.cli import app

Command = Any
Parameter = Any
"""Typer's own, which it does not name in public."""
PAGE = Path("docs/commands.md")
HEAD = """# Commands

Everything on this page is made of the commands themselves by `python -m hub.commands_page`; a test holds it to them,
and `--help` after any command says the same. `beffroi` is `.venv/bin/beffroi`. Every command reads the settings of
[operating.md](operating.md#settings): `BEFFROI_HOME` tells which hub it speaks to.

Results go to standard output. What a person reads meanwhile goes to standard error, and progress only to a terminal.

## Exit codes

| code | when |
|---|---|
| 0 | done; also when Ctrl-C or SIGTERM ends what runs until then: the hub and its processes, `simulate`, `record` |
| 1 | something could not be done, and a sentence says what |
| 1 | only a part could be done: `devices import` left out bad rows, `record` has a gap, `replay` did not play all |
| 1 | `status` found something wrong; `score --strict` missed a target |
| 2 | a setting, an option or an argument is wrong, and nothing was done |
| 130 | Ctrl-C ended a command before its work was done |
"""


def commands_page(program: typer.Typer) -> str:
    """The whole page."""
    return "\n".join([HEAD, *_group(typer.main.get_command(program), "beffroi")])


def lacking_examples(program: typer.Typer) -> list[str]:
    """Commands that show no example (`epilog` in hub/cli.py)."""
    return [name for name, found in _commands(typer.main.get_command(program), "beffroi") if not found.epilog]


def _group(group: Command, path: str) -> Iterator[str]:
    for name, command in _commands(group, path):
        yield _command(name, command)


def _commands(group: Command, path: str) -> Iterator[tuple[str, Command]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(name: str, command: Command) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
    parts = [f"## {name}\n", f"{_line(command.help)}\n"]
    if command.epilog:
        parts.append(f"    {_line(command.epilog).removeprefix('Example: ')}\n")
    rows = [*(_row(_argument(p), p) for p in arguments), *(_row(_option(p), p) for p in options)]
    if rows:
        parts.append(_table(("argument or option", "what", "default"), rows))
    return "\n".join(parts)


def _argument(parameter: Parameter) -> str:
    name = (parameter.name or "").upper()
    return f"`{name}`" if parameter.required else f"`[{name}]`"


def _option(parameter: Parameter) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in names)


def _row(shown: str, parameter: Parameter) -> tuple[str, str, str]:
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    bounds = "" if low is None or high is None else f" From {low:,} to {high:,}."
    default = parameter.default
    plain = default is None or isinstance(default, bool) or default == ()
    return shown, _line(getattr(parameter, "help", None)) + bounds, "" if plain else f"`{default}`"


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "/") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(commands_page(app), encoding="utf-8")
