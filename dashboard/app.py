"""The page as an application: its parts, what runs beside the requests, and the server that serves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from socket import socket

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, JSONResponse, Response

from dashboard import (
    access,
    city,
    commission_page,
    device_page,
    health_page,
    incident_page,
    incidents_page,
    metrics,
    overview_page,
    quarantine_page,
    rule_form,
    rules_api,
    rules_page,
    stream,
    team_page,
)
from dashboard.access import operator, signed_in
from dashboard.api.router import api_router
from dashboard.assets import MEDIA_TYPES, load_assets
from dashboard.attempts import Attempts
from dashboard.base_map import load_base_map
from dashboard.desk import AtDesk, Desk, load_templates
from dashboard.guard import Guard
from dashboard.live import Live, follow
from dashboard.picture import Picture
from dashboard.problems import add_problem_handlers
from dashboard.watch import Watch, listen
from dashboard.words import commune_names, load_words
from devices.kind import kinds
from hub.clock import Clock
from hub.settings import Settings
from store.database import pool
from store.health import Pulse
from store.rulebook import Rulebook

FOREVER = "public, max-age=31536000, immutable"
MAX_BODY_BYTES = 16_384
GOODBYE_S = 3


def create_app(*, settings: Settings, database_url: str, mqtt_url: str, clock: Clock) -> FastAPI:
    """The page. It starts without database or broker, says so, and recovers when they come."""
    base_map = load_base_map(settings)
    rulebook = Rulebook()
    assets, words = load_assets(), load_words(settings.timezone, commune_names(settings.city), rulebook)
    templates = load_templates(words, assets, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        live = Live({name: Picture.of(name) for name in kinds()})
        watch = Watch(rulebook=rulebook)
        async with pool(database_url) as connections:
            app.state.desk = Desk(
                settings, clock, connections, live, watch, words, assets, base_map, Attempts(), templates
            )
            tasks = [
                asyncio.create_task(follow(live, mqtt_url), name="live frames"),
                asyncio.create_task(listen(watch, database_url), name="incident notices"),
            ]
            try:
                yield
            finally:
                live.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(
        title="Beffroi",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.pulse = Pulse(settings.home, clock)
    app.state.mqtt_url = mqtt_url
    app.add_middleware(GZipMiddleware, compresslevel=5)
    app.add_middleware(Guard, page_url=settings.page_url, map_origins=base_map.origins)
    add_problem_handlers(app)
    app.include_router(open_to_all())
    app.include_router(access.router)
    app.include_router(metrics.router)
    app.include_router(api_router())
    for part in (city, team_page, incident_page, device_page):
        app.include_router(part.router, dependencies=[Depends(signed_in)])
    for part in (overview_page, incidents_page, rules_api, rule_form, rules_page, commission_page):
        app.include_router(part.router, dependencies=[Depends(operator)])
    for part in (quarantine_page, health_page, stream):
        app.include_router(part.router, dependencies=[Depends(operator)])
    return app


async def serve(*, settings: Settings, database_url: str, mqtt_url: str, clock: Clock) -> None:
    """Serve the page until told to stop; open streams end at once instead of holding the process."""
    app = create_app(settings=settings, database_url=database_url, mqtt_url=mqtt_url, clock=clock)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GOODBYE_S,
    )
    await Server(config, app).serve()


class Server(uvicorn.Server):
    """Tells the streams to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        self._app.state.desk.live.close()
        await super().shutdown(sockets)


def open_to_all() -> APIRouter:
    """What needs no session: files without a secret, and a sign of life."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz(at: AtDesk) -> Response:
        """That the page runs, and what it can reach."""
        return JSONResponse(
            {
                "page": True,
                "database": at.watch.is_connected,
                "broker": at.live.is_connected,
                "live": not at.live.is_late,
            }
        )

    @router.get("/static/{version}/{name:path}")
    async def static(version: str, name: str, at: AtDesk) -> Response:
        path = at.assets.files.get(name)
        if path is None or version != at.assets.version:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such file")
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers={"Cache-Control": FOREVER})

    return router
