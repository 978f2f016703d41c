"""Incidents in words."""

from dashboard.incident_words import (
    HOLD_REASONS,
    codes_titled,
    columns_seen,
    device_name,
    hold_words,
    reason_text,
    title_of,
)
from dashboard.words import load_words
from devices.kind import kinds
from devices.own_rule import Decisions, OwnRule

WORDS = load_words("Europe/Paris", {})
FR, EN = WORDS["fr"], WORDS["en"]


def test_a_device_is_called_by_type_and_label_unless_the_label_says_it() -> None:
    assert device_name("street_lighting", "feeder", "D3", "A45-D3", FR) == "Départ D3"
    assert device_name("street_lighting", "feeder", "Départ D3", "A45-D3", EN) == "Départ D3"
    assert device_name("water_meter", "meter", None, "123", EN) == "Water meter 123"
    assert device_name("street_lighting", None, None, "X1", FR) == "X1"
    assert device_name("a_kind_of_yesterday", "lamp", None, "X1", FR) == "X1"


def test_an_incident_of_a_rule_that_is_gone_shows_its_code() -> None:
    assert title_of("street_lighting", "feeder_out", FR) == "Départ hors tension"
    assert title_of("street_lighting", "rule_of_yesterday", FR) == "rule_of_yesterday"


def test_what_a_rule_saw_is_said_with_units_and_unknowns() -> None:
    columns = {
        "breaker_tripped": 1.0,
        "current_a": 0.02,
        "children__dark__share": 0.923,
        "rated_current_a": None,
        "odd": 2.0,
    }
    seen = {s.name: (s.label, s.value) for s in columns_seen(kinds()["street_lighting"], columns, FR)}
    assert seen == {
        "breaker_tripped": ("Disjoncteur déclenché", "oui"),
        "current_a": ("Courant", "0,02 A"),
        "children__dark__share": ("Part de ses lampes éteintes", "92,3 %"),
        "rated_current_a": ("Courant nominal", "inconnu"),
        "odd": ("odd", "2"),
    }


def test_a_label_that_begins_with_the_types_word_is_enough() -> None:
    assert device_name("traffic_light", "junction", "Carrefour 005", "J5", FR) == "Carrefour 005"
    assert device_name("traffic_light", "junction", "J5", "J5", FR) == "Carrefour à feux J5"


def test_a_reason_is_a_code_with_or_without_a_note_or_a_text_of_tele_alert() -> None:
    assert reason_text("material", FR) == "matériel attendu"
    assert reason_text("material: a fuse: 10 A", EN) == "material awaited: a fuse: 10 A"
    assert reason_text("P1 : appel immédiat", EN) == "P1 : appel immédiat"
    assert reason_text(None, EN) == ""
    assert set(hold_words(FR)) == set(HOLD_REASONS)


def test_rules_of_the_city_have_their_own_titles_also_when_they_were_removed():
    rule = OwnRule("street_lighting", "lamp", "draws_much", "power_w > 100", title_fr="Surconsommation")
    for decisions in (Decisions(1, (rule,)), Decisions(2, removed=(rule,))):
        words = load_words("Europe/Paris", {}, decisions.kinds())["fr"]
        assert title_of("street_lighting", "draws_much", words) == "Surconsommation"
        assert codes_titled("surCONSO", words.rulebook) == ["draws_much"]
