"""What is fetched, and how the servers are configured."""

import re
from pathlib import Path

import pytest

from hub.errors import BadFile, UnsupportedMachine
from hub.runtime.bundles import CHROMIUM, SERVERS
from hub.runtime.debian import Bundle, wanted
from hub.runtime.machine import this_machine
from hub.runtime.mosquitto import CONFIGURATION, configure
from hub.runtime.postgres import MIB, Postgres, configuration

URIS = """Reading package lists...
'http://mirror.example/pool/main/g/glibc/libc6_2.41-12_amd64.deb' libc6_2.41-12_amd64.deb 283 SHA256:0
'http://mirror.example/pool/main/l/llvm/libllvm19_1%3a19.1.7-3%2bb1_amd64.deb' libllvm19_1%3a19.1.7_amd64.deb 2 SHA256:0
'http://mirror.example/pool/main/g/gcc/libstdc%2b%2b6_14_amd64.deb' libstdc++6_14_amd64.deb 29 SHA256:0
'http://mirror.example/pool/main/p/perl/perl_5.40_amd64.deb' perl_5.40_amd64.deb 29 SHA256:0
'http://mirror.example/pool/main/p/pg/postgresql-17_17.12_amd64.deb' postgresql-17_17.12_amd64.deb 3 SHA256:0
"""


def test_of_the_closure_only_what_the_servers_open() -> None:
    assert list(wanted(SERVERS, URIS)) == ["libc6", "libstdc++6", "postgresql-17"]


@pytest.mark.parametrize("bundle", [SERVERS, CHROMIUM], ids=lambda bundle: bundle.name)
def test_what_is_asked_for_is_never_needless(bundle: Bundle) -> None:
    assert not [name for name in bundle.packages if re.fullmatch(bundle.needless, name)]


@pytest.mark.parametrize("system", ["ID=fedora\nPRETTY_NAME=Fedora", ""])
def test_another_system_is_told_what_to_set(tmp_path: Path, system: str) -> None:
    (tmp_path / "os-release").write_text(system)
    with pytest.raises(UnsupportedMachine, match=r"not a Debian.*BEFFROI_DATABASE_URL.*BEFFROI_MQTT_URL"):
        this_machine(tmp_path / "os-release")


def test_the_repositorys_broker_file_is_the_embedded_one() -> None:
    text = CONFIGURATION.read_text()
    mine = configure(text, {"listener": "2883 127.0.0.1", "acl_file": "/home/acl"})
    changed = set(mine.splitlines()) - set(text.splitlines())
    assert changed == {"listener 2883 127.0.0.1", "acl_file /home/acl"}
    assert "allow_anonymous false" in mine.splitlines()


def test_a_broker_file_without_a_line_that_we_set_is_refused() -> None:
    with pytest.raises(BadFile, match="no line for password_file"):
        configure("listener 1883\n", {"password_file": "/home/passwords"})


@pytest.mark.parametrize("memory_gib", [1, 24, 256])
def test_the_database_leaves_memory_to_the_hub(memory_gib: int) -> None:
    text = configuration(Postgres(Path(), Path(), 5433), memory_gib * 1024 * MIB)
    found = re.search(r"shared_buffers = '(\d+)MB'", text)
    assert found and 128 <= int(found[1]) <= memory_gib * 1024 / 4
    assert "listen_addresses = '127.0.0.1'" in text
    assert "fsync" not in text


@pytest.mark.parametrize(("disk_gib", "wal_mib"), [(0.5, 64), (20, 1280), (2000, 6144)])
def test_the_database_s_own_log_leaves_most_of_the_disk(disk_gib: float, wal_mib: int) -> None:
    text = configuration(Postgres(Path(), Path(), 5433), disk_bytes=int(disk_gib * 1024 * MIB))
    assert f"max_wal_size = '{wal_mib}MB'" in text


def test_only_a_test_database_forgets_power_cuts() -> None:
    assert "fsync = 'off'" in configuration(Postgres(Path(), Path(), 5433, test=True))
