"""A home and its ports belong to one hub at a time: the lock, and the ports that must be free."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hub.errors import AlreadyRunning, BadSetting, PortInUse
from hub.secrets import private_folder
from hub.settings import Settings


@contextmanager
def only_hub_of(home: Path, address: str, *, wait_s: float = 15.0) -> Iterator[int]:
    """Hold the home for the block; yields the lock's descriptor, for the hub's processes to inherit.

    The lock lasts while any process has the descriptor. So when a hub is killed, the next one waits until
    the last process of the killed one is gone. AlreadyRunning tells who runs, and where.
    """
    path = private_folder(home) / "up.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, home, wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, home: Path, wait_s: float) -> None:
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, address = _holder(descriptor)
        if pid and Path(f"/proc/{pid}").exists():
            raise AlreadyRunning(
                f"a hub already runs on {home} (process {pid}, {address}); "
                f"stop it with Ctrl-C in its terminal or `kill {pid}`, or set BEFFROI_HOME to another folder"
            )
        if time.monotonic() > deadline_s:
            raise AlreadyRunning(f"processes of a hub that was killed still run on {home}; wait for them, or stop them")
        time.sleep(0.1)


def _holder(descriptor: int) -> tuple[int, str]:
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
        return int(told["pid"]), str(told["address"])
    except (ValueError, KeyError, TypeError):
        return 0, ""


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def ports_of(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Setting, address and port of everything that a hub with these settings listens on."""
    yield "BEFFROI_HTTP_PORT", settings.host, settings.http_port
    if settings.mqtt_url is None:
        yield "BEFFROI_MQTT_PORT", settings.mqtt_host, settings.mqtt_port
    if settings.database_url is None:
        yield "BEFFROI_POSTGRES_PORT", "127.0.0.1", settings.postgres_port


def check_ports(settings: Settings) -> None:
    """PortInUse for the first port that something else has, two settings of the same hub included."""
    with ExitStack() as held:
        for setting, host, port in ports_of(settings):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
                listener.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortInUse(port, setting) from error
                raise BadSetting(f"cannot listen on {host}, port {port} ({setting}): {error.strerror}") from error
