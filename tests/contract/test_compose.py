"""docker-compose.yml and what it mounts, held against the settings, files, ports and commands of the program.

No container engine runs here: what can be known without one is checked, and what can be run outside of one is run.
"""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from dashboard.grafana.boards import boards
from dashboard.grafana.datasource import Database, datasource
from dashboard.grafana.panels import DATASOURCE_TYPE, DATASOURCE_UID
from dashboard.grafana.push import FOLDER_TITLE, FOLDER_UID
from hub.alive import Heartbeat
from hub.runtime.mosquitto import Mosquitto
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings
from store.grafana import ROLE
from tests.conftest import free_port
from tests.contract.test_docs import KNOWN

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES = yaml.safe_load(TEXT)["services"]
VOLUMES = yaml.safe_load(TEXT)["volumes"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
HUB = {name: service for name, service in SERVICES.items() if service["image"].startswith("beffroi:")}
ONCE = {"migrate", "broker-setup", "grafana-setup"}
PROCESSES = {"intake", "worker", "telealert", "serve", "audit"}
SECRETS = {"DATABASE_ADMIN_PASSWORD", "DATABASE_PASSWORD", "GRAFANA_DATABASE_PASSWORD", "GRAFANA_ADMIN_PASSWORD"}
EACH = pytest.mark.parametrize("name", SERVICES)
EACH_OF_HUB = pytest.mark.parametrize("name", HUB)
UID = "10001"


def mounts(service):
    """Source and target of each mount, and whether it is read only."""
    return [(*mount.split(":")[:2], mount.endswith(":ro")) for mount in service.get("volumes", ())]


def settings_of(service):
    """The hub's settings as a service would read them, with secrets filled in."""
    env = {name: re.sub(r"\$\{[^}]*\}", "secret", value) for name, value in service["environment"].items()}
    return Settings.model_validate(
        {name.removeprefix("BEFFROI_").lower(): value for name, value in env.items() if name.startswith("BEFFROI_")}
    )


def test_there_is_one_service_for_each_process_and_server():
    assert set(SERVICES) == PROCESSES | ONCE | {"database", "broker", "grafana", "simulate"}
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["simulate"]


@EACH
def test_images_are_pinned(name):
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+(-pg17)?", image), image


def test_the_hub_s_image_is_of_this_version():
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert {service["image"] for service in HUB.values()} == {f"beffroi:{version}"}
    assert all(service["build"] == "." for service in HUB.values())


@EACH_OF_HUB
def test_commands_exist(name):
    service = HUB[name]
    if service.get("entrypoint"):
        assert service["entrypoint"] == ["sh", "-ec"]
        (line,) = service["command"]
        words = [part.split()[1:] for part in line.split("&&")]
        assert all(part.split()[0] == "beffroi" for part in line.split("&&"))
    else:
        words = [service["command"]]
    for command in words:
        known = next(command[:n] for n in (2, 1) if tuple(command[:n]) in KNOWN)
        options = [word for word in command if word.startswith("--")]
        assert set(options) <= KNOWN[tuple(known)]


@EACH_OF_HUB
def test_settings_exist_and_agree(name):
    service = HUB[name]
    settings = settings_of(service)
    assert mqtt_url(settings, Secrets.generate()).rpartition("@")[2] == "broker:1883"
    assert settings.database_url.rpartition("@")[2] == "database:5432/beffroi"
    assert ("home", str(settings.home), False) in mounts(service)
    assert settings.host == ("0.0.0.0" if name == "serve" else "127.0.0.1")
    assert service["env_file"] == [{"path": "hub.env", "required": False}]


@EACH
def test_no_secret_is_written_and_none_has_a_default(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|TOKEN|SECRET|DATABASE_URL", variable):
            assert re.search(r"\$\{(\w+):\?", value), f"{name}: {variable}"
    assert "password" not in " ".join(map(str, SERVICES[name].get("command", ()))).lower()


def test_every_needed_variable_says_what_to_do_when_it_is_missing():
    needed = dict(re.findall(r"\$\{(\w+):\?([^}]*)\}", TEXT))
    assert set(needed) == SECRETS
    for words in needed.values():
        assert words == "is not set; make the file .env with docker/make-env.sh"
    optional = set(re.findall(r"\$\{(\w+):-", TEXT))
    assert optional == {"PAGE_ON", "BROKER_ON", "GRAFANA_ON"}
    assert len(re.findall(r"\$\{", TEXT)) == len(re.findall(r"\$\{\w+:[?-]", TEXT))


@EACH
def test_what_is_open_is_open_to_this_machine_only(name):
    ports = {"serve": ("PAGE_ON", "8080"), "broker": ("BROKER_ON", "1883"), "grafana": ("GRAFANA_ON", "3000")}
    wanted = [f"${{{ports[name][0]}:-127.0.0.1}}:{ports[name][1]}:{ports[name][1]}"] if name in ports else []
    assert SERVICES[name].get("ports", []) == wanted
    assert "network_mode" not in SERVICES[name] and "privileged" not in SERVICES[name]


def test_ports_are_those_of_the_settings():
    assert Settings.model_fields["http_port"].default == 8080
    assert Settings.model_fields["mqtt_port"].default == 1883


@EACH
def test_what_keeps_running_has_a_health_check_and_comes_back(name):
    service = SERVICES[name]
    if name in ONCE:
        assert service["restart"].startswith("on-failure") and "healthcheck" not in service
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD" and service["healthcheck"]["interval"]
    assert service["logging"]["options"]["max-size"]


@EACH
def test_waits_can_end(name):
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert wait == {"condition": wanted}, f"{name} waits for {other}"
        assert "profiles" not in SERVICES[other]


def test_nobody_uses_a_schema_that_is_not_there_or_an_account_not_written():
    for name in ("worker", "telealert", "serve", "audit", "simulate", "grafana-setup"):
        assert "migrate" in SERVICES[name]["depends_on"]
    for name in ("intake", "worker", "serve", "simulate"):
        assert "broker" in SERVICES[name]["depends_on"]
    assert set(SERVICES["broker"]["depends_on"]) == {"broker-setup"}
    assert set(SERVICES["grafana"]["depends_on"]) == {"grafana-setup"}


@EACH
def test_volumes_are_declared_and_files_exist(name):
    for source, _, read_only in mounts(SERVICES[name]):
        if source.startswith("./"):
            assert (ROOT / source).is_file() and read_only
        else:
            assert source in VOLUMES


def test_every_process_shares_the_home_and_only_two_see_the_broker_s_files():
    assert {n for n, s in SERVICES.items() if "home" in [source for source, *_ in mounts(s)]} == set(HUB)
    assert {n for n, s in SERVICES.items() if "broker" in [source for source, *_ in mounts(s)]} == {
        "broker",
        "broker-setup",
    }


@EACH_OF_HUB
def test_the_hub_runs_with_few_rights(name):
    assert HUB[name]["read_only"] and HUB[name]["cap_drop"] == ["ALL"]
    assert f"--uid {UID}" in DOCKERFILE and "\nUSER beffroi\n" in DOCKERFILE
    assert SERVICES["broker"]["user"] == f"{UID}:{UID}"


def test_the_image_holds_every_package_and_folder_that_is_written_to():
    packages = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    tops = {name.split(".")[0] for name in re.findall(r'"([\w.]+)"', packages)}
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    assert tops == copied
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    sources = {
        word
        for line in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    }
    assert sources == let_in
    assert all((ROOT / path).exists() for path in sources)
    for service in HUB.values():
        for source, target, _ in mounts(service):
            assert source.startswith("./") or target in DOCKERFILE, f"the image has no {target}"


def test_every_folder_with_code_is_a_package_of_the_program_or_of_its_tests():
    listed = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    packages = set(re.findall(r'"([\w.]+)"', listed))
    folders = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {".".join(Path(file).parts[:-1]) for file in folders.splitlines()}
    assert {name for name in found if name.split(".")[0] not in ("tests", "benchmarks")} == packages


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """What the Dockerfile copies from the checkout, and the page's packages: the folder that the image runs in."""
    folder = tmp_path_factory.mktemp("image")
    for sources, target in re.findall(r"^COPY (?!--)(.*) (\S+)$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, folder / target)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    return folder


USES_EVERYTHING = """
import importlib, pkgutil, sys
from pathlib import Path
packages = sys.argv[1].split(",")
for package in packages:
    module = importlib.import_module(package)
    assert Path(module.__file__).is_relative_to(Path.cwd()), f"{package} is not in the image"
    for found in pkgutil.walk_packages(module.__path__, f"{package}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
from dashboard.app import create_app
from hub.clock import Clock
from hub.settings import Settings
from simulators.city import make_city
create_app(settings=Settings(), database_url="postgresql://h/d", mqtt_url="mqtt://h", clock=Clock())
make_city(Settings().city, scale=0.01)
"""


def test_the_program_runs_with_what_the_image_holds_and_nothing_else(image, tmp_path):
    packages = sorted(set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE)))
    env = {"PATH": os.environ["PATH"], "BEFFROI_HOME": str(tmp_path / "home")}
    commands = [
        ["-c", USES_EVERYTHING, ",".join(packages)],
        ["-m", "hub.cli", *SERVICES["broker-setup"]["command"]],
        ["-m", "hub.cli", "grafana", "export", str(tmp_path / "dashboards")],
    ]
    for command in commands:
        run = subprocess.run(
            [sys.executable, *command], cwd=image, env=env, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "home/mosquitto/mosquitto.conf").is_file() and list((tmp_path / "dashboards").glob("*.json"))


def test_base_images_of_the_dockerfile_are_pinned():
    assert all(re.search(r":\d+\.\d+\.\d+-", image) for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))


