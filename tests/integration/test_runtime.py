"""The embedded servers as they really are: who gets in, who may say what, what survives."""

import asyncio
import os
import queue
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hub.errors import DatabaseUnavailable
from hub.runtime.mosquitto import Mosquitto, add_account
from hub.runtime.postgres import ADMIN
from hub.runtime.servers import Embedded, embedded, start_mosquitto, start_postgres
from hub.secrets import Secrets, mqtt_url
from hub.settings import Settings

LIMIT_S = 10.0
LAMP = "city/dijon/street_lighting/lamp-1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_in(home: Path) -> Settings:
    runtime = Settings().runtime_dir.resolve()
    return Settings(home=home, runtime=runtime, mqtt_port=free_port(), postgres_port=free_port())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
async def servers(settings: Settings) -> AsyncIterator[Embedded]:
    async with embedded(settings, test=True) as running:
        yield running


class Client:
    """A client that is not ours (paho) with its received messages in a queue."""

    def __init__(self, *, receive_maximum: int | None = None, acknowledges: bool = True) -> None:
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, manual_ack=not acknowledges)
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.connected: queue.Queue[ReasonCode] = queue.Queue()
        self.subscribed: queue.Queue[None] = queue.Queue()
        self.published: queue.Queue[ReasonCode] = queue.Queue()
        self.closed: queue.Queue[ReasonCode] = queue.Queue()
        self.paho.on_message = lambda _c, _u, message: self.received.put((message.topic, bytes(message.payload)))
        self.paho.on_connect = lambda _c, _u, _f, code, _p: self.connected.put(code)
        self.paho.on_subscribe = lambda _c, _u, _m, _r, _p: self.subscribed.put(None)
        self.paho.on_publish = lambda _c, _u, _m, code, _p: self.published.put(code)
        self.paho.on_disconnect = lambda _c, _u, _f, code, _p: self.closed.put(code)
        self.properties = Properties(PacketTypes.CONNECT)
        if receive_maximum:
            self.properties.ReceiveMaximum = receive_maximum

    def connect(self, port: int, name: str | None, password: str | None) -> str:
        self.paho.username_pw_set(name, password)
        self.paho.connect("127.0.0.1", port, properties=self.properties)
        self.paho.loop_start()
        return str(self.connected.get(timeout=LIMIT_S))

    def subscribe(self, topic: str) -> None:
        self.paho.subscribe(topic, qos=1)
        self.subscribed.get(timeout=LIMIT_S)

    def publish(self, topic: str, payload: bytes = b"{}") -> str:
        self.paho.publish(topic, payload, qos=1)
        return str(self.published.get(timeout=LIMIT_S))

    def messages(self, count: int) -> list[tuple[str, bytes]]:
        return [self.received.get(timeout=LIMIT_S) for _ in range(count)]


@contextmanager
def client(url: str, *, receive_maximum: int | None = None, acknowledges: bool = True) -> Iterator[Client]:
    made = Client(receive_maximum=receive_maximum, acknowledges=acknowledges)
    parts = urlsplit(url)
    try:
        assert parts.port and made.connect(parts.port, parts.username, parts.password) == "Success"
        yield made
    finally:
        made.paho.disconnect()
        made.paho.loop_stop()


@pytest.mark.parametrize(("name", "password"), [(None, None), ("hub", "wrong"), ("stranger", "x")])
async def test_the_broker_refuses_whoever_it_does_not_know(
    servers: Embedded, settings: Settings, name: str | None, password: str | None
) -> None:
    made = Client()
    try:
        assert made.connect(settings.mqtt_port, name, password) == "Not authorized"
    finally:
        made.paho.loop_stop()


async def test_an_account_speaks_under_its_prefix_only(servers: Embedded, settings: Settings) -> None:
    password = add_account(settings, "lamp-1", [LAMP])
    lamp_url = f"mqtt://lamp-1:{password}@127.0.0.1:{settings.mqtt_port}"
    await _until_accepted(lamp_url)
    with client(servers.mqtt_url) as hub, client(lamp_url) as lamp:
        hub.subscribe("city/#")
        elsewhere = (f"{LAMP}2/telemetry", "city/beaune/street_lighting/lamp-1/telemetry", f"{LAMP}/cmd")
        assert [lamp.publish(topic) for topic in elsewhere] == ["Not authorized"] * 3
        assert lamp.publish(f"{LAMP}/telemetry", b"[1]") == "Success"
        assert hub.messages(1) == [(f"{LAMP}/telemetry", b"[1]")]
        assert hub.received.empty()


