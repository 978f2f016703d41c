"""Headers on every answer, and no request that another site made."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboard.guard import Guard, content_security_policy

OWN = "http://hub.test"


async def _done(_request: Request) -> Response:
    return PlainTextResponse("done")


def client(page_url: str | None = None) -> httpx.AsyncClient:
    app = Starlette(routes=[Route("/", _done, methods=["GET", "POST"])])
    transport = httpx.ASGITransport(Guard(app, page_url=page_url))
    return httpx.AsyncClient(transport=transport, base_url=OWN)


@pytest.mark.parametrize(
    "headers",
    [{"origin": OWN}, {"sec-fetch-site": "same-origin", "origin": "null"}, {"origin": "https://city.test"}],
)
async def test_our_own_pages_may_post(headers: dict[str, str]) -> None:
    async with client("https://city.test/beffroi") as browser:
        assert (await browser.post("/", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.test"},
        {"origin": "http://hub.test.evil.test"},
        {"origin": "https://hub.test"},
        {"sec-fetch-site": "cross-site", "origin": OWN},
        {"sec-fetch-site": "same-site", "origin": OWN},
        {"sec-fetch-site": "none"},
    ],
)
async def test_nobody_else_may(headers: dict[str, str]) -> None:
    async with client() as browser:
        assert (await browser.post("/", headers=headers)).status_code == 403
        assert (await browser.get("/", headers=headers)).status_code == 200


def test_the_host_of_a_base_map_may_give_images_and_data_and_nothing_else_and_no_other_host_may() -> None:
    ours = content_security_policy()
    opened = content_security_policy(["https://tiles.example:8443"])
    changed = set(opened.split("; ")) - set(ours.split("; "))
    assert changed == {
        "img-src 'self' data: blob: https://tiles.example:8443",
        "connect-src 'self' https://tiles.example:8443",
    }
    assert "http" not in ours


async def test_every_answer_carries_a_strict_policy() -> None:
    async with client() as browser:
        for answer in (await browser.get("/"), await browser.get("/nothing"), await browser.post("/")):
            policy = dict(part.partition(" ")[::2] for part in answer.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["worker-src"] == "'self'"
            assert policy["frame-ancestors"] == "'none'"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
