"""What docker-compose.yml runs, run outside of containers: the database's preparation and the broker's accounts."""

import asyncio
import os
import secrets as random
import sys
from collections import deque
from pathlib import Path

import psycopg
import pytest
import yaml

from hub.commands.accounts import write
from hub.errors import BadSetting, BrokerUnavailable
from hub.runtime import programs
from hub.runtime.mosquitto import Mosquitto
from hub.runtime.postgres import ADMIN, Postgres
from hub.runtime.process import Process
from hub.secrets import Secrets, mqtt_url, private_folder
from simulators.packets import Publish
from simulators.publisher import Outbox, connected
from store.grafana import ROLE
from tests.conftest import hub_settings

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
HUB_PASSWORD, GRAFANA_PASSWORD = "of-the-hub", "of-grafana"


@pytest.fixture
async def fresh_server(tmp_path):
    """A server as the database's image makes it: its superuser, and the database `beffroi` with TimescaleDB."""
    settings = hub_settings(tmp_path / "server")
    secrets = Secrets.of(settings.home)
    server = Postgres.of(settings, programs.postgres(settings).path, test=True)
    await server.prepare(secrets)
    process = await Process.start(server.program, private_folder(settings.home / "logs") / "postgres.log")
    try:
        await server.wait_ready(process, secrets)
        admin = f"postgresql://{ADMIN}:{secrets.postgres_admin}@127.0.0.1:{server.port}"
        for database, statement in (
            ("postgres", "CREATE DATABASE beffroi"),
            ("beffroi", "CREATE EXTENSION timescaledb"),
        ):
            async with await psycopg.AsyncConnection.connect(f"{admin}/{database}", autocommit=True) as connection:
                await connection.execute(statement.encode())
        yield server, secrets
    finally:
        await process.stop()


async def run(*command: str | Path, **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_the_hub_and_grafana_use_a_database_that_the_image_made(fresh_server, tmp_path):
    server, secrets = fresh_server
    await run(
        *("sh", "docker/database.sh"),
        PATH=f"{server.programs}:{os.environ['PATH']}",
        POSTGRES_USER=ADMIN,
        POSTGRES_DB="beffroi",
        HUB_PASSWORD=HUB_PASSWORD,
        PGHOST="127.0.0.1",
        PGPORT=str(server.port),
        PGPASSWORD=secrets.postgres_admin,
    )
    place = f"127.0.0.1:{server.port}/beffroi"
    env = {
        "BEFFROI_HOME": str(tmp_path / "home"),
        "BEFFROI_DATABASE_URL": f"postgresql://beffroi:{HUB_PASSWORD}@{place}",
        "GRAFANA_DATABASE_PASSWORD": GRAFANA_PASSWORD,
    }
    await run(sys.executable, "-m", "hub.cli", *SERVICES["migrate"]["command"], **env)
    said = await run(sys.executable, "-m", "hub.cli", "grafana", "role", **env)
    assert GRAFANA_PASSWORD not in said
    async with await psycopg.AsyncConnection.connect(env["BEFFROI_DATABASE_URL"]) as connection:
        rights = await connection.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
        assert await rights.fetchone() == (False, True)
    async with await psycopg.AsyncConnection.connect(f"postgresql://{ROLE}:{GRAFANA_PASSWORD}@{place}") as connection:
        assert await (await connection.execute("SELECT count(*) FROM water_meter")).fetchone() == (0,)


async def test_the_broker_that_reads_what_was_written_knows_the_hub_s_accounts_and_no_other(tmp_path):
    settings = hub_settings(tmp_path / "home")
    env = {"BEFFROI_HOME": str(settings.home), "BEFFROI_MQTT_PORT": str(settings.mqtt_port)}
    said = await run(sys.executable, "-m", "hub.cli", *SERVICES["broker-setup"]["command"], **env)
    written = Mosquitto.of(settings, programs.mosquitto(settings).path)
    assert str(written.folder / "mosquitto.conf") in said
    configuration = (written.folder / "mosquitto.conf").read_text()
    assert f"listener {settings.mqtt_port} 0.0.0.0" in configuration and "allow_anonymous false" in configuration
    process = await Process.start(written.program, private_folder(settings.home / "logs") / "mosquitto.log")
    try:
        await written.wait_ready(process)
        url = mqtt_url(settings, Secrets.of(settings.home), "simulator")
        async with connected(url) as client:
            await client.settle(outbox := Outbox(deque([Publish("city/dijon/water_meter/w1/telemetry", b"{}")])))
            assert (outbox.published, outbox.refused) == (1, 0)
        with pytest.raises(BrokerUnavailable):
            async with connected(url.replace("simulator:", f"simulator:{random.token_hex(4)}")):
                pass
    finally:
        await process.stop()


def test_a_broker_of_one_s_own_is_not_written_for(tmp_path):
    with pytest.raises(BadSetting, match="names a broker of your own"):
        write(hub_settings(tmp_path, mqtt_url="mqtt://a:b@broker:1883"))
