"""What a city has decided on rules, in a file of the home, for a process that starts while the database is away."""

import os
from pathlib import Path

import msgspec
import structlog

from devices.own_rule import Decisions

logger = structlog.get_logger("policy")


def save(path: Path, decisions: Decisions) -> None:
    """Replace the file, whole or not at all; OSError when the disk refuses."""
    draft = path.with_name(f"{path.name}.part")
    with draft.open("wb") as file:
        file.write(decisions.encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load(path: Path) -> Decisions | None:
    """What the file tells; None when there is none or it cannot be read."""
    try:
        return Decisions.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        logger.error("the city's own rules, as last known, cannot be read", file=str(path), why=str(error))
        return None
