"""The embedded database and broker, started together and stopped together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.runtime import programs
from hub.runtime.mosquitto import Mosquitto
from hub.runtime.postgres import Postgres
from hub.runtime.process import Process, Program
from hub.secrets import Secrets, database_url, mqtt_url, private_folder
from hub.settings import Settings


@dataclass(frozen=True, slots=True)
class Embedded:
    """The servers of one home, running."""

    secrets: Secrets
    database_url: str
    mqtt_url: str
    """As the account `hub`."""
    simulator_url: str
    """The broker, as the account `simulator`."""
    postgres: Process | None
    """None when the settings name a running server."""
    mosquitto: Process | None


@asynccontextmanager
async def embedded(settings: Settings, *, test: bool = False) -> AsyncIterator[Embedded]:
    """Start the servers that the settings do not name, and stop them at the end of the block.

    With `test` the database forgets power cuts, runs no background workers, and lets the hub's role make
    databases, which have TimescaleDB already. Enter and leave in the main thread (see Process.start).
    """
    secrets = Secrets.of(settings.home.resolve())
    postgres = mosquitto = None
    try:
        if settings.mqtt_url is None:
            mosquitto = await start_mosquitto(settings, secrets)
        if settings.database_url is None:
            postgres = await start_postgres(settings, secrets, test=test)
        yield Embedded(
            secrets,
            database_url(settings, secrets),
            mqtt_url(settings, secrets),
            mqtt_url(settings, secrets, "simulator"),
            postgres,
            mosquitto,
        )
    finally:
        await asyncio.gather(*(process.stop() for process in (mosquitto, postgres) if process))


async def start_postgres(
    settings: Settings, secrets: Secrets, *, test: bool = False, keep_open: tuple[int, ...] = ()
) -> Process:
    """The embedded database, answering, with the hub's role, database and extension."""
    server = Postgres.of(settings, programs.postgres(settings).path, test=test)
    await server.prepare(secrets)
    process = await _start(server.program, settings, keep_open)
    try:
        await server.wait_ready(process, secrets)
        await server.create_database(secrets)
    except BaseException:
        await process.stop()
        raise
    return process


async def start_mosquitto(settings: Settings, secrets: Secrets, *, keep_open: tuple[int, ...] = ()) -> Process:
    """The embedded broker, listening."""
    server = Mosquitto.of(settings, programs.mosquitto(settings).path)
    server.prepare(secrets)
    process = await _start(server.program, settings, keep_open)
    try:
        await server.wait_ready(process)
    except BaseException:
        await process.stop()
        raise
    return process


def logs(home: Path) -> Path:
    """The folder of the logs of every process of a home."""
    return private_folder(home.resolve() / "logs")


async def _start(program: Program, settings: Settings, keep_open: tuple[int, ...]) -> Process:
    return await Process.start(program, logs(settings.home) / f"{program.name}.log", keep_open=keep_open)
