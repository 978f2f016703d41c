"""Secrets: made once, closed to others, never shown."""

import json
import stat
from pathlib import Path

import pytest

from hub.errors import BadFile
from hub.secrets import Secrets, database_url, mqtt_url
from hub.settings import Settings


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_made_at_first_and_the_same_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = Secrets.of(home)
    assert Secrets.of(home) == first
    assert (mode_of(home), mode_of(home / "secrets.json")) == (0o700, 0o600)
    assert [path.name for path in home.iterdir()] == ["secrets.json"]


def test_an_open_home_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Secrets.of(tmp_path)
    assert mode_of(tmp_path) == 0o700


def test_two_homes_share_no_secret(tmp_path: Path) -> None:
    one, other = (json.loads(_made(tmp_path / name).read_text()) for name in ("one", "other"))
    assert not set(one.values()) & set(other.values())
    assert len(set(one.values())) == len(one)


def test_no_secret_in_its_repr(tmp_path: Path) -> None:
    secrets = Secrets.of(tmp_path)
    assert secrets.postgres not in repr(secrets)


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"postgres": "x"}')
    with pytest.raises(BadFile, match=r"secrets\.json .*put its copy back"):
        Secrets.of(tmp_path)


def test_addresses_of_the_embedded_servers(tmp_path: Path) -> None:
    secrets = Secrets.of(tmp_path)
    settings = Settings(home=tmp_path, mqtt_port=2883, mqtt_host="0.0.0.0", postgres_port=6433)
    assert database_url(settings, secrets) == f"postgresql://beffroi:{secrets.postgres}@127.0.0.1:6433/beffroi"
    assert mqtt_url(settings, secrets) == f"mqtt://hub:{secrets.mqtt_hub}@127.0.0.1:2883"
    assert mqtt_url(settings, secrets, "simulator").startswith(f"mqtt://simulator:{secrets.mqtt_simulator}@")


def test_named_servers_win(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://db/x", mqtt_url="mqtt://broker")
    secrets = Secrets.of(tmp_path)
    assert database_url(settings, secrets) == "postgresql://db/x"
    assert mqtt_url(settings, secrets, "simulator") == "mqtt://broker"


def _made(home: Path) -> Path:
    Secrets.of(home)
    return home / "secrets.json"
