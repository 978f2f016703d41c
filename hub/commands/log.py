"""`beffroi log adopt`: accept a log that is not the one that a reader knows."""

import asyncio

from hub.errors import BadSetting
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from ingest.log import LogReader
from store.database import connect
from store.readers import adopt

FOLDERS = {"store": "log", "telealert": "transitions"}


def adopt_log(settings: Settings, reader: str) -> str:
    """Make a reader go on in the log that is there; returns a sentence."""
    if reader not in FOLDERS:
        raise BadSetting(f"{reader} is no reader; the readers are {' and '.join(FOLDERS)}")
    log = LogReader(settings.home / FOLDERS[reader])

    async def work() -> None:
        async with connect(database_url(settings, Secrets.of(settings.home))) as connection:
            await adopt(connection, reader, log.log_id, log.first_offset)
            await connection.commit()

    asyncio.run(work())
    return f"{reader} goes on at {log.first_offset} of log {log.log_id}"
