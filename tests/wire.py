"""A way to a broker that tests can break."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


class Wire:
    """A way to the broker that can swallow what is sent, and break."""

    def __init__(self, mqtt_url: str) -> None:
        parts = urlsplit(mqtt_url)
        self._far = (parts.hostname or "", parts.port or 1883)
        self._user = parts.netloc.split("@")[0]
        self._open: list[asyncio.StreamWriter] = []
        self._is_dead = False

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return f"mqtt://{self._user}@127.0.0.1:{port}"

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    async def lose(self, seconds: float) -> None:
        """Nothing arrives any more; then the connection is reset."""
        self._is_dead = True
        await asyncio.sleep(seconds)
        self.cut()
        self._is_dead = False

    def cut(self) -> None:
        for end in self._open:
            end.transport.abort()
        self._open.clear()

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far_in, far_out = await asyncio.open_connection(*self._far)
        self._open += [near_out, far_out]
        with suppress(ConnectionError):
            await asyncio.gather(self._copy(near_in, far_out), self._copy(far_in, near_out))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if not self._is_dead:
                target.write(data)
                await target.drain()
        target.close()
