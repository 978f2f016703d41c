"""The registry as the worker last knew it, in a file of the home: the rules can start while the database is away."""

from pathlib import Path

import numpy as np

from devices.kind import kinds
from devices.registry import Registry
from hub.errors import BadFile
from ingest import arrays

COLUMNS = ("device_no", "kind", "type", "parent_no", "gateway_no", "lat", "lon", "commissioned", "model")
TEXTS = ("commune", "id")
ATTRIBUTE = "attribute/"


def save(path: Path, registry: Registry) -> None:
    """Replace the file, whole or not at all; OSError when the disk refuses."""
    columns = {name: getattr(registry, name) for name in COLUMNS}
    texts = {name: np.array(getattr(registry, name), np.str_) for name in TEXTS}
    attributes = {ATTRIBUTE + name: values for name, values in registry.attributes.items()}
    arrays.write(path, {"version": np.array(registry.version), **columns, **texts, **attributes})


def load(path: Path) -> Registry | None:
    """What the file tells; None when there is none, it is damaged, or the kinds declare other attributes since."""
    try:
        found = arrays.read(path)
    except BadFile:
        return None
    declared = {ATTRIBUTE + attribute.name for kind in kinds().values() for attribute in kind.attributes}
    if found is None or not {"version", *COLUMNS, *TEXTS, *declared} <= found.keys():
        return None
    columns = {name: found[name] for name in COLUMNS} | {name: found[name].tolist() for name in TEXTS}
    attributes = {name.removeprefix(ATTRIBUTE): found[name] for name in declared}
    return Registry(version=int(found["version"]), attributes=attributes, **columns)
