"""The hub's own processes, started and killed as an operating system would."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from hub.alive import Watch, alive_file
from hub.runtime import debian
from hub.runtime.bundles import SERVERS

T = TypeVar("T")


@dataclass
class Processes:
    """Processes of one hub on a home of its own, with servers that run already."""

    home: Path
    database_url: str
    mqtt_url: str
    more: dict[str, str] = field(default_factory=dict)
    tree: Path = Path()
    """The checkout whose program they run."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this hub is told."""
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("BEFFROI_")},
            "BEFFROI_HOME": str(self.home),
            "BEFFROI_DATABASE_URL": self.database_url,
            "BEFFROI_MQTT_URL": self.mqtt_url,
            **self.more,
        }

    def start(self, *names: str) -> None:
        for name in names:
            self.start_as(name, name)

    def start_as(self, name: str, *arguments: str) -> None:
        """Start a process that is a command with arguments."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", *arguments],
                cwd=self.tree,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    async def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command of `beffroi` that ends by itself, with this hub's settings and some more."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "hub.cli", *arguments],
            cwd=self.tree,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def kill(self, name: str) -> None:
        """As `kill -9`."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """As an operator stops them; they must end by themselves."""
        for process in self.running.values():
            process.terminate()
        codes = {name: process.wait(timeout=15) for name, process in self.running.items()}
        self.running.clear()
        clean = {0, -signal.SIGTERM} if "serve" in codes else {0}  # uvicorn ends by the signal that it was sent
        assert set(codes.values()) <= clean, f"{codes}: {self.said()}"

    async def hears(self, sources: int = 3) -> None:
        """Wait until intake is connected to its sources."""
        await eventually(lambda: asyncio.to_thread(self.said), lambda said: said.count(" connected ") >= sources)

    async def lives(self) -> None:
        """Wait until every process has given a sign of life from now on: one that has just begun cannot stop well."""
        seen = [Watch(alive_file(self.home, name)) for name in self.running]
        for watch in seen:
            await eventually(lambda watch=watch: asyncio.sleep(0, watch.has_beaten()), bool)

    def said(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in self.home.glob("*.log"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.stop()
        for process in self.running.values():
            process.kill()
            process.wait()


class Publisher:
    """A plain MQTT client at QoS 1 that remembers what the broker acknowledged."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.username_pw_set(parts.username, parts.password)
        self._client.max_inflight_messages_set(200)
        self._client.on_publish = self._on_publish
        self._pending: dict[int, object] = {}
        self._marks: dict[int, object] = {}
        self._acknowledged: list[int] = []
        self._client.connect(parts.hostname or "", parts.port or 1883)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes | str, mark: object = None, **more: object) -> None:
        """Send a message; `mark` is remembered once it is acknowledged. At most 65,535 messages a publisher."""
        info = self._client.publish(topic, payload, qos=1, **more)  # type: ignore[arg-type]
        self._marks[info.mid] = mark

    def _on_publish(self, _client: object, _data: object, mid: int, _reason: object, _properties: object) -> None:
        self._acknowledged.append(mid)

    @property
    def acknowledged(self) -> list[object]:
        """The marks of what the broker has acknowledged."""
        return [self._marks[mid] for mid in self._acknowledged]

    def close(self, timeout_s: float = 20) -> None:
        """Wait until everything is acknowledged, then go."""
        deadline = time.monotonic() + timeout_s
        while len(self._acknowledged) < len(self._marks) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._client.disconnect()
        self._client.loop_stop()


async def eventually(look: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], timeout_s: float = 30) -> T:
    """Look until what is seen is what is wanted; fails with what was seen last."""
    deadline = time.monotonic() + timeout_s
    while not wanted(seen := await look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {timeout_s} s"
        await asyncio.sleep(0.1)
    return seen


def mosquitto_pub(runtime: Path = Path(".beffroi/runtime")) -> Path:
    """Mosquitto's own client: this machine's, else the one that comes with the unpacked servers."""
    own = shutil.which("mosquitto_pub")
    return Path(own) if own else debian.ensure(SERVERS, runtime) / "usr/bin/mosquitto_pub"
