"""The kind of docs/adding-a-kind.md as one more file in a copy of the program: a whole hub knows it."""

import csv
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest

from hub.secrets import Secrets
from tests.conftest import free_port
from tests.database import fetch, one
from tests.processes import Processes, Publisher, eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/adding-a-kind.md").read_text(encoding="utf-8")
NOT_COPIED = {"node_modules", "__pycache__", "build"}
NAME, TOPIC = "waste_container", "city/dijon/waste_container/C-1/telemetry"
CONTRACT = f"- {{name: dechets, provider: Régie, kinds: [{NAME}], communes: [dijon], from: 2026-01-01}}\n"


def shown(pattern: str) -> str:
    """What the page shows and the pattern finds, exactly once."""
    (found,) = re.findall(pattern, PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the file that the page tells to save."""
    copy = tmp_path_factory.mktemp("tree") / "beffroi"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.name.startswith(".") or path.name in NOT_COPIED:
            continue
        if path.is_dir():
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns(*NOT_COPIED))
        else:
            shutil.copy(path, copy)
    (copy / "node_modules").symlink_to(ROOT / "node_modules")
    (copy / ".beffroi").mkdir()
    (copy / ".beffroi/runtime").symlink_to(ROOT / ".beffroi/runtime")
    file = copy / shown(r"^Save this as (devices/\w+\.py):$")
    file.write_text(shown(r"^```python\n(.*?)^```$"), encoding="utf-8")
    return copy


@dataclass
class Hub:
    """A hub of that tree, with the container of the page declared and a contract on it."""

    processes: Processes
    address: str
    database_url: str
    publisher: Publisher
    key: str

    def page(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.address, headers={"origin": self.address}, timeout=20)

    async def signed_in(self, page: httpx.AsyncClient) -> None:
        password = Secrets.of(self.processes.home).operator
        answer = await page.post("/login", data={"login": "operator", "password": password})
        assert answer.status_code == 303

    async def ask(self, path: str, **parameters: str) -> httpx.Response:
        """The API, with the contract's key."""
        async with self.page() as client:
            headers = {"authorization": f"Bearer {self.key}"}
            answer = await client.get(f"/api/v1/{path}", params=parameters, headers=headers)
            assert answer.status_code == 200, answer.text
            return answer


@pytest.fixture(scope="module")
async def hub(tree, servers, tmp_path_factory) -> AsyncIterator[Hub]:
    home, port, database = tmp_path_factory.mktemp("home"), free_port(), f"kind_{secrets.token_hex(6)}"
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {database}".encode())
    url = servers.database_url.rsplit("/", 1)[0] + f"/{database}"
    more = {"BEFFROI_HTTP_PORT": str(port), "BEFFROI_LANGUAGE": "fr", "COLUMNS": "300"}
    with Processes(home, url, servers.mqtt_url, more, tree=tree) as processes:
        for arguments in (("migrate",), ("contracts", "import", file(home, "contracts.yaml", CONTRACT))):
            done = await processes.command(*arguments)
            assert done.returncode == 0, done.stderr
        key = (await processes.command("keys", "add", "dechets", "Test", "--scope", "read", "--scope", "export")).stdout
        rows = re.sub(r"^ {4}", "", shown(r"^( {4}commune,kind,id.*?\n)\n"), flags=re.MULTILINE)
        imported = await processes.command("devices", "import", file(home, "containers.csv", rows))
        assert "1 added, 0 changed, 0 unchanged, 0 bad rows" in imported.stdout, imported.stderr
        processes.start("intake", "worker", "telealert", "serve")
        await processes.hears()
        await eventually(lambda: answers(f"http://127.0.0.1:{port}/healthz"), bool)
        publisher = Publisher(servers.simulator_url)
        try:
            yield Hub(processes, f"http://127.0.0.1:{port}", url, publisher, key.strip())
        finally:
            publisher.close()
            processes.kill("serve")  # it keeps nothing, and ends by the signal that asked it to


async def answers(address: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(address)).status_code == 200
        except httpx.TransportError:
            return False


def file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.fixture(scope="module")
async def burning(hub: Hub) -> Hub:
    """The container has told three readings, the last of which is the page's fire."""
    example = {"fill_pct": 64.0, "temperature_c": 11.5, "tilted": False}
    fire = json.loads(shown(r"-t city/dijon/waste_container/C-1/telemetry -m '(\{.*?\})'"))
    now = datetime.now(UTC)
    for ago_s, reading in ((120, example), (60, example | {"colour": "brown", "event": "emptied"}), (1, fire)):
        ts = (now - timedelta(seconds=ago_s)).isoformat()
        hub.publisher.publish(TOPIC, msgspec.json.encode({"ts": ts} | reading))
    rows = "SELECT fill_pct, temperature_c, tilted, rest FROM waste_container ORDER BY ts"
    found = await eventually(lambda: fetch(hub.database_url, rows), lambda rows: len(rows) == 3)
    assert [(row["fill_pct"], row["temperature_c"], row["tilted"]) for row in found] == [
        (64.0, 11.5, False),
        (64.0, 11.5, False),
        (64.0, 85.0, None),
    ]
    assert found[1]["rest"] == {"colour": "brown"}
    return hub


async def test_what_happens_and_what_is_impossible_are_kept_apart(burning: Hub):
    burning.publisher.publish(TOPIC, b'{"ts": "2026-11-23T08:00:00Z", "temperature_c": 5000}')
    quarantine = "SELECT reason, detail FROM quarantine"
    (bad,) = await eventually(lambda: fetch(burning.database_url, quarantine), lambda rows: len(rows) == 1)
    assert bad["reason"] == "out_of_range" and "temperature_c" in str(bad["detail"])
    assert (await one(burning.database_url, "SELECT code FROM event"))["code"] == "emptied"


async def test_its_rule_fires_and_somebody_is_called(burning: Hub):
    incidents = "SELECT code, priority, kind FROM incident"
    (incident,) = await eventually(lambda: fetch(burning.database_url, incidents), lambda rows: len(rows) == 1)
    assert incident == {"code": "fire", "priority": 1, "kind": NAME}
    called = burning.processes.home / "notifications.log"
    await eventually(lambda: _text(called), lambda text: "Conteneur en feu" in text)


async def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""  # noqa: ASYNC240


async def test_the_page_has_its_symbol_its_words_and_its_state(burning: Hub):
    found = await one(burning.database_url, f"SELECT device_no FROM device WHERE kind = '{NAME}'")
    device_no = found["device_no"]
    async with burning.page() as page:
        await burning.signed_in(page)
        (kind,) = [kind for kind in (await page.get("/api/kinds")).json()["kinds"] if kind["name"] == NAME]
        assert kind["types"] == [{"name": "container", "label": "Conteneur", "symbol": "square"}]
        assert len((await page.get(f"/api/kinds/{NAME}/devices")).content) == 4 + 4 + 4 + 1
        assert "Conteneurs de déchets" in (await page.get("/")).text
        device = (await page.get(f"/devices/{device_no}")).text
        assert all(words in device for words in ("Container 1", "Remplissage", "Volume"))

        async def state() -> object:
            return (await page.get(f"/api/devices/{device_no}")).json()["state_label"]

        await eventually(state, lambda label: label == "défaut, maintenant")


async def test_the_api_describes_it_and_answers(burning: Hub):
    async with burning.page() as anybody:
        description = (await anybody.get("/api/v1/openapi.json")).text
    assert (NAME in description and "Remplissage" in description) or "Fill level" in description
    (contract_kind,) = (await burning.ask("contract")).json()["kinds"]
    assert contract_kind["kind"] == NAME and "fill_pct" in json.dumps(contract_kind)
    (latest,) = (await burning.ask("latest", kind=NAME)).json()["readings"]
    assert latest["values"] == {"fill_pct": 64.0, "temperature_c": 85.0}


async def test_an_export_has_its_columns(burning: Hub):
    since, until = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    span = {"from": since.isoformat(), "to": until.isoformat(), "format": "csv"}
    text = (await burning.ask("export", kind=NAME, **span)).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 3 and {"fill_pct (%)", "temperature_c (°C)", "battery_v (V)", "tilted"} <= set(rows[0])
    assert float(rows[-1]["temperature_c (°C)"]) == 85


async def test_grafana_gets_its_dashboard_with_its_fields_and_rules(burning: Hub, tmp_path: Path):
    done = await burning.processes.command("grafana", "export", str(tmp_path))
    assert done.returncode == 0, done.stderr
    boards = {path.name: path.read_text(encoding="utf-8") for path in sorted(tmp_path.iterdir())}  # noqa: ASYNC240
    (board,) = [text for name, text in boards.items() if "waste" in name]
    assert "Remplissage" in board and "Conteneur en feu" in board


def run(tree: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BEFFROI_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tree, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_page_of_kinds_is_written_with_it(tree: Path):
    before = (tree / "docs/kinds.md").read_text(encoding="utf-8")
    run(tree, "devices.kinds_page")
    after = (tree / "docs/kinds.md").read_text(encoding="utf-8")
    assert "## Conteneurs" not in before and NAME not in before
    assert NAME in after and "`fill_pct`" in after and "`fire` (container)" in after


def test_the_tests_of_every_kind_pass_with_it(tree: Path):
    """Laws of kinds, and every Grafana panel on rows: of all kinds, and none of these tests knows this one."""
    run(tree, "devices.kinds_page")
    laws = run(tree, "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/contract/test_kinds.py")
    on_rows = run(tree, "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/integration/test_grafana.py")
    assert all(re.search(r"\d+ passed", said) for said in (laws, on_rows))
