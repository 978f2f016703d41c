"""Notifications and reasons as people read them."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from alerts.ledger import Purpose
from alerts.text import REASONS, Writer, commune_name, plural
from hub.clock import to_datetime
from tests.unit.alerts.city import T0_US, clear, fire, ledger

FRENCH = Writer("fr", ZoneInfo("Europe/Paris"), "https://hub.example/", 2)
ENGLISH = Writer("en", ZoneInfo("Europe/Paris"), "https://hub.example", 2)
AT = to_datetime(T0_US)
SAME_DAY, NEXT_DAY = datetime(2026, 11, 23, 19, 30, tzinfo=UTC), datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("writer", "purpose", "now", "title", "body"),
    [
        (
            FRENCH,
            "opened",
            SAME_DAY,
            "[P1] Alerte de panne : Départ hors tension",
            "Départ hors tension - feeder-2, rue Monge (Dijon), 31 lampadaires, depuis 20:02",
        ),
        (
            FRENCH,
            "closed",
            NEXT_DAY,
            "[P1] Fin de panne : Départ hors tension",
            "Départ hors tension - feeder-2, rue Monge (Dijon), 31 lampadaires, terminé le 23/11 à 20:02",
        ),
        (
            ENGLISH,
            "opened",
            NEXT_DAY,
            "[P1] Fault alert: Feeder out",
            "Feeder out - feeder-2, rue Monge (Dijon), 31 street lights, since 23 November, 20:02",
        ),
    ],
)
def test_notification(writer: Writer, purpose: Purpose, now: datetime, title: str, body: str) -> None:
    city = ledger()
    city.apply([fire(2, "feeder_out")])
    (incident,) = city.incidents
    incident.number = 12
    assert writer.title(incident, purpose, city.scene) == title
    written = writer.body(incident, purpose, city.scene, served={"lamp": 31}, now=now, at=AT)
    assert written == f"{body}\nhttps://hub.example/incidents/12"


def test_reasons_name_the_other_incident_and_count_members() -> None:
    city = ledger()
    city.apply([fire(21), fire(22), fire(2, "feeder_out"), clear(2, "feeder_out", minute=1)])
    for number, incident in enumerate(city.incidents, start=1):
        incident.number = number
    said = [FRENCH.reason(change, count, city.scene) for change, count in city.changes.items()]
    assert "expliqué par l'incident n° 3" in said
    assert "2 × Lampadaire éteint : expliqué par cet incident, n'appelle personne" in said
    assert "P3 : attend la liste du matin, seuls P1 à P2 appellent" in said


@pytest.mark.parametrize("why", REASONS)
def test_both_languages_say_the_same_figures(why: str) -> None:
    french, english = (set(re.findall(r"{(\w+)}", text)) for text in REASONS[why])
    assert french == english


@pytest.mark.parametrize(
    ("count", "label", "language", "words"),
    [
        (1, "Lampadaire", "fr", "1 lampadaire"),
        (31, "Lampadaire", "fr", "31 lampadaires"),
        (2, "Compteur d'eau", "fr", "2 compteurs d'eau"),
        (2, "Street light", "en", "2 street lights"),
    ],
)
def test_plural(count: int, label: str, language: str, words: str) -> None:
    assert plural(count, label, language) == words


def test_commune_name() -> None:
    assert commune_name("fontaine-les-dijon") == "Fontaine-les-Dijon"
