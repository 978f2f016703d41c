"""The hub's health in words: everything that can be wrong has a sentence, every reason a name, in both languages."""

from typing import get_args

import pytest
from starlette.datastructures import Headers

from dashboard.health_words import reasons, seconds, sentence, size
from dashboard.metrics import is_local
from dashboard.words import load_words
from ingest.codecs.codec import Reason
from store.health import Code, Fault

WORDS = load_words("Europe/Paris", {})
OF_A_READER = {"other_log", "log_gap", "stuck", "behind", "unaccounted"}
OF_A_DISK = {"disk", "disk_full", "disk_readonly", "database_full"}


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("code", get_args(Code))
def test_every_fault_has_a_sentence(code: Code, language: str) -> None:
    name = "store" if code in OF_A_READER else "home/log" if code in OF_A_DISK else ""
    fault = Fault(code, name, 12_000, 300.0, ("a/b",))
    said = sentence(fault, WORDS[language])
    assert len(said) > 20 and "{" not in said


def test_sentences_say_how_much() -> None:
    stuck = Fault("stuck", "store", 12_000, 300.0)
    assert (
        sentence(stuck, WORDS["en"])
        == "Store: 12,000 messages wait and it has read nothing for 5 minutes; logs/ says why."
    )
    assert "12\u202f000 messages attendent" in sentence(stuck, WORDS["fr"])
    assert sentence(Fault("disk", "home", 2_340_000_000), WORDS["en"]) == "Only 2.3 GB of the disk of home is free."


def test_who_is_over_its_quota_is_named_and_cannot_break_the_line() -> None:
    who = ("city/dijon/water_meter/x\x1b[2J/telemetry", "b" * 300, "c", "d", "e")
    said = sentence(Fault("over_quota", amount=12_345, for_s=90.0, who=who), WORDS["en"])
    assert "x\\x1b[2J/telemetry" in said and "12,345 messages" in said and "(+ 2)" in said and len(said) < 400


def test_every_reason_of_the_decoder_has_a_name_and_advice() -> None:
    assert set(get_args(Reason)) | {"bad_transition"} == set(reasons(WORDS["fr"]))


def test_sizes_and_seconds() -> None:
    sizes = {999: "1 kB", 1_500_000: "1.5 MB", 82_191_613_952: "82.2 GB"}
    assert {of: size(of, WORDS["en"]) for of in sizes} == sizes
    assert seconds(-0.0003, WORDS["en"]) == "0 s"


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        ("127.0.0.1", {"host": "127.0.0.1:8080"}, True),
        ("127.0.0.1", {"host": "localhost"}, True),
        ("::1", {"host": "[::1]:8080"}, True),
        ("192.0.2.7", {"host": "127.0.0.1:8080"}, False),
        ("127.0.0.1", {"host": "hub.example"}, False),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}, False),
        ("127.0.0.1", {"host": "127.0.0.1", "x-forwarded-for": "192.0.2.7"}, False),
        ("127.0.0.1", {"host": "127.0.0.1", "Via": "1.1 proxy"}, False),
        ("127.0.0.1", {}, False),
        ("", {"host": "localhost"}, False),
    ],
)
def test_only_this_machine_itself_is_local(client: str, headers: dict[str, str], expected: bool) -> None:
    assert is_local(client, Headers(headers)) is expected
