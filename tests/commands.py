"""Commands of `beffroi` as a person calls them."""

import asyncio
import os
import sys
from pathlib import Path


async def beffroi(url: str, home: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of a command, and what it said."""
    environment = {**os.environ, "BEFFROI_DATABASE_URL": url, "BEFFROI_HOME": str(home), "COLUMNS": "300"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub.cli", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()
