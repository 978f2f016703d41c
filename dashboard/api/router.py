"""The API as one router, and its description; the page includes it (dashboard/app.py)."""

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from dashboard.api import devices, export, readings
from dashboard.api.asking import Door
from dashboard.api.limits import Limits
from dashboard.api.openapi import PREFIX, PROBLEMS, description


def api_router() -> APIRouter:
    """Every route of the API behind its door, and the description in front of it."""
    router = APIRouter(prefix=PREFIX)
    inside = APIRouter(dependencies=[Depends(Door(Limits()))], responses=PROBLEMS)
    for part in (devices, readings, export):
        inside.include_router(part.router)
    behind = APIRouter(prefix=PREFIX)
    behind.include_router(inside)
    told = description(behind)

    @router.get("/openapi.json")
    async def openapi() -> JSONResponse:
        """What the API can be asked, for programs that write programs."""
        return JSONResponse(told)

    router.include_router(inside)
    return router
