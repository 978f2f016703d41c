"""The clock of the hub that runs, for commands that are no process of it."""

import asyncio

import aiomqtt
import msgspec
import structlog

from hub.clock import Clock
from hub.errors import BadSetting, BrokerUnavailable
from hub.settings import BrokerAddress

logger = structlog.get_logger("clock")

CLOCK_WAIT_S = 2.0


class _Clock(msgspec.Struct):
    clock: str


async def hub_clock(url: str, otherwise: Clock) -> Clock:
    """The clock that a running hub publishes, the given one when none does."""
    try:
        async with aiomqtt.Client(**BrokerAddress.parse(url).client_arguments()) as client:
            await client.subscribe("beffroi/clock")
            async with asyncio.timeout(CLOCK_WAIT_S):
                async for message in client.messages:
                    payload = message.payload if isinstance(message.payload, bytes) else b""
                    return Clock.parse(msgspec.json.decode(payload, type=_Clock).clock)
    except TimeoutError:
        logger.info("no hub tells its clock; the settings' is taken")
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadSetting(f"beffroi/clock on the broker is no clock: {error}") from error
    except aiomqtt.MqttError as error:
        raise BrokerUnavailable(f"the broker does not answer or refuses the account: {error}") from error
    return otherwise