def test_the_program_finds_its_files_where_the_image_and_the_mounts_put_them():
    workdir = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert ("./mosquitto.conf", f"{workdir}/mosquitto.conf", True) in mounts(SERVICES["broker-setup"])
    home = settings_of(SERVICES["broker-setup"]).home
    broker = Mosquitto(Path(), home, "0.0.0.0", 1883)
    assert SERVICES["broker"]["command"] == ["mosquitto", "-c", str(broker.folder / "mosquitto.conf")]
    assert ("broker", str(broker.folder), False) in mounts(SERVICES["broker"])
    assert ("broker", str(broker.folder), False) in mounts(SERVICES["broker-setup"])


def test_the_data_source_is_the_one_that_panels_ask():
    (source,) = yaml.safe_load((ROOT / "docker/grafana/datasources.yaml").read_text())["datasources"]
    assert (source["uid"], source["type"], source["user"]) == (DATASOURCE_UID, DATASOURCE_TYPE, ROLE)
    made = datasource(Database("database:5432", "beffroi", "disable"), ROLE, connections=10)
    assert {name: source[name] for name in made} == made, "as a push makes those of contracts"
    assert source["jsonData"]["timescaledb"] is True, "the macros of time are tested as they are with TimescaleDB"
    assert source["secureJsonData"] == {"password": "$GRAFANA_DATABASE_PASSWORD"}
    assert "GRAFANA_DATABASE_PASSWORD" in SERVICES["grafana"]["environment"]
    assert "GRAFANA_DATABASE_PASSWORD" in SERVICES["grafana-setup"]["environment"]


