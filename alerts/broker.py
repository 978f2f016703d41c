"""Does the broker answer, and what waits in it: for the hub's own alarms."""

import asyncio
from dataclasses import dataclass, field

import aiomqtt

from hub.settings import BrokerAddress
from store.broker_queue import TOPICS, BrokerQueue, Told

RETRY_S = 2.0


@dataclass(slots=True)
class Broker:
    """The broker as it was last heard."""

    address: BrokerAddress
    is_connected: bool = False
    _told: Told = field(default_factory=Told)

    @property
    def queue(self) -> BrokerQueue | None:
        """None when the broker is away, or does not tell."""
        return self._told.queue

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until the stop; nobody is told here when it goes away: the alarms do that."""
        listening = asyncio.create_task(self._listen())
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if listening in done:
                listening.result()
        finally:
            listening.cancel()
            stopping.cancel()
            await asyncio.gather(listening, stopping, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                async with aiomqtt.Client(**self.address.client_arguments(), keepalive=10) as client:
                    await client.subscribe([(topic, 0) for topic in TOPICS])
                    self.is_connected = True
                    async for message in client.messages:
                        self._told.take(message.topic.value, bytes(message.payload or b""))
            except aiomqtt.MqttError:
                pass
            finally:
                self.is_connected, self._told = False, Told()
            await asyncio.sleep(RETRY_S)
