"""A small, strict Grafana for tests: the part of its HTTP API that a push uses, with a memory and its refusals.

Written from Grafana's documentation of its HTTP API and its sources. What it refuses, the real one refuses; it keeps
what it is given. Its data sources are real: it logs in to the database with what they were given.
"""

import asyncio
import base64
import binascii
import copy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import psycopg
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from psycopg.rows import dict_row
from starlette.types import ASGIApp

TOKEN = "glsa_of_the_tests"
ADMIN, ADMIN_PASSWORD = "chef", "mot de passe d'été"
MAIN = 1
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
PANELS = {"stat", "timeseries", "bargauge", "table", "row"}
QUERY = {"refId", "datasource", "editorMode", "format", "rawQuery", "rawSql"}
SOURCE = {"name", "type", "url", "access", "uid", "user", "isDefault", "jsonData", "secureJsonData"}
Json = dict[str, Any]


@dataclass
class Account:
    """Somebody with a password."""

    number: int
    password: str
    is_server_admin: bool = False


@dataclass
class Organisation:
    """What one organisation holds."""

    name: str
    members: dict[str, str] = field(default_factory=dict)
    """Roles by login."""
    datasources: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, Json] = field(default_factory=dict)
    folders: dict[str, Json] = field(default_factory=dict)
    boards: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Asker:
    """Who asks, and in which organisation: none when they are no member of it."""

    login: str | None
    number: int | None
    role: str | None


