"""The page in a person's language: texts from the catalogues in locale/, dates and numbers by Babel's data.

The code's own texts are English; every other language is a catalogue, read as it is: nothing is compiled.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from devices.kind import Kind, Text, kinds

Message = str | tuple[str, ...]
"""A text, or its singular and plural forms."""
HERE = Path(__file__).parent
LANGUAGES = ("fr", "en")


@dataclass(frozen=True)
class Words:
    """One language, and the city's time zone."""

    language: str
    timezone: ZoneInfo
    translations: NullTranslations
    browser_texts: Mapping[str, Message]
    """Translations of the texts that the page's own scripts show, by their English text."""
    communes: Mapping[str, str]
    """How communes are written, by their name on the wire."""
    rulebook: Mapping[str, Kind] = field(default_factory=kinds)
    """Every kind with its rules, the city's own among them."""

    def __call__(self, text: str, /, **values: object) -> str:
        """The text in this language, with {name}s filled in."""
        return self.translations.gettext(text).format(**values) if values else self.translations.gettext(text)

    def plural(self, one: str, many: str, n: int, /, **values: object) -> str:
        """The form for n, with {n} and other {name}s filled in."""
        return self.translations.ngettext(one, many, n).format(n=self.number(n), **values)

    @property
    def colon(self) -> str:
        """Between a word and what it is about: French puts a space before."""
        return "\N{NO-BREAK SPACE}: " if self.language == "fr" else ": "

    def of(self, text: Text) -> str:
        """A declared text in this language."""
        return text.fr if self.language == "fr" else text.en

    def commune(self, slug: str) -> str:
        """fontaine-les-dijon as it is written: Fontaine-lès-Dijon."""
        return self.communes.get(slug, slug.title())

    @cached_property
    def locale(self) -> Locale:
        return Locale.parse({"en": "en_GB"}.get(self.language, self.language))

    def number(self, value: float, digits: int = 3) -> str:
        """A number as people write it here, rounded to so many decimals at most."""
        return numbers.format_decimal(round(value, digits), locale=self.locale, format=f"#,##0.{'#' * digits}")

    def moment(self, at: datetime) -> str:
        """Date and time of day, to the second."""
        return dates.format_datetime(at, "d MMM yyyy HH:mm:ss", tzinfo=self.timezone, locale=self.locale)

    def short(self, at: datetime) -> str:
        """Day and time of day, to the minute."""
        return dates.format_datetime(at, "d MMM HH:mm", tzinfo=self.timezone, locale=self.locale)

    def clock_time(self, at: datetime) -> str:
        return dates.format_datetime(at, "HH:mm:ss", tzinfo=self.timezone, locale=self.locale)

    def duration(self, length: timedelta) -> str:
        """Roughly how long: 43 minutes, 2 hours."""
        return dates.format_timedelta(max(length, timedelta(0)), threshold=1.5, locale=self.locale)


def load_words(
    timezone: str, communes: Mapping[str, str], rulebook: Mapping[str, Kind] | None = None
) -> dict[str, Words]:
    """Every language of the page, by its code. `rulebook` knows the rules, the declared ones when it is not given."""
    shown_by_scripts = script_texts()
    return {
        language: Words(
            language, ZoneInfo(timezone), *_catalogue(language, shown_by_scripts), communes, rulebook or kinds()
        )
        for language in LANGUAGES
    }


def commune_names(city: Path) -> dict[str, str]:
    """How the communes on the city's map are written, by their name on the wire (its `slug`)."""
    path = city / "communes.geojson"
    if not path.is_file():
        return {}
    communes = [feature["properties"] for feature in json.loads(path.read_text(encoding="utf-8"))["features"]]
    return {commune["slug"]: commune["name"] for commune in communes if "slug" in commune}


def choose_language(accepted: str, default: str) -> str:
    """The page's language that an Accept-Language header likes best."""
    wishes = []
    for place, part in enumerate(accepted.split(",")):
        tag, _, quality = part.partition(";q=")
        try:
            wishes.append((-float(quality or 1), place, tag.strip().lower()[:2]))
        except ValueError:
            continue
    return next((tag for weight, _, tag in sorted(wishes) if tag in LANGUAGES and weight < 0), default)


def script_texts() -> list[Message]:
    """English texts in static/*.js, inside _() and ngettext()."""
    return _extracted("static", "javascript", {"_": None, "ngettext": (1, 2)})


def page_texts() -> list[Message]:
    """Every English text of the page: in its scripts, its templates and its code."""
    keywords: dict[str, tuple[int, ...] | None] = {"_": None, "words": None, "plural": (1, 2)}
    return list(
        dict.fromkeys(
            script_texts()
            + _extracted("templates", "jinja2.ext:babel_extract", keywords, "**.html")
            + _extracted(".", "python", keywords, "*.py")
        )
    )


def _extracted(
    folder: str, method: str, keywords: dict[str, tuple[int, ...] | None], files: str = "**.js"
) -> list[Message]:
    found = extract_from_dir(HERE / folder, method_map=[(files, method)], keywords=keywords)
    return [message for _file, _line, message, _comments, _context in found]


def _catalogue(language: str, shown_by_scripts: list[Message]) -> tuple[NullTranslations, dict[str, Message]]:
    """The translations, and those of them that the scripts need."""
    path = HERE / "locale" / f"{language}.po"
    if not path.exists():
        return NullTranslations(), {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    for_scripts: dict[str, Message] = {}
    for text in shown_by_scripts:
        key = text if isinstance(text, str) else text[0]
        message = catalogue.get(key)
        if message and message.string:
            for_scripts[key] = message.string if isinstance(message.string, str) else tuple(message.string)
    return Translations(compiled), for_scripts
