"""Devices that speak and that nobody declared: to be commissioned. Read only."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.access import SignedIn
from dashboard.desk import AtDesk, InWords
from dashboard.device_page import shown_value
from dashboard.words import Words
from devices.kind import Kind, kinds
from store import pages

router = APIRouter()
SHOWN_VALUES = 3


@router.get("/commission")
async def commission_page(request: Request, at: AtDesk, person: SignedIn, words: InWords) -> Response:
    async with at.database() as conn:
        waiting = [(kind, await pages.to_commission(conn, kind)) for kind in kinds().values()]
        total = await pages.count_to_commission(conn)
    shown = [_shown(kind, row, words) for kind, rows in waiting for row in rows]
    return at.render(request, "commission.html", devices=shown, total=total, now=at.clock.now())


def _shown(kind: Kind, row: dict[str, Any], words: Words) -> dict[str, Any]:
    """A device with what it last said, positions left out: they are logged where they are shown."""
    reading = row["reading"] or {}
    said = [
        f"{words.of(field.label)} {shown_value(field, reading[field.name], row['ts'], words)[0]}"
        for field in kind.fields
        if reading.get(field.name) is not None and field.unit != "°"
    ]
    return row | {
        "kind_label": words.of(kind.label),
        "commune": words.commune(row["commune"]),
        "said": said[:SHOWN_VALUES],
    }
