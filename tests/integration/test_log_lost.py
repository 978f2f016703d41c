"""A log folder that is removed, replaced or put back from an older copy is noticed at once, and nothing is lost by it.

Each says what happened in one line; the store waits until somebody has decided, and health shows it.
"""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.runtime.servers import Embedded
from ingest.log import LogReader
from tests.database import accounts_balance, fetch
from tests.load import Load, Meters
from tests.processes import Processes, eventually

RATE = 500


@pytest.fixture
def hub(tmp_path: Path, database_url: str, broker: Embedded) -> Iterator[Processes]:
    with Processes(tmp_path, database_url, broker.mqtt_url) as processes:
        yield processes
