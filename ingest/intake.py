"""Intake: receives every publish on a persistent session and acknowledges it once it is durable in the log.

paho reads the socket in a thread of its own per source; one more thread writes the log. While an fsync runs the
next messages gather, so batches grow with the load. It does not look inside a payload.
"""

import queue
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.clock import Clock
from hub.errors import BadSetting
from hub.settings import BrokerAddress, Source
from ingest.log import Flag, LogReader, LogWriter, Message

logger = structlog.get_logger("intake")

RECEIVE_MAXIMUM = 2000
"""Messages that a broker may have under way to us; the bound of what intake holds in memory, per source."""
BATCH_MESSAGES = 4000
BATCH_BYTES = 4 << 20
RECENT = 2 * RECEIVE_MAXIMUM
SESSION_EXPIRY_S = 30 * 86_400
ROLL_S = 600
"""A segment is closed after ten minutes, so that it can be trimmed: the raw log holds positions."""
REPLAY_PROPERTY = ("beffroi-replay", "1")


class Recent:
    """Which messages of a source came lately; recognises one that the broker delivers again.

    Only a message that the broker marks as delivered again (DUP) is ever taken for a duplicate.
    """

    def __init__(self, size: int = RECENT) -> None:
        self._order: deque[int] = deque(maxlen=size)
        self._known: dict[int, int] = {}

    def add(self, topic: str, payload: bytes) -> None:
        if len(self._order) == self._order.maxlen:
            oldest = self._order[0]
            self._known[oldest] -= 1
            if not self._known[oldest]:
                del self._known[oldest]
        digest = hash((topic, payload))
        self._order.append(digest)
        self._known[digest] = self._known.get(digest, 0) + 1

    def __contains__(self, message: tuple[str, bytes]) -> bool:
        return hash(message) in self._known


@dataclass(frozen=True, slots=True)
class Received:
    """A message on its way to the log, and how to acknowledge it."""

    message: Message
    acknowledge: Callable[[], object] | None


def flags_of(message: mqtt.MQTTMessage) -> int:
    """The log's flags of a message as MQTT delivered it."""
    flags = (Flag.DUP if message.dup else 0) | (Flag.RETAINED if message.retain else 0)
    properties = getattr(message.properties, "UserProperty", None) or ()
    return flags | (Flag.REPLAY if REPLAY_PROPERTY in properties else 0)


class Subscription:
    """One source: a connection that puts what it receives into a queue."""

    def __init__(self, source: Source, url: str, inbox: queue.Queue[Received], clock: Clock, *, client_id: str) -> None:
        self._source = source
        self._inbox = inbox
        self._clock = clock
        self._broker = BrokerAddress.parse(url)
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=True
        )
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *_: self._lost(_failure(sys.exception()))
        self._client.on_disconnect = lambda _client, _data, _flags, reason, _properties: self._lost(str(reason))
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        if self._broker.username:
            self._client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.is_tls:
            self._client.tls_set_context(_tls(source))

    def start(self) -> None:
        """Connect, and keep connected from a thread of its own."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        if self._source.keep_session:
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect_async(
            self._broker.host,
            self._broker.port,
            keepalive=30,
            clean_start=not self._source.keep_session,
            properties=properties,
        )
        self._client.loop_start()

    def stop(self) -> None:
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._lost(f"the broker refuses us: {reason}")
            return
        # Retained messages come with the first subscription only, not at each reconnection.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._source.topics])
        logger.info("connected", source=self._source.name, session_kept=bool(flags.session_present))

    def _lost(self, why: str) -> None:
        logger.warning("not connected, trying again", source=self._source.name, why=why)

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        raw = Message(
            0,
            self._clock.now_us(),
            self._source.name,
            message.topic,
            bytes(message.payload),
            flags_of(message),
        )
        mid, qos = message.mid, message.qos
        # A full inbox stops reading the socket: the broker then queues, nothing is dropped here.
        self._inbox.put(Received(raw, (lambda: client.ack(mid, qos)) if qos else None))


def _failure(error: BaseException | None) -> str:
    """Why no connection came about, by what paho is handling when it tells us so."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    return f"the broker does not answer: {error}" if error else "the broker does not answer"


