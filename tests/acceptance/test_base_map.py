"""A real base map and real outlines in a browser: what is drawn, what is said on it, and who else may be asked."""

import asyncio
import json
import socket
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect

from dashboard.app import Server, create_app
from devices.fences import FencePart
from hub.clock import Clock
from hub.runtime import programs
from hub.runtime.chromium import LAUNCH_ARGUMENTS
from hub.runtime.servers import Embedded
from hub.settings import Settings
from store import fences
from store.database import connect
from store.people import ensure_person

LOGIN, PASSWORD = "operator", "a password of the test"
LIMIT_MS = 30_000
GREEN = (60, 200, 60)
DIJON = [[[4.99, 47.29], [5.09, 47.29], [5.09, 47.35], [4.99, 47.35], [4.99, 47.29]]]
STYLE = {
    "version": 8,
    "sources": {"theirs": {"type": "raster", "tiles": ["{address}/{z}/{x}/{y}.png"], "tileSize": 256}},
    "layers": [{"id": "theirs", "type": "raster", "source": "theirs"}],
}
VEIL_IS_THIN = """() => {
    const map = globalThis.beffroi.city.map;
    return map.getLayer("devices") && map.getPaintProperty("veil", "background-opacity") < 0.5;
}"""
MAP_IS_THERE = "() => globalThis.beffroi?.city?.map.getLayer('devices') !== undefined"


def png(colour: tuple[int, int, int], size: int = 256) -> bytes:
    """An image of one colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes(colour) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class MapHost(ThreadingHTTPServer):
    """Somebody's server of tiles and styles; it knows what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: MapHost

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        style = json.dumps(STYLE).replace("{address}", self.server.address).encode()
        content = {"/style.json": style}.get(self.path, png(GREEN) if self.path.endswith(".png") else None)
        self.send_response(404 if content is None else 200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def maps() -> Iterator[MapHost]:
    host = MapHost()
    thread = threading.Thread(target=host.serve_forever)
    thread.start()
    yield host
    host.shutdown()
    thread.join()
    host.server_close()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        program = programs.chromium(Settings()).path
        browser = await playwright.chromium.launch(executable_path=program, args=list(LAUNCH_ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def live_map(
    browser: Browser, servers: Embedded, database_url: str, home: Path, theme: str = "light", **more: object
) -> AsyncIterator[Page]:
    """The live map of a hub with these settings, once its map is there."""
    async with connect(database_url) as conn:
        await ensure_person(conn, LOGIN, PASSWORD, "operator")
        await conn.commit()
    settings = Settings.model_validate({"home": home, **more})
    app = create_app(settings=settings, database_url=database_url, mqtt_url=servers.mqtt_url, clock=Clock())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1), app)
        serving = asyncio.create_task(server.serve([listener]))
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", locale="fr", color_scheme=theme
        )
        try:
            page = await context.new_page()
            page.set_default_timeout(LIMIT_MS)
            await page.goto("/login")
            await page.fill("input[name=login]", LOGIN)
            await page.fill("input[name=password]", PASSWORD)
            await page.click("form button.primary")
            await page.wait_for_function(MAP_IS_THERE)
            yield page
        finally:
            await context.close()
            server.should_exit = True
            await serving


async def made_of(page: Page) -> str:
    return await page.locator(".maplibregl-ctrl-attrib-inner").first.text_content() or ""


async def brightness(page: Page) -> list[int]:
    """Red, green and blue in the middle of the map, once it is drawn."""
    return await page.evaluate(
        """() => new Promise((done) => {
            const map = globalThis.beffroi.city.map;
            map.once("render", () => {
                const gl = map.getCanvas().getContext("webgl2"), pixel = new Uint8Array(4);
                const [x, y] = [gl.drawingBufferWidth / 2, gl.drawingBufferHeight / 2];
                gl.readPixels(x, y, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
                done([...pixel].slice(0, 3));
            });
            map.triggerRepaint();
        })"""
    )