class FakeGrafana:
    """A Grafana with its first organisation, and every request that wrote, as `organisation: what`."""

    def __init__(self) -> None:
        main = Organisation("Main Org.", {ADMIN: "Admin"})
        main.datasources["beffroi"] = {"uid": "beffroi", "type": "grafana-postgresql-datasource"}
        self.orgs = {MAIN: main}
        self.accounts = {ADMIN: Account(1, ADMIN_PASSWORD, is_server_admin=True)}
        self.datasources, self.folders, self.boards = main.datasources, main.folders, main.boards
        self.writes: list[str] = []
        self.may_write = True
        self.provisioned: set[str] = set()
        self.url = ""
        self.app = FastAPI(openapi_url=None)
        self.app.exception_handler(HTTPException)(_as_grafana_says)
        self._organisations()
        self._datasources()
        self._dashboards()

    def named(self, name: str) -> Organisation:
        """The organisation of a name."""
        (org,) = [org for org in self.orgs.values() if org.name == name]
        return org

    async def who(self, request: Request) -> Asker:
        """Of a token or an account; the header X-Grafana-Org-Id chooses among an account's organisations."""
        given = request.headers.get("authorization", "")
        chosen = int(request.headers.get("x-grafana-org-id", MAIN))
        if given.startswith("Bearer "):
            if given != f"Bearer {TOKEN}" or chosen != MAIN:
                raise HTTPException(401, "Invalid API key")
            return Asker(None, MAIN, "Admin" if self.may_write else "Viewer")
        try:
            login, _, password = base64.b64decode(given.removeprefix("Basic "), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise HTTPException(401, "Invalid username or password") from error
        if login not in self.accounts or self.accounts[login].password != password:
            raise HTTPException(401, "Invalid username or password")
        role = self.orgs[chosen].members.get(login) if chosen in self.orgs else None
        return Asker(login, chosen if role else None, role)

    def _organisations(self) -> None:
        app, asker = self.app, Annotated[Asker, Depends(self.who)]

        @app.get("/api/org")
        async def organisation(who: asker) -> Json:
            self._inside(who)
            return {"id": who.number, "name": self.orgs[who.number or MAIN].name}

        @app.get("/api/orgs")
        async def organisations(who: asker) -> list[Json]:
            self._only_server_admin(who)
            return [{"id": number, "name": org.name} for number, org in self.orgs.items()]

        @app.post("/api/orgs")
        async def make(who: asker, body: Json) -> Json:
            login = self._only_server_admin(who)
            _only(body, {"name"}, set())
            if not body["name"]:
                raise HTTPException(400, "bad request data")
            if body["name"] in [org.name for org in self.orgs.values()]:
                raise HTTPException(409, "Organization name taken")
            number = max(self.orgs) + 1
            self.orgs[number] = Organisation(body["name"], {login: "Admin"})
            self.writes.append(f"organisation {body['name']}")
            return {"orgId": number, "message": "Organization created"}

        @app.delete("/api/orgs/{number}")
        async def delete(who: asker, number: int) -> Json:
            self._only_server_admin(who)
            if number not in self.orgs:
                raise HTTPException(404, "Failed to delete organization. ID not found")
            if number == who.number:
                raise HTTPException(400, "Can not delete org for current user")
            self.writes.append(f"delete organisation {self.orgs.pop(number).name}")
            return {"message": "Organization deleted"}

        @app.get("/api/orgs/{number}/users")
        async def members(who: asker, number: int) -> list[Json]:
            self._only_server_admin(who)
            members = self.orgs[number].members.items()
            return [
                {"orgId": number, "userId": self.accounts[login].number, "login": login, "email": "", "role": role}
                for login, role in members
            ]

        @app.post("/api/orgs/{number}/users")
        async def join(who: asker, number: int, body: Json) -> Json:
            self._only_server_admin(who)
            _only(body, {"loginOrEmail", "role"}, set())
            if body["loginOrEmail"] not in self.accounts:
                raise HTTPException(404, "User not found")
            if body["loginOrEmail"] in self.orgs[number].members:
                raise HTTPException(409, "User is already member of this organization")
            self.orgs[number].members[body["loginOrEmail"]] = body["role"]
            self.writes.append(f"member {body['loginOrEmail']}")
            return {"message": "User added to organization", "userId": self.accounts[body["loginOrEmail"]].number}

        @app.patch("/api/orgs/{number}/users/{user}")
        async def promote(who: asker, number: int, user: int, body: Json) -> Json:
            self._only_server_admin(who)
            _only(body, {"role"}, set())
            (login,) = [login for login, account in self.accounts.items() if account.number == user]
            self.orgs[number].members[login] = body["role"]
            self.writes.append(f"role {login}")
            return {"message": "Organization user updated"}

    def _datasources(self) -> None:
        app, asker = self.app, Annotated[Asker, Depends(self.who)]

        @app.get("/api/datasources/uid/{uid}")
        async def datasource(who: asker, uid: str) -> Json:
            return _found(self._inside(who).datasources, uid, "Data source not found")

        @app.post("/api/datasources")
        async def add(who: asker, body: Json) -> Json:
            org = self._inside(who, to_write=True)
            _only(body, SOURCE, set())
            if body["name"] in [one["name"] for one in org.datasources.values()]:
                raise HTTPException(409, "data source with the same name already exists")
            if body["uid"] in org.datasources:
                raise HTTPException(409, "data source with the same uid already exists")
            self.writes.append(f"{org.name}: data source {body['uid']}")
            return self._keep(org, {"version": 1, "readOnly": False}, body)

        @app.put("/api/datasources/uid/{uid}")
        async def change(who: asker, uid: str, body: Json) -> Json:
            org = self._inside(who, to_write=True)
            _only(body, SOURCE, set())
            kept = _found(org.datasources, uid, "Data source not found")
            if kept["readOnly"]:
                raise HTTPException(403, "Cannot update read-only data source")
            self.writes.append(f"{org.name}: data source {uid}")
            return self._keep(org, {**kept, "version": kept["version"] + 1}, body)

        @app.delete("/api/datasources/uid/{uid}")
        async def remove(who: asker, uid: str) -> Json:
            org = self._inside(who, to_write=True)
            _found(org.datasources, uid, "Data source not found")
            del org.datasources[uid], org.secrets[uid]
            self.writes.append(f"{org.name}: no data source {uid}")
            return {"message": "Data source deleted", "id": 1}

        @app.get("/api/datasources/uid/{uid}/health")
        async def health(who: asker, uid: str) -> JSONResponse:
            try:
                await query(self._inside(who), "SELECT 1", uid)
            except psycopg.Error as error:
                return JSONResponse({"message": str(error), "status": "ERROR"}, 400)
            return JSONResponse({"message": "Database Connection OK", "status": "OK"})

    def _dashboards(self) -> None:
        app, asker = self.app, Annotated[Asker, Depends(self.who)]

        @app.get("/api/folders/{uid}")
        async def folder(who: asker, uid: str) -> Json:
            return _found(self._inside(who).folders, uid, "folder not found")

        @app.post("/api/folders")
        async def make_folder(who: asker, body: Json) -> Json:
            org = self._inside(who, to_write=True)
            _only(body, {"uid", "title"}, {"parentUid"})
            if not UID.fullmatch(body["uid"]):
                raise HTTPException(400, "uid contains illegal characters")
            if body["uid"] in org.folders:
                raise HTTPException(409, "a folder with the same UID already exists")
            org.folders[body["uid"]] = {"id": len(org.folders) + 1, **body}
            self.writes.append(f"{org.name}: folder {body['uid']}")
            return org.folders[body["uid"]]

        @app.get("/api/dashboards/uid/{uid}")
        async def board(who: asker, uid: str) -> Json:
            return _found(self._inside(who).boards, uid, "Dashboard not found")

        @app.post("/api/dashboards/db")
        async def save(who: asker, body: Json, content_type: str = Header()) -> Json:
            org = self._inside(who, to_write=True)
            assert content_type.startswith("application/json")
            _only(body, {"dashboard", "folderUid", "overwrite", "message"}, set())
            return self._save(org, body)

        @app.get("/api/search")
        async def search(who: asker, tag: str = "", type: str = "") -> list[Json]:
            assert type in ("", "dash-db", "dash-folder")
            return [
                {"uid": uid, "title": kept["dashboard"]["title"], "type": "dash-db"}
                for uid, kept in self._inside(who).boards.items()
                if not tag or tag in kept["dashboard"]["tags"]
            ]

    def _inside(self, who: Asker, *, to_write: bool = False) -> Organisation:
        if who.number is None or (to_write and who.role != "Admin"):
            raise HTTPException(403, "You'll need additional permissions to perform this action")
        return self.orgs[who.number]

    def _only_server_admin(self, who: Asker) -> str:
        if who.login is None or not self.accounts[who.login].is_server_admin:
            raise HTTPException(403, "You'll need additional permissions to perform this action")
        return who.login

    def _keep(self, org: Organisation, kept: Json, body: Json) -> Json:
        """Keep a data source; its secrets are told to nobody."""
        if not re.fullmatch(r"[^/:\s]+:\d+", body["url"]):
            raise HTTPException(400, "Validation error, invalid URL")
        plain = {key: value for key, value in body.items() if key != "secureJsonData"}
        org.secrets[body["uid"]] = {**org.secrets.get(body["uid"], {}), **body["secureJsonData"]}
        fields = dict.fromkeys(org.secrets[body["uid"]], True)
        org.datasources[body["uid"]] = {**kept, "id": 1, "database": "", **plain, "secureJsonFields": fields}
        return {"id": 1, "name": body["name"], "message": "Datasource added", "datasource": plain}

    def _save(self, org: Organisation, body: Json) -> Json:
        board = copy.deepcopy(body["dashboard"])
        if not board.get("title"):
            raise HTTPException(400, "Dashboard title cannot be empty")
        if not UID.fullmatch(board.get("uid", "")):
            raise HTTPException(400, "uid contains illegal characters or is too long")
        if body["folderUid"] not in org.folders:
            raise HTTPException(400, "folder not found")
        if board["uid"] in self.provisioned:
            raise HTTPException(400, "Cannot save provisioned dashboard")
        check_board(board)
        kept = org.boards.get(board["uid"])
        if kept and not body["overwrite"]:
            raise HTTPException(412, "The dashboard has been changed by someone else")
        version = kept["dashboard"]["version"] + 1 if kept else 1
        number = kept["dashboard"]["id"] if kept else len(org.boards) + 1
        org.boards[board["uid"]] = {
            "meta": {"folderUid": body["folderUid"], "provisioned": False},
            "dashboard": {**board, "id": number, "version": version},
        }
        self.writes.append(f"{org.name}: dashboard {board['uid']}")
        return {"id": number, "uid": board["uid"], "status": "success", "version": version}


async def query(org: Organisation, text: str, uid: str = "beffroi") -> list[Json]:
    """What the database answers to a data source of an organisation, with what it was given to log in."""
    source = org.datasources[uid]
    host, _, port = source["url"].rpartition(":")
    connection = await psycopg.AsyncConnection.connect(
        host=host,
        port=int(port),
        user=source["user"],
        password=org.secrets[uid]["password"],
        dbname=source["jsonData"]["database"],
        sslmode=source["jsonData"]["sslmode"],
        row_factory=dict_row,
    )
    async with connection:
        return await (await connection.execute(text.encode())).fetchall()


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
