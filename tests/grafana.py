"""A small, strict Grafana for tests: the part of its HTTP API that a push uses, with a memory and its refusals.

Written from Grafana's documentation of its HTTP API. What it refuses, the real one refuses; it keeps what it is given.
"""

import asyncio
import copy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

TOKEN = "glsa_of_the_tests"
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
PANELS = {"stat", "timeseries", "bargauge", "table", "row"}
QUERY = {"refId", "datasource", "editorMode", "format", "rawQuery", "rawSql"}
Json = dict[str, Any]


class FakeGrafana:
    """What one organisation of a Grafana holds, and every request that wrote."""

    def __init__(self) -> None:
        self.datasources = {"beffroi": {"uid": "beffroi", "type": "grafana-postgresql-datasource"}}
        self.folders: dict[str, Json] = {}
        self.boards: dict[str, Json] = {}
        self.writes: list[str] = []
        self.may_write = True
        self.provisioned: set[str] = set()
        self.app = self._app()

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.exception_handler(HTTPException)(_as_grafana_says)

        @app.middleware("http")
        async def needs_token(request: Request, call_next: Any) -> Any:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return JSONResponse({"message": "Invalid API key"}, 401)
            return await call_next(request)

        @app.get("/api/org")
        async def organisation() -> Json:
            return {"id": 1, "name": "Main Org."}

        @app.get("/api/datasources/uid/{uid}")
        async def datasource(uid: str) -> Json:
            return _found(self.datasources, uid, "Data source not found")

        @app.get("/api/folders/{uid}")
        async def folder(uid: str) -> Json:
            return _found(self.folders, uid, "folder not found")

        @app.post("/api/folders")
        async def make_folder(body: Json) -> Json:
            self._check_may_write()
            _only(body, {"uid", "title"}, {"parentUid"})
            if not UID.fullmatch(body["uid"]):
                raise HTTPException(400, "uid contains illegal characters")
            if body["uid"] in self.folders:
                raise HTTPException(409, "a folder with the same UID already exists")
            self.folders[body["uid"]] = {"id": len(self.folders) + 1, **body}
            self.writes.append(f"folder {body['uid']}")
            return self.folders[body["uid"]]

        @app.get("/api/dashboards/uid/{uid}")
        async def board(uid: str) -> Json:
            return _found(self.boards, uid, "Dashboard not found")

        @app.post("/api/dashboards/db")
        async def save(body: Json, content_type: str = Header()) -> Json:
            self._check_may_write()
            assert content_type.startswith("application/json")
            _only(body, {"dashboard", "folderUid", "overwrite", "message"}, set())
            return self._save(body)

        @app.get("/api/search")
        async def search(tag: str = "", type: str = "") -> list[Json]:
            assert type in ("", "dash-db", "dash-folder")
            return [
                {"uid": uid, "title": kept["dashboard"]["title"], "type": "dash-db"}
                for uid, kept in self.boards.items()
                if not tag or tag in kept["dashboard"]["tags"]
            ]

        return app

    def _check_may_write(self) -> None:
        if not self.may_write:
            raise HTTPException(403, "You'll need additional permissions to perform this action")

    def _save(self, body: Json) -> Json:
        board = copy.deepcopy(body["dashboard"])
        if not board.get("title"):
            raise HTTPException(400, "Dashboard title cannot be empty")
        if not UID.fullmatch(board.get("uid", "")):
            raise HTTPException(400, "uid contains illegal characters or is too long")
        if body["folderUid"] not in self.folders:
            raise HTTPException(400, "folder not found")
        if board["uid"] in self.provisioned:
            raise HTTPException(400, "Cannot save provisioned dashboard")
        check_board(board)
        kept = self.boards.get(board["uid"])
        if kept and not body["overwrite"]:
            raise HTTPException(412, "The dashboard has been changed by someone else")
        version = kept["dashboard"]["version"] + 1 if kept else 1
        number = kept["dashboard"]["id"] if kept else len(self.boards) + 1
        self.boards[board["uid"]] = {
            "meta": {"folderUid": body["folderUid"], "provisioned": False},
            "dashboard": {**board, "id": number, "version": version},
        }
        self.writes.append(f"dashboard {board['uid']}")
        return {"id": number, "uid": board["uid"], "status": "success", "version": version}


def check_board(board: Json) -> None:
    """Refuse what Grafana could not show: panels of no type, twice the same number, a query without a data source."""
    panels = [one for panel in board["panels"] for one in (panel, *(panel.get("panels") or ()))]
    numbers = [panel["id"] for panel in panels]
    if len(set(numbers)) != len(numbers):
        raise HTTPException(400, "two panels have the same id")
    for panel in panels:
        if panel["type"] not in PANELS:
            raise HTTPException(400, f"no such panel: {panel['type']}")
        place = panel["gridPos"]
        if not (place["w"] > 0 and place["h"] > 0 and place["x"] >= 0 and place["x"] + place["w"] <= 24):
            raise HTTPException(400, f"{panel['title']} is outside of the page")
        for target in panel.get("targets") or ():
            if set(target) != QUERY or target["datasource"].get("uid") != "beffroi":
                raise HTTPException(400, f"{panel['title']} asks nobody")


@asynccontextmanager
async def running(app: ASGIApp, port: int) -> AsyncIterator[str]:
    """Serve an application on this machine; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the fake Grafana did not start"
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def _as_grafana_says(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail}, error.status_code)


def _found(kept: dict[str, Json], uid: str, otherwise: str) -> Json:
    if uid not in kept:
        raise HTTPException(404, otherwise)
    return kept[uid]


def _only(body: Json, needed: set[str], optional: set[str]) -> None:
    if not needed <= set(body) <= needed | optional:
        raise HTTPException(400, f"bad request data: {sorted(set(body) ^ needed)}")
