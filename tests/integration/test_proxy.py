"""The network that other tests use does what it says, and loses nothing that it does not say."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.proxy import Proxy, proxy_to

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """Before a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with proxy_to(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as proxy:
        yield proxy
    server.close()


async def line_of(proxy: Proxy) -> Line:
    return await asyncio.open_connection("127.0.0.1", proxy.here)


async def say(line: Line, data: bytes, limit_s: float = 5) -> bytes:
    """What comes back of it."""
    line[1].write(data)
    return await asyncio.wait_for(line[0].readexactly(len(data)), limit_s)


async def test_everything_passes_in_order_also_in_fragments(proxy: Proxy):
    data = bytes(range(256)) * 100
    line = await line_of(proxy)
    assert await say(line, data * 10) == data * 10
    proxy.fragments = range(1, 11)
    assert await say(line, data) == data
    assert max(map(len, proxy._pieces(data))) == 10 and min(map(len, proxy._pieces(data))) == 1
    line[1].close()


async def test_latency_holds_up_and_does_not_narrow(proxy: Proxy):
    line = await line_of(proxy)
    proxy.latency_s = 0.1
    began = time.monotonic()
    assert await say(line, b"x") == b"x"
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    assert len(await say(line, bytes(1_000_000))) == 1_000_000
    assert time.monotonic() - began < 0.2 * 1_000_000 / 65_536 / 2, "as if each read waited for the one before"
    line[1].close()


async def test_what_a_cut_holds_up_passes_once_it_is_mended(proxy: Proxy):
    line = await line_of(proxy)
    proxy.cut()
    saying = asyncio.create_task(say(line, b"held"))
    await asyncio.sleep(0.2)
    assert not saying.done()
    proxy.mend()
    assert await saying == b"held"
    line[1].close()


async def test_a_reset_ends_every_line(proxy: Proxy):
    line = await line_of(proxy)
    await say(line, b"x")
    assert proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(line[0].read(), 5)
    line = await line_of(proxy)
    assert await say(line, b"again") == b"again" and proxy.accepted == 2
    line[1].close()


async def test_a_half_open_line_stays_silent_and_a_new_one_does_not(proxy: Proxy):
    line = await line_of(proxy)
    await say(line, b"x")
    proxy.swallows = True
    with pytest.raises(TimeoutError):
        await say(line, b"swallowed", 0.2)
    proxy.mend()
    with pytest.raises(TimeoutError):
        await say(line, b"still", 0.2)
    new = await line_of(proxy)
    assert await say(new, b"new") == b"new"
    for each in (line, new):
        each[1].close()