def test_dashboards_are_read_from_where_they_are_exported():
    (provider,) = yaml.safe_load((ROOT / "docker/grafana/dashboards.yaml").read_text())["providers"]
    assert (provider["folder"], provider["folderUid"]) == (FOLDER_TITLE, FOLDER_UID)
    assert ("dashboards", provider["options"]["path"], True) in mounts(SERVICES["grafana"])
    (line,) = SERVICES["grafana-setup"]["command"]
    assert ("dashboards", line.split()[-1], False) in mounts(SERVICES["grafana-setup"])
    assert boards("fr", "Europe/Paris")


def test_grafana_lets_nobody_in_without_a_password():
    env = SERVICES["grafana"]["environment"]
    assert env["GF_AUTH_ANONYMOUS_ENABLED"] == "false" and env["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_secrets_are_made_once_for_their_owner_only(tmp_path):
    file = tmp_path / "secrets.env"
    for _ in range(2):
        run = subprocess.run(["sh", "docker/make-env.sh", file], cwd=ROOT, capture_output=True, text=True, check=True)
        assert not any(secret in run.stdout for secret in re.findall(r"=(\w+)", file.read_text()))
    made = dict(line.split("=") for line in file.read_text().splitlines())
    assert set(made) == SECRETS and len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", secret) for secret in made.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("DATABASE_PASSWORD=known\n")
    subprocess.run(["sh", "docker/make-env.sh", file], cwd=ROOT, capture_output=True, check=True)
    assert file.read_text().startswith("DATABASE_PASSWORD=known\n") and file.read_text().count("=") == len(SECRETS)


@pytest.mark.parametrize("file", [".env", "hub.env"])
def test_secrets_cannot_be_committed(file):
    run = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", file], cwd=ROOT, check=False)
    assert run.returncode == 0, f".gitignore has no line /{file}"


def connected(*arguments, table=None, home=None):
    env = {**os.environ, **({"PROC_NET": str(table)} if table else {}), **({"BEFFROI_HOME": str(home)} if home else {})}
    return subprocess.run(
        ["sh", "docker/connected.sh", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def test_the_health_check_sees_an_open_connection_and_not_one_that_waits():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connected(str(port)).stdout == f"no connection to port {port}\n"
        with socket.create_connection(("127.0.0.1", port)):
            assert connected(str(port)).returncode == 0
            assert connected(str(port), str(free_port())).returncode == 1


def test_the_health_check_sees_a_process_that_hangs(tmp_path):
    heartbeat, done = Heartbeat(tmp_path, "worker"), threading.Event()
    heartbeat.beat()
    assert connected("--alive", "worker", home=tmp_path).stdout == "worker gives no sign of life: it hangs\n"

    def beat():
        while not done.wait(0.5):
            heartbeat.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    assert connected("--alive", "worker", home=tmp_path).returncode == 0
    done.set()
    thread.join()
    assert connected("--alive", "intake", home=tmp_path).returncode  # never was there


def test_the_health_checks_ask_for_ports_that_a_process_connects_to():
    wanted = {
        "intake": ["1883"],
        "worker": ["1883", "5432"],
        "telealert": ["5432"],
        "audit": ["5432"],
        "simulate": ["1883"],
    }
    for name, ports in wanted.items():
        alive = [] if name in ("simulate", "audit") else ["--alive", name]
        assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "connected", *alive, *ports]
    assert SERVICES["serve"]["healthcheck"]["test"] == ["CMD", "connected", "--page", "8080"]
    assert "docker/connected.sh /usr/local/bin/connected" in DOCKERFILE


@pytest.mark.parametrize("script", sorted((ROOT / "docker").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_plain_sh(script):
    assert script.read_text().startswith("#!/bin/sh\n") and "set -eu" in script.read_text()
    subprocess.run(["sh", "-n", script], check=True)
    assert os.access(script, os.X_OK)
