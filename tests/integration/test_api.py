"""The API on a real database: keys, what a contract is answered, and every way of being refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dashboard.api.limits import REQUESTS
from dashboard.app import create_app
from devices.kind import kinds
from hub.clock import Clock
from hub.runtime.servers import Embedded
from hub.settings import Settings
from store.contracts import add_key, revoke_key
from store.database import connect
from tests import contracts as city_of
from tests.contracts import AFTER, BEFORE, CANARY, EVERYTHING, INSIDE, LAMPS, PERSONAL, SINCE, UNTIL, City
from tests.database import fetch, one, rolled_up

LAMP, METER, VEHICLE = "street_lighting", "water_meter", "fleet_vehicle"
SPAN = {"from": BEFORE.isoformat(), "to": AFTER.isoformat()}
ROUTES = ("/contract", "/devices", "/devices/100", "/readings?device_no=100", "/latest?kind=water_meter", "/incidents")


@pytest.fixture(scope="module")
async def city(database_url: str) -> City:
    return await city_of.make_city(database_url)


@pytest.fixture(scope="module")
async def app(city: City, broker: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    made = make_app(city.url, broker.mqtt_url, tmp_path_factory.mktemp("api"))
    async with made.router.lifespan_context(made):
        yield made


def make_app(url: str, mqtt_url: str, home: Path) -> FastAPI:
    settings = Settings.model_validate({"home": home})
    return create_app(settings=settings, database_url=url, mqtt_url=mqtt_url, clock=Clock())


def program(app: FastAPI, token: str | None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://hub.test/api/v1", headers=headers)


@pytest.fixture
async def lamps(app: FastAPI, city: City) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await city_of.key_of(city.url, LAMPS)) as client:
        yield client


@pytest.fixture
async def everything(app: FastAPI, city: City) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await city_of.key_of(city.url, EVERYTHING)) as client:
        yield client


def is_problem(answer: httpx.Response, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status and said in answer.json()["detail"]


async def good(client: httpx.AsyncClient, path: str, **asked: Any) -> Any:
    answer = await client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- keys ----


async def test_without_a_good_key_nothing_is_answered(app: FastAPI, city: City) -> None:
    good_token = await city_of.key_of(city.url, LAMPS)
    revoked, expired = await city_of.key_of(city.url, LAMPS), await city_of.key_of(city.url, LAMPS)
    async with connect(city.url) as conn:
        await revoke_key(conn, revoked.split("_")[1])
        await conn.execute(
            "UPDATE api_key SET expires_at = now() - interval '1 second' WHERE prefix = %s", [expired.split("_")[1]]
        )
        await conn.commit()
    changed = good_token[:-1] + ("A" if good_token[-1] != "A" else "B")
    for token, said in (
        (None, "send your API key"),
        ("nonsense", "not known"),
        ("bfr_abcdefgh_", "not known"),
        ("bfr_abcdefgh_x", "not known"),
        (changed, "not known"),
        (good_token + "é", "not known"),
        (revoked, "revoked"),
        (expired, "expired"),
    ):
        async with program(app, None) as client:
            for path in ROUTES:
                headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
                answer = await client.get(path, headers=headers)
                is_problem(answer, 401, said)
                assert answer.headers["www-authenticate"].startswith("Bearer")
    async with program(app, good_token) as client:
        assert (await client.get("/contract")).status_code == 200


async def test_the_database_does_not_hold_a_key(city: City) -> None:
    token = await city_of.key_of(city.url, LAMPS)
    row = await one(city.url, "SELECT * FROM api_key WHERE prefix = %s", token.split("_")[1])
    assert token.split("_", 2)[2] not in str(row) and len(token.split("_", 2)[2]) == 43
    assert row["last_used_at"] is None


async def test_the_use_of_a_key_is_remembered(app: FastAPI, city: City) -> None:
    token = await city_of.key_of(city.url, LAMPS)
    async with program(app, token) as client:
        await good(client, "/contract")
    row = await one(city.url, "SELECT last_used_at FROM api_key WHERE prefix = %s", token.split("_")[1])
    assert row["last_used_at"] is not None


async def test_a_scope_is_needed(app: FastAPI, city: City) -> None:
    reads, exports = await city_of.key_of(city.url, LAMPS, "read"), await city_of.key_of(city.url, LAMPS, "export")
    asked = {"kind": LAMP, **SPAN}
    async with program(app, reads) as client:
        is_problem(await client.get("/export", params=asked), 403, "'export'")
        await good(client, "/devices")
    async with program(app, exports) as client:
        is_problem(await client.get("/devices"), 403, "'read'")
        assert (await client.get("/export", params=asked)).status_code == 200
    rows = await fetch(city.url, "SELECT what FROM contract_access WHERE refused LIKE '%%scope%%'")
    assert sorted(str(row["what"]) for row in rows) == ["devices", "export"]


async def test_a_key_asks_so_often_and_no_more(app: FastAPI, city: City) -> None:
    async with program(app, await city_of.key_of(city.url, LAMPS)) as client:
        answers = [await client.get(f"/devices/{city.ours[LAMP]}") for _ in range(REQUESTS)]
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].headers["ratelimit"].startswith(f'"key";r={REQUESTS - 1};t=')
        refused = await client.get("/contract")
        is_problem(refused, 429, "too often")
        assert 0 < int(refused.headers["retry-after"]) <= 60
    async with program(app, await city_of.key_of(city.url, LAMPS)) as client:
        assert (await client.get("/contract")).status_code == 200


# ---- answers ----


async def test_the_contract_tells_itself_and_the_limits(lamps: httpx.AsyncClient) -> None:
    told = await good(lamps, "/contract")
    assert (told["name"], told["communes"], [kind["kind"] for kind in told["kinds"]]) == ("lumiere", ["dijon"], [LAMP])
    assert {field["name"]: field["unit"] for field in told["kinds"][0]["fields"]}["power_w"] == "W"
    assert told["limits"]["requests_per_minute"] == REQUESTS and told["key"]["scopes"] == ["export", "read"]


async def test_devices_are_the_contracts(lamps: httpx.AsyncClient, everything: httpx.AsyncClient, city: City) -> None:
    told = await good(lamps, "/devices")
    assert [device["device_no"] for device in told["devices"]] == [city.ours[LAMP]]
    assert CANARY not in str(await good(everything, "/devices"))
    found = {device["kind"]: device for device in (await good(everything, "/devices"))["devices"]}
    assert set(found) == set(kinds())
    assert found[LAMP]["lat"] == 47.3 and found[VEHICLE]["lat"] is None
    assert (await good(lamps, f"/devices/{city.ours[LAMP]}"))["id"] == "ours"
    is_problem(await lamps.get(f"/devices/{city.others[LAMP]}"), 404, "no device")
    is_problem(await lamps.get(f"/devices/{city.ours[METER]}"), 404, "no device")


async def test_devices_come_by_pages(everything: httpx.AsyncClient) -> None:
    whole = (await good(everything, "/devices"))["devices"]
    found, cursor = [], None
    while True:
        page = await good(everything, "/devices", limit=2, **({"cursor": cursor} if cursor else {}))
        found += page["devices"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == whole


async def test_readings_are_those_of_the_dates(lamps: httpx.AsyncClient, city: City) -> None:
    told = await good(lamps, "/readings", device_no=city.ours[LAMP], **SPAN)
    assert [reading["ts"] for reading in told["readings"]] == [_z(INSIDE), _z(INSIDE + timedelta(hours=1))]
    assert [list(reading["values"].values()) for reading in told["readings"]] == [[1.0], [2.0]]
    assert told["next_cursor"] is None
    is_problem(await lamps.get("/readings", params={"device_no": city.others[LAMP], **SPAN}), 404, "no device")


def _z(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def test_readings_come_by_pages(lamps: httpx.AsyncClient, city: City) -> None:
    whole = (await good(lamps, "/readings", device_no=city.ours[LAMP], **SPAN))["readings"]
    first = await good(lamps, "/readings", device_no=city.ours[LAMP], limit=1, **SPAN)
    second = await good(lamps, "/readings", device_no=city.ours[LAMP], limit=1, cursor=first["next_cursor"], **SPAN)
    assert first["readings"] + second["readings"] == whole and len(whole) == 2


@pytest.mark.parametrize("points", [2, 10, 100])
async def test_points_are_at_most_so_many(lamps: httpx.AsyncClient, city: City, points: int) -> None:
    name = f"points-{points}"
    async with connect(city.url) as conn:
        number = await city_of.add_device(conn, kinds()[LAMP], 500 + points, "dijon", name)
        await conn.execute(
            "INSERT INTO street_lighting (device_no, ts, received_at, power_w) SELECT %s, ts, ts, 10 FROM"
            " generate_series(%s::timestamptz, %s::timestamptz, interval '30 minutes') ts",
            [number, SINCE, UNTIL - timedelta(seconds=1)],
        )
        await rolled_up(conn)
        await conn.commit()
    told = await good(lamps, "/readings", device_no=number, points=points, fields="power_w", **SPAN)
    assert 1 <= len(told["points"]) <= points
    assert sum(point["readings"] for point in told["points"]) == 8 * 48
    assert {point["values"]["power_w"] for point in told["points"]} == {10.0}


async def test_the_latest_is_the_last_of_the_dates(lamps: httpx.AsyncClient, city: City) -> None:
    told = await good(lamps, "/latest", kind=LAMP)
    readings = {reading["device_no"]: reading for reading in told["readings"]}
    assert readings[city.ours[LAMP]]["ts"] == _z(INSIDE + timedelta(hours=1))
    assert (await good(lamps, "/latest", kind=METER))["readings"] == []


async def test_incidents_are_the_contracts(lamps: httpx.AsyncClient, city: City) -> None:
    told = await good(lamps, "/incidents")
    assert [incident["code"] for incident in told["incidents"]] == ["ours"]
    assert (await good(lamps, "/incidents", state="open"))["incidents"] == []
    assert (await good(lamps, "/incidents", **{"to": _z(INSIDE - timedelta(hours=1))}))["incidents"] == []


async def test_personal_data_is_masked_unless_the_contract_says_otherwise(
    app: FastAPI, everything: httpx.AsyncClient, city: City
) -> None:
    async def asked(client: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
        told = await good(client, "/readings", device_no=city.ours[kind], **SPAN)
        return list(told["readings"])

    assert all("lat" not in reading["values"] for reading in await asked(everything, VEHICLE))
    assert len(await asked(everything, METER)) == 1
    async with program(app, await city_of.key_of(city.url, PERSONAL)) as client:
        assert [reading["values"]["lat"] for reading in await asked(client, VEHICLE)] == [47.5, 47.5]
        assert len(await asked(client, METER)) == 2


async def test_what_is_asked_is_recorded_for_the_city(app: FastAPI, city: City) -> None:
    token = await city_of.key_of(city.url, PERSONAL)
    async with program(app, token) as client:
        await good(client, "/readings", device_no=city.ours[VEHICLE], **SPAN)
        await client.get(f"/devices/{city.others[VEHICLE]}")
    rows = await fetch(
        city.url,
        "SELECT what, asked, rows, refused FROM contract_access JOIN api_key USING (key_no)"
        " WHERE prefix = %s ORDER BY access_no",
        token.split("_")[1],
    )
    assert [(row["what"], row["rows"]) for row in rows] == [("readings", 2), ("device", None)]
    assert "no device" in str(rows[1]["refused"])
    assert rows[0]["asked"]["devices"] == [city.ours[VEHICLE]]  # type: ignore[index]  # a jsonb column


# ---- refusals ----


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/readings?device_no=100&from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z", "from must be before to"),
        ("/readings?device_no=100&from=2020-01-01T00:00:00Z&to=2025-01-01T00:00:00Z", "at most 400 days"),
        ("/readings?device_no=100&from=2026-01-01T00:00:00&to=2026-02-01T00:00:00Z", "from"),
        ("/readings?device_no=100&from=0001-01-01T00:00:00%2B14:00&to=2026-02-01T00:00:00Z", "out of range"),
        ("/readings?device_no=100&from=1999-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "between 2000 and 2100"),
        ("/readings?device_no=0&{span}", "device_no"),
        ("/readings?{span}", "device_no"),
        ("/readings?device_no=101&device_no=100&{span}", "one kind"),
        ("/readings?device_no=101&{span}&fields=colour", "no field colour"),
        ("/readings?device_no=101&{span}&fields=%00", "fields"),
        ("/readings?device_no=101&{span}&limit=10001", "limit"),
        ("/readings?device_no=101&{span}&points=1", "points"),
        ("/readings?device_no=101&{span}&cursor=%ff", "cursor"),
        ("/readings?device_no=101&{span}&cursor=AAAA", "cursor"),
        ("/latest?kind=rockets", "no kind rockets"),
        ("/latest", "kind"),
        ("/devices?id=%00", "id"),
        ("/devices?cursor=MTIz!", "cursor"),
        ("/devices/99999999999", "device_no"),
        ("/incidents?state=lost", "state"),
        ("/export?kind=street_lighting&{span}&separator=,&decimal=,", "separator"),
        ("/export?kind=street_lighting&{span}&format=xlsx", "format"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(everything: httpx.AsyncClient, path: str, said: str) -> None:
    span = "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
    is_problem(await everything.get(path.format(span=span)), 422, said)


async def test_an_unknown_address_is_a_problem_too(lamps: httpx.AsyncClient) -> None:
    answer = await lamps.get("/nothing")
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"


async def test_contracts_that_ask_at_once_get_their_own(app: FastAPI, city: City) -> None:
    """Pooled connections change their role with every request."""

    async def ask(contract: Any, expected: set[int]) -> None:
        async with program(app, await city_of.key_of(city.url, contract)) as client:
            for _ in range(15):
                told = await good(client, "/devices", kind=METER)
                assert {device["device_no"] for device in told["devices"]} == expected

    await asyncio.gather(*(ask(c, e) for c, e in ((LAMPS, set()), (EVERYTHING, {city.ours[METER]})) * 3))


async def test_a_key_of_no_contract_cannot_be_made(city: City) -> None:
    async with connect(city.url) as conn:
        with pytest.raises(Exception, match="there is no contract 'nobody'"):
            await add_key(conn, "nobody", "x", ["read"], 1)
