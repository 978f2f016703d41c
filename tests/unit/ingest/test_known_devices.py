"""The registry on disk is the registry; what cannot be read is none."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from devices.registry import Registry
from ingest import known_devices

ROWS = [
    (3, "dijon", "street_lighting", "A", "lamp", 7, None, 47.3, 5.0, True, {"rated_power_w": 60}),
    (9, "quetigny", "water_meter", "é", None, None, None, None, None, False, {}),
]


def test_what_was_known_is_read_back(tmp_path: Path):
    registry = Registry.of_rows(5, ROWS)
    known_devices.save(tmp_path / "devices.npz", registry)
    found = known_devices.load(tmp_path / "devices.npz")
    assert found is not None and found.numbers() == registry.numbers()
    for column in fields(Registry):
        mine, theirs = getattr(registry, column.name), getattr(found, column.name)
        if column.name == "attributes":
            assert mine.keys() == theirs.keys()
            assert all(np.array_equal(values, theirs[name], equal_nan=True) for name, values in mine.items())
        else:
            assert np.array_equal(mine, theirs, equal_nan=column.name in ("lat", "lon")), column.name


def test_what_is_not_there_or_damaged_is_none(tmp_path: Path):
    path = tmp_path / "devices.npz"
    assert known_devices.load(path) is None
    known_devices.save(path, Registry.of_rows(5, ROWS))
    path.write_bytes(path.read_bytes()[:-40])
    assert known_devices.load(path) is None
