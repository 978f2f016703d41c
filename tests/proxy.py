"""A network of a test's own: a TCP proxy that delays, cuts, resets, fragments and swallows; set while it runs."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

READ_BYTES = 1 << 16
UNDER_WAY_BYTES = 4 << 20
"""A long line holds so much in each direction."""


@dataclass(slots=True, eq=False)
class _Line:
    """One connection through the proxy."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    is_dead: bool = False
    """Bytes were swallowed: it stays silent, and open, until the test is over."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        for writer in (self.near, self.far):
            if (connection := writer.get_extra_info("socket")) is not None and connection.fileno() >= 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self.over.set()


@dataclass(slots=True, eq=False)
class Proxy:
    """What lies between a client and a server. The attributes can be set at any time, for all lines."""

    host: str
    port: int
    latency_s: float = 0.0
    """One way."""
    fragments: range | None = None
    """Sizes, in bytes, that what passes is broken into."""
    swallows: bool = False
    """Lines stay open and nothing passes, in neither direction: half-open. What was swallowed is never told again."""
    accepted: int = 0
    """Connections so far."""
    _lines: set[_Line] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def here(self) -> int:
        """The port where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def instead_of(self, url: str) -> str:
        """A server's URL, through the proxy."""
        parts = urlsplit(url)
        account = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{account}@127.0.0.1:{self.here}").geturl()

    def cut(self) -> None:
        """Nothing passes until it is mended; then everything does, as after a cable is back."""
        self._flowing.clear()

    def mend(self) -> None:
        """Let everything pass again, on lines that lost nothing and on new ones."""
        self.swallows = False
        self._flowing.set()

    def reset(self) -> int:
        """End every line at once, with a TCP reset; returns how many."""
        lines = list(self._lines)
        for line in lines:
            line.reset()
        return len(lines)

    async def _accept(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far_reader, far = await asyncio.open_connection(self.host, self.port)
        except OSError:
            near.transport.abort()
            return
        line = _Line(near, far)
        self._lines.add(line)
        try:
            # The first end of one direction ends the line: MQTT and PostgreSQL know no half-closed ones.
            ends = [asyncio.create_task(self._carry(line, *way)) for way in ((reader, far), (far_reader, near))]
            ends.append(asyncio.create_task(line.over.wait()))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        finally:
            self._lines.discard(line)
            near.close()
            far.close()

    async def _carry(self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its end."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY_BYTES // READ_BYTES)
        delivering = asyncio.create_task(self._deliver(line, under_way, writer))
        try:
            while data := await reader.read(READ_BYTES):
                await under_way.put((loop.time() + self.latency_s, data))
            await under_way.put((loop.time() + self.latency_s, b""))
            await delivering
        except ConnectionError:
            pass
        finally:
            delivering.cancel()

    async def _deliver(
        self, line: _Line, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            await self._flowing.wait()
            line.is_dead |= self.swallows
            if line.is_dead:  # nor does the other side hear that this one went
                continue
            if not data:
                return
            for piece in self._pieces(data):
                writer.write(piece)
                await writer.drain()
                if self.fragments:
                    await asyncio.sleep(0)

    def _pieces(self, data: bytes) -> list[bytes]:
        if not self.fragments:
            return [data]
        pieces, at = [], 0
        while at < len(data):
            size = self._chance.choice(self.fragments)
            pieces.append(data[at : at + size])
            at += size
        return pieces


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """A proxy before the server of a URL, listening on this machine until the end of the block."""
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "", parts.port or 0)
    proxy._flowing.set()
    proxy._server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
    try:
        yield proxy
    finally:
        proxy._server.close()
        proxy.reset()
        while proxy._lines:  # noqa: ASYNC110
            await asyncio.sleep(0)
