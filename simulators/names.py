"""French names for the streets of a generated city, each once per commune. Pure."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from simulators.streets import Street

Words = Mapping[str, Sequence[str]]
"""Lists of words by sort: places, known, plants, first_names, family_names."""
LANES = ("rue", "rue", "rue", "rue", "allée", "impasse", "chemin", "passage")


def name_streets(streets: Sequence[Street], words: Words, rng: np.random.Generator) -> list[str]:
    """A name per street; those of one group share theirs."""
    names: dict[int, str] = {}
    taken: set[tuple[int, str]] = set()
    for street in streets:
        if street.group not in names:
            candidates = _candidates(street, words, rng)
            name = next(name for name in candidates if (street.commune, name) not in taken)
            taken.add((street.commune, name))
            names[street.group] = name
    return [names[street.group] for street in streets]


def _candidates(street: Street, words: Words, rng: np.random.Generator) -> Iterator[str]:
    """Names that would suit a street, better ones first, without end."""
    if street.rank == 0:
        yield from (f"{'avenue' if street.lit else 'route'} {place}" for place in _some(words["places"], 12, rng))
    if street.rank <= 2:
        prefix = ("avenue", "boulevard", "rue")[street.rank]
        yield from (f"{prefix} {known}" for known in _some(words["known"], 12, rng))
    prefix = LANES[int(rng.integers(len(LANES)))] if street.rank == 3 else "rue"
    if prefix != "rue":
        yield from (f"{prefix} des {plant}" for plant in _some(words["plants"], 6, rng))
    while True:
        yield f"{prefix} {_one(words['first_names'], rng)} {_one(words['family_names'], rng)}"


def _some(words: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [words[i] for i in rng.integers(len(words), size=count).tolist()]


def _one(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
