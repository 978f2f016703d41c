"""A kind's readings as one file, sent while it is read: neither end holds more than a page of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response, StreamingResponse

from dashboard.api.asked import AnyDeviceNos, FieldNames, KindName, Since, Until, fields_of, kind_of, refuse, span
from dashboard.api.asking import Asks, Question
from dashboard.api.files import CsvFile, File, ParquetFile
from devices.kind import Field, Kind
from store import delegate
from store.database import Connection

router = APIRouter(tags=["export"])
PAGE_TIMEOUT_S = 120
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, in pieces.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export holds."""

    kind: Kind
    fields: tuple[Field, ...]
    devices: list[int] | None
    since: datetime
    until: datetime


@router.get("/export", response_class=StreamingResponse, responses=FILES)
async def export(
    asks: Asks,
    kind: KindName,
    since: Since,
    until: Until,
    device_nos: AnyDeviceNos = None,
    fields: FieldNames = None,
    format: Annotated[Literal["csv", "parquet"], Query()] = "csv",
    separator: Annotated[Literal[",", ";"], Query(description="Of a CSV.")] = ",",
    decimal: Annotated[Literal[".", ","], Query(description="Of a CSV; with `;` a comma suits a French Excel.")] = ".",
) -> Response:
    """Every reading of a kind that your contract covers between two moments, as one file, sorted by device and time."""
    first, after = span(since, until)
    of_kind = kind_of(kind)
    wanted = Wanted(of_kind, fields_of(of_kind, fields), sorted(set(device_nos)) if device_nos else None, first, after)
    if format == "csv" and separator == decimal:
        raise refuse("separator and decimal cannot both be a comma; use separator=;")
    asked = {"kind": kind, "devices": wanted.devices, "from": first, "to": after, "fields": fields, "format": format}
    await asks.require("export", "export", **asked)
    access_no = await asks.record("export", asked)
    if not asks.limits.may_export(asks.bearer.contract_no):
        detail = "an export is under way for your contract, or too many for others; try again when it is done"
        await asks.record_answer(access_no, None, detail)
        raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, {**asks.allowance.headers, "Retry-After": "30"})
    asks.limits.exports.add(asks.bearer.contract_no)
    file = CsvFile(wanted.fields, separator=separator, decimal=decimal) if format == "csv" else None
    sending = _Sending(asks, wanted, file or ParquetFile(of_kind, wanted.fields), access_no)
    name = f"{kind}_{first:%Y%m%dT%H%MZ}_{after:%Y%m%dT%H%MZ}.{sending.file.ending}"
    headers = {**asks.allowance.headers, "Content-Disposition": f'attachment; filename="{name}"'}
    return _Export(sending, headers)


@dataclass(frozen=True, slots=True)
class _Sending:
    """An export under way."""

    asks: Question
    wanted: Wanted
    file: File
    access_no: int

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The file, page by page, in one snapshot of the database. Formatting leaves the event loop to others."""
        rows_sent, is_whole = 0, False
        met: set[int] = set()
        try:
            async with AsyncExitStack() as stack:
                conn = await stack.enter_async_context(self.asks.at.database())
                await delegate.enter(conn, self.asks.bearer.role, PAGE_TIMEOUT_S, is_snapshot=True)
                pages = await stack.enter_async_context(aclosing(self._pages(conn)))
                async for rows in pages:
                    yield await asyncio.to_thread(self.file.add, rows)
                    rows_sent += len(rows)
                    met.update(row[0] for row in rows)
                devices = await delegate.names(conn, sorted(met))
            yield await asyncio.to_thread(self.file.end, devices)
            is_whole = True
        finally:
            broke = None if is_whole else f"it broke off after {rows_sent} rows"
            await self.asks.record_answer(self.access_no, rows_sent, broke)

    def _pages(self, conn: Connection) -> AsyncGenerator[list[tuple[Any, ...]]]:
        w = self.wanted
        return delegate.pages(conn, w.kind, w.fields, w.devices, w.since, w.until)


class _Export(StreamingResponse):
    """Ends the reading and frees the contract's place among the exports when it is over, whole or not."""

    def __init__(self, sending: _Sending, headers: dict[str, str]) -> None:
        self._pieces, self._asks = sending.pieces(), sending.asks
        super().__init__(self._pieces, media_type=sending.file.media_type, headers=headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._asks.limits.exports.discard(self._asks.bearer.contract_no)
            with anyio.CancelScope(shield=True):  # the client has gone; the connection must be given back all the same
                await self._pieces.aclose()
