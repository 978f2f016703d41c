"""What every request has at hand: settings, clock, database, live pictures, and pages in the person's language."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from dashboard.assets import Assets
from dashboard.attempts import Attempts
from dashboard.base_map import BaseMap
from dashboard.live import Live
from dashboard.watch import Watch
from dashboard.words import LANGUAGES, Words, choose_language
from devices.kind import State
from hub.clock import Clock
from hub.settings import Settings
from store.database import Connection, Pool
from store.people import Person

TEMPLATES = Path(__file__).parent / "templates"
WITHOUT_NUL = r"^[^\x00]*$"
"""What a text must look like to be asked of the database."""
PATIENCE_S = 3.0
"""How long a page waits for a connection to the database before it says that there is none."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Made once at start, read by every request."""

    settings: Settings
    clock: Clock
    pool: Pool
    live: Live
    watch: Watch
    words: Mapping[str, Words]
    assets: Assets
    base_map: BaseMap
    attempts: Attempts
    templates: Mapping[str, Environment]

    def database(self) -> AbstractAsyncContextManager[Connection]:
        """A connection in a transaction, which is kept when the block ends well."""
        return self.pool.connection(timeout=PATIENCE_S)

    def render(
        self,
        request: Request,
        template: str,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> HTMLResponse:
        """A page in the person's language."""
        words = words_of(request)
        page = self.templates[words.language].get_template(template)
        text = page.render(person=person_of(request), path=request.url.path, theme=theme_of(request), **values)
        return HTMLResponse(text, status_code, headers=headers)


def desk(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


def person_of(request: Request) -> Person | None:
    """Who is signed in, once the request has been let in."""
    return cast(Person | None, getattr(request.state, "person", None))


def words_of(request: Request) -> Words:
    """The person's language; a stranger's is the one just chosen, else the one that the browser prefers."""
    person = person_of(request)
    chosen = person.language if person else request.query_params.get("language", "")
    if chosen not in LANGUAGES:
        chosen = choose_language(request.headers.get("accept-language", ""), desk(request).settings.language)
    return desk(request).words[chosen]


def theme_of(request: Request) -> str:
    """dark, light, or auto to follow the machine; told before the first paint."""
    theme = request.cookies.get("theme", "")
    return theme if theme in ("dark", "light") else "auto"


AtDesk = Annotated[Desk, Depends(desk)]
InWords = Annotated[Words, Depends(words_of)]


def load_templates(words: Mapping[str, Words], assets: Assets, settings: Settings) -> dict[str, Environment]:
    """One environment per language: a template never has to say in which language it is."""
    return {language: _environment(in_language, assets, settings) for language, in_language in words.items()}


def _environment(words: Words, assets: Assets, settings: Settings) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    globals_: dict[str, Any] = {
        "_": words,
        "words": words,
        "plural": words.plural,
        "asset": assets.url,
        "languages": LANGUAGES,
        "timezone": settings.timezone,
        "State": State,
    }
    environment.globals.update(globals_)
    return environment
