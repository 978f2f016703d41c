"""Progress on a terminal: one line per stage, with a bar or a spinner while it lasts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

Advance = Callable[[float], None]
"""Told the share of the stage that is done, from 0 to 1."""

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def stage(title: str) -> Iterator[Advance]:
    """Show one stage while the block runs; its line stays, with the time that it took."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<44}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda share: progress.update(task, completed=min(share, 0.99))
        progress.update(task, completed=1.0)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show a stage whose length is not known; its line stays, with the time that it took."""
    began_s = time.monotonic()
    with console.status(title):
        yield
    console.print(f"[green]✓[/] {title:<44} [dim]{time.monotonic() - began_s:.1f} s[/]")
