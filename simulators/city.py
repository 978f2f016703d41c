"""A simulated city, the same for the same seed: streets, lamps, meters, vehicles. Pure but for its folder's files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.registry import Device
from simulators.communes import Commune, read_communes, read_words
from simulators.fixtures import FIXTURES_SEED, Fixtures, put_up
from simulators.ground import Floats, Ground, Ints, Place, Places, Way, addressed, pick, shares
from simulators.names import name_streets
from simulators.streets import Network, draw_network

CITY_SEED = 2019
"""The seed of the streets and devices; the base map in the city's folder was drawn with it."""
LAMPS, METERS, VEHICLES = 34_000, 33_000, 205
LAMPS_PER_CABINET = 77
"""Clermont-Ferrand has 16,500 points on 215 cabinets."""
METERS_PER_GATEWAY = 250
MAINS_V = 230.0
RATED_W = np.array([90, 75, 45, 30], dtype=np.float64)
"""Of the LED lamps along a main road, a boulevard, a street, a lane."""
METERS_PER_ZONE = 1000
"""Dwellings in a district metered area: 500 to 3,000 is usual."""
SERVICES = ("Collecte", "Propreté", "Voirie", "Espaces verts", "Éclairage", "Eau", "Police municipale", "Bâtiments")


@dataclass(frozen=True, slots=True)
class City:
    """A simulated city: its streets, and its devices as columns; an integer column points into another table."""

    communes: tuple[Commune, ...]
    network: Network
    street_names: tuple[str, ...]
    cabinets: Places
    feeders: Places
    feeder_cabinet: Ints
    lamps: Places
    lamp_feeder: Ints
    lamp_rated_w: Floats
    meters: Places
    meter_gateway: Ints
    meter_q3_m3h: Floats
    gateway_id: tuple[str, ...]
    """Radio gateways of the water meters; no devices themselves."""
    gateway_commune: Ints
    zones: Places
    meter_zone: Ints
    vehicles: Places
    vehicle_edge: Ints
    """The edge of the network on which each vehicle begins."""
    fixtures: Fixtures

    @property
    def feeder_rated_w(self) -> Floats:
        return np.bincount(self.lamp_feeder, self.lamp_rated_w, len(self.feeders)).astype(np.float64)

    @property
    def lamp_is_far(self) -> NDArray[np.bool_]:
        """Is it in the half of its feeder that is away from the cabinet?"""
        first = np.searchsorted(self.lamp_feeder, np.arange(len(self.feeders) + 1))
        return np.arange(len(self.lamps)) >= ((first[:-1] + first[1:] + 1) // 2)[self.lamp_feeder]

    def devices(self) -> Iterator[Device]:
        """Every device as the registry wants it, parents before children."""
        for i, place in enumerate(self._places(self.cabinets)):
            yield place.device("street_lighting", "cabinet", f"Armoire {self._short(i)}, {place.street}")
        feeder_a = self.feeder_rated_w / MAINS_V
        for i, place in enumerate(self._places(self.feeders)):
            cabinet = int(self.feeder_cabinet[i])
            label = f"Départ {place.id.rsplit('-', 1)[1]}, armoire {self._short(cabinet)}, {place.street}"
            rated = {"rated_current_a": round(float(feeder_a[i]), 2)}
            home = self.cabinets.id[cabinet]
            yield place.device("street_lighting", "feeder", label, parent=home, gateway=home, attributes=rated)
        for i, place in enumerate(self._places(self.lamps)):
            feeder = int(self.lamp_feeder[i])
            gateway = self.cabinets.id[self.feeder_cabinet[feeder]]
            label = f"Lampadaire {place.number}, {place.street}"
            rated = {"rated_power_w": float(self.lamp_rated_w[i])}
            parent = self.feeders.id[feeder]
            yield place.device("street_lighting", "lamp", label, parent=parent, gateway=gateway, attributes=rated)
        for place in self._places(self.zones):
            yield place.device("water_meter", "zone", f"Secteur {place.id.removeprefix('Z-')}, {place.street}")
        for i, place in enumerate(self._places(self.meters)):
            label = f"Compteur d'eau, {place.number} {place.street}"
            q3 = {"q3_m3h": float(self.meter_q3_m3h[i])}
            zone = self.zones.id[self.meter_zone[i]]
            yield place.device("water_meter", "meter", label, parent=zone, attributes=q3)
        for i, place in enumerate(self._places(self.vehicles)):
            label = f"{SERVICES[i % len(SERVICES)]} {i + 1:03}"
            yield Device(place.commune, "fleet_vehicle", place.id, "vehicle", label=label)
        yield from self.fixtures.devices(self.communes, self.street_names)

    def _short(self, cabinet: int) -> str:
        return f"A{self.cabinets.id[cabinet].rsplit('-', 1)[1]}"

    def _places(self, places: Places) -> Iterator[Place]:
        return addressed(places, self.communes, self.street_names)


def make_city(city_dir: Path, *, scale: float = 1.0, seed: int = CITY_SEED) -> City:
    """The city of a folder; `scale` keeps that share of its devices on the same streets. BadFile without its files."""
    communes = read_communes(city_dir)
    words = read_words(city_dir)
    rng = np.random.default_rng(seed)
    network = draw_network(communes, rng)
    names = tuple(name_streets(network.streets, words, rng))
    ways = tuple(Way.of(network, number) for number in range(len(communes)))
    ground = Ground(communes, network, names, ways, scale)
    devices = (*_light(ground, rng), *_plumb(ground, rng), *_park(ground, rng))
    # Chance of their own, so that the fixtures move none of the devices above.
    return City(communes, network, names, *devices, put_up(ground, np.random.default_rng([seed, FIXTURES_SEED])))


def _light(ground: Ground, rng: np.random.Generator) -> tuple[Places, Places, Ints, Places, Ints, Floats]:
    """Cabinets, feeders and their cabinets, lamps, their feeders and rated power, in the order of the streets."""
    lengths = [way.length_m for way in ground.ways]
    full = shares(LAMPS, lengths)
    count = shares(ground.count(LAMPS), lengths)
    places_m = [(np.arange(n) + 0.5) * (length / most) for n, most, length in zip(count, full, lengths, strict=True)]
    lamps = ground.along(places_m, [np.full(n, 4.0) for n in count])
    feeder_id, cabinet_id, feeder_cabinet, lamp_feeder, lamp_id = _wire(ground.communes, count, rng)
    first = np.searchsorted(lamp_feeder, np.arange(len(feeder_id) + 1))
    middle = ((first[:-1] + first[1:]) // 2).astype(np.int32)
    # A feeder is drawn in the middle of its lamps, where a person looks for it, not in the cabinet it starts from.
    feeders = pick(lamps, middle, feeder_id, aside_m=6)
    start = np.searchsorted(feeder_cabinet, np.arange(len(cabinet_id))).astype(np.int32)
    cabinets = pick(lamps, first[start].astype(np.int32), cabinet_id, aside_m=9)
    rank = np.array([s.rank for s in ground.network.streets])[lamps.street]
    return (
        cabinets,
        feeders,
        feeder_cabinet,
        Places(lamp_id, lamps.commune, lamps.street, lamps.number, lamps.lat, lamps.lon),
        lamp_feeder,
        RATED_W[rank],
    )


def _wire(
    communes: Sequence[Commune], count: Ints, rng: np.random.Generator
) -> tuple[list[str], list[str], Ints, Ints, tuple[str, ...]]:
    """Hang lamps on feeders and feeders on cabinets: ids of feeders and cabinets, parents, ids of lamps."""
    feeder_id: list[str] = []
    cabinet_id: list[str] = []
    feeder_cabinet: list[int] = []
    lamp_feeder: list[int] = []
    lamp_id: list[str] = []
    for commune, lamps in zip(communes, count.tolist(), strict=True):
        for number, on_cabinet in enumerate(shares(lamps, [1.0] * max(1, round(lamps / LAMPS_PER_CABINET))), 1):
            cabinet_id.append(f"A-{commune.code}-{number:03}")
            branches = min(int(on_cabinet), 3 + int(rng.random() < 0.5))
            for branch, on_feeder in enumerate(shares(int(on_cabinet), [1.0] * branches) if branches else (), 1):
                stem = f"{commune.code}-A{number:03}-D{branch}"
                lamp_feeder += [len(feeder_id)] * int(on_feeder)
                lamp_id += [f"L-{stem}-{lamp:03}" for lamp in range(1, int(on_feeder) + 1)]
                feeder_id.append(f"F-{stem}")
                feeder_cabinet.append(len(cabinet_id) - 1)
            if not branches:
                cabinet_id.pop()
    return (
        feeder_id,
        cabinet_id,
        np.array(feeder_cabinet, dtype=np.int32),
        np.array(lamp_feeder, dtype=np.int32),
        tuple(lamp_id),
    )


def _plumb(
    ground: Ground, rng: np.random.Generator
) -> tuple[Places, Ints, Floats, tuple[str, ...], Ints, Places, Ints]:
    """Meters in houses along the streets, the gateway that hears each, their Q3, the gateways; zones, each meter's."""
    count = shares(ground.count(METERS), [commune.population for commune in ground.communes])
    places_m = [np.sort(rng.uniform(0, way.length_m, n)) for way, n in zip(ground.ways, count, strict=True)]
    offsets = [rng.uniform(9, 22, n) * rng.choice((-1, 1), n) for n in count]
    meters = ground.along(places_m, offsets)
    ids: list[str] = []
    gateway_id: list[str] = []
    gateway_commune: list[int] = []
    gateway: list[int] = []
    for number, (commune, n) in enumerate(zip(ground.communes, count.tolist(), strict=True)):
        ids += [f"W-{commune.code}-{meter:05}" for meter in range(1, n + 1)]
        heard = -(-n // METERS_PER_GATEWAY)
        gateway += [len(gateway_id) + meter * heard // n for meter in range(n)]
        gateway_id += [f"GW-{commune.code}-{g:03}" for g in range(1, heard + 1)]
        gateway_commune += [number] * heard
    q3 = rng.choice((2.5, 4.0, 10.0, 16.0), len(ids), p=(0.92, 0.05, 0.02, 0.01))
    placed = Places(tuple(ids), meters.commune, meters.street, meters.number, meters.lat, meters.lon)
    radio = np.array(gateway, np.int32), q3, tuple(gateway_id), np.array(gateway_commune, np.int32)
    return (placed, *radio, *_zones(ground.communes, placed, count))


def _zones(communes: Sequence[Commune], meters: Places, count: Ints) -> tuple[Places, Ints]:
    """Network zones of neighbouring meters, each drawn at the middle one; and the zone of each meter."""
    ids: list[str] = []
    zone: list[int] = []
    for commune, n in zip(communes, count.tolist(), strict=True):
        parts = -(-n // METERS_PER_ZONE)
        zone += [len(ids) + meter * parts // n for meter in range(n)]
        ids += [f"Z-{commune.code}-{part:02}" for part in range(1, parts + 1)]
    meter_zone = np.array(zone, np.int32)
    first = np.searchsorted(meter_zone, np.arange(len(ids) + 1))
    return pick(meters, ((first[:-1] + first[1:]) // 2).astype(np.int32), ids, aside_m=15), meter_zone


def _park(ground: Ground, rng: np.random.Generator) -> tuple[Places, Ints]:
    """Vehicles and the edges that they begin on, spread over the larger ground.communes."""
    weights = [commune.population if commune.population > 5000 else 0 for commune in ground.communes]
    commune = np.repeat(np.arange(len(ground.communes), dtype=np.int32), shares(ground.count(VEHICLES), weights))
    rng.shuffle(commune)
    edge = np.array([rng.choice(ground.ways[c].edge) for c in commune.tolist()], dtype=np.int32)
    lat, lon = ground.network.plane.to_degrees(ground.network.node[ground.network.edge[edge, 0]])
    ids = tuple(f"V-{number:03}" for number in range(1, len(commune) + 1))
    return Places(ids, commune, ground.network.edge_street[edge], np.ones(len(commune), np.int32), lat, lon), edge
