"""/metrics: the hub's health for Prometheus. Asked by a person's session, or from this machine itself."""

from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

from fastapi import APIRouter, Request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from dashboard.access import SignInNeeded, signed_in
from dashboard.desk import AtDesk
from dashboard.health_page import ThePulse, take
from store.audit import LastAudit
from store.broker_queue import BrokerQueue
from store.health import LIMITS, Health, Stored, faults
from store.health_files import Files

router = APIRouter()
THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What a proxy adds: who asks is then not on this machine, though the proxy is."""


@router.get("/metrics")
async def metrics(request: Request, at: AtDesk, pulse: ThePulse) -> Response:
    if not is_local(request.client.host if request.client else "", request.headers):
        try:
            await signed_in(request)
        except SignInNeeded:
            return _refusal(request)
    registry = CollectorRegistry()
    registry.register(Shown(await take(pulse, at)))
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"Content-Type": media_type})


def is_local(client: str, headers: Headers) -> bool:
    """Is it asked on this machine, by its own name (so not by a page that renamed itself), and by no proxy?"""
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return client in THIS_MACHINE and name in THIS_MACHINE and not any(name in headers for name in PASSED_ON)


def _refusal(request: Request) -> Response:
    status = HTTPStatus.UNAUTHORIZED
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "instance": request.url.path,
        "detail": "sign in first, or ask from the machine of the hub at its own address",
    }
    return JSONResponse(body, status, media_type="application/problem+json")


class Shown(Collector):
    """One health as metrics."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        health = self._health
        wrong = GaugeMetricFamily("beffroi_fault", "1 for everything that is wrong now", labels=["fault", "reader"])
        for fault in faults(health):
            wrong.add_metric([fault.code, fault.name], 1.0)
        yield wrong
        yield GaugeMetricFamily("beffroi_database_up", "Does the database answer", float(health.stored is not None))
        yield GaugeMetricFamily("beffroi_broker_up", "Does the broker answer", float(health.has_broker))
        yield GaugeMetricFamily("beffroi_hub_time_speed", "Hub time per real time", health.clock.speed)
        yield GaugeMetricFamily("beffroi_hub_time_ahead_seconds", "Hub time minus real time", health.hub_ahead_s)
        if health.queue:
            yield from _of_queue(health.queue)
        yield from _of_files(health.files)
        if health.stored:
            yield from _of_stored(health.stored)


def _of_queue(queue: BrokerQueue) -> Iterator[Metric]:
    for name, help_text, value in (
        ("waiting_messages", "Messages that wait in the broker", queue.waiting),
        ("messages_size_bytes", "Size of all messages that the broker holds", queue.size_bytes),
        ("heap_bytes", "Memory of the broker", queue.heap_bytes),
    ):
        yield GaugeMetricFamily(f"beffroi_broker_{name}", help_text, value)
    yield CounterMetricFamily("beffroi_broker_dropped_messages", "Dropped by the broker since its start", queue.dropped)


def _of_files(files: Files) -> Iterator[Metric]:
    appended = CounterMetricFamily("beffroi_log_messages", "Messages ever appended to a log", labels=["log"])
    for folder, log in files.logs.items():
        appended.add_metric([folder], log.head)
    yield appended
    sizes = {folder: float(log.size_bytes) for folder, log in files.logs.items()}
    yield _gauge("log_size_bytes", "Size of a log on the disk", sizes, "log")
    still = {folder: log.still_s for folder, log in files.logs.items() if log.still_s is not None}
    yield _gauge("log_still_seconds", "Real time since something was appended", still, "log")
    if files.checkpoint_s is not None:
        yield GaugeMetricFamily("beffroi_rules_checkpoint_age_seconds", "Real time since it", files.checkpoint_s)
    free = {disk.name: float(disk.free_bytes) for disk in files.disks}
    yield _gauge("disk_free_bytes", "Free on each disk of the home", free, "disk")
    sizes = {disk.name: float(disk.size_bytes) for disk in files.disks}
    yield _gauge("disk_size_bytes", "Size of each disk of the home", sizes, "disk")


def _of_stored(stored: Stored) -> Iterator[Metric]:
    read = CounterMetricFamily(
        "beffroi_reader_messages", "Messages of its log that a reader has read", labels=["reader"]
    )
    for reader in stored.readers:
        read.add_metric([reader.name], reader.next_offset)
    yield read
    lag = {reader.name: float(reader.lag) for reader in stored.readers if reader.lag is not None}
    yield _gauge("reader_lag_messages", "Messages that a reader has not read", lag, "reader")
    still = {reader.name: reader.still_s for reader in stored.readers}
    yield _gauge("reader_still_seconds", "Real time since a reader moved", still, "reader")
    for what in ("messages", "readings"):
        missing = {reader.name: float(getattr(reader, f"{what}_unaccounted")) for reader in stored.readers}
        yield _gauge(f"reader_unaccounted_{what}", "0 when the accounts of a reader add up", missing, "reader")
    for what in ("messages", "readings"):
        counted = CounterMetricFamily(
            f"beffroi_reader_{what}_over_quota", "Beyond a limit: counted, and not kept", labels=["reader"]
        )
        for reader in stored.readers:
            counted.add_metric([reader.name], getattr(reader, f"{what}_over_quota"))
        yield counted
    beyond = Counter(one.reason for one in stored.beyond)
    now: dict[str, float] = {reason: float(beyond[reason]) for reason in LIMITS}
    yield _gauge("beyond_limit", "Topics, kinds or reasons that are beyond a limit now", now, "limit")
    last_day = {count.reason: float(count.last_day) for count in stored.quarantine}
    yield _gauge("quarantine_last_day", "Quarantined in the last 24 hours of hub time", last_day, "reason")
    in_all = {count.reason: float(count.in_all) for count in stored.quarantine}
    yield _gauge("quarantine", "In the quarantine", in_all, "reason")
    incidents = {str(priority): float(count) for priority, count in stored.open_incidents.items()}
    yield _gauge("open_incidents", "Incidents that are not closed", incidents, "priority")
    for name, help_text, value in (
        ("devices_to_commission", "Devices that speak and that nobody declared", stored.to_commission),
        (
            "notifications_overdue",
            "Notifications not sent five minutes after they were due",
            stored.notifications_overdue,
        ),
        ("rollups_behind_seconds", "Real time since readings wait to be rolled up", stored.rollups_behind_s),
        ("database_size_bytes", "Size of the database", stored.size_bytes),
        ("clock_ahead_of_database_seconds", "This machine's clock minus the database's", stored.clock_ahead_s),
    ):
        yield GaugeMetricFamily(f"beffroi_{name}", help_text, value)
    if stored.audit:
        yield from _of_audit(stored.audit)


def _of_audit(audit: LastAudit) -> Iterator[Metric]:
    yield GaugeMetricFamily("beffroi_audit_missing", "By how much the last audit did not add up", audit.missing)
    yield GaugeMetricFamily("beffroi_audit_age_seconds", "Real time since the last audit", audit.age_s)
    yield GaugeMetricFamily("beffroi_audit_duration_seconds", "How long it took", audit.result.took_s)
    recounted = {log.reader: float(log.next_offset - log.first_offset) for log in audit.result.logs}
    yield _gauge("audit_recounted_messages", "Messages that it decoded again", recounted, "reader")


def _gauge(name: str, help_text: str, values: dict[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(f"beffroi_{name}", help_text, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family
