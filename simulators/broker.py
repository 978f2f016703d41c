"""Connections of the simulator and of replays to a broker: aiomqtt, with errors in our words."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
from aiomqtt import MqttError
from paho.mqtt.client import MQTTv5

from hub.errors import BadSetting, BrokerUnavailable
from hub.settings import BrokerAddress

IN_FLIGHT = 1000
"""Publishes that may wait for their acknowledgement at once."""
ACK_TIMEOUT_S = 30.0


def client(mqtt_url: str) -> aiomqtt.Client:
    """A client, not yet connected, for `mqtt://user:password@host:port` (or mqtts)."""
    try:
        broker = BrokerAddress.parse(mqtt_url)
    except ValueError as error:
        raise BadSetting(f"the broker's address {error}") from error
    made = aiomqtt.Client(
        **broker.client_arguments(),
        protocol=aiomqtt.ProtocolVersion(MQTTv5),
        timeout=ACK_TIMEOUT_S,
        max_inflight_messages=IN_FLIGHT,
    )
    made.pending_calls_threshold = IN_FLIGHT  # it warns of every publish over its own limit of 10
    return made


@asynccontextmanager
async def connected(mqtt_url: str) -> AsyncIterator[aiomqtt.Client]:
    """A connected client; BrokerUnavailable when the broker cannot be reached, refuses, or goes away."""
    try:
        async with client(mqtt_url) as connection:
            yield connection
    except MqttError as error:
        raise BrokerUnavailable(
            f"the broker at {BrokerAddress.parse(mqtt_url)} does not answer or refuses: {error}"
        ) from error


async def while_connected(broker: aiomqtt.Client, work: Coroutine[Any, Any, None]) -> None:
    """Run some work; MqttError when the connection is lost meanwhile.

    By itself a publish would learn of the loss only when its acknowledgement is overdue.
    """
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_until_lost(broker))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_lost(broker: aiomqtt.Client) -> None:
    async for _ in broker.messages:  # nothing is subscribed; ends with MqttError
        continue
