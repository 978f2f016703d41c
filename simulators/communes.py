"""What a city's folder says of a simulated city: its communes and the words of its street names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hub.errors import BadFile

WORDS = ("places", "known", "plants", "first_names", "family_names")


@dataclass(frozen=True, slots=True)
class Commune:
    """One commune: its name for people, on the wire (`slug`) and in ids (`code`), and its town hall."""

    name: str
    slug: str
    code: str
    lat: float
    lon: float
    population: int
    insee: str = ""
    """Its number in the files of the state, for a city that has its real outlines (BEFFROI_OUTLINES)."""


def read_communes(city_dir: Path) -> tuple[Commune, ...]:
    """The communes of a city's folder, the central one first; BadFile when they cannot be read."""
    path = city_dir / "communes.yaml"
    try:
        communes = tuple(Commune(**row) for row in _read_yaml(path))
    except TypeError as error:
        raise BadFile(f"{path}: each commune needs name, slug, code, lat, lon and population ({error})") from error
    if not communes:
        raise BadFile(f"{path}: names no commune")
    return communes


def read_words(city_dir: Path) -> dict[str, list[str]]:
    """The words of street names by sort; BadFile when they cannot be read."""
    path = city_dir / "street_names.yaml"
    words = _read_yaml(path)
    missing = [sort for sort in WORDS if not words.get(sort)]
    if missing:
        raise BadFile(f"{path}: holds no {', '.join(missing)}")
    return {sort: words[sort] for sort in WORDS}


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(
            f"{path}: {error.strerror}; a simulated city is a folder such as simulators/cities/dijon"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: not readable as YAML: {error}") from error
