"""Thousands of devices, each on a connection of its own, that come back by themselves when the broker does."""

import asyncio
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hub.clock import pauses
from hub.settings import BrokerAddress
from simulators import packets
from simulators.packets import Publish

ADDRESSES = 8
"""Of this machine, 127.0.0.1 and on: one address has some 28,000 ports to call from, and a port rests after use."""
KEEPALIVE_S = 600
ANSWER_S = 20


def room_for(connections: int) -> None:
    """Let this process have so many connections open, beside its files; fails when the machine does not."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (connections + 1_000, most))


@dataclass(slots=True)
class Crowd:
    """`size` devices; each publishes one message on every new connection, `make(device, how often it connected)`."""

    url: str
    size: int
    make: Callable[[int, int], Publish]
    acknowledged: list[Publish] = field(default_factory=list)
    connected: set[int] = field(default_factory=set)
    """Devices that are connected and whose message of this connection was acknowledged."""
    all_here: asyncio.Event = field(default_factory=asyncio.Event)
    here_at_s: float = 0.0
    """When the last one came, by the steady clock."""
    _devices: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """All connect, at once."""
        self._devices = [asyncio.create_task(self._live(number)) for number in range(self.size)]

    async def stop(self) -> None:
        for device in self._devices:
            device.cancel()
        await asyncio.gather(*self._devices, return_exceptions=True)

    async def _live(self, number: int) -> None:
        loop, broker = asyncio.get_running_loop(), BrokerAddress.parse(self.url)
        waits, life = pauses(), 0
        while True:
            connection = _Connection(loop.create_future())
            message = self.make(number, life)
            connection.says = (
                packets.connect(broker.username, broker.password, keepalive_s=KEEPALIVE_S),
                packets.publish(message, 1),
            )
            try:
                async with asyncio.timeout(ANSWER_S):
                    here = (f"127.0.0.{1 + number % ADDRESSES}", 0)
                    await loop.create_connection(lambda it=connection: it, broker.host, broker.port, local_addr=here)
                    await connection.acknowledged
                self._is_here(number, message)
                waits, life = pauses(), life + 1
                await connection.lost
            except OSError:
                pass
            finally:
                self.connected.discard(number)
                self.all_here.clear()
                connection.close()
            await asyncio.sleep(next(waits))

    def _is_here(self, number: int, message: Publish) -> None:
        self.acknowledged.append(message)
        self.connected.add(number)
        if len(self.connected) == self.size:
            self.here_at_s = time.monotonic()
            self.all_here.set()


class _Connection(asyncio.Protocol):
    """CONNECT, CONNACK, PUBLISH, PUBACK, then silence."""

    def __init__(self, acknowledged: asyncio.Future[None]) -> None:
        self.acknowledged = acknowledged
        self.lost: asyncio.Future[None] = acknowledged.get_loop().create_future()
        self.says: tuple[bytes, bytes] = (b"", b"")
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.says[0])

    def data_received(self, data: bytes) -> None:
        found, self._rest = packets.split(self._rest + data)
        for packet in found:
            if packet.kind == packets.CONNACK and packets.welcome(packet.body).refusal is None and self._transport:
                self._transport.write(self.says[1])
            elif packet.kind == packets.PUBACK and not self.acknowledged.done():
                self.acknowledged.set_result(None)
            else:
                self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.acknowledged.done():
            self.acknowledged.set_exception(ConnectionError("closed"))
        if not self.lost.done():
            self.lost.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
