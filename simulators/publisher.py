"""A connection that publishes: many messages under way at once, none forgotten before it is acknowledged."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hub.errors import BadSetting, BrokerUnavailable
from hub.settings import BrokerAddress
from simulators import packets
from simulators.packets import Publish

CONNECT_TIMEOUT_S = 10.0
KEEPALIVE_S = 60
"""What the broker is told; a third of it without a word from it, and it is asked for one."""
SILENCE_S = KEEPALIVE_S / 3
READ_BYTES = 1 << 16
WRITE_BYTES = 1 << 16
"""Packets of so many bytes are handed to the network together."""


@dataclass(slots=True)
class Outbox:
    """What is to be published, across connections: each message stays until it is acknowledged, in order."""

    waiting: deque[Publish] = field(default_factory=deque)
    under_way: dict[int, Publish] = field(default_factory=dict)
    """By packet id, in the order of sending."""
    published: int = 0
    """Accepted by the broker; of QoS 0, given to the network."""
    refused: int = 0
    first_refusal: str | None = None

    def put(self, messages: Iterable[Publish]) -> None:
        self.waiting.extend(messages)

    def start_over(self) -> None:
        """On a new connection what was under way is sent again, before the others."""
        self.waiting.extendleft(reversed(self.under_way.values()))
        self.under_way.clear()

    def acknowledge(self, told: packets.Acknowledged) -> None:
        """Forget a message that the broker has taken or refused."""
        message = self.under_way.pop(told.packet_id, None)
        if message is None:
            return
        if told.refusal is None:
            self.published += 1
            return
        self.refused += 1
        self.first_refusal = self.first_refusal or f"{message.topic}: {told.refusal}"

    def __len__(self) -> int:
        return len(self.waiting) + len(self.under_way)


class Connection:
    """One connection of a publisher; made by `connected`. MQTT errors are ConnectionError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._rest = b""
        self._most_under_way = 0
        self._packet_id = 0
        self._outbox: Outbox | None = None
        self._acknowledged = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def greet(self, broker: BrokerAddress) -> None:
        """Log in; ConnectionError says why not."""
        self._writer.write(packets.connect(broker.username, broker.password, keepalive_s=KEEPALIVE_S))
        while not (said := await self._receive()):
            continue
        if said[0].kind != packets.CONNACK or len(said[0].body) < 2:
            raise ConnectionError("it does not speak MQTT 5")
        answer = packets.welcome(said[0].body)
        if answer.refusal:
            raise ConnectionError(answer.refusal)
        self._most_under_way = answer.most_under_way
        self._listening = asyncio.create_task(self._listen())

    async def send(self, outbox: Outbox) -> None:
        """Give all that waits to the network; the last of it may still be under way when this returns."""
        self._take(outbox)
        while outbox.waiting:
            self._check()
            if len(outbox.under_way) >= self._most_under_way:
                await self._some_acknowledged()
                continue
            self._writer.write(self._packed(outbox))
            await self._writer.drain()
            await asyncio.sleep(0)  # hear what was acknowledged meanwhile

    async def settle(self, outbox: Outbox) -> None:
        """Send all that waits and return once all of it is acknowledged."""
        await self.send(outbox)
        while outbox.under_way:
            await self._some_acknowledged()

    async def close(self) -> None:
        """Say good-bye, if there is still somebody to hear it."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if not self._writer.is_closing():
            self._writer.write(packets.DISCONNECT)
            self._writer.close()

    def _take(self, outbox: Outbox) -> None:
        if self._outbox is not outbox:
            self._outbox = outbox
            outbox.start_over()

    def _packed(self, outbox: Outbox) -> bytes:
        """The next packets, as many as may be under way and fit into one write."""
        parts: list[bytes] = []
        size = 0
        while outbox.waiting and size < WRITE_BYTES and len(outbox.under_way) < self._most_under_way:
            message = outbox.waiting.popleft()
            if message.qos:
                outbox.under_way[self._next_id(outbox)] = message
            else:
                outbox.published += 1
            parts.append(packets.publish(message, self._packet_id))
            size += len(parts[-1])
        return b"".join(parts)

    def _next_id(self, outbox: Outbox) -> int:
        while True:
            self._packet_id = self._packet_id % packets.MOST_UNDER_WAY + 1
            if self._packet_id not in outbox.under_way:
                return self._packet_id

    async def _some_acknowledged(self) -> None:
        self._acknowledged.clear()
        self._check()
        await self._acknowledged.wait()
        self._check()

    def _check(self) -> None:
        if self._listening is not None and self._listening.done():
            self._listening.result()

    async def _listen(self) -> None:
        try:
            while True:
                for packet in await self._receive():
                    self._hear(packet)
                self._acknowledged.set()
        finally:
            self._acknowledged.set()

    def _hear(self, packet: packets.Packet) -> None:
        if packet.kind == packets.FAREWELL:
            raise ConnectionError(packets.farewell(packet.body))
        if packet.kind not in (packets.PUBACK, packets.PUBREC, packets.PUBCOMP) or self._outbox is None:
            return
        told = packets.acknowledged(packet)
        if packet.kind == packets.PUBREC and told.refusal is None:
            self._writer.write(packets.release(told.packet_id))
        else:
            self._outbox.acknowledge(told)

    async def _receive(self) -> list[packets.Packet]:
        """Some packets; a broker that says nothing is asked for a sign of life, and left when it gives none."""
        # Not asyncio.wait_for: on Python 3.11 that forgets to be cancelled when something comes at the same moment.
        try:
            async with asyncio.timeout(SILENCE_S):
                data = await self._reader.read(READ_BYTES)
        except TimeoutError:
            self._writer.write(packets.PING)
            try:
                async with asyncio.timeout(SILENCE_S):
                    data = await self._reader.read(READ_BYTES)
            except TimeoutError:
                raise ConnectionError(f"it has not said a word for {2 * SILENCE_S:g} s") from None
        if not data:
            raise ConnectionError("it closed the connection")
        try:
            found, self._rest = packets.split(self._rest + data)
        except ValueError as error:
            raise ConnectionError(f"it does not speak MQTT 5: {error}") from error
        return found


@asynccontextmanager
async def connected(mqtt_url: str) -> AsyncIterator[Connection]:
    """A connection to publish on; BrokerUnavailable when the broker cannot be reached, refuses, or goes away."""
    try:
        broker = BrokerAddress.parse(mqtt_url)
    except ValueError as error:
        raise BadSetting(f"the broker's address {error}") from error
    try:
        connection = await _connect(broker)
    except (OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"the broker at {broker} does not answer or refuses: {_words(error)}") from error
    try:
        yield connection
    except ConnectionError as error:
        raise BrokerUnavailable(f"the broker at {broker} went away: {_words(error)}") from error
    finally:
        await connection.close()


async def _connect(broker: BrokerAddress) -> Connection:
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        tls = ssl.create_default_context() if broker.is_tls else None
        connection = Connection(*await asyncio.open_connection(broker.host, broker.port, ssl=tls))
        try:
            await connection.greet(broker)
        except BaseException:
            await connection.close()
            raise
        return connection


def _words(error: Exception) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
