"""Connections of the simulator and of replays to a broker: aiomqtt, with errors in our words."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
from aiomqtt import MqttError
from paho.mqtt.client import MQTTv5

from hub.errors import BadSetting, BrokerUnavailable

IN_FLIGHT = 1000
"""Publishes that may wait for their acknowledgement at once."""
ACK_TIMEOUT_S = 30.0


def client(mqtt_url: str) -> aiomqtt.Client:
    """A client, not yet connected, for `mqtt://user:password@host:port` (or mqtts)."""
    parts = urlsplit(mqtt_url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise BadSetting(
            f"{parts.scheme or 'the broker'}: a broker's address looks like mqtt://user:password@host:port"
        )
    secure = parts.scheme == "mqtts"
    made = aiomqtt.Client(
        parts.hostname,
        parts.port or (8883 if secure else 1883),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        protocol=aiomqtt.ProtocolVersion(MQTTv5),
        timeout=ACK_TIMEOUT_S,
        max_inflight_messages=IN_FLIGHT,
        tls_params=aiomqtt.TLSParameters() if secure else None,
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
        raise BrokerUnavailable(f"the broker at {address(mqtt_url)} does not answer or refuses: {error}") from error


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


def address(mqtt_url: str) -> str:
    """Host and port of a URL, for messages: never the password."""
    parts = urlsplit(mqtt_url)
    return f"{parts.hostname}:{parts.port or (8883 if parts.scheme == 'mqtts' else 1883)}"
