"""`beffroi migrate`: the database at its present schema, with the operator's account."""

import asyncio

import structlog

from hub.clock import pauses
from hub.errors import DatabaseUnavailable
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store.database import connect
from store.migrate import migrate
from store.people import ensure_person

logger = structlog.get_logger("migrate")


def run(settings: Settings) -> None:
    """Migrate, and make the operator with the password of the home's secrets."""
    secrets = Secrets.of(settings.home)
    asyncio.run(_work(database_url(settings, secrets), secrets))


async def _work(url: str, secrets: Secrets) -> None:
    await _answers(url)
    await migrate(url)
    async with connect(url) as connection:
        await ensure_person(connection, "operator", secrets.operator, "operator")
        await connection.commit()


async def _answers(url: str) -> None:
    """Wait for the database, however long it is away."""
    is_told = False
    for pause_s in pauses():
        try:
            async with connect(url):
                return
        except DatabaseUnavailable as error:
            if not is_told:
                logger.warning("waiting for the database", why=str(error))
            is_told = True
            await asyncio.sleep(pause_s)
