"""The registry as the worker last knew it, in a file of the home: the rules can start while the database is away."""

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from devices.kind import kinds
from devices.registry import Registry

COLUMNS = ("device_no", "kind", "type", "parent_no", "gateway_no", "lat", "lon", "commissioned")
TEXTS = ("commune", "id")
ATTRIBUTE = "attribute/"


def save(path: Path, registry: Registry) -> None:
    """Replace the file, whole or not at all; OSError when the disk refuses."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(registry, name) for name in COLUMNS}
    arrays |= {name: np.array(getattr(registry, name), np.str_) for name in TEXTS}
    arrays |= {ATTRIBUTE + name: values for name, values in registry.attributes.items()}
    made = path.with_suffix(".new")
    try:
        with made.open("wb") as file:
            np.savez(file, allow_pickle=False, version=np.array(registry.version), **arrays)
            file.flush()
            os.fsync(file.fileno())
        made.rename(path)
    except OSError:
        with suppress(OSError):
            made.unlink(missing_ok=True)  # it takes room
        raise


def load(path: Path) -> Registry | None:
    """What the file tells; None when there is none, it is damaged, or the kinds declare other attributes since."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        attributes = {n.removeprefix(ATTRIBUTE): a for n, a in arrays.items() if n.startswith(ATTRIBUTE)}
        if not {a.name for kind in kinds().values() for a in kind.attributes} <= attributes.keys():
            return None
        columns = {name: arrays[name] for name in COLUMNS} | {name: arrays[name].tolist() for name in TEXTS}
        return Registry(version=int(arrays["version"]), attributes=attributes, **columns)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