def _tls(source: Source) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(source.ca_file) if source.ca_file else None)
    except OSError as error:
        raise BadSetting(f"source {source.name}: ca_file {source.ca_file} cannot be read: {error}") from error


class Intake:
    """The way from the inbox into the log, and the acknowledgements back."""

    def __init__(self, log: LogWriter, clock: Clock) -> None:
        self.inbox: queue.Queue[Received] = queue.Queue(maxsize=4 * RECEIVE_MAXIMUM)
        self._log = log
        self._clock = clock
        self._recent: dict[str, Recent] = {}

    def warm_up(self) -> None:
        """Learn from the log's end what was already received, so that a redelivery after a crash is known."""
        reader = LogReader(self._log.folder)
        offset = max(reader.first_offset, reader.next_offset - 3 * RECENT)
        while messages := reader.read(offset, 10_000):
            for message in messages:
                self._recent_of(message.source).add(message.topic, message.payload)
            offset = messages[-1].offset + 1
        reader.close()

    def run(self, stopping: threading.Event) -> None:
        """Write what comes until told to stop; a disk that refuses is tried again, unacknowledged."""
        rolled_us = self._clock.now_us()
        while not stopping.is_set():
            if batch := self._gather():
                self._write(batch, stopping)
            if self._clock.now_us() - rolled_us > ROLL_S * 1_000_000:
                self._log.roll()
                rolled_us = self._clock.now_us()

    def _gather(self) -> list[Received]:
        """What waits, at least one message unless a quarter of a second passes."""
        batch: list[Received] = []
        size = 0
        try:
            while len(batch) < BATCH_MESSAGES and size < BATCH_BYTES:
                batch.append(self.inbox.get_nowait() if batch else self.inbox.get(timeout=0.25))
                size += len(batch[-1].message.payload)
        except queue.Empty:
            pass
        return batch

    def _write(self, batch: Sequence[Received], stopping: threading.Event) -> None:
        messages = list(self._marked(received.message for received in batch))
        wait_s = 0.5
        while True:
            try:
                self._log.append(messages)
                break
            except OSError as error:
                logger.error("the log cannot be written; nothing is acknowledged meanwhile", why=str(error))
                if stopping.wait(wait_s):
                    return
                wait_s = min(wait_s * 2, 10)
        for received in batch:
            if received.acknowledge:
                received.acknowledge()

    def _marked(self, messages: Iterable[Message]) -> Iterable[Message]:
        """The messages, those that are already in the log marked as duplicates."""
        for message in messages:
            recent = self._recent_of(message.source)
            if message.flags & Flag.DUP and (message.topic, message.payload) in recent:
                yield Message(
                    message.offset,
                    message.received_us,
                    message.source,
                    message.topic,
                    message.payload,
                    message.flags | Flag.DUPLICATE,
                )
            else:
                recent.add(message.topic, message.payload)
                yield message

    def _recent_of(self, source: str) -> Recent:
        return self._recent.setdefault(source, Recent())


def run(log: LogWriter, sources: Sequence[tuple[Source, str]], clock: Clock, stopping: threading.Event) -> None:
    """Receive from sources, each with its broker's URL, until `stopping` is set; the process's straight line."""
    intake = Intake(log, clock)
    intake.warm_up()
    identity = str(log.log_id)[:8]
    subscriptions = [
        Subscription(source, url, intake.inbox, clock, client_id=f"beffroi-{source.name}-{identity}")
        for source, url in sources
    ]
    for subscription in subscriptions:
        subscription.start()
    try:
        intake.run(stopping)
    finally:
        for subscription in subscriptions:
            subscription.stop()
