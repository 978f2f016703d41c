"""Arrays by name in one file, replaced at once: after a crash the old or the new file is there, whole."""

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hub.errors import BadFile

Arrays = Mapping[str, NDArray[Any]]


def write(path: Path, arrays: Arrays) -> None:
    """Replace the file; OSError when the disk refuses, and then the old one is there."""
    made = path.with_suffix(".new")
    try:
        with made.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        made.rename(path)
    except OSError:
        with suppress(OSError):
            made.unlink(missing_ok=True)  # it takes room
        raise


def read(path: Path) -> dict[str, NDArray[Any]] | None:
    """What the file holds, None when there is none; BadFile when it is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as why:
        raise BadFile(f"{path} is damaged: {why}") from why
