"""The generated city: exact totals, the same for the same seed, hung together as a real one."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from devices.kind import kinds
from devices.registry import name_fault
from hub.errors import BadFile
from simulators.basemap import communes_geojson, streets_geojson
from simulators.city import City, make_city
from simulators.ground import shares

DIJON = Path("simulators/cities/dijon")


def test_dijon_has_its_23_communes_and_exactly_its_devices(whole_city: City) -> None:
    counts = Counter(device.type for device in whole_city.devices() if device.kind != "energy_meter")
    assert len(whole_city.communes) == 23
    assert (counts["lamp"], counts["meter"], counts["vehicle"]) == (34_000, 33_000, 205)
    kind_counts = Counter(device.kind for device in whole_city.devices())
    assert (counts["junction"], kind_counts["energy_meter"], counts["station"], counts["site"]) == (250, 300, 60, 40)
    assert whole_city.fixtures.junction_has_bus.sum() == 113
    assert 3 * counts["junction"] <= counts["detector"] <= 6 * counts["junction"]
    assert 430 <= counts["cabinet"] <= 450
    assert 3 * counts["cabinet"] <= counts["feeder"] <= 4 * counts["cabinet"]
    assert all((whole_city.lamps.commune == number).any() for number in range(23))


def test_ids_are_unique_and_parents_come_before_their_children(whole_city: City) -> None:
    seen: dict[str, str] = {}
    for device in whole_city.devices():
        assert device.id not in seen
        assert name_fault(device.id) is None
        kind = kinds()[device.kind]
        assert set(device.attributes) <= {attribute.name for attribute in kind.attributes}
        wanted = kind.type(device.type).parent
        assert (seen[device.parent] if device.parent else None) == wanted
        seen[device.id] = device.type


def test_a_lamp_is_named_after_its_street_and_hangs_near_its_cabinet(whole_city: City) -> None:
    devices = {device.id: device for device in whole_city.devices()}
    lamp = devices["L-DIJ-A045-D3-012"]
    assert lamp.parent == "F-DIJ-A045-D3"
    assert lamp.gateway == "A-DIJ-045"
    assert lamp.label == f"Lampadaire {lamp.label.split()[1][:-1]}, {lamp.street}"  # type: ignore[union-attr]
    home = whole_city.feeder_cabinet[whole_city.lamp_feeder]
    plane = whole_city.network.plane
    lamps = plane.to_metres(whole_city.lamps.lat, whole_city.lamps.lon)
    away = np.linalg.norm(lamps - plane.to_metres(whole_city.cabinets.lat[home], whole_city.cabinets.lon[home]), axis=1)
    assert np.median(away) < 600


def test_lamps_stand_about_30_m_apart_along_their_streets(whole_city: City) -> None:
    points = whole_city.network.plane.to_metres(whole_city.lamps.lat, whole_city.lamps.lon)
    same = (np.diff(whole_city.lamps.street) == 0) & (np.diff(whole_city.lamps.commune) == 0)
    apart = np.linalg.norm(np.diff(points, axis=0), axis=1)[same]
    assert 25 < np.median(apart) < 33
    assert apart.max() < 40


def test_a_feeder_is_rated_as_its_lamps_together(whole_city: City) -> None:
    devices = {device.id: device for device in whole_city.devices()}
    feeder = devices["F-CHN-A003-D2"]
    watts = sum(d.attributes["rated_power_w"] for d in devices.values() if d.parent == feeder.id)
    assert feeder.attributes["rated_current_a"] == pytest.approx(watts / 230, abs=0.01)


def test_every_street_can_be_driven_to(whole_city: City) -> None:
    reached, edges = {int(whole_city.network.edge[0, 0])}, whole_city.network.edge
    while True:
        touched = np.isin(edges, list(reached)).any(axis=1)
        grown = reached | set(edges[touched].ravel().tolist())
        if grown == reached:
            break
        reached = grown
    assert reached == set(edges.ravel().tolist())


def test_the_same_seed_makes_the_same_city_and_another_one_another(small_city: City) -> None:
    again = make_city(DIJON, scale=0.01)
    assert list(again.devices()) == list(small_city.devices())
    other = make_city(DIJON, scale=0.01, seed=7)
    assert list(other.devices()) != list(small_city.devices())


def test_a_scaled_city_keeps_the_streets_and_has_its_share_of_devices(whole_city: City, small_city: City) -> None:
    assert small_city.street_names == whole_city.street_names
    assert (len(small_city.lamps), len(small_city.meters), len(small_city.vehicles)) == (340, 330, 2)


def test_the_base_map_in_the_folder_is_the_citys(whole_city: City) -> None:
    for name, made in (("communes", communes_geojson(whole_city)), ("streets", streets_geojson(whole_city))):
        kept = json.loads((DIJON / f"{name}.geojson").read_text())
        assert [f["properties"] for f in kept["features"]] == [f["properties"] for f in made["features"]]  # type: ignore[attr-defined]
        assert kept == json.loads(json.dumps(made)), "draw it again: python -m simulators.basemap"
    assert (DIJON / "streets.geojson").stat().st_size < 2_500_000


def test_shares_sum_to_the_total() -> None:
    assert shares(10, [1, 1, 1]).tolist() == [4, 3, 3]
    assert shares(7, [0, 5, 2]).tolist() == [0, 5, 2]
    assert shares(0, [3, 1]).tolist() == [0, 0]


def test_a_folder_that_is_no_city_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"communes\.yaml: No such file"):
        make_city(tmp_path)
    (tmp_path / "communes.yaml").write_text("- {name: Dijon, slug: dijon}\n")
    with pytest.raises(BadFile, match="each commune needs"):
        make_city(tmp_path)