async def layers(page: Page) -> list[str]:
    return await page.evaluate("() => globalThis.beffroi.city.map.getLayersOrder()")


async def test_the_citys_own_map_says_that_it_is_generated_and_shows_the_fences(
    browser, servers, database_url, tmp_path
):
    async with connect(database_url, autocommit=True) as connection:
        await fences.put(connection, [FencePart("depot", "", None, {"type": "Polygon", "coordinates": DIJON})])
    try:
        async with live_map(browser, servers, database_url, tmp_path) as page:
            assert await made_of(page) == "Communes : cellules de Voronoï des mairies ; rues : générées"
            assert {"streets", "commune-names", "fences"} <= set(await layers(page))
            await expect(page.get_by_text("périmètre")).to_be_visible()
    finally:
        async with connect(database_url, autocommit=True) as connection:
            await fences.remove(connection, ["depot"])


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_tiles_are_drawn_under_the_devices_and_are_dark_at_night(
    browser, servers, database_url, tmp_path, maps, theme
):
    settings = {"map_style": f"{maps.address}/{{z}}/{{x}}/{{y}}.png", "map_attribution": "© Les <b>cartographes</b>"}
    async with live_map(browser, servers, database_url, tmp_path, theme, **settings) as page:
        await page.wait_for_function("() => globalThis.beffroi.city.map.areTilesLoaded()")
        assert maps.asked and all(path.endswith(".png") for path in maps.asked)
        assert await layers(page) == ["ground", "tiles", "edges", "devices"]
        red, green, blue = await brightness(page)
        assert green > 130 > red if theme == "light" else max(red, green, blue) < 120
        told = await made_of(page)
        assert "Communes : cellules de Voronoï des mairies" in told and "rues" not in told
        assert "© Les <b>cartographes</b>" in told
        await expect(page.locator(".map-note")).to_be_hidden()


async def test_a_style_is_drawn_with_real_outlines_and_no_other_host_may_be_asked(
    browser, servers, database_url, tmp_path, maps
):
    outlines = tmp_path / "outlines.geojson"
    geometry = {"type": "Polygon", "coordinates": DIJON}
    feature = {"type": "Feature", "properties": {"nom": "DIJON"}, "geometry": geometry}
    outlines.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    settings = {"map_style": f"{maps.address}/style.json", "outlines": outlines}
    async with live_map(browser, servers, database_url, tmp_path, "dark", **settings) as page:
        await page.wait_for_function("() => globalThis.beffroi.city.map.areTilesLoaded()")
        assert await layers(page) == ["theirs", "veil", "edges", "devices"]
        assert max(await brightness(page)) < 120
        assert "Communes : contours réels" in await made_of(page)
        shown = await page.evaluate("async () => (await (await fetch('/api/map/communes.geojson')).json()).features")
        assert [(f["properties"]["name"], f["geometry"]["coordinates"]) for f in shown] == [("Dijon", DIJON)]
        ask = "async (url) => fetch(url).then(() => 'answered', () => 'refused')"
        assert await page.evaluate(ask, f"{maps.address}/style.json") == "answered"
        assert await page.evaluate(ask, f"http://localhost:{maps.server_port}/style.json") == "refused"
        await page.click("#theme")
        await page.wait_for_function(VEIL_IS_THIN)
        assert await layers(page) == ["theirs", "veil", "edges", "devices"]


@pytest.mark.parametrize("path", ["/missing.json", "/{z}/{x}/{y}.jpg"])
async def test_a_base_map_that_does_not_answer_leaves_the_devices_and_says_so(
    browser, servers, database_url, tmp_path, maps, path
):
    settings = {"map_style": f"{maps.address}{path}", "map_attribution": "them"}
    async with live_map(browser, servers, database_url, tmp_path, **settings) as page:
        await expect(page.locator(".map-note")).to_have_text("Le fond de carte ne répond pas.", timeout=LIMIT_MS)
        assert "devices" in await layers(page)
