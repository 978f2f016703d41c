"""What the broker tells of its queue, for commands that are no process of the hub."""

import asyncio
from contextlib import suppress

import aiomqtt

from hub.errors import BrokerUnavailable
from hub.settings import BrokerAddress
from store.broker_queue import TOPICS, BrokerQueue, Told

WAIT_S = 1.0
"""What it tells is retained, so it comes at once or not at all."""


async def broker_queue(url: str) -> BrokerQueue | None:
    """The queue of the broker; None when it does not tell, BrokerUnavailable when it does not answer."""
    told = Told()
    try:
        async with aiomqtt.Client(**BrokerAddress.parse(url).client_arguments()) as client:
            await client.subscribe([(topic, 0) for topic in TOPICS])
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    async for message in client.messages:
                        told.take(message.topic.value, bytes(message.payload or b""))
                        if told.is_complete:
                            break
    except aiomqtt.MqttError as error:
        raise BrokerUnavailable(f"the broker does not answer or refuses the account: {error}") from error
    return told.queue
