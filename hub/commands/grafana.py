"""`beffroi grafana ...`: dashboards pushed to a Grafana or written for its provisioning, and the role it reads with."""

import asyncio
import json
import secrets as random
from pathlib import Path

from rich.console import Console

from dashboard.grafana.api import Asking
from dashboard.grafana.boards import Board, boards
from dashboard.grafana.push import Change, Pushed, must_have_datasource
from dashboard.grafana.push import push as push_boards
from hub.commands import policy
from hub.errors import BadFile, BadSetting
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store.database import connect
from store.grafana import ROLE, expose, set_password

console = Console(highlight=False, markup=False, soft_wrap=True)
WORDS = {
    False: {"new": "made", "changed": "changed", "removed": "removed"},
    True: {"new": "would make", "changed": "would change", "removed": "would remove"},
}
"""What was done, or would be on a dry run."""


def push(settings: Settings, *, dry_run: bool) -> None:
    """Make a Grafana hold the dashboards; says what was done, or on a dry run what would be."""
    url = grafana_url(settings)
    if not settings.grafana_token:
        raise BadSetting(
            "BEFFROI_GRAFANA_TOKEN is not set; make a token for a service account with the role Admin in Grafana"
        )
    asking = Asking(url, settings.grafana_token)
    must_have_datasource(asking)
    report(push_boards(asking, made_for(settings), dry_run=dry_run), dry_run=dry_run)


def export(settings: Settings, folder: Path) -> None:
    """Write one file per dashboard, as Grafana's provisioning reads them; files of dashboards that are gone go too."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = {f"{uid}.json": board for uid, board in made_for(settings).items()}
        for name, board in made.items():
            _replace(folder / name, json.dumps(board, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        for path in folder.glob("beffroi-*.json"):
            if path.name not in made:
                path.unlink()
    except OSError as error:
        raise BadFile(f"the folder {folder} cannot be written: {error.strerror}") from error
    console.print(f"{len(made)} dashboards in {folder}")


def prepare_role(settings: Settings, password: str | None) -> None:
    """Let Grafana read the database: its views as declared now, and a password, printed when it was made here."""
    chosen = password or random.token_urlsafe(24)

    async def work() -> None:
        async with connect(database_url(settings, Secrets.of(settings.home))) as connection:
            await expose(connection)
            await set_password(connection, chosen)
            await connection.commit()

    asyncio.run(work())
    console.print(f"The role {ROLE} reads what dashboards show, and nothing else.")
    if password is None:
        console.print(f"Its password, shown once: {chosen}")


def made_for(settings: Settings) -> dict[str, Board]:
    """The dashboards in the hub's language and time zone, with the titles of the city's own rules."""
    return boards(settings.language, settings.timezone, rulebook=policy.decided(settings)[0].kinds())


def grafana_url(settings: Settings) -> str:
    """Grafana's address; BadSetting when none is set."""
    if not settings.grafana_url:
        raise BadSetting("BEFFROI_GRAFANA_URL is not set; set it to Grafana's address, such as http://127.0.0.1:3000")
    return settings.grafana_url


def report(pushed: Pushed, *, dry_run: bool) -> None:
    """Say what a push of dashboards did, or would do."""
    words = WORDS[dry_run]
    if pushed.folder_is_new:
        console.print(f"{words['new']} the folder Beffroi")
    for change in pushed.changes:
        if change.what != "same":
            console.print(f"{words[change.what]} {_named(change)}")
        if change.diff and dry_run:
            console.print(change.diff)
    same = sum(change.what == "same" for change in pushed.changes)
    console.print(f"{same} of {len(pushed.changes)} dashboards are as declared")
    for uid in pushed.left_over:
        console.print(f"left over: {uid}; no declaration makes it any more, delete it in Grafana")


def _named(change: Change) -> str:
    return f"{change.uid} ({change.title})"


def _replace(path: Path, text: str) -> None:
    """In one step, so that Grafana never reads half a file."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
