"""The simulated city, whole and small, made once."""

from pathlib import Path

import pytest

from simulators.city import City, make_city

DIJON = Path("simulators/cities/dijon")


@pytest.fixture(scope="session")
def small_city() -> City:
    return make_city(DIJON, scale=0.01)


@pytest.fixture(scope="session")
def whole_city() -> City:
    return make_city(DIJON)
