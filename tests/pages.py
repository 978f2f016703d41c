"""The page in a test's own process: a browser without scripts, and every route with an address that fits it."""

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

EXAMPLES = {
    "{layer}": "streets",
    "{device_no}": "1",
    "{incident_no}": "1",
    "{answer}": "acknowledge",
    "{kind}": "water_meter",
}


def browser(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """Asks as a page of ours does."""
    origin = "http://hub.test"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=origin, headers={"origin": origin, **headers})


def routes(app: FastAPI) -> list[tuple[str, set[str]]]:
    """The path and the methods of every route."""
    return [(str(route.path), set(route.methods or ())) for route in iter_route_contexts(app.routes)]


def example(path: str) -> str:
    """An address that a route answers."""
    for blank, value in EXAMPLES.items():
        path = path.replace(blank, value)
    return path
