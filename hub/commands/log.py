"""`beffroi log adopt`: accept that a log is not the one, or not as far, as a reader knows."""

import asyncio

from hub.errors import BadSetting
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from ingest.log import LogReader
from store.database import connect
from store.readers import adopt, offsets

FOLDERS = {"store": "log", "telealert": "transitions"}


def adopt_log(settings: Settings, reader: str) -> str:
    """Make a reader go on in the log that is there; returns a sentence.

    At the oldest message that it has not read: the log's first, or its end when it has read further than that.
    """
    if reader not in FOLDERS:
        raise BadSetting(f"{reader} is no reader; the readers are {' and '.join(FOLDERS)}")
    log = LogReader(settings.home / FOLDERS[reader])

    async def work() -> str:
        async with connect(database_url(settings, Secrets.of(settings.home))) as connection:
            log_id, known = (await offsets(connection)).get(reader, (None, 0))
            place = min(max(known, log.first_offset), log.next_offset) if log_id == log.log_id else log.first_offset
            if (log_id, known) == (log.log_id, place):
                return f"{reader} reads this log already and goes on at {place}: there is nothing to adopt"
            await adopt(connection, reader, log.log_id, place)
            await connection.commit()
            return f"{reader} goes on at {place} of log {log.log_id}"

    return asyncio.run(work())