async def test_an_account_hears_its_commands_only(servers: Embedded, settings: Settings) -> None:
    password = add_account(settings, "lamp-2", [f"{LAMP}x"])
    lamp_url = f"mqtt://lamp-2:{password}@127.0.0.1:{settings.mqtt_port}"
    await _until_accepted(lamp_url)
    with client(servers.mqtt_url) as hub, client(lamp_url) as lamp:
        lamp.subscribe("#")
        assert hub.publish(f"{LAMP}/cmd") == "Success"
        assert hub.publish(f"{LAMP}x/cmd", b"dim") == "Success"
        assert lamp.messages(1) == [(f"{LAMP}x/cmd", b"dim")]
        assert lamp.received.empty()


async def test_the_simulator_speaks_for_the_city_but_not_for_the_hub(servers: Embedded) -> None:
    with client(servers.mqtt_url) as hub, client(servers.simulator_url) as simulator:
        for topic in ("city/#", "/hfp/#", "wmbusmeters/#"):
            hub.subscribe(topic)
        said = ("city/dijon/x", "/hfp/v2/journey/ongoing/vp/bus", "wmbusmeters/meter")
        assert [simulator.publish(topic) for topic in said] == ["Success"] * 3
        assert sorted(topic for topic, _ in hub.messages(3)) == sorted(said)
        assert simulator.publish("beffroi/alerts") == "Not authorized"
        assert hub.publish(f"{LAMP}/telemetry") == "Not authorized"


async def test_accounts_stay_when_the_broker_starts_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    password = add_account(settings, "lamp-1", [LAMP])
    secrets = Secrets.of(tmp_path)
    for _ in range(2):
        broker = await start_mosquitto(settings, secrets)
        try:
            with client(f"mqtt://lamp-1:{password}@127.0.0.1:{settings.mqtt_port}") as lamp:
                assert lamp.publish(f"{LAMP}/telemetry") != "Not authorized"
        finally:
            await broker.stop()


async def test_a_megabyte_passes_and_far_more_closes_the_connection(servers: Embedded) -> None:
    with client(servers.mqtt_url) as hub, client(servers.simulator_url) as simulator:
        hub.subscribe("city/#")
        assert simulator.publish(f"{LAMP}/telemetry", bytes(1_000_000)) == "Success"
        assert len(hub.messages(1)[0][1]) == 1_000_000
        simulator.paho.publish(f"{LAMP}/telemetry", bytes(5_000_000), qos=1)
        assert simulator.closed.get(timeout=LIMIT_S).is_failure
        assert hub.received.empty()


@pytest.mark.parametrize(("receive_maximum", "arrives"), [(None, 2000), (500, 500), (5000, 5000)])
async def test_messages_under_way_before_the_first_acknowledgement(
    servers: Embedded, receive_maximum: int | None, arrives: int
) -> None:
    with (
        client(servers.mqtt_url, receive_maximum=receive_maximum, acknowledges=False) as hub,
        client(servers.simulator_url) as simulator,
    ):
        hub.subscribe("city/window/#")
        for _ in range(6000):
            simulator.paho.publish("city/window/x", b"", qos=1)
        hub.messages(arrives)
        for _ in range(6000):
            simulator.published.get(timeout=LIMIT_S)
        await asyncio.sleep(0.3)
        assert hub.received.empty()


