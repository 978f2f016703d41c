"""How the hub is doing, for the person on watch: what is wrong first, then the figures."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dashboard.access import SignedIn
from dashboard.desk import AtDesk, Desk, InWords
from dashboard.health_words import (
    account_name,
    accounts_text,
    ago,
    audit_text,
    beyond_text,
    clock_text,
    log_name,
    missing_text,
    queue_text,
    rate_text,
    reader_name,
    seconds,
    sentence,
    size,
)
from dashboard.words import Words
from store.audit import Sum
from store.health import Health, Pulse, Reader, faults

router = APIRouter()


def pulse(request: Request) -> Pulse:
    return cast(Pulse, request.app.state.pulse)


ThePulse = Annotated[Pulse, Depends(pulse)]


async def take(pulse: Pulse, at: Desk) -> Health:
    """The hub's health as the page knows it."""
    return await pulse.take(at.database, has_broker=at.live.is_connected, queue=at.live.told.queue)


@router.get("/health")
async def health_page(request: Request, at: AtDesk, person: SignedIn, words: InWords, pulse: ThePulse) -> Response:
    health = await take(pulse, at)
    audit = health.stored.audit if health.stored else None
    return at.render(
        request,
        "health.html",
        health=health,
        faults=[sentence(fault, words) for fault in faults(health)],
        logs=[_log(health, folder, words) for folder in health.files.logs],
        readers=[_reader(reader, words) for reader in health.stored.readers] if health.stored else [],
        beyond=[beyond_text(one, words) for one in health.stored.beyond] if health.stored else [],
        quarantined=sum(count.last_day for count in health.stored.quarantine) if health.stored else 0,
        audit=audit_text(audit, words),
        sums=[_sum(one, words) for one in audit.result.sums] if audit else [],
        missing=[missing_text(one, words) for one in audit.result.missing] if audit else [],
        clock=clock_text(health, words),
        queue=queue_text(health.queue, words) if health.queue else None,
        size=lambda size_bytes: size(size_bytes, words),
        seconds=lambda length_s: seconds(length_s, words),
        ago=lambda age_s: ago(age_s, words),
    )


def _log(health: Health, folder: str, words: Words) -> dict[str, str]:
    log = health.files.logs[folder]
    return {
        "name": log_name(folder, words),
        "rate": rate_text(health.arrivals_per_s[folder], words),
        "head": words.number(log.head),
        "last": ago(log.still_s, words),
        "size": size(log.size_bytes, words),
    }


def _reader(reader: Reader, words: Words) -> dict[str, str]:
    return {
        "name": reader_name(reader.name, words),
        "offset": words.number(reader.next_offset),
        "lag": words("other log") if reader.is_of_other_log else "" if reader.lag is None else words.number(reader.lag),
        "rate": rate_text(reader.messages_per_s, words),
        "still": ago(reader.still_s, words),
        "accounts": accounts_text(reader, words),
    }


def _sum(one: Sum, words: Words) -> dict[str, str]:
    return {
        "reader": reader_name(one.reader, words),
        "what": account_name(one.what, words),
        "claimed": words.number(one.claimed),
        "counted": words.number(one.counted),
    }
