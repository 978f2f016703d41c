"""The page in two languages: every text is translated, with the same blanks, and nothing is left over."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from dashboard.words import HERE, choose_language, commune_names, load_words, page_texts

BLANK = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def french() -> Catalog:
    with (HERE / "locale" / "fr.po").open("rb") as file:
        return read_po(file, locale="fr")


def test_every_text_has_its_french_with_the_same_blanks(french: Catalog) -> None:
    texts = page_texts()
    assert len(texts) > 100, "the extraction found too little"
    for text in texts:
        forms = (text,) if isinstance(text, str) else text
        message = french.get(forms[0])
        assert message is not None, f"no French for {forms[0]!r}"
        translations = (message.string,) if isinstance(message.string, str) else message.string
        assert len(translations) == len(forms)
        for form, translation in zip(forms, translations, strict=True):
            assert translation, f"empty French for {form!r}"
            assert set(BLANK.findall(translation)) == set(BLANK.findall(form)), form


def test_no_french_is_left_over(french: Catalog) -> None:
    known = {text if isinstance(text, str) else text[0] for text in page_texts()}
    left = {message.id if isinstance(message.id, str) else message.id[0] for message in french if message.id} - known
    assert not left


def test_no_text_for_people_hides_from_the_translators() -> None:
    """A template's text is in _() or comes from the code: no bare words between tags."""
    brand = {"Beffroi", "Beffroi | Beffroi", "| Beffroi", "P", "/", "beffroi devices import"}
    for path in sorted((HERE / "templates").glob("*.html")):
        text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}|<script.*?</script>", "", path.read_text(encoding="utf-8"), flags=re.S)
        bare = {piece.strip(" \n,:().") for piece in re.findall(r">([^<>]*[A-Za-zÀ-ÿ][^<>]*)<", text)}
        assert bare <= brand, f"{path.name}: {bare - brand}"


def test_dates_and_numbers_are_written_as_each_language_does() -> None:
    words = load_words("Europe/Paris", {})
    at = datetime(2026, 7, 14, 20, 5, 9, tzinfo=UTC)
    assert words["fr"].moment(at) == "14 juil. 2026 22:05:09"
    assert words["en"].moment(at) == "14 Jul 2026 22:05:09"
    assert words["fr"].number(1234.5) == "1\u202f234,5"
    assert words["en"].number(1234.5) == "1,234.5"
    assert words["fr"].duration(timedelta(hours=2)) == "2\xa0heures"
    assert words["fr"].plural("{n} device", "{n} devices", 1) == "1 équipement"
    assert words["en"].plural("{n} device", "{n} devices", 0) == "0 devices"


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("de,fr;q=0.5,en;q=0.4", "fr"),
        ("de", "fr"),
        ("", "fr"),
        ("en;q=0", "fr"),
        ("en;q=x,;;,", "fr"),
    ],
)
def test_the_language_is_the_one_the_browser_likes_best(accepted: str, chosen: str) -> None:
    assert choose_language(accepted, "fr") == chosen


def test_communes_are_written_as_on_the_city_s_map() -> None:
    names = commune_names(Path("simulators/cities/dijon"))
    words = load_words("Europe/Paris", names)["fr"]
    assert words.commune("fontaine-les-dijon") == "Fontaine-lès-Dijon"
    assert words.commune("chenove") == "Chenôve"
    assert words.commune("port-du-lac") == "Port-Du-Lac"
    assert commune_names(Path("no/such/city")) == {}


def test_no_compiled_catalogue_is_kept() -> None:
    assert not list(Path(HERE).rglob("*.mo"))
