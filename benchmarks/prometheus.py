"""The same twenty rules in Debian's Prometheus, which scrapes the same devices: how long it takes to evaluate them."""

import asyncio
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.rules import FIELDS, SIBLINGS
from hub.runtime.bundles import DOCUMENTATION
from hub.runtime.debian import Bundle, ensure
from hub.runtime.process import Process, Program
from tests.conftest import free_port

DEVICES = 10_000
EVERY_S, LASTS_S = 10, 75
PROMETHEUS = Bundle(
    name="prometheus",
    title="Prometheus, to compare with",
    packages=("prometheus",),
    needless=r"(?!prometheus$|libc6|libgcc|gcc).*",
    prune=(*DOCUMENTATION, "etc", "var", "usr/lib/systemd", "usr/share/prometheus"),
    programs=("usr/bin/prometheus",),
)
WINDOWS = (
    "avg_over_time(power_w[15m])",
    "max_over_time(power_w[1h])",
    "avg_over_time(voltage_v[1h])",
    "increase(energy_wh[1h])",
    "changes(temp_c[1h])",
    "avg by (feeder) (power_w)",
)


def rules() -> str:
    """Its rule file: fourteen thresholds, five windows, one mean over siblings."""
    plain = [f"{field} > {limit}" for field, limit in zip(FIELDS * 3, range(980, 994), strict=False)]
    expressions = [*plain, *(f"{window} > 980" for window in WINDOWS)]
    told = [f"      - {{alert: rule_{i}, expr: '{text}', for: 10m}}" for i, text in enumerate(expressions)]
    return f"groups:\n  - name: twenty\n    interval: {EVERY_S}s\n    rules:\n" + "\n".join(told) + "\n"


class Devices(BaseHTTPRequestHandler):
    """What it scrapes: every field of every device, anew each time."""

    def do_GET(self) -> None:
        chance = random.Random()
        lines = [
            f'{field}{{device="D{i}",feeder="F{i // SIBLINGS}"}} {chance.uniform(0, 1000):.1f}'
            for field in FIELDS
            for i in range(DEVICES)
        ]
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("\n".join(lines).encode() + b"\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


async def evaluation_s(folder: Path) -> float:
    """How long its last evaluation of the group took, in seconds, once it has scraped for a while."""
    devices = ThreadingHTTPServer(("127.0.0.1", 0), Devices)
    threading.Thread(target=devices.serve_forever, daemon=True).start()
    config, port = folder / "prometheus.yml", free_port()
    (folder / "rules.yml").write_text(rules())
    config.write_text(
        f"global: {{scrape_interval: {EVERY_S}s, scrape_timeout: {EVERY_S}s}}\nrule_files: [rules.yml]\n"
        f"scrape_configs:\n  - job_name: city\n    static_configs: [{{targets: ['127.0.0.1:{devices.server_port}']}}]\n"
    )
    program = ensure(PROMETHEUS, Path(".beffroi/runtime")) / "usr/bin/prometheus"
    flags = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    server = await Process.start(Program("prometheus", [program, *flags]), folder / "prometheus.log")
    try:
        await asyncio.sleep(LASTS_S)
        async with httpx.AsyncClient() as client:
            told = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    finally:
        await server.stop()
        devices.shutdown()
    line = next(line for line in told.splitlines() if line.startswith("prometheus_rule_group_last_duration_seconds"))
    return float(line.rsplit(" ", 1)[1])


def report() -> None:
    """Print how long it takes, and how many evaluations a second that is."""
    with TemporaryDirectory() as folder:
        took_s = asyncio.run(evaluation_s(Path(folder)))
    sys.stdout.write(
        f"\nPrometheus, the same rules on {DEVICES:,} devices with {LASTS_S} s of history (the hub's windows are full):"
        f" {1000 * took_s:.0f} ms, {20 * DEVICES / took_s / 1e6:.2f} million evaluations/s\n"
    )


if __name__ == "__main__":
    report()
