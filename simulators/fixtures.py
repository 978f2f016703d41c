"""Junctions, energy meters, stations and works sites of a simulated city: where they stand and what they are. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from heapq import heappop, heappush
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from devices.registry import Device
from simulators.communes import Commune
from simulators.ground import Floats, Ground, Ints, Places, addressed, pick, shares
from simulators.streets import Network

FIXTURES_SEED = 41
JUNCTIONS, BUS_JUNCTIONS = 250, 113
ENERGY_METERS, STATIONS, SITES = 300, 60, 40
APART_M = 140.0
"""Signals stand at least so far apart."""
NEXT_WITHIN_M = 500.0
"""Junctions are neighbours when so much road lies between them, and no other junction."""
DETECTOR_AT_M = 35.0
BARRIERS, LIGHTS = 4, 2
"""Of a works site; two sites in five have temporary lights."""
ROAD_WEIGHT = np.array([4.0, 3.0, 1.2, 0.3])
"""How much a main road, a boulevard, a street, a lane ask for signals where they meet."""
USES = (
    ("École", 48.0),
    ("Gymnase", 60.0),
    ("Bureaux", 96.0),
    ("Crèche", 30.0),
    ("Médiathèque", 72.0),
    ("Parking", 36.0),
    ("Atelier", 60.0),
    ("Recharge de véhicules", 120.0),
)
"""Buildings of a city and what power they subscribe, in kVA (our guess)."""


class Sensing(IntEnum):
    """What a station measures."""

    CERTIFIED_AIR = 0
    AIR = 1
    NOISE = 2
    WEATHER = 3
    RIVER = 4


STATION_LABELS = ("Station de l'air", "Capteur d'air", "Sonomètre", "Station météo", "Échelle de rivière")
SENSING = (1, 2, 1, 3, 1, 2, 4, 0, 1, 2, 3, 1, 2, 4, 1)
"""The sorts of stations in turn: of 60, 4 are certified, 24 low-cost, 16 hear noise, 8 see weather, 8 a river."""


@dataclass(frozen=True, slots=True)
class Fixtures:
    """Devices of four kinds as columns; an integer column points into another table."""

    junctions: Places
    junction_has_bus: NDArray[np.bool_]
    junction_next: tuple[tuple[int, ...], ...]
    """The rows of the neighbours of each junction."""
    detectors: Places
    detector_junction: Ints
    energy: Places
    energy_use: Ints
    energy_kva: Floats
    stations: Places
    station_senses: Ints
    sites: Places
    barriers: Places
    barrier_site: Ints
    lights: Places
    light_site: Ints

    def devices(self, communes: Sequence[Commune], street_names: Sequence[str]) -> Iterator[Device]:
        """Every device as the registry wants it, parents before children."""

        def rows(
            kind: str, type_: str, places: Places, label: str, parents: Sequence[str] = ()
        ) -> Iterator[tuple[int, Device]]:
            for row, place in enumerate(addressed(places, communes, street_names)):
                name = label.format(part=place.id.rsplit("-", 1)[1], row=row)
                parent = parents[row] if parents else None
                yield row, place.device(kind, type_, f"{name}, {place.street}", parent=parent, gateway=parent)

        bus = self.junction_has_bus.astype(float).tolist()
        at_junction = [self.junctions.id[row] for row in self.detector_junction.tolist()]
        homes = [communes[home].slug for home in self.junctions.commune.tolist()]
        names = [f"{home}/{id_}" for home, id_ in zip(homes, self.junctions.id, strict=True)]
        at_site = [[self.sites.id[row] for row in rows_.tolist()] for rows_ in (self.barrier_site, self.light_site)]
        for row, device in rows("traffic_light", "junction", self.junctions, "Carrefour {part}"):
            yield replace(
                _with(device, bus_priority=bus[row]), neighbours=tuple(names[n] for n in self.junction_next[row])
            )
        for _, device in rows("traffic_light", "detector", self.detectors, "Détecteur {part}", at_junction):
            yield device
        for row, device in rows("energy_meter", "meter", self.energy, ""):
            use = USES[self.energy_use[row]][0]
            yield _with(device, f"{use}{device.label}", subscribed_kva=float(self.energy_kva[row]))
        for row, device in rows("environment_station", "station", self.stations, ""):
            senses = Sensing(int(self.station_senses[row]))
            yield _with(device, f"{STATION_LABELS[senses]}{device.label}", **_station_attributes(senses, row))
        for _, device in rows("road_works", "site", self.sites, "Chantier {part}"):
            yield device
        parts = (
            ("barrier", self.barriers, "Balise {part}"),
            ("temporary_light", self.lights, "Feu de chantier {part}"),
        )
        for (type_, places, label), parents in zip(parts, at_site, strict=True):
            yield from (device for _, device in rows("road_works", type_, places, label, parents))


def _with(device: Device, label: str | None = None, **attributes: float) -> Device:
    """A device with attributes, and another label."""
    return replace(device, label=label or device.label, attributes=attributes)


def _station_attributes(senses: Sensing, row: int) -> dict[str, float]:
    match senses:
        case Sensing.CERTIFIED_AIR:
            return {"certified": 1.0}
        case Sensing.WEATHER:
            return {"snow_desk": float(row % 2)}
        case Sensing.RIVER:
            return {"river_watch_cm": 180.0, "river_flood_cm": 260.0}
        case _:
            return {}


def put_up(ground: Ground, rng: np.random.Generator) -> Fixtures:
    """Put the fixtures of a city up along its streets."""
    people = [commune.population for commune in ground.communes]
    junctions, nodes = _junctions(ground, shares(ground.count(JUNCTIONS), people), rng)
    detectors, detector_junction = _detectors(ground, junctions, nodes)
    # The busiest junctions of the centre come first, and buses drive there.
    has_bus = np.arange(len(junctions)) < round(len(junctions) * BUS_JUNCTIONS / JUNCTIONS)
    energy = _along(ground, "E", shares(ground.count(ENERGY_METERS), people), rng, aside_m=(10.0, 24.0))
    use = (np.arange(len(energy)) % len(USES)).astype(np.int32)
    kva = np.array([kva for _, kva in USES])[use] * rng.choice((0.6, 1.0, 1.5), len(energy))
    stations = _along(ground, "S", shares(ground.count(STATIONS), people), rng, aside_m=(3.0, 6.0))
    senses = np.resize(np.array(SENSING, np.int32), len(stations))
    sites = _along(ground, "T", shares(ground.count(SITES), people), rng, aside_m=(0.0, 2.0))
    barriers, barrier_site = _parts(sites, np.arange(len(sites)), "B", BARRIERS)
    lights, light_site = _parts(sites, np.flatnonzero(np.arange(len(sites)) % 5 < 2), "F", LIGHTS)
    return Fixtures(
        junctions,
        has_bus,
        _next_junctions(ground.network, nodes),
        detectors,
        detector_junction,
        energy,
        use,
        np.round(kva),
        stations,
        senses,
        sites,
        barriers,
        barrier_site,
        lights,
        light_site,
    )


def _along(
    ground: Ground, letter: str, count: Ints, rng: np.random.Generator, *, aside_m: tuple[float, float]
) -> Places:
    """So many places in each commune, anywhere along its streets."""
    places_m = [np.sort(rng.uniform(0, way.length_m, n)) for way, n in zip(ground.ways, count, strict=True)]
    found = ground.along(places_m, [rng.uniform(*aside_m, n) for n in count])
    codes = [commune.code for commune in ground.communes]
    numbered = chain.from_iterable(
        (f"{letter}-{code}-{number:03}" for number in range(1, n + 1))
        for code, n in zip(codes, count.tolist(), strict=True)
    )
    return pick(found, np.arange(len(found.commune), dtype=np.int32), list(numbered))


def _junctions(ground: Ground, count: Ints, rng: np.random.Generator) -> tuple[Places, Ints]:
    """Signals where the largest roads of each commune meet, not too near to each other; and their nodes."""
    network = ground.network
    rank = np.array([street.rank for street in network.streets])[network.edge_street]
    lit = np.array([street.lit for street in network.streets])[network.edge_street]
    home = np.array([street.commune for street in network.streets])[network.edge_street]
    weight = np.zeros(len(network.node))
    meets = np.zeros(len(network.node), np.int32)
    commune = np.full(len(network.node), -1)
    street = np.zeros(len(network.node), np.int32)
    for end in (0, 1):
        node = network.edge[lit, end]
        np.add.at(weight, node, ROAD_WEIGHT[rank[lit]])
        np.add.at(meets, node, 1)
        commune[node], street[node] = home[lit], network.edge_street[lit]
    weight = np.where(meets >= 3, weight * (1 + 0.2 * rng.random(len(weight))), 0.0)
    nodes: list[int] = []
    ids: list[str] = []
    for number, wanted in enumerate(count.tolist()):
        own = np.flatnonzero(commune == number)
        chosen = _spread(network.node, own[np.argsort(-weight[own], kind="stable")], wanted)
        ids += [f"J-{ground.communes[number].code}-{place:03}" for place in range(1, len(chosen) + 1)]
        nodes += chosen
    at = np.array(nodes, np.int32)
    lat, lon = network.plane.to_degrees(network.node[at])
    ones = np.ones(len(at), np.int32)
    return Places(tuple(ids), commune[at].astype(np.int32), street[at], ones, lat, lon), at


def _next_junctions(network: Network, nodes: Ints) -> tuple[tuple[int, ...], ...]:
    """The junctions that a driver meets next from each one, by row."""
    roads: dict[int, list[tuple[int, float]]] = {}
    for (a, b), length in zip(network.edge.tolist(), network.edge_length_m().tolist(), strict=True):
        roads.setdefault(a, []).append((b, length))
        roads.setdefault(b, []).append((a, length))
    row_of = {node: row for row, node in enumerate(nodes.tolist())}
    return tuple(tuple(sorted(_met_first(roads, node, row_of))) for node in row_of)


def _met_first(roads: Mapping[int, list[tuple[int, float]]], start: int, row_of: Mapping[int, int]) -> Iterator[int]:
    """Rows of the nodes that are reached without passing another of them (Dijkstra)."""
    seen: set[int] = set()
    queue = [(0.0, start)]
    while queue:
        driven, node = heappop(queue)
        if node in seen:
            continue
        seen.add(node)
        if node in row_of and node != start:
            yield row_of[node]
            continue
        for other, length in roads[node]:
            if driven + length <= NEXT_WITHIN_M:
                heappush(queue, (driven + length, other))


def _spread(points: Floats, candidates: NDArray[np.integer], wanted: int) -> list[int]:
    """The first candidates that stand apart; where there are too few, nearer ones too."""
    chosen: list[int] = []
    for apart_m in (APART_M, APART_M / 3, 0.0):
        for node in candidates.tolist():
            if len(chosen) == wanted:
                return chosen
            away = np.linalg.norm(points[chosen] - points[node], axis=1) if chosen else np.array([np.inf])
            if away.min() > apart_m:
                chosen.append(node)
    return chosen


def _detectors(ground: Ground, junctions: Places, nodes: Ints) -> tuple[Places, Ints]:
    """One detector in each approach of a junction, and its junction."""
    network = ground.network
    found: list[tuple[str, int, int]] = []
    points = []
    approaches: dict[int, list[tuple[int, int]]] = {node: [] for node in nodes.tolist()}
    for edge, (a, b) in enumerate(network.edge.tolist()):
        for here, there in ((a, b), (b, a)):
            if here in approaches:
                approaches[here].append((edge, there))
    for junction, node in enumerate(nodes.tolist()):
        for number, (edge, there) in enumerate(approaches[node], 1):
            arm = network.node[there] - network.node[node]
            length = float(np.linalg.norm(arm))
            points.append(network.node[node] + arm / length * min(DETECTOR_AT_M, length / 2))
            found.append((f"{junctions.id[junction]}-D{number}", junction, int(network.edge_street[edge])))
    lat, lon = network.plane.to_degrees(np.array(points))
    junction_row = np.array([junction for _, junction, _ in found], np.int32)
    street = np.array([street for *_, street in found], np.int32)
    ids = tuple(id_ for id_, *_ in found)
    return Places(ids, junctions.commune[junction_row], street, np.ones(len(ids), np.int32), lat, lon), junction_row


def _parts(sites: Places, rows: NDArray[np.integer], letter: str, each: int) -> tuple[Places, Ints]:
    """What stands around works sites, in a row of 12 m steps; and the site of each."""
    site = np.repeat(rows, each).astype(np.int32)
    number = np.tile(np.arange(each), len(rows))
    ids = [f"{sites.id[row]}-{letter}{part + 1}" for row, part in zip(site.tolist(), number.tolist(), strict=True)]
    placed = pick(sites, site, ids)
    east_m = 12.0 * (number - (each - 1) / 2) + (6.0 if letter == "F" else 0.0)
    lon = placed.lon + east_m / (111_195.0 * np.cos(np.radians(placed.lat)))
    return Places(placed.id, placed.commune, placed.street, placed.number, placed.lat, lon), site
