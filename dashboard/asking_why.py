"""Why a rule fires on a device or does not, asked of the worker over MQTT."""

import asyncio
import secrets

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.errors import BrokerUnavailable
from hub.settings import BrokerAddress
from rules.explain import Answer, Question

TOPIC, ANSWERS = "beffroi/why", "beffroi/why/"
PATIENCE_S = 3.0


async def ask_why(mqtt_url: str, question: Question, patience_s: float = PATIENCE_S) -> Answer | None:
    """The worker's answer; None when none came in time. BrokerUnavailable when the broker does not answer."""
    mine, correlation = ANSWERS + secrets.token_hex(8), secrets.token_bytes(8)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic, properties.CorrelationData = mine, correlation
    broker = BrokerAddress.parse(mqtt_url)
    try:
        async with (
            asyncio.timeout(patience_s),
            aiomqtt.Client(**broker.client_arguments(), protocol=aiomqtt.ProtocolVersion.V5) as client,
        ):
            await client.subscribe(mine)
            await client.publish(TOPIC, msgspec.json.encode(question), qos=0, properties=properties)
            async for message in client.messages:
                if getattr(message.properties, "CorrelationData", None) == correlation:
                    return msgspec.json.decode(bytes(message.payload or b""), type=Answer)
    except (TimeoutError, msgspec.MsgspecError):  # nobody answers, or a worker of another version
        return None
    except aiomqtt.MqttError as error:
        raise BrokerUnavailable(f"the broker does not answer or refuses the account: {error}") from error
    return None
