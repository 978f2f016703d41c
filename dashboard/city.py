"""The live map of the city, and what it loads once: kinds, devices with their places, the base map."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, HTTPException, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from dashboard.access import Operator, SignedIn
from dashboard.base_map import BaseMap
from dashboard.desk import AtDesk, InWords
from dashboard.words import Words
from devices.fences import as_shapes
from devices.kind import Kind, State, kinds
from store import fences as store_fences
from store import pages

router = APIRouter()
UNKNOWN_TYPE = 127
TO_COMMISSION = 128
"""Added to the type's number of a device that nobody declared yet."""
GEOJSON = "application/geo+json"
EMPTY_MAP = {"type": "FeatureCollection", "features": []}


@router.get("/")
async def live_map(request: Request, at: AtDesk, person: SignedIn, words: InWords) -> Response:
    """The city for an operator; an agent begins with the team's incidents."""
    if not person.is_operator:
        return RedirectResponse("/team", HTTPStatus.SEE_OTHER)
    async with at.database() as conn:
        to_commission = await pages.count_to_commission(conn)
    return at.render(
        request, "map.html", kinds=kinds().values(), states=state_labels(words), to_commission=to_commission
    )


@router.get("/api/kinds")
async def list_kinds(person: Operator, words: InWords) -> Response:
    """Kinds with their types and map symbols, and the states by number."""
    body = {"kinds": [_kind(kind, words) for kind in kinds().values()], "states": state_labels(words)}
    return JSONResponse(body)


@router.get("/api/kinds/{kind}/devices")
async def device_places(
    kind: str, at: AtDesk, person: Operator, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Every device of a kind, as columns: int32 number, float32 longitude, float32 latitude, uint8 type.

    The columns follow each other, little-endian, as long as there are devices. A type is its place in /api/kinds
    (127: unknown); 128 is added while the device is to commission. NaN where no place is declared.
    """
    if kind not in kinds():
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no kind {kind}; there are {', '.join(kinds())}")
    async with at.database() as conn:
        etag = f'"{await pages.registry_version(conn)}-{at.assets.version}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if if_none_match and etag in if_none_match:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        rows = await pages.points(conn, kind)
    content = await asyncio.to_thread(pack_places, kinds()[kind], rows)
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/api/map")
async def base_map(at: AtDesk, person: SignedIn, words: InWords) -> Response:
    """The real base map, if there is one, and the words that tell what the map is made of."""
    map_ = at.base_map
    body = {
        "style": map_.style,
        "style_night": map_.style_night,
        "attribution": map_.attribution,
        "made_of": made_of(map_, words),
    }
    return JSONResponse(body)


@router.get("/api/map/communes.geojson")
async def communes(at: AtDesk, person: SignedIn) -> Response:
    """The communes: the city's own, generated ones, or their real outlines where the settings name them."""
    return Response(at.base_map.communes, headers={"Cache-Control": "private, no-cache"}, media_type=GEOJSON)


@router.get("/api/map/fences.geojson")
async def fences(at: AtDesk, person: SignedIn) -> Response:
    """What the geofences cover, a feature with its name for each; the corridor of a line, not the line."""
    async with at.database() as conn:
        parts = await store_fences.load(conn)
    content = await asyncio.to_thread(as_shapes, parts)
    return Response(content, headers={"Cache-Control": "private, no-cache"}, media_type=GEOJSON)


@router.get("/api/map/streets.geojson")
async def streets(at: AtDesk, person: SignedIn) -> Response:
    """The city's generated streets; none where the city's folder has none."""
    path = at.settings.city / "streets.geojson"
    headers = {"Cache-Control": "private, max-age=3600"}
    if not path.is_file():
        return JSONResponse(EMPTY_MAP, headers=headers, media_type=GEOJSON)
    return FileResponse(path, headers=headers, media_type=GEOJSON)


def made_of(map_: BaseMap, words: Words) -> str:
    """Whether outlines and streets are real, for a line on the map. Pure."""
    if map_.are_outlines_real and map_.style:
        return words("Communes: real outlines")
    if map_.are_outlines_real:
        return words("Communes: real outlines; streets: generated")
    if map_.style:
        return words("Communes: Voronoi cells of the town halls")
    return words("Communes: Voronoi cells of the town halls; streets: generated")


def state_labels(words: Words) -> dict[int, str]:
    """The states in words, by number."""
    return {
        int(State.UNKNOWN): words("not heard yet"),
        int(State.RESTING): words("resting"),
        int(State.NORMAL): words("normal"),
        int(State.SILENT): words("silent"),
        int(State.FAULT_P3): words("fault, next round"),
        int(State.FAULT_P2): words("fault, next shift"),
        int(State.FAULT_P1): words("fault, now"),
    }


def pack_places(kind: Kind, rows: list[tuple[int, str | None, float | None, float | None, bool]]) -> bytes:
    """The columns of `device_places`. Pure."""
    numbers = {device_type.name: place for place, device_type in enumerate(kind.types)}
    device_no, types, lats, lons, undeclared = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    type_numbers = np.array([numbers.get(name, UNKNOWN_TYPE) for name in types], np.uint8)
    type_numbers += TO_COMMISSION * np.array(undeclared, np.uint8)
    return b"".join(
        (
            np.array(device_no, "<i4").tobytes(),
            np.array(lons, np.float64).astype("<f4").tobytes(),
            np.array(lats, np.float64).astype("<f4").tobytes(),
            type_numbers.tobytes(),
        )
    )


def _kind(kind: Kind, words: Words) -> dict[str, Any]:
    types = [{"name": t.name, "label": words.of(t.label), "symbol": t.symbol} for t in kind.types]
    return {"name": kind.name, "label": words.of(kind.label), "mobile": kind.is_mobile, "types": types}
