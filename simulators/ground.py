"""Where devices can stand in a simulated city: distances along the lit streets of its communes. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from devices.registry import Device
from simulators.communes import Commune
from simulators.plane import Points
from simulators.streets import Network

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Places:
    """Where devices of one type are: columns of equal length."""

    id: tuple[str, ...]
    commune: Ints
    street: Ints
    number: Ints
    """As a house number: from 1 along the street."""
    lat: Floats
    lon: Floats

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class Place:
    """One row of places, for people: the commune's slug and the street's name."""

    id: str
    commune: str
    street: str
    number: int
    lat: float
    lon: float

    def device(
        self,
        kind: str,
        type_: str,
        label: str,
        *,
        parent: str | None = None,
        gateway: str | None = None,
        attributes: Mapping[str, float] | None = None,
    ) -> Device:
        """The registry's row of the device that stands here."""
        return Device(
            commune=self.commune,
            kind=kind,
            id=self.id,
            type=type_,
            parent=parent,
            gateway=gateway,
            lat=self.lat,
            lon=self.lon,
            label=label,
            street=self.street,
            attributes=attributes or {},
        )


def addressed(places: Places, communes: Sequence[Commune], street_names: Sequence[str]) -> Iterator[Place]:
    """The rows of a table of places, with their addresses."""
    columns = (places.commune, places.street, places.number, places.lat, places.lon)
    for id_, commune, street, number, lat, lon in zip(places.id, *(c.tolist() for c in columns), strict=True):
        yield Place(id_, communes[commune].slug, street_names[street], number, round(lat, 6), round(lon, 6))


@dataclass(frozen=True, slots=True)
class Way:
    """The lit streets of a commune laid end to end."""

    edge: Ints
    end_m: Floats
    """Distance from the beginning of the way to the end of each edge."""

    @classmethod
    def of(cls, network: Network, commune: int) -> Self:
        own = np.array([s.commune == commune and s.lit for s in network.streets])
        edge = np.flatnonzero(own[network.edge_street]).astype(np.int32)
        return cls(edge, np.cumsum(network.edge_length_m()[edge]))

    @property
    def length_m(self) -> float:
        return float(self.end_m[-1])

    def at(self, network: Network, place_m: Floats, offset_m: Floats) -> tuple[Ints, Points]:
        """Edges and points at distances along the way, `offset_m` to the left of it."""
        row = np.searchsorted(self.end_m, place_m)
        edge = self.edge[row]
        a, b = network.node[network.edge[edge, 0]], network.node[network.edge[edge, 1]]
        length = np.linalg.norm(b - a, axis=1)
        along = (b - a) / length[:, None]
        left = np.column_stack([-along[:, 1], along[:, 0]])
        back = (self.end_m[row] - place_m)[:, None]
        return edge, b - along * back + left * offset_m[:, None]


def shares(total: int, weights: Sequence[float] | Floats) -> Ints:
    """Whole shares of a total in proportion to weights, by largest remainder; they sum to the total."""
    exact = np.asarray(weights, dtype=np.float64) / np.sum(weights) * total
    whole: Ints = np.floor(exact).astype(np.int32)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def numbers(streets: Ints, names: Sequence[str], communes: Ints) -> Ints:
    """House numbers: how many of the same street came before, plus one."""
    seen: dict[tuple[int, str], int] = {}
    found = []
    for street, commune in zip(streets.tolist(), communes.tolist(), strict=True):
        key = (commune, names[street])
        seen[key] = seen.get(key, 0) + 1
        found.append(seen[key])
    return np.array(found, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where devices are to be put, and how many."""

    communes: tuple[Commune, ...]
    network: Network
    street_names: tuple[str, ...]
    ways: tuple[Way, ...]
    scale: float

    def count(self, total: int) -> int:
        """How many of a full city's devices there are at this scale."""
        return max(1, round(total * self.scale))

    def along(self, places_m: Sequence[Floats], offsets_m: Sequence[Floats]) -> Places:
        """Places (still without ids) at distances along each commune's way."""
        found = [way.at(self.network, *at) for way, *at in zip(self.ways, places_m, offsets_m, strict=True)]
        street = self.network.edge_street[np.concatenate([edge for edge, _ in found])]
        commune = np.repeat(np.arange(len(self.ways), dtype=np.int32), [len(place) for place in places_m])
        lat, lon = self.network.plane.to_degrees(np.concatenate([points for _, points in found]))
        return Places((), commune, street, numbers(street, self.street_names, commune), lat, lon)


def pick(places: Places, rows: Ints, ids: Sequence[str], aside_m: float = 0.0) -> Places:
    """Devices that stand where others do, a little to the north."""
    return Places(
        tuple(ids),
        places.commune[rows],
        places.street[rows],
        places.number[rows],
        places.lat[rows] + aside_m / 111_000,
        places.lon[rows],
    )