async def test_a_killed_broker_keeps_what_it_acknowledged_two_seconds_before(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    secrets = Secrets.of(tmp_path)
    topic = f"{LAMP}/state"
    broker = await start_mosquitto(settings, secrets)
    with client(mqtt_url(settings, secrets, "simulator")) as simulator:
        message = simulator.paho.publish(topic, b"on", qos=1, retain=True)
        message.wait_for_publish(LIMIT_S)
    await asyncio.sleep(2.5)
    os.kill(broker.pid, signal.SIGKILL)
    await broker.wait()
    broker = await start_mosquitto(settings, secrets)
    try:
        with client(mqtt_url(settings, secrets)) as hub:
            hub.subscribe(topic)
            assert hub.messages(1) == [(topic, b"on")]
    finally:
        await broker.stop()


async def test_the_broker_tells_its_process_while_it_runs(servers: Embedded, settings: Settings) -> None:
    assert servers.mosquitto is not None
    assert Mosquitto.of(settings).running_pid() == servers.mosquitto.pid


async def test_the_database_refuses_a_wrong_password(servers: Embedded) -> None:
    url = servers.database_url.replace(servers.secrets.postgres, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await psycopg.AsyncConnection.connect(url)


async def test_the_hubs_role_has_timescaledb_and_is_no_superuser(servers: Embedded) -> None:
    async with await psycopg.AsyncConnection.connect(servers.database_url) as hub:
        await hub.execute("CREATE TABLE reading (ts timestamptz NOT NULL, power_w float)")
        await hub.execute("SELECT create_hypertable('reading', 'ts')")
        row = await (await hub.execute("SELECT current_setting('is_superuser')")).fetchone()
        await hub.rollback()
    assert row == ("off",)


async def test_a_database_made_with_other_secrets_says_so(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    secrets = Secrets.of(tmp_path)
    await (await start_postgres(settings, secrets, test=True)).stop()
    with pytest.raises(DatabaseUnavailable, match=r"made with another .*secrets\.json"):
        await start_postgres(settings, replace(secrets, postgres_admin="lost"), test=True)


async def test_a_database_of_an_older_timescaledb_is_brought_forward_and_of_a_newer_one_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    secrets = Secrets.of(tmp_path)
    server = await start_postgres(settings, secrets)
    await _pretend_timescaledb(settings, secrets, "2.19.2")
    await server.stop()
    server = await start_postgres(settings, secrets)
    assert await _pretend_timescaledb(settings, secrets, "99.0.0") > "2.19.2"
    await server.stop()
    with pytest.raises(DatabaseUnavailable, match=r"last used with TimescaleDB 99\.0\.0, and the one in .* has 2"):
        await start_postgres(settings, secrets)


async def _pretend_timescaledb(settings: Settings, secrets: Secrets, version: str) -> str:
    """Write another version into the catalogue; returns the one that stood there."""
    admin = f"postgresql://{ADMIN}:{secrets.postgres_admin}@127.0.0.1:{settings.postgres_port}/beffroi"
    async with await psycopg.AsyncConnection.connect(admin, options="-c timescaledb.disable_load=on") as connection:
        query = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
        before = await (await connection.execute(query)).fetchone()
        for change in (
            "UPDATE pg_extension SET extversion = %s WHERE extname = 'timescaledb'",
            "UPDATE _timescaledb_catalog.metadata SET value = %s WHERE key = 'timescaledb_version'",
        ):
            await connection.execute(change, (version,))
    return str(before[0]) if before else ""


async def test_servers_start_from_a_folder_that_was_moved_and_that_only_its_owner_can_open(tmp_path: Path) -> None:
    runtime = tmp_path / "closed" / "runtime"
    shutil.copytree(Settings().runtime_dir / "servers", runtime / "servers", symlinks=True)
    runtime.parent.chmod(0o700)
    settings = settings_in(tmp_path / "closed").model_copy(update={"runtime": runtime, "programs": "own"})
    async with embedded(settings, test=True) as moved:
        assert await _answer(moved, "SELECT 1") == (1,)


async def _answer(servers: Embedded, query: LiteralString) -> tuple[object, ...] | None:
    async with await psycopg.AsyncConnection.connect(servers.database_url) as hub:
        return await (await hub.execute(query)).fetchone()


async def _until_accepted(url: str) -> None:
    """The broker reads its accounts again on a signal: wait for it."""
    for _ in range(100):
        try:
            with client(url):
                return
        except AssertionError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"{url} was never accepted")
