"""What tests share: the real database and the real broker, started once a run on free ports."""

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
import structlog
from xdist.remote import Producer

from hub.runtime.servers import Embedded, embedded
from hub.secrets import private_folder
from hub.settings import Settings
from store.migrate import migrate
from tests.broker import OwnBroker
from tests.halves import Halves


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def hub_settings(home: Path, **more: object) -> Settings:
    """Settings of a hub of its own, with the programs that `make test` has unpacked."""
    ports = {name: free_port() for name in ("http_port", "mqtt_port", "postgres_port")}
    return Settings.model_validate({"home": home, "runtime": Path(".beffroi/runtime"), **ports, **more})


def pytest_configure() -> None:
    """Playwright runs on the machine's Node: the one that it brings needs a library that a small Debian lacks.

    No property is a matter of milliseconds: a busy machine must not fail one.
    """
    hypothesis.settings.register_profile("any machine", deadline=None)
    hypothesis.settings.load_profile("any machine")
    if node := shutil.which("node"):
        os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", node)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browsers come last: they draw without a graphics card, and need the machine to themselves."""
    items.sort(key=lambda item: "acceptance" in item.path.parts)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Halves:
    """How two processes share the tests."""
    return Halves(config, log)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say what a test has measured, at the end of the run."""
    return lambda what: request.node.user_properties.append(("measured", what))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, one line each."""
    told = [
        f"{report.head_line}: {what}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call"
        for name, what in report.user_properties
        if name == "measured"
    ]
    if told:
        terminalreporter.section("measured")
        for line in told:
            terminalreporter.line(line)


@pytest.fixture(autouse=True)
def plain_journal() -> Iterator[None]:
    """A command that a test runs in this process sets up its journal on the test's own standard error: undo it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    """PostgreSQL with TimescaleDB, and Mosquitto."""
    async with embedded(hub_settings(tmp_path_factory.mktemp("servers")), test=True) as running:
        yield running


@asynccontextmanager
async def fresh_database(servers: Embedded) -> AsyncIterator[str]:
    """A migrated database with nothing in it."""
    name = f"test_{secrets.token_hex(6)}"
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}".encode())
        url = servers.database_url.rsplit("/", 1)[0] + f"/{name}"
        await migrate(url)
        yield url
        await _drop(connection, name)


@pytest.fixture(scope="module")
async def database_url(servers: Embedded) -> AsyncIterator[str]:
    """A fresh database for the tests of one file."""
    async with fresh_database(servers) as url:
        yield url


@pytest.fixture
async def own_database_url(servers: Embedded) -> AsyncIterator[str]:
    """A fresh database for one test, whose accounts begin with it."""
    async with fresh_database(servers) as url:
        yield url


async def _drop(connection: psycopg.AsyncConnection[tuple[object, ...]], name: str) -> None:
    """Drop a database; a worker of the server's own may just be looking at it."""
    for patience in range(20, -1, -1):
        await _without_strangers(connection, name)
        try:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            return
        except psycopg.errors.InsufficientPrivilege:
            if not patience:
                raise
            await asyncio.sleep(0.1)


async def _without_strangers(connection: psycopg.AsyncConnection[tuple[object, ...]], database: str) -> None:
    """Wait for sessions of other roles, which a test closed and the hub's role may not end."""
    strangers = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND usename <> current_user"
    async with asyncio.timeout(20):
        while await (await connection.execute(strangers, [database])).fetchone():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[OwnBroker]:
    """A broker for one test: nobody else speaks on it, and it may be killed."""
    async with OwnBroker.running(hub_settings(private_folder(tmp_path / "broker"))) as running:
        yield running


@pytest.fixture(scope="session")
def broker(servers: Embedded) -> Embedded:
    """The broker: `mqtt_url` is the account of the hub, `simulator_url` that of the simulator."""
    return servers
