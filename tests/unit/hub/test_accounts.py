"""Accounts on the broker: password hash, prefixes, access list."""

import base64
from pathlib import Path

import pytest

from hub.errors import BadFile, BadSetting
from hub.runtime.accounts import access_list, hash_password, new_account, read_accounts, write_accounts


def test_hash_is_the_one_of_mosquitto_passwd() -> None:
    # mosquitto_passwd 2.0.21: password "lantern", salt read back from its file.
    salt = base64.b64decode("iToNX7RMhNiw6IfL")
    assert hash_password("lantern", salt) == (
        "$7$101$iToNX7RMhNiw6IfL$n81eudAGRbZw6G1rVYwjXxVsALFktwyQZclS"
        "v0NhYhWLXrHdBNnxGZV/kTppzK0xZkIrp6JnahNciTFxMIh98A=="
    )


def test_every_hash_has_its_own_salt() -> None:
    assert hash_password("lantern") != hash_password("lantern")


@pytest.mark.parametrize(
    ("prefix", "writes", "reads"),
    [
        ("city/dijon/street_lighting/lamp-1", "city/dijon/street_lighting/lamp-1/telemetry", "lamp-1/cmd"),
        ("city/dijon/street_lighting/", "city/dijon/street_lighting/+/telemetry", "street_lighting/+/cmd"),
        ("city/dijon", "city/dijon/+/+/telemetry", "city/dijon/+/+/cmd"),
    ],
)
def test_in_the_city_a_device_says_what_a_device_says(prefix: str, writes: str, reads: str) -> None:
    rules = new_account("gateway", "x", [prefix]).rules()
    assert f"write {writes}" in rules
    assert [rule for rule in rules if rule.startswith("read ")] == [
        next(rule for rule in rules if rule.endswith(reads))
    ]
    assert not [rule for rule in rules if rule.startswith("write ") and rule.endswith("/cmd")]


def test_elsewhere_everything_below_the_prefix() -> None:
    assert new_account("buses", "x", ["/hfp/v2"]).rules() == ("write /hfp/v2/#",)


@pytest.mark.parametrize(
    "prefix",
    ["", "/", "#", "city/+/street_lighting", "city/dijon/#", "$SYS", "beffroi/live", "a\nuser hub", "city/a/b/c/d"],
)
def test_a_prefix_that_reaches_too_far_is_refused(prefix: str) -> None:
    with pytest.raises(BadSetting):
        new_account("gateway", "x", [prefix])


@pytest.mark.parametrize("name", ["", "hub", "simulator", "a b", "a:b", "a\nb", "-a", "É"])
def test_a_name_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(BadSetting):
        new_account(name, "x", ["city/dijon"])


def test_an_account_without_prefix_is_refused() -> None:
    with pytest.raises(BadSetting, match="has no prefix"):
        new_account("gateway", "x", [])


def test_access_list_names_each_user_once() -> None:
    text = access_list([new_account("a", "x", ["m/1"]), new_account("b", "x", ["m/2", "m/3"])])
    assert text == "user a\ntopic write m/1/#\n\nuser b\ntopic write m/2/#\ntopic write m/3/#\n"


def test_the_file_keeps_hashes_only(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts = (new_account("a", "sesame", ["m/1"]),)
    write_accounts(path, accounts)
    assert read_accounts(path) == accounts
    assert "sesame" not in path.read_text()
    path.write_text("[{}]")
    with pytest.raises(BadFile):
        read_accounts(path)
