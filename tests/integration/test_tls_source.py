"""A source beyond our own broker: somebody else's, over TLS, as Helsinki's public feed is."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from hub.runtime import programs
from hub.runtime.servers import Embedded
from tests.conftest import free_port, hub_settings
from tests.database import fetch
from tests.processes import Processes, Publisher, eventually, mosquitto_pub

TRAMS = "/hfp/v2/journey/ongoing/+/tram/#"
TOPIC = "/hfp/v2/journey/ongoing/vp/{mode}/0040/00423/1009/1/Arabia/10:20/1140439/3/60;24/19/83/10"
CONFIGURATION = """\
listener {port} 127.0.0.1
certfile {folder}/broker.pem
keyfile {folder}/broker.key
allow_anonymous true
user root
"""


@dataclass(frozen=True)
class Feed:
    """A public broker: anybody may connect, and TLS only."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"

    def publish(self, mode: str, body: dict[str, object]) -> None:
        """With Mosquitto's own client."""
        argv = [mosquitto_pub(), "-h", "127.0.0.1", "-p", str(self.port), "-q", "1"]
        argv += [
            "--cafile",
            self.folder / "authority.pem",
            "-t",
            TOPIC.format(mode=mode),
            "-m",
            json.dumps({"VP": body}),
        ]
        subprocess.run(argv, check=True, timeout=10)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    feed = Feed(tmp_path_factory.mktemp("feed"), free_port())
    authority = trustme.CA()
    authority.cert_pem.write_to_path(feed.folder / "authority.pem")
    trustme.CA().cert_pem.write_to_path(feed.folder / "stranger.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(feed.folder / "broker.key")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(feed.folder / "broker.pem", append=True)
    configuration = feed.folder / "mosquitto.conf"
    configuration.write_text(CONFIGURATION.format(port=feed.port, folder=feed.folder))
    broker = subprocess.Popen([programs.mosquitto(hub_settings(Path())).path, "-c", configuration])
    try:
        yield feed
    finally:
        broker.terminate()
        broker.wait(10)


def source(feed: Feed, name: str, authority: str) -> dict[str, object]:
    ca_file = str(feed.folder / authority)
    return {
        "name": name,
        "codec": "hfp",
        "url": feed.url,
        "topics": [TRAMS],
        "commune": "helsinki",
        "ca_file": ca_file,
        "keep_session": False,
    }


async def test_what_a_tls_broker_publishes_is_stored(tmp_path: Path, feed: Feed, database_url: str, broker: Embedded):
    sources = [source(feed, "hsl-live", "authority.pem"), source(feed, "hsl-forged", "stranger.pem")]
    more = {"BEFFROI_SOURCES": json.dumps(sources)}
    with Processes(tmp_path, database_url, broker.mqtt_url, more) as hub:
        hub.start("intake", "worker")
        await hub.hears(4)
        now = {"tsi": int(time.time()), "lat": 60.19, "long": 24.95, "spd": 5.0}
        feed.publish("bus", now)  # beyond the topic filter
        feed.publish("tram", now)
        own = Publisher(broker.simulator_url)
        own.publish("city/dijon/water_meter/beside/telemetry", '{"total_m3": 1}')
        await asyncio.to_thread(own.close)

        async def positions() -> list[tuple[object, ...]]:
            rows = await fetch(
                database_url, "SELECT d.commune, d.id, v.* FROM fleet_vehicle v JOIN device d USING (device_no)"
            )
            return [(r["commune"], r["id"], r["lat"], r["lon"], r["speed_kmh"]) for r in rows]

        await eventually(positions, bool)
        assert await positions() == [("helsinki", "0040-00423", 60.19, 24.95, 18.0)]
        await eventually(lambda: fetch(database_url, "SELECT * FROM water_meter"), bool)

        refusals = [line for line in hub.said().splitlines() if "hsl-forged" in line]
        assert refusals and all("not connected" in line for line in refusals)
        assert "certificate is not trusted" in refusals[0]
        assert {name: process.poll() for name, process in hub.running.items()} == {"intake": None, "worker": None}


def test_certificates_that_cannot_be_read_are_a_wrong_setting(tmp_path: Path, feed: Feed):
    more = {"BEFFROI_SOURCES": json.dumps([source(feed, "hsl-live", "nowhere.pem")])}
    hub = Processes(tmp_path, "postgresql://db", "mqtt://broker", more)
    hub.start("intake")
    assert hub.running["intake"].wait(20) == 2
    (line,) = (tmp_path / "intake.log").read_text().splitlines()
    assert line.startswith("beffroi: source hsl-live: ca_file ") and "No such file" in line
