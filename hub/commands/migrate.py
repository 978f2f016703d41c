"""`beffroi migrate`: the database at its present schema, with the operator's account."""

import asyncio

from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store.database import connect
from store.migrate import migrate
from store.people import ensure_person


def run(settings: Settings) -> None:
    """Migrate, and make the operator with the password of the home's secrets."""
    secrets = Secrets.of(settings.home)
    asyncio.run(_work(database_url(settings, secrets), secrets))


async def _work(url: str, secrets: Secrets) -> None:
    await migrate(url)
    async with connect(url) as connection:
        await ensure_person(connection, "operator", secrets.operator, "operator")
        await connection.commit()
