"""The API against its own description: whatever is asked, no answer is a 500 and each has the promised shape."""

import asyncio
import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from uvicorn import Config

from dashboard.api.limits import REQUESTS
from dashboard.app import Server
from devices.kind import kinds
from hub.runtime.servers import Embedded
from tests import contracts as city_of
from tests.conftest import free_port
from tests.contracts import EVERYTHING
from tests.integration.test_api import make_app, program

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = {
    f"/api/v1{path}"
    for path in ("/contract", "/devices", "/devices/{device_no}", "/readings", "/latest", "/incidents", "/export")
}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
async def city(database_url: str) -> city_of.City:
    return await city_of.make_city(database_url)


@pytest.fixture
def app(city: city_of.City, broker: Embedded, tmp_path: Path) -> FastAPI:
    return make_app(city.url, broker.mqtt_url, tmp_path)


async def described(app: FastAPI) -> Any:
    async with program(app, None) as client:
        return (await client.get("/openapi.json")).json()


async def no_surprise(app: FastAPI, url: str, examples: int) -> None:
    """Ask every operation so many questions that its description allows, through a real server."""
    server = Server(Config(app, port=(port := free_port()), log_config=None, lifespan="on"), app)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)
        keys = [await city_of.key_of(url, EVERYTHING) for _ in range(1 + len(OPERATIONS) * examples * 2 // REQUESTS)]
        await asyncio.to_thread(ask_all, f"http://127.0.0.1:{port}", keys, examples)
    finally:
        server.should_exit = True
        await serving


def ask_all(url: str, keys: list[str], examples: int) -> None:
    turn, asked = count(), set()
    for found in schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json").get_all_operations():
        operation = found.ok()
        if operation.path not in OPERATIONS:
            continue
        asked.add(operation.path)

        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Case) -> None:
            token = keys[next(turn) % len(keys)]
            case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

        ask()
    assert asked == OPERATIONS


async def test_no_question_is_answered_with_a_surprise(app: FastAPI, city: city_of.City) -> None:
    await no_surprise(app, city.url, 20)


@pytest.mark.soak
async def test_no_question_is_answered_with_a_surprise_for_long(app: FastAPI, city: city_of.City) -> None:
    await no_surprise(app, city.url, 1000)


async def test_every_operation_tells_its_problems_and_needs_a_key(app: FastAPI) -> None:
    told = await described(app)
    assert set(told["paths"]) == OPERATIONS
    for path in told["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"HTTPBearer": []}] and operation["description"]
            for status in ("401", "403", "404", "422", "429"):
                assert list(operation["responses"][status]["content"]) == [PROBLEM]


async def test_every_kind_is_described_with_its_fields_and_an_example(app: FastAPI) -> None:
    told = await described(app)
    parameters = {p["name"]: p for p in told["paths"]["/api/v1/latest"]["get"]["parameters"]}
    assert parameters["kind"]["schema"]["enum"] == sorted(kinds())
    answer = told["paths"]["/api/v1/latest"]["get"]["responses"]["200"]["content"]["application/json"]
    named = set(re.findall(r"\w+", parameters["fields"]["description"]))
    for kind in kinds().values():
        assert set(kind.field_names) <= named
        example = answer["examples"][kind.name]["value"]
        assert example["readings"][0]["values"] and {f["name"] for f in example["fields"]} <= set(kind.field_names)
