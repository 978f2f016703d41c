"""Connections of the simulator and of replays to a broker: aiomqtt, with errors in our words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


def address(mqtt_url: str) -> str:
    """Host and port of a URL, for messages: never the password."""
    parts = urlsplit(mqtt_url)
    return f"{parts.hostname}:{parts.port or (8883 if parts.scheme == 'mqtts' else 1883)}"
