"""Which programs are taken: this machine's where they fit, unpacked ones otherwise."""

import os
from pathlib import Path

import pytest

from hub.errors import BadSetting
from hub.runtime import debian, programs
from hub.runtime.bundles import SERVERS
from hub.runtime.programs import machine_mosquitto, machine_postgres, version_in
from hub.runtime.servers import embedded
from tests.conftest import hub_settings

UNPACKED = Path(".beffroi/runtime").resolve() / "servers"


def executable(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)


def install_postgres(prefix: Path, version: str, timescaledb: str | None) -> Path:
    """A folder of programs that tell what PostgreSQL's tell about themselves."""
    share = prefix / "share"
    (share / "extension").mkdir(parents=True)
    if timescaledb:
        (share / "extension/timescaledb.control").write_text(f"comment = 'x 1.0'\ndefault_version = '{timescaledb}'\n")
    executable(prefix / "bin/postgres", f"postgres (PostgreSQL) {version} (Debian {version}-1)")
    executable(prefix / "bin/initdb", f"VERSION={version}\nPGDATA=none\nshare_path={share}\nPGPATH=x")
    return prefix / "bin"


@pytest.mark.parametrize(
    ("version", "timescaledb", "needs", "unfit"),
    [
        ("17.6", "2.19.3", None, ""),
        ("17.6", "2.19.3", 17, ""),
        ("18.1", "2.29.2", None, ""),
        ("18.1", "2.29.2", 17, "cannot read the database of this home, which is of 17"),
        ("17.6", "2.17.2", None, "is older than 2.19"),
        ("17.6", None, None, "has no TimescaleDB"),
        ("15.18", "2.19.3", None, "is older than 17"),
    ],
)
def test_a_postgresql_fits_by_its_version_its_timescaledb_and_the_data_that_is_there(
    tmp_path: Path, version: str, timescaledb: str | None, needs: int | None, unfit: str
) -> None:
    folder = install_postgres(tmp_path, version, timescaledb)
    (found,) = machine_postgres(str(folder), needs, folders=())
    assert (found.path, found.unfit) == (folder, unfit)
    assert found.name.startswith(f"PostgreSQL {version}")


def test_postgresql_is_looked_for_on_the_path_by_pg_config_and_in_the_usual_folders(tmp_path: Path) -> None:
    for name in ("a", "b", "usual/17", "usual/18"):
        install_postgres(tmp_path / name, "17.6", "2.19.3")
    executable(tmp_path / "path/pg_config", str(tmp_path / "b/bin"))
    path = f"{tmp_path / 'a/bin'}:{tmp_path / 'path'}"
    found = machine_postgres(path, folders=(f"{tmp_path}/usual/*/bin",))
    assert [f.path.parent for f in found] == [tmp_path / name for name in ("a", "b", "usual/17", "usual/18")]


@pytest.mark.parametrize(
    ("says", "fits"),
    [("2.0.11", True), ("2.0.22", True), ("2.0.9", False), ("1.6.12", False), ("2.1.0", False), ("", False)],
)
def test_a_mosquitto_fits_by_its_version(tmp_path: Path, says: str, fits: bool) -> None:
    executable(tmp_path / "mosquitto", f"mosquitto version {says}\n\nmosquitto is an MQTT v5.0/v3.1.1/v3.1 broker.")
    (found,) = machine_mosquitto(str(tmp_path))
    assert (not found.unfit) is fits


def test_a_program_that_cannot_be_run_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "mosquitto").write_text("not a program")
    (tmp_path / "mosquitto").chmod(0o755)
    (found,) = machine_mosquitto(str(tmp_path))
    assert found.unfit and found.name == "Mosquitto of unknown version"


def test_a_version_is_the_first_number_with_a_point() -> None:
    assert version_in("postgres (PostgreSQL) 17.12 (Debian 17.12-0+deb13u1)") == (17, 12)
    assert version_in("no number") == ()


async def test_a_hub_runs_on_the_machines_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unpacked ones, as if the machine had them."""
    debian.ensure(SERVERS, UNPACKED.parent)
    places = (UNPACKED / "usr/lib/postgresql/17/bin", UNPACKED / "usr/sbin")
    monkeypatch.setenv("PATH", ":".join([*map(str, places), os.environ["PATH"]]))
    settings = hub_settings(tmp_path / "home", programs="machine", runtime=tmp_path / "nothing")
    assert all("of this machine" in chosen.told for chosen in programs.needed(settings))
    async with embedded(settings, test=True) as servers:
        assert servers.postgres and servers.mosquitto and not (tmp_path / "nothing").exists()


def test_unpacked_ones_are_taken_when_told_to_and_the_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path / "mosquitto", "mosquitto version 2.0.21")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    own = programs.mosquitto(hub_settings(tmp_path / "home", programs="own"))
    assert own.path == UNPACKED / "usr/sbin/mosquitto" and "unpacked (as BEFFROI_PROGRAMS says)" in own.told
    machine = programs.mosquitto(hub_settings(tmp_path / "home"))
    assert machine.told == f"Mosquitto 2.0.21 of this machine ({tmp_path / 'mosquitto'})"


def test_the_machines_only_is_refused_with_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "mosquitto", "mosquitto version 1.6.12")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BadSetting, match=r"this machine has Mosquitto 1\.6\.12, which is not 2\.0\.11"):
        programs.mosquitto(hub_settings(tmp_path / "home", programs="machine"))


def test_data_of_a_postgresql_that_nobody_has_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "postgres/data").mkdir(parents=True)
    (tmp_path / "postgres/data/PG_VERSION").write_text("44\n")
    with pytest.raises(BadSetting, match=r"PostgreSQL 17\S* cannot read the database of this home, which is of 44"):
        programs.postgres(hub_settings(tmp_path))
