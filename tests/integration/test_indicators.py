"""Samples of indicators on the real database: written once, read back as the city's and a commune's figures."""

from datetime import UTC, datetime, timedelta

import pytest

from devices.kind import Figure, kinds
from store import indicators
from store.database import connect
from tests.database import one

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LIGHTING = kinds()["street_lighting"]
AT_FAULT, POWER = ("street_lighting", "at_fault"), ("street_lighting", "power")


def fault_rate(commune: str, total: float, counted: int) -> Figure:
    return Figure("street_lighting", "at_fault", commune, total, counted)


def power(commune: str, total: float) -> Figure:
    return Figure("street_lighting", "power", commune, total, 10)


@pytest.fixture(scope="module", autouse=True)
async def samples(database_url: str) -> None:
    """An hour: Dijon has more and more faults, Talant none."""
    async with connect(database_url, autocommit=True) as conn:
        for quarter in range(4):
            figures = [fault_rate("dijon", quarter, 300), fault_rate("talant", 0, 100)]
            figures += [power("dijon", 30), power("talant", 10 + quarter)]
            await indicators.write(conn, NOON + quarter * QUARTER, figures)
        await indicators.write(conn, NOON, [])


async def test_the_city_is_the_sum_of_its_communes(database_url: str) -> None:
    async with connect(database_url) as conn:
        city = await indicators.trends(conn, [LIGHTING], NOON, NOON + timedelta(hours=1))
        dijon = await indicators.trends(conn, [LIGHTING], NOON, NOON + timedelta(hours=1), commune="dijon")
    assert city[AT_FAULT].at == [NOON + quarter * QUARTER for quarter in range(4)]
    assert city[AT_FAULT].values == pytest.approx([0, 0.25, 0.5, 0.75])
    assert dijon[AT_FAULT].values == pytest.approx([0, 100 / 300, 200 / 300, 1])
    assert city[POWER].values == pytest.approx([40, 41, 42, 43])
    assert set(city) == {AT_FAULT, POWER}, "what was never sampled has no trend"


async def test_wider_buckets_are_the_mean_of_their_quarters(database_url: str) -> None:
    async with connect(database_url) as conn:
        trends = await indicators.trends(conn, [LIGHTING], NOON, NOON + QUARTER * 4, width=timedelta(hours=1))
    assert trends[POWER].values == pytest.approx([41.5])
    assert trends[AT_FAULT].values == pytest.approx([100 * 1.5 / 400])


async def test_a_quarter_written_again_counts_once_with_its_last_figures(database_url: str) -> None:
    async with connect(database_url) as conn:  # rolled back at the end
        for total in (7, 9):
            await indicators.write(conn, NOON, [fault_rate("dijon", total, 300)])
        trends = await indicators.trends(conn, [LIGHTING], NOON, NOON, commune="dijon")
    assert trends[AT_FAULT].values == pytest.approx([3])


async def test_the_last_figures_by_commune(database_url: str) -> None:
    async with connect(database_url) as conn:
        found = await indicators.by_commune(conn, LIGHTING, NOON, NOON + timedelta(hours=1))
        stale = await indicators.by_commune(conn, LIGHTING, NOON + timedelta(hours=1), NOON + timedelta(hours=2))
    assert found == {"dijon": {"at_fault": 1, "power": 30}, "talant": {"at_fault": 0, "power": 13}}
    assert stale == {}


async def test_samples_are_kept_for_three_years(database_url: str) -> None:
    async with connect(database_url) as conn:
        await indicators.write(conn, NOON - timedelta(days=4 * 365), [fault_rate("dijon", 1, 2)])
        assert await indicators.remove_expired(conn, NOON) == 1
        assert await indicators.remove_expired(conn, NOON) == 0
    assert (await one(database_url, "SELECT count(*) AS n FROM indicator_sample"))["n"] == 16
