"""`beffroi rules test`: rules against tables of inputs and expected alerts, for people who keep them in git."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hub.commands.devices import kinds_asked_for
from hub.errors import BadFile
from rules.rehearsal import rehearse
from rules.script import Script, read_scripts

FAILED, UNREADABLE = 1, 2


def run(files: Sequence[Path], kind: str | None) -> int:
    """Play every test and print what failed; the exit code: 1 when one did, 2 when a file makes no sense."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    scripts: list[tuple[Path, Script]] = []
    is_bad = False
    wanted = {found.name for found in kinds_asked_for(kind)}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise BadFile(f"{file} cannot be read: {error}") from error
        found, bad = read_scripts(text)
        for row in bad:
            console.print(f"{file}:{row.line}: {row.reason}", style="yellow")
        is_bad = is_bad or bool(bad)
        scripts += [(file, script) for script in found if script.kind.name in wanted]
    if is_bad:
        return UNREADABLE
    failed = sum([_play(file, script, console) for file, script in scripts])
    console.print(f"{len(scripts) - failed} of {len(scripts)} tests passed")
    return FAILED if failed else 0


def _play(file: Path, script: Script, console: Console) -> bool:
    """Play one test; did it fail?"""
    failures = rehearse(script)
    console.print(f"{'✗' if failures else '✓'} {script.name}", style="bold red" if failures else "green")
    for failure in failures:
        console.print(f"  {file}:{failure.line}: {failure.reason}")
    return bool(failures)
