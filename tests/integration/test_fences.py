"""Fences by command, in the database, and on the boards of a worker that follows them."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from devices.registry import Registry
from hub.commands import fences as command
from hub.errors import BadFile, BadSetting
from hub.secrets import Secrets
from hub.settings import Settings
from ingest.city import City
from ingest.fences import FILE, Fences
from rules.view import View

SQUARE = [[5.0, 47.3], [5.1, 47.3], [5.1, 47.4], [5.0, 47.4], [5.0, 47.3]]


def geojson(*features: tuple[str, dict[str, object], dict[str, object]]) -> str:
    told = [
        {"type": "Feature", "properties": {"name": name, **more}, "geometry": geometry}
        for name, geometry, more in features
    ]
    return json.dumps({"type": "FeatureCollection", "features": told})


def square(east: float = 0) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": [[[lon + east, lat] for lon, lat in SQUARE]]}


def city() -> City:
    places = [(1, 47.35, 5.05), (2, 47.35, 6.05)]
    return City.of(
        Registry.of_rows(
            1, [(no, "dijon", "street_lighting", f"L{no}", "lamp", None, None, *at, True, {}) for no, *at in places]
        )
    )


def within(of: City, name: str) -> list[float]:
    found = View(of.boards["street_lighting"], np.array([0, 1]), 0, "lamp")[f"in__{name}"]
    return [float(value) for value in found]


async def until(of: City, name: str, wanted: list[float]) -> None:
    async with asyncio.timeout(5):
        while within(of, name) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_fence_is_on_the_boards_within_five_seconds_and_stays_without_the_database(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Secrets.of(tmp_path)
    settings, file = Settings(home=tmp_path, database_url=database_url), tmp_path / "in.geojson"
    ours = city()
    line = Fences(database_url, tmp_path, ours, look_s=0.1)
    line.recall()
    assert np.isnan(within(ours, "depot")).all()
    running = asyncio.create_task(line.run())
    try:
        await until(ours, "depot", [0, 0])
        corridor = {"type": "LineString", "coordinates": [[5.0, 47.3], [5.1, 47.3]]}
        file.write_text(geojson(("depot", square(), {"use": "works"}), ("route_3", corridor, {"width_m": 40})))
        await asyncio.to_thread(command.import_file, settings, file)
        assert "in__route_3" in capsys.readouterr().out
        await until(ours, "depot", [1, 0])
        file.write_text(geojson(("depot", square(1), {}), ("depot", square(3), {})))
        await asyncio.to_thread(command.import_file, settings, file)
        await until(ours, "depot", [0, 1])
        await asyncio.to_thread(command.list_fences, settings)
        shown = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert ["depot", "2"] in shown and ["route_3", "1", "40", "m"] in shown
        await asyncio.to_thread(command.export_file, settings, tmp_path / "out.geojson", force=False)
        exported = json.loads((tmp_path / "out.geojson").read_text())
        assert [f["properties"]["name"] for f in exported["features"]] == ["depot", "depot", "route_3"]
        without = city()
        Fences("postgresql://nobody@127.0.0.1:1/x", tmp_path, without).recall()
        assert within(without, "depot") == [0, 1] and within(without, "nowhere") == [0, 0]
        await asyncio.to_thread(command.remove, settings, "depot")
        await until(ours, "depot", [0, 0])
        assert "depot" not in (tmp_path / FILE).read_text()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_bad_file_changes_nothing_and_says_which_features_are_wrong(database_url: str, tmp_path: Path) -> None:
    Secrets.of(tmp_path)
    settings, file = Settings(home=tmp_path, database_url=database_url), tmp_path / "in.geojson"
    file.write_text(geojson(("depot", square(), {}), ("Depot 2", square(), {}), ("x1", {"type": "Point"}, {})))
    with pytest.raises(BadFile, match=r"(?s)feature 2: .*'Depot 2'.*feature 3: x1 is a Point"):
        await asyncio.to_thread(command.import_file, settings, file)
    with pytest.raises(BadSetting, match="no fence 'depot'"):
        await asyncio.to_thread(command.remove, settings, "depot")
    with pytest.raises(BadFile, match="cannot be read"):
        await asyncio.to_thread(command.import_file, settings, tmp_path / "nothing")
