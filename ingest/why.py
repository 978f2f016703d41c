"""Questions to the worker over MQTT: why does a rule fire on a device, or not?

They come on `beffroi/why`, as MQTT 5 has requests. Each names the topic of its answer, under `beffroi/why/`; only
accounts of the hub may publish there.
"""

import asyncio

import aiomqtt
import msgspec
import numpy as np
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.clock import Clock, pauses
from hub.settings import BrokerAddress
from ingest.city import City
from rules.board import Board
from rules.explain import Answer, NoSuchRule, Question, rules_for, why

logger = structlog.get_logger("worker")
TOPIC = "beffroi/why"
ANSWERS = "beffroi/why/"
"""What the topic of an answer begins with: nobody makes the hub say something elsewhere."""


async def answer_questions(broker: BrokerAddress, city: City, clock: Clock) -> None:
    """Answer for ever; while the broker is away nobody can ask."""
    waits, is_lost = pauses(), False
    while True:
        try:
            async with aiomqtt.Client(**broker.client_arguments(), protocol=aiomqtt.ProtocolVersion.V5) as client:
                await client.subscribe(TOPIC)
                waits, is_lost = pauses(), False
                async for message in client.messages:
                    await _answer(client, message, city, clock)
        except aiomqtt.MqttError as error:
            if not is_lost:
                logger.warning("questions about rules are not heard, trying again", why=str(error))
            is_lost = True
            await asyncio.sleep(next(waits))


async def _answer(client: aiomqtt.Client, message: aiomqtt.Message, city: City, clock: Clock) -> None:
    topic = getattr(message.properties, "ResponseTopic", "")
    if not topic.startswith(ANSWERS) or "+" in topic or "#" in topic:
        logger.warning("a question that does not say where its answer goes", topic=topic)
        return
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if (correlation := getattr(message.properties, "CorrelationData", None)) is not None:
        properties.CorrelationData = correlation
    payload = message.payload if isinstance(message.payload, bytes) else b""
    try:
        told = answer(payload, city, clock.settled_us())
    except Exception:  # no question is worth a worker that stops
        logger.exception("a question about a rule could not be answered", question=payload[:200])
        told = Answer(fault="the worker failed to answer; its journal says why")
    await client.publish(topic, msgspec.json.encode(told), qos=0, properties=properties)


def answer(payload: bytes, city: City, now_us: int) -> Answer:
    """What there is to say to a question; an answer with a fault when it cannot be told."""
    try:
        question = msgspec.json.decode(payload, type=Question)
        kind, device_no = _device(question, city)
        board = city.boards[kind]
        codes = [rule.code for rule in rules_for(board, device_no) if question.code in (None, rule.code)]
        if not codes:
            raise NoSuchRule(f"{question.code} is no rule that watches this device")
        return Answer(device_no, [why(board, device_no, code, now_us) for code in codes])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Answer(fault=f"the question cannot be read: {error}")
    except NoSuchRule as error:
        return Answer(fault=str(error))


def _device(question: Question, city: City) -> tuple[str, int]:
    """The kind and the number of the device that is meant; NoSuchRule when there is none, or several."""
    if question.device_no is not None:
        found = [(name, question.device_no) for name, board in city.boards.items() if _has(board, question.device_no)]
    else:
        part = city.registry.of_kind(question.kind)
        found = [
            (question.kind, int(part.device_no[place]))
            for place, device_id in enumerate(part.id)
            if device_id == question.id and question.commune in (None, part.commune[place])
        ]
        if len(found) > 1:
            raise NoSuchRule(f"several communes have a device {question.id!r}; say which with --commune")
    if not found:
        raise NoSuchRule("the worker knows no such device")
    return found[0]


def _has(board: Board, device_no: int) -> bool:
    return int(board.rows(np.array([device_no]))[0]) >= 0
